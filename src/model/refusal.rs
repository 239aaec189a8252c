//! Why a call is not forwarded or not answered. Stages turn their errors into this; `intercept::reply` alone turns this
//! into something on a wire.

use std::sync::Arc;

use super::{ActionId, ApprovalId, PolicyReference, ReasonCode, ReceiptId, Verdict};

/// A call that ends here, with a text for the caller and a text for the operator.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// What kind.
    pub kind: RefusalKind,
    /// The action, once it has an id.
    pub action: Option<ActionId>,
    /// What the caller is told. Never holds internals.
    pub outside: Arc<str>,
    /// What the operator's log says.
    pub inside: Arc<str>,
}

/// The kinds of refusals.
#[derive(Clone, Debug)]
pub enum RefusalKind {
    /// The decision was not to forward. There is a receipt.
    Decided {
        /// What was decided.
        verdict: Verdict,
        /// The policy that decided.
        policy: PolicyReference,
        /// Why, in one word.
        reason_code: ReasonCode,
        /// The receipt.
        receipt: ReceiptId,
    },
    /// It waits for a person. There is a receipt.
    Pending(Box<Pending>),
    /// The credential is missing, bad, expired or revoked.
    Unauthenticated {
        /// The receipt, when one was written.
        receipt: Option<ReceiptId>,
    },
    /// The evidence cannot be written, so nothing is done.
    LogUnavailable,
    /// Too much at once: a limit of the product.
    Overloaded,
    /// The server could not be reached, in the upstream's protocol.
    UpstreamUnavailable {
        /// The receipt of the decision that permitted it.
        receipt: Option<ReceiptId>,
    },
    /// The server did not answer in time.
    UpstreamTimeout {
        /// The receipt of the decision that permitted it.
        receipt: Option<ReceiptId>,
    },
    /// A fault of the product.
    Internal,
}

/// What the client of a call that waits is told.
#[derive(Clone, Debug)]
pub struct Pending {
    /// The request to people.
    pub id: ApprovalId,
    /// What was decided.
    pub verdict: Verdict,
    /// The policy that decided.
    pub policy: PolicyReference,
    /// Why, in one word.
    pub reason_code: ReasonCode,
    /// The receipt of the decision.
    pub receipt: ReceiptId,
    /// The sealed state with which the client comes back, where its protocol has rounds.
    pub state: Option<Arc<str>>,
    /// The page of the request.
    pub url: Option<Arc<str>>,
    /// Whether the client is asked to show that page to its user.
    pub ask_to_open: bool,
    /// Where a client of a plain HTTP tool calls again: below the server's base.
    pub path: Arc<str>,
}

impl Refusal {
    /// A refusal without a receipt.
    #[must_use]
    pub fn new(kind: RefusalKind, outside: &str, inside: impl std::fmt::Display) -> Self {
        Self { kind, action: None, outside: outside.into(), inside: inside.to_string().into() }
    }
}

/// An error with all its causes, on one line.
#[must_use]
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
