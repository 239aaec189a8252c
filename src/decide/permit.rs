//! Permission as a value. Only this stage can make it, forwarding takes it by value, and it can be used once.

use bytes::Bytes;

use crate::model::{ActionId, Call, Outbound};

/// The permission to forward one action. Not `Clone`: one permit, one call.
#[derive(Debug)]
pub struct Permit {
    action: ActionId,
    outbound: Outbound,
    arguments: Bytes,
    kind: PermitKind,
}

/// Why an action may be forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PermitKind {
    /// It is allowed, with changed parameters.
    Modified,
    /// Decisions are not carried out here: it is forwarded as it came, whatever was decided.
    Shadow,
    /// It is allowed as it came.
    Unchanged,
}

impl Permit {
    fn as_it_came(call: &Call, kind: PermitKind) -> Self {
        let (action, arguments) = (call.action.id.clone(), call.action.arguments.text.clone());
        Self { action, outbound: call.outbound.clone(), arguments, kind }
    }

    pub(super) fn unchanged(call: &Call) -> Self {
        Self::as_it_came(call, PermitKind::Unchanged)
    }

    pub(super) fn shadow(call: &Call) -> Self {
        Self::as_it_came(call, PermitKind::Shadow)
    }

    pub(super) fn modified(call: &Call, outbound: Outbound, arguments: Bytes) -> Self {
        Self { action: call.action.id.clone(), outbound, arguments, kind: PermitKind::Modified }
    }

    /// The action it is for.
    #[must_use]
    pub const fn action(&self) -> &ActionId {
        &self.action
    }

    /// What is sent.
    #[must_use]
    pub const fn outbound(&self) -> &Outbound {
        &self.outbound
    }

    /// What is sent, by value: the permit is used up.
    #[must_use]
    pub fn into_outbound(self) -> Outbound {
        self.outbound
    }

    /// The parameters as they will run: the JSON text after any change.
    #[must_use]
    pub fn arguments(&self) -> &[u8] {
        &self.arguments
    }

    /// Why it may be forwarded.
    #[must_use]
    pub const fn kind(&self) -> PermitKind {
        self.kind
    }

    /// Whether the decision behind it is carried out; false in shadow.
    #[must_use]
    pub const fn is_enforced(&self) -> bool {
        !matches!(self.kind, PermitKind::Shadow)
    }
}

/// What a decision means for the action.
#[expect(clippy::large_enum_variant, reason = "most gates are open; a box would cost every call an allocation")]
#[derive(Debug)]
pub enum Gate {
    /// It does not run.
    Closed,
    /// It runs.
    Open(Permit),
}

impl Gate {
    /// The arguments as they will run, when they are not those that came.
    #[must_use]
    pub fn modified_arguments(&self) -> Option<&[u8]> {
        match self {
            Self::Open(permit) if permit.kind == PermitKind::Modified => Some(&permit.arguments),
            _ => None,
        }
    }
}
