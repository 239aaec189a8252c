//! Where events go. One file a destination, all of one anatomy.
//!
//! A destination says what it takes ([`Limits`]), sends a batch, and reports what became of it: [`Delivery`] when the
//! receiver answered for the batch, [`SendError`] when it did not. It never retries, never splits, never drops, and
//! keeps no queue: the pipeline does all of that, the same way for all of them.

mod auth;
pub mod aws;
pub(in crate::export) mod bucket;
pub mod chronicle;
mod config;
pub mod datadog;
pub mod elasticsearch;
mod environment;
#[cfg(test)]
mod example;
pub mod file;
pub mod firehose;
mod http;
pub mod kafka;
pub mod kinesis;
mod oauth;
pub mod otlp;
pub mod s3;
pub mod sentinel;
mod signature;
pub mod splunk_hec;
pub mod sumologic;
pub mod syslog;
pub mod trend_vision_one;
pub mod webhook;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::Item;

pub use auth::{AuthConfig, AuthKind};
pub use bucket::S3Options;
pub(crate) use config::Settings;
pub use config::{DestinationConfig, Opening};
pub use http::BodyCompression;

/// Events ready to leave, oldest first. Cheap to clone: encoding moves to another thread with a clone.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// What leaves.
    pub items: Vec<Arc<Item>>,
}

impl Batch {
    /// Bytes of all rendered events.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.items.iter().map(|item| item.rendered.len()).sum()
    }

    /// All rendered events, each followed by a newline: what files, NDJSON bodies and stored objects consist of.
    #[must_use]
    pub fn lines(&self) -> String {
        let mut text = String::with_capacity(self.bytes() + self.items.len());
        for item in &self.items {
            text.push_str(&item.rendered);
            text.push('\n');
        }
        text
    }
}

/// What a destination takes at once. Sizes are those of rendered events before compression, as receivers count them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Events of a batch.
    pub events_max: usize,
    /// Bytes of a batch.
    pub bytes_max: usize,
    /// Bytes of one event. A larger one becomes a dead letter unsent: receivers cut such events silently.
    pub event_bytes_max: usize,
    /// Bytes that the destination puts around each event, at most.
    pub overhead: usize,
    /// How long events below HIGH may gather.
    pub linger: Duration,
}

impl Default for Limits {
    /// 1,000 events, 1 MB, one second: what most collectors take, and half of the two seconds in which an event must
    /// have arrived.
    fn default() -> Self {
        Self {
            events_max: 1_000,
            bytes_max: 1_000_000,
            event_bytes_max: 900_000,
            overhead: 256,
            linger: Duration::from_secs(1),
        }
    }
}

/// What a receiver answered about a batch that it took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// The events that it did not take. All others arrived, or will once [`Self::ticket`] is confirmed.
    pub failed: Vec<FailedEvent>,
    /// Present when the receiver says only later whether the events are safe: ask [`Destination::confirm`].
    pub ticket: Option<u64>,
    /// Events that the receiver refused for good without saying which of the batch they were, and why.
    pub unnamed: Option<(u64, String)>,
}

/// An event that a receiver did not take although it took the batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedEvent {
    /// Its position in the batch.
    pub position: usize,
    /// What to do with it.
    pub failure: EventFailure,
}

/// Why one event was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventFailure {
    /// It may be taken later: it is sent again.
    Later(String),
    /// It never will be: it becomes a dead letter.
    Rejected(String),
}

/// What became of a ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Confirmation {
    /// The events are safe.
    Arrived,
    /// They were lost on the way: they are sent again.
    Lost(String),
    /// Nobody knows yet.
    Pending,
}

/// Why a batch did not arrive. No text may hold a credential.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// It may arrive later: sent again, without end, with growing pauses.
    #[error("{problem}")]
    Later {
        /// What happened.
        problem: String,
        /// How long the receiver asked to be left alone.
        retry_after: Option<Duration>,
    },
    /// The receiver does not take us: a credential, an address, a table that is not there. The destination is parked and
    /// tried once a minute; nothing is dropped.
    #[error("{0}")]
    Refused(String),
    /// The receiver finds something in the batch that it will never take. It is halved until the event is found.
    #[error("{problem}")]
    Rejected {
        /// What happened.
        problem: String,
        /// The position of the event, when the receiver names it.
        position: Option<usize>,
    },
    /// The batch is too large: sent again in halves.
    #[error("{0}")]
    TooLarge(String),
}

impl SendError {
    /// A failure that time may heal.
    #[must_use]
    pub fn later(problem: impl Into<String>) -> Self {
        Self::Later { problem: problem.into(), retry_after: None }
    }
}

/// A delivery on its way.
pub type Sending<'a> = Pin<Box<dyn Future<Output = Result<Delivery, SendError>> + Send + 'a>>;

/// A question about tickets on its way. One answer for each ticket, in their order.
pub type Confirming<'a> = Pin<Box<dyn Future<Output = Result<Vec<Confirmation>, SendError>> + Send + 'a>>;

/// A look at the receiver for one event: `None` when it has no way to be asked.
pub type LookingUp<'a> = Pin<Box<dyn Future<Output = Result<Option<bool>, SendError>> + Send + 'a>>;

/// A look at the receiver without sending anything: what it said, or `None` when it has no way to be asked.
pub type Checking<'a> = Pin<Box<dyn Future<Output = Result<Option<String>, SendError>> + Send + 'a>>;

/// A place events go to.
///
/// When `send` returns without an error and without a ticket, every event of the batch that is not named as failed has
/// arrived as safely as the destination can promise. `send` must end by itself: it has a time limit inside. It may be
/// called by several tasks at once when the configuration asks for it. The caller repeats what failed, so receivers may
/// see an event twice (same id), never not at all.
pub trait Destination: Send + Sync {
    /// Its name: the key of its cursor.
    fn name(&self) -> &str;

    /// What it takes at once.
    fn limits(&self) -> Limits {
        Limits::default()
    }

    /// Delivers a batch that is not empty and keeps the limits.
    fn send<'a>(&'a self, batch: &'a Batch) -> Sending<'a>;

    /// Asks what became of earlier tickets. Only called for tickets that `send` gave out in this run of the process.
    fn confirm<'a>(&'a self, tickets: &'a [u64]) -> Confirming<'a> {
        let arrived = vec![Confirmation::Arrived; tickets.len()];
        Box::pin(async move { Ok(arrived) })
    }

    /// Asks the receiver how it is, where its interface can be asked.
    fn check(&self) -> Checking<'_> {
        Box::pin(async { Ok(None) })
    }

    /// Whether the receiver has the event with this id, where its interface can be asked.
    fn look_up<'a>(&'a self, _event_id: &'a str) -> LookingUp<'a> {
        Box::pin(async { Ok(None) })
    }
}
