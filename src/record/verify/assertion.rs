//! Statements about a log, and how each stands.

use serde::Serialize;

/// Whether a statement can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It was checked, and it is so.
    Holds,
    /// It was checked, and it is not so.
    Fails,
    /// What was given is not enough to say.
    Open,
}

impl Standing {
    /// The word for people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Fails => "FAILS",
            Self::Open => "open",
        }
    }
}

/// One statement about a log: how it stands, and the sentence that says what exactly was checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Assertion {
    /// How it stands.
    pub standing: Standing,
    /// What was checked, in words.
    pub sentence: String,
}

/// Which statement a fault breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Aspect {
    /// Entries are as they were signed, by keys that the root certified.
    Integrity,
    /// Entries are in the order in which they were made.
    Order,
    /// No session lacks an entry, every outcome has its decision.
    Sessions,
    /// The log lacks no entry that is known elsewhere.
    Log,
}
