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
    /// A person was asked, answered, or did not.
    #[serde(rename = "aarm.approval")]
    Approval,
    /// How far every destination has come, signed. Never itself counted.
    #[serde(rename = "aarm.checkpoint")]
    Checkpoint,
    /// An operator used a control, or a standing permission was given, used or ended.
    #[serde(rename = "aarm.control")]
    Control,
    /// An action was refused, changed or escalated.
    #[serde(rename = "aarm.decision")]
    Decision,
    /// An action was suspended, and what came of it.
    #[serde(rename = "aarm.deferral")]
    Deferral,
    /// A session left its intent.
    #[serde(rename = "aarm.drift")]
    Drift,
    /// Something is missing: from the log, or from what a destination got.
    #[serde(rename = "aarm.gap")]
    Gap,
    /// Something an agent's host reported.
    #[serde(rename = "aarm.observed")]
    Observed,
    /// A policy set was loaded, or refused.
    #[serde(rename = "aarm.policy")]
    Policy,
    /// The product speaks about its log: beginning, keys, anchors, redactions, end.
    #[serde(rename = "aarm.system")]
    System,
    /// The definitions of a server's tools were pinned, or changed.
    #[serde(rename = "aarm.tool_pin")]
    ToolPin,
}

impl EventType {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Action,
        Self::Approval,
        Self::Checkpoint,
        Self::Control,
        Self::Decision,
        Self::Deferral,
        Self::Drift,
        Self::Gap,
        Self::Observed,
        Self::Policy,
        Self::System,
        Self::ToolPin,
    ];

    /// AARM's spelling.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Action => "aarm.action",
            Self::Approval => "aarm.approval",
            Self::Checkpoint => "aarm.checkpoint",
            Self::Control => "aarm.control",
            Self::Decision => "aarm.decision",
            Self::Deferral => "aarm.deferral",
            Self::Drift => "aarm.drift",
            Self::Gap => "aarm.gap",
            Self::Observed => "aarm.observed",
            Self::Policy => "aarm.policy",
            Self::System => "aarm.system",
            Self::ToolPin => "aarm.tool_pin",
        }
    }

    /// The same without its first part.
    #[must_use]
    pub fn short(self) -> &'static str {
        self.as_str().strip_prefix("aarm.").unwrap_or_default()
    }

    /// Reads AARM's spelling, with or without its first part.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == word || one.short() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_type_is_spelt_the_same_everywhere() {
        for event_type in EventType::ALL {
            assert_eq!(serde_json::to_value(event_type).unwrap(), event_type.as_str());
            assert_eq!(EventType::parse(event_type.as_str()), Some(event_type));
            assert_eq!(EventType::parse(event_type.short()), Some(event_type));
        }
        assert_eq!(EventType::parse("aarm.else"), None);
    }
}
