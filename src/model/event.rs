//! Words that events and entries share.

use serde::{Deserialize, Serialize};

/// How much an event matters (resolution G-21).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Severity {
    /// Routine.
    #[default]
    Info,
    /// Worth keeping.
    Low,
    /// Worth a look.
    Medium,
    /// Needs a look: flushed at once.
    High,
    /// Needs action now.
    Critical,
}

impl Severity {
    /// Reads the word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Info, Self::Low, Self::Medium, Self::High, Self::Critical].into_iter().find(|one| one.as_str() == word)
    }

    /// The word that policies, entries and events use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "INFO",
            Self::Low => "LOW",
            Self::Medium => "MEDIUM",
            Self::High => "HIGH",
            Self::Critical => "CRITICAL",
        }
    }
}

/// The kinds of events that destinations receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EventType {
    /// Every action, once its outcome is known.
    #[serde(rename = "aarm.action")]
    Action,
    /// A person answered, or did not.
    #[serde(rename = "aarm.approval")]
    Approval,
    /// An operator used a control.
    #[serde(rename = "aarm.control")]
    Control,
    /// An action was refused, changed or escalated.
    #[serde(rename = "aarm.decision")]
    Decision,
    /// A suspended action was resolved, or timed out.
    #[serde(rename = "aarm.deferral")]
    Deferral,
    /// A session left its intent.
    #[serde(rename = "aarm.drift")]
    Drift,
    /// The product speaks about itself: start, stop, policies, keys, gaps.
    #[serde(rename = "aarm.system")]
    System,
}

impl EventType {
    /// AARM's spelling.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Action => "aarm.action",
            Self::Approval => "aarm.approval",
            Self::Control => "aarm.control",
            Self::Decision => "aarm.decision",
            Self::Deferral => "aarm.deferral",
            Self::Drift => "aarm.drift",
            Self::System => "aarm.system",
        }
    }
}
