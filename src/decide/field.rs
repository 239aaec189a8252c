//! What rules can look at: the parameters, the session, the identity and the signals.
//!
//! The table below is the whole vocabulary. A name that is not in it does not load, so a condition on something that
//! nobody ever fills in cannot sit in a policy and look like protection.

use super::limit::Limit;
use super::path::Path;
use crate::model::{DistanceSource, Effect, Origin};

/// A thing that a rule can test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Context(ContextField),
    /// A fact that resolvers fill in.
    Fact(Box<str>),
    Identity(IdentityField),
    /// The limit of the rule.
    Meter(Box<Limit>),
    Parameter(Path),
    /// Where the values at a path came from.
    Provenance(Path, Sinks),
    /// What a tool returned; only in rules about results.
    Result(ResultField),
    Signal(SignalField),
}

impl Field {
    /// Whether a rule with this field decides by the context and not by the action alone (AARM ).
    pub(super) const fn is_context(&self) -> bool {
        matches!(self, Self::Context(_) | Self::Fact(_) | Self::Meter(_) | Self::Provenance(..) | Self::Signal(_))
    }
}

/// Which values a condition on provenance is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sinks {
    /// All of them.
    All,
    /// Those that say where the effect goes.
    Only,
    /// All others.
    Without,
}

/// Who `owned_by` may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Party {
    Agent,
    Human,
    Team,
    Tenant,
}

impl Party {
    pub(super) const WORDS: &'static [(&'static str, Self)] = &[
        ("requesting_user", Self::Human),
        ("requesting_agent", Self::Agent),
        ("requesting_team", Self::Team),
        ("requesting_tenant", Self::Tenant),
    ];
}

/// What is known about a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ResultField {
    Bytes,
    InstructionLike,
    IsError,
    Labels,
    Level,
    Text,
}

/// What the session knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ContextField {
    ActionCount,
    ActionsSinceConfirmation,
    Correlation,
    DataClassification,
    DataLevel,
    DataLevelSource,
    Destination,
    ElapsedSeconds,
    Intent,
    IntentClass,
    IntentSource,
    PriorActions,
    Session,
}

/// Who acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IdentityField {
    Agent,
    AgentInstance,
    AgentListed,
    AgentVersion,
    Delegation,
    Human,
    Issuer,
    Owner,
    Privilege,
    Role,
    Scope,
    Service,
    Session,
    Team,
    Tenant,
    Verification,
    Verified,
}

/// What was computed about the action in its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SignalField {
    ChainLength,
    ChainLengthExceeded,
    ClassificationEscalation,
    CommandedByContent,
    CredentialUse,
    CumulativeDrift,
    DeclaredDestructive,
    DeclaredOpenWorld,
    DelegatedIntent,
    DistanceModel,
    DistanceSource,
    DriftDetected,
    Effect,
    EffectOrderedByContent,
    ExternalDestination,
    GoalRestatement,
    InstructionLike,
    LinkFetch,
    LinkSameHost,
    PrivilegeEscalation,
    ScopeExpansion,
    SemanticDistance,
    SessionInstructionLike,
    SinkOrigin,
    SinkProseOnly,
    SinkSynthesised,
    UnusualSequence,
    Velocity,
    VelocityAnomaly,
}

/// What kind of values a field has, and so which operators make sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Anything: parameters.
    Any,
    /// The labels of data, together with its level.
    Classification,
    /// A host or domain with whether it is external.
    Destination,
    /// true or false.
    Flag,
    /// PUBLIC < INTERNAL < CONFIDENTIAL < RESTRICTED.
    Level,
    /// Names.
    List,
    /// A number; of signals, from 0 to 1.
    Number,
    /// A text; letters count.
    Text,
    /// A text that a person wrote: letters count without regard to case.
    Words,
    /// One of these words.
    Word(&'static [&'static str]),
}

