//! Why an answer is not taken.

use super::Status;
use crate::record::RecordError;

/// Why a person's answer is not taken, or a request cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ApproveError {
    /// There is none, or it is not this person's to see.
    #[error("there is no such request")]
    Unknown,
    /// It is not pending any more: late answers mint nothing.
    #[error("the request is not pending any more: it is {}", .0.word())]
    Settled(Status),
    /// Somebody answers it at this moment.
    #[error("somebody else is answering this request")]
    Busy,
    /// It was not routed to this person.
    #[error("this request is for {0}")]
    NotRouted(String),
    /// The agent acts on this person's behalf.
    #[error("the agent acts on your behalf: somebody else has to approve")]
    OwnRequest,
    /// Two different people have to say yes.
    #[error("you have said yes already: a second person has to")]
    SamePerson,
    /// A no without a reason, or a text that is too long.
    #[error("{0}")]
    Text(&'static str),
    /// Several requests that are not the same.
    #[error("only requests for exactly the same action can be answered together")]
    NotIdentical,
    /// Too many.
    #[error("too many requests wait: {0}")]
    TooMany(&'static str),
    /// It cannot be recorded, so it does not count.
    #[error("record the answer")]
    Record(#[from] RecordError),
}
