//! What a control applies to.

use serde::{Deserialize, Serialize};

use crate::model::{Action, Identity};
use crate::record::entry::ScopeBlock;

/// Longest name in a scope, bytes.
const VALUE_BYTES_MAX: usize = 192;

/// An agent, a session, a tool, a server, or everything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "value", rename_all = "lowercase")]
pub enum Scope {
    /// Everything that an agent does: its id.
    Agent(String),
    /// Everything.
    All,
    /// Everything sent to a server: its alias.
    Server(String),
    /// Everything of a session: its id.
    Session(String),
    /// A tool: its operation, or tool and operation with a dot, by either of its names.
    Tool(String),
}

impl Scope {
    /// The words of the entry.
    #[must_use]
    pub fn parts(&self) -> (&'static str, Option<&str>) {
        match self {
            Self::Agent(value) => ("agent", Some(value)),
            Self::All => ("all", None),
            Self::Server(value) => ("server", Some(value)),
            Self::Session(value) => ("session", Some(value)),
            Self::Tool(value) => ("tool", Some(value)),
        }
    }

    pub(super) fn block(&self) -> ScopeBlock<'static> {
        let (kind, value) = self.parts();
        ScopeBlock { kind: kind.into(), value: value.map(|value| value.to_owned().into()) }
    }

    pub(super) fn of_block(block: &ScopeBlock<'_>) -> Option<Self> {
        let value = block.value.as_deref().map(str::to_owned);
        match (&*block.kind, value) {
            ("agent", Some(value)) => Some(Self::Agent(value)),
            ("all", None) => Some(Self::All),
            ("server", Some(value)) => Some(Self::Server(value)),
            ("session", Some(value)) => Some(Self::Session(value)),
            ("tool", Some(value)) => Some(Self::Tool(value)),
            _ => None,
        }
    }

    /// Whether it can be written and matched.
    #[must_use]
    pub fn is_fit(&self) -> bool {
        self.parts().1.is_none_or(|value| {
            !value.is_empty() && value.len() <= VALUE_BYTES_MAX && !value.chars().any(char::is_control)
        })
    }

    /// Whether an action of a session falls under it.
    pub(super) fn covers(&self, action: &Action, identity: &Identity, session: &str) -> bool {
        let agent = identity.agent.as_ref().map(|agent| &*agent.id.value);
        let native = &action.native;
        match self {
            Self::Agent(value) => agent == Some(value),
            Self::All => true,
            Self::Server(value) => *value == *native.server,
            Self::Session(value) => value == session,
            Self::Tool(value) => {
                let dotted = |tool: &str, operation: &str| {
                    value.strip_prefix(tool).and_then(|rest| rest.strip_prefix('.')) == Some(operation)
                };
                *value == *native.operation
                    || *value == *action.operation
                    || dotted(&native.server, &native.operation)
                    || dotted(&action.tool, &action.operation)
            }
        }
    }
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.parts() {
            (kind, Some(value)) => write!(f, "{kind} `{value}`"),
            (_, None) => f.write_str("everything"),
        }
    }
}
