//! The kinds of entries.

/// What an entry is about. Verifiers report kinds they do not know; they do not reject them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Evidence from outside about a checkpoint.
    Anchor,
    /// A person answered a request, or did not.
    Approval,
    /// Nothing comes after this entry.
    Close,
    /// What a result brought into a session.
    Context,
    /// The product or its operator did something: start, stop, suspend, break glass.
    Control,
    /// An action was decided.
    Decision,
    /// A suspended action was resolved, or was not.
    Deferral,
    /// A session left its intent.
    Drift,
    /// How far destinations have come.
    ExportCheckpoint,
    /// Events that a destination did not get.
    ExportGap,
    /// Something that should be in the log is not.
    Gap,
    /// The first entry.
    Genesis,
    /// A standing permission was given, used or ended.
    Grant,
    /// A signing key begins or is revoked.
    Key,
    /// Something an agent's host reported.
    Observed,
    /// A forwarded action ended.
    Outcome,
    /// A policy set was loaded, or refused.
    Policy,
    /// A decision without outcome was found at start.
    Recovery,
    /// Entries or disclosures were removed on purpose.
    Redaction,
    /// The definitions of tools were pinned or changed.
    ToolPin,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 20] = [
        Self::Anchor,
        Self::Approval,
        Self::Close,
        Self::Context,
        Self::Control,
        Self::Decision,
        Self::Deferral,
        Self::Drift,
        Self::ExportCheckpoint,
        Self::ExportGap,
        Self::Gap,
        Self::Genesis,
        Self::Grant,
        Self::Key,
        Self::Observed,
        Self::Outcome,
        Self::Policy,
        Self::Recovery,
        Self::Redaction,
        Self::ToolPin,
    ];

    /// The word in `predicate.kind`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Anchor => "anchor",
            Self::Approval => "approval",
            Self::Close => "close",
            Self::Context => "context",
            Self::Control => "control",
            Self::Decision => "decision",
            Self::Deferral => "deferral",
            Self::Drift => "drift",
            Self::ExportCheckpoint => "export_checkpoint",
            Self::ExportGap => "export_gap",
            Self::Gap => "gap",
            Self::Genesis => "genesis",
            Self::Grant => "grant",
            Self::Key => "key",
            Self::Observed => "observed",
            Self::Outcome => "outcome",
            Self::Policy => "policy",
            Self::Recovery => "recovery",
            Self::Redaction => "redaction",
            Self::ToolPin => "tool_pin",
        }
    }

    /// The kind of that word; `None` for a word of a later version.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}