type Named<F> = (&'static str, F, Kind);

const CORRELATIONS: &[&str] = &["signed_token", "transport", "protocol_session", "client_asserted", "identity_and_gap"];
const INTENT_SOURCES: &[&str] = &["signed_token", "host", "telemetry", "inferred"];
const LEVEL_SOURCES: &[&str] = &["default", "detector", "label", "policy"];
const VERIFICATIONS: &[&str] =
    &["mtls", "jwt", "api_key", "operating_system", "trusted_proxy", "inventory", "asserted", "none"];

/// Names in `context`: this product's first, then the aliases that AARM's pages use (resolution G-15).
pub(super) const CONTEXT: &[Named<ContextField>] = &[
    ("action_count", ContextField::ActionCount, Kind::Number),
    ("actions_since_confirmation", ContextField::ActionsSinceConfirmation, Kind::Number),
    ("correlation", ContextField::Correlation, Kind::Word(CORRELATIONS)),
    ("data_classification", ContextField::DataClassification, Kind::Classification),
    ("data_level", ContextField::DataLevel, Kind::Level),
    ("data_level_source", ContextField::DataLevelSource, Kind::Word(LEVEL_SOURCES)),
    ("destination", ContextField::Destination, Kind::Destination),
    ("elapsed_s", ContextField::ElapsedSeconds, Kind::Number),
    ("intent", ContextField::Intent, Kind::Words),
    ("intent_class", ContextField::IntentClass, Kind::Text),
    ("intent_source", ContextField::IntentSource, Kind::Word(INTENT_SOURCES)),
    ("prior_actions", ContextField::PriorActions, Kind::List),
    ("session", ContextField::Session, Kind::Text),
    ("chain_length", ContextField::ActionCount, Kind::Number),
    ("classification_source", ContextField::DataLevelSource, Kind::Word(LEVEL_SOURCES)),
    ("data_accessed", ContextField::DataClassification, Kind::Classification),
    ("data_classifications", ContextField::DataClassification, Kind::Classification),
    ("data_classifications_accessed", ContextField::DataClassification, Kind::Classification),
    ("intent_classification", ContextField::IntentClass, Kind::Text),
    ("original_request", ContextField::Intent, Kind::Words),
    ("recipient", ContextField::Destination, Kind::Destination),
    ("session_accessed_data", ContextField::DataClassification, Kind::Classification),
    ("user_intent", ContextField::Intent, Kind::Words),
];

/// Names in `identity`.
pub(super) const IDENTITY: &[Named<IdentityField>] = &[
    ("agent", IdentityField::Agent, Kind::Text),
    ("agent_instance", IdentityField::AgentInstance, Kind::Text),
    ("agent_listed", IdentityField::AgentListed, Kind::Flag),
    ("agent_version", IdentityField::AgentVersion, Kind::Text),
    ("delegation", IdentityField::Delegation, Kind::List),
    ("human", IdentityField::Human, Kind::Text),
    ("issuer", IdentityField::Issuer, Kind::Text),
    ("owner", IdentityField::Owner, Kind::Text),
    ("privilege", IdentityField::Privilege, Kind::Number),
    ("role", IdentityField::Role, Kind::Text),
    ("scope", IdentityField::Scope, Kind::List),
    ("service", IdentityField::Service, Kind::Text),
    ("session", IdentityField::Session, Kind::Text),
    ("team", IdentityField::Team, Kind::Text),
    ("tenant", IdentityField::Tenant, Kind::Text),
    ("verification", IdentityField::Verification, Kind::Word(VERIFICATIONS)),
    ("verified", IdentityField::Verified, Kind::Flag),
    ("assurance", IdentityField::Verification, Kind::Word(VERIFICATIONS)),
    ("delegation_chain", IdentityField::Delegation, Kind::List),
    ("effective_scope", IdentityField::Scope, Kind::List),
];

/// Names in `risk_signals`.
pub(super) const SIGNALS: &[Named<SignalField>] = &[
    ("chain_length", SignalField::ChainLength, Kind::Number),
    ("chain_length_exceeded", SignalField::ChainLengthExceeded, Kind::Flag),
    ("classification_escalation", SignalField::ClassificationEscalation, Kind::Flag),
    ("commanded_by_content", SignalField::CommandedByContent, Kind::Flag),
    ("credential_use", SignalField::CredentialUse, Kind::Flag),
    ("cumulative_drift", SignalField::CumulativeDrift, Kind::Number),
    ("declared_destructive", SignalField::DeclaredDestructive, Kind::Flag),
    ("declared_open_world", SignalField::DeclaredOpenWorld, Kind::Flag),
    ("delegated_intent", SignalField::DelegatedIntent, Kind::Flag),
    ("distance_model", SignalField::DistanceModel, Kind::Text),
    ("distance_source", SignalField::DistanceSource, Kind::Word(DistanceSource::WORDS)),
    ("drift_detected", SignalField::DriftDetected, Kind::Flag),
    ("effect", SignalField::Effect, Kind::Word(Effect::WORDS)),
    ("effect_ordered_by_content", SignalField::EffectOrderedByContent, Kind::Flag),
    ("external_destination", SignalField::ExternalDestination, Kind::Flag),
    ("goal_restatement", SignalField::GoalRestatement, Kind::Flag),
    ("instruction_like", SignalField::InstructionLike, Kind::Flag),
    ("link_fetch", SignalField::LinkFetch, Kind::Flag),
    ("link_same_host", SignalField::LinkSameHost, Kind::Flag),
    ("privilege_escalation", SignalField::PrivilegeEscalation, Kind::Flag),
    ("scope_expansion", SignalField::ScopeExpansion, Kind::Flag),
    ("semantic_distance", SignalField::SemanticDistance, Kind::Number),
    ("session_instruction_like", SignalField::SessionInstructionLike, Kind::Flag),
    ("sink_origin", SignalField::SinkOrigin, Kind::Word(Origin::WORDS)),
    ("sink_prose_only", SignalField::SinkProseOnly, Kind::Flag),
    ("sink_synthesised", SignalField::SinkSynthesised, Kind::Flag),
    ("unusual_sequence", SignalField::UnusualSequence, Kind::Flag),
    ("velocity", SignalField::Velocity, Kind::Number),
    ("velocity_anomaly", SignalField::VelocityAnomaly, Kind::Flag),
];

/// Names in `result`.
pub(super) const RESULTS: &[Named<ResultField>] = &[
    ("bytes", ResultField::Bytes, Kind::Number),
    ("instruction_like", ResultField::InstructionLike, Kind::Flag),
    ("is_error", ResultField::IsError, Kind::Flag),
    ("labels", ResultField::Labels, Kind::List),
    ("level", ResultField::Level, Kind::Level),
    ("text", ResultField::Text, Kind::Text),
    ("raw_text", ResultField::Text, Kind::Text),
];

/// What AARM's pages look up in the context, and only a resolver can know: read as facts (resolution G-14).
pub(super) const FACTS: &[&str] =
    &["environment_state_conflict", "maintenance_window", "memory_source_trust", "request_source", "target_ownership"];

/// What AARM's pages call risk signals and only a detector outside can know: read as facts too (AARM ).
pub(super) const FACT_SIGNALS: &[&str] = &["anomaly_score", "injection_score", "instruction_anomaly", "source_trust"];

/// The entry of a table.
pub(super) fn lookup<F: Copy>(table: &'static [Named<F>], name: &str) -> Option<(F, Kind)> {
    table.iter().find(|(known, _, _)| *known == name).map(|(_, field, kind)| (*field, *kind))
}

/// The names of a table.
pub(super) fn names<F>(table: &'static [Named<F>]) -> Vec<&'static str> {
    table.iter().map(|(name, _, _)| *name).collect()
}
