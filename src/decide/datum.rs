//! What the fields of [`super::field`] hold for one action.

use std::sync::Arc;

use serde_json::Value;

use super::condition::Test;
use super::field::{ContextField, IdentityField, ResultField, SignalField, Sinks};
use super::input::Input;
use super::number::Number;
use super::results::ResultFacts;
use super::settings::Settings;
use crate::model::{
    Claim, Correlation, DataLevel, Destination, DistanceSource, Effect, Identity, Intent, IntentSource, LevelSource,
    Origin, PartsPerMillion, PriorAction, SessionContext, Signals,
};

/// One value of a field.
#[derive(Clone, Copy, Debug)]
pub(super) enum Datum<'a> {
    /// Known not to be there.
    Absent,
    Destination(&'a Destination),
    Flag(bool),
    Json(&'a Value),
    /// `None`: no data was seen yet, which is below every level.
    Level(Option<DataLevel>),
    Number(Number),
    /// An earlier action; it goes by its tool, its operation, and both with a dot.
    Prior(&'a PriorAction),
    Text(&'a str),
    /// Nobody knows.
    Unknown,
}

type Visit<'v, 'a> = &'v mut dyn FnMut(Datum<'a>);

pub(super) fn context<'a>(field: ContextField, test: &Test, input: &Input<'a>, visit: Visit<'_, 'a>) {
    let context = input.context;
    let one = match field {
        ContextField::ActionCount => Datum::Number(Number::Integer(i128::from(context.action_count))),
        ContextField::ActionsSinceConfirmation => {
            Datum::Number(Number::Integer(i128::from(since_confirmation(context))))
        }
        ContextField::Correlation => Datum::Text(correlation(context.correlation)),
        ContextField::DataClassification => match test {
            Test::Level(..) => Datum::Level(context.level.map(|(level, _)| level)),
            _ => return context.labels.iter().for_each(|label| visit(Datum::Text(label))),
        },
        ContextField::DataLevel => Datum::Level(context.level.map(|(level, _)| level)),
        ContextField::DataLevelSource => match context.level {
            Some((_, source)) => Datum::Text(level_source(source)),
            None => Datum::Absent,
        },
        ContextField::Destination => input.call.action.destination.as_ref().map_or(Datum::Unknown, Datum::Destination),
        ContextField::ElapsedSeconds => {
            let seconds = context.now.micros_since(context.started) / 1_000_000;
            Datum::Number(Number::Integer(i128::from(seconds)))
        }
        ContextField::Intent => context.intent.as_ref().map_or(Datum::Unknown, |intent| Datum::Text(&intent.text)),
        ContextField::IntentClass => {
            // An intent that somebody stated without a class is of none; else nobody knows.
            let stated = context.intent.as_ref().filter(|intent| intent.source != IntentSource::Inferred);
            let class = |intent: &'a Intent| intent.class.as_deref().map_or(Datum::Absent, Datum::Text);
            stated.map_or(Datum::Unknown, class)
        }
        ContextField::IntentSource => {
            context.intent.as_ref().map_or(Datum::Unknown, |intent| Datum::Text(intent_source(intent.source)))
        }
        // What was refused has read and changed nothing.
        ContextField::PriorActions => {
            return context.history.iter().filter(|prior| prior.forwarded).for_each(|prior| visit(Datum::Prior(prior)));
        }
        ContextField::Session => Datum::Text(context.session.as_str()),
    };
    visit(one);
}

/// Actions since a person last agreed to one; since the beginning, when none did (AARM ).
fn since_confirmation(context: &SessionContext) -> u64 {
    let since = context.history.iter().rev().position(|prior| prior.confirmed);
    since.map_or(context.action_count, |since| u64::try_from(since).unwrap_or(u64::MAX))
}

pub(super) fn identity<'a>(field: IdentityField, identity: &'a Identity, settings: &Settings, visit: Visit<'_, 'a>) {
    let agent = identity.agent.as_ref();
    // What the agent says about itself is as good as the agent's id.
    let beside = |value: Option<&'a Arc<str>>| match (value, agent) {
        (Some(value), Some(agent)) if agent.id.verification.is_verified() => Datum::Text(value),
        _ => Datum::Unknown,
    };
    let inventory = |value: &'a Option<Arc<str>>| value.as_deref().map_or(Datum::Unknown, Datum::Text);
    visit(match field {
        IdentityField::Agent => claim(agent.map(|agent| &agent.id)),
        IdentityField::AgentInstance => beside(agent.and_then(|agent| agent.instance.as_ref())),
        IdentityField::AgentListed => agent.and_then(|agent| agent.listed).map_or(Datum::Unknown, Datum::Flag),
        IdentityField::AgentVersion => beside(agent.and_then(|agent| agent.version.as_ref())),
        IdentityField::Delegation => {
            let parties = identity.delegation.iter().flat_map(|step| [&step.delegator, &step.delegatee]);
            return parties.for_each(|party| visit(Datum::Text(party)));
        }
        IdentityField::Human => claim(identity.human.as_ref()),
        IdentityField::Issuer => inventory(&identity.issuer),
        IdentityField::Owner => inventory(&identity.owner),
        IdentityField::Privilege => privilege(identity, settings),
        IdentityField::Role => claim(identity.role.as_ref()),
        IdentityField::Scope => return identity.scope.iter().for_each(|scope| visit(Datum::Text(scope))),
        IdentityField::Service => claim(identity.service.as_ref()),
        IdentityField::Session => claim(identity.session.as_ref()),
        IdentityField::Team => inventory(&identity.team),
        IdentityField::Tenant => inventory(&identity.tenant),
        IdentityField::Verification => Datum::Text(identity.verification.as_str()),
        IdentityField::Verified => Datum::Flag(identity.verification.is_verified()),
    });
}

/// A part of an identity. What only the caller says is not known (resolution G-10).
fn claim(claim: Option<&Claim>) -> Datum<'_> {
    match claim {
        Some(claim) if claim.verification.is_verified() => Datum::Text(&claim.value),
        _ => Datum::Unknown,
    }
}

/// The highest rung of `privileges` that the role or a scope names (AARM, `max_privilege`).
fn privilege<'a>(identity: &Identity, settings: &Settings) -> Datum<'a> {
    let role = identity.role.as_ref().filter(|role| role.verification.is_verified()).map(|role| &role.value);
    let rungs = role.into_iter().chain(&identity.scope).filter_map(|name| settings.privilege(name));
    rungs.max().map_or(Datum::Unknown, |rung| Datum::Number(Number::Integer(rung)))
}

pub(super) fn result<'a>(field: ResultField, facts: &ResultFacts<'a>, visit: Visit<'_, 'a>) {
    let flag = |value: Option<bool>| value.map_or(Datum::Unknown, Datum::Flag);
    visit(match field {
        ResultField::Bytes => Datum::Number(Number::Integer(i128::from(facts.bytes))),
        ResultField::InstructionLike => flag(facts.instruction_like),
        ResultField::IsError => Datum::Flag(facts.is_error),
        ResultField::Labels => match facts.labels {
            Some(labels) => return labels.iter().for_each(|label| visit(Datum::Text(label))),
            None => Datum::Unknown,
        },
        ResultField::Level => facts.level.map_or(Datum::Unknown, |level| Datum::Level(Some(level))),
        ResultField::Text => return facts.texts.iter().for_each(|text| visit(Datum::Text(text))),
    });
}

pub(super) fn signal<'a>(field: SignalField, signals: &'a Signals) -> Datum<'a> {
    let flag = |value: Option<bool>| value.map_or(Datum::Unknown, Datum::Flag);
    let word = |value: Option<&'a str>| value.map_or(Datum::Unknown, Datum::Text);
    match field {
        SignalField::ChainLength => number(signals.chain_length),
        SignalField::ChainLengthExceeded => flag(signals.chain_length_exceeded),
        SignalField::ClassificationEscalation => flag(signals.classification_escalation),
        SignalField::CommandedByContent => flag(signals.commanded_by_content),
        SignalField::CredentialUse => flag(signals.credential_use),
        SignalField::CumulativeDrift => fraction(signals.cumulative_drift),
        SignalField::DeclaredDestructive => flag(signals.declared_destructive),
        SignalField::DeclaredOpenWorld => flag(signals.declared_open_world),
        SignalField::DelegatedIntent => flag(signals.delegated_intent),
        SignalField::DistanceModel => word(signals.distance_model.as_deref()),
        SignalField::DistanceSource => word(signals.distance_source.map(DistanceSource::as_str)),
        SignalField::DriftDetected => flag(signals.drift_detected),
        SignalField::Effect => word(signals.effect.map(Effect::as_str)),
        SignalField::EffectOrderedByContent => flag(signals.effect_ordered_by_content),
        SignalField::ExternalDestination => flag(signals.external_destination),
        SignalField::GoalRestatement => flag(signals.goal_restatement),
        SignalField::InstructionLike => flag(signals.instruction_like),
        SignalField::LinkFetch => flag(signals.link_fetch),
        SignalField::LinkSameHost => flag(signals.link_same_host),
        SignalField::PrivilegeEscalation => flag(signals.privilege_escalation),
        SignalField::ScopeExpansion => flag(signals.scope_expansion),
        SignalField::SemanticDistance => fraction(signals.semantic_distance),
        SignalField::SessionInstructionLike => flag(signals.session_instruction_like),
        SignalField::SinkOrigin => word(signals.sink_origin.map(Origin::as_str)),
        SignalField::SinkProseOnly => flag(signals.sink_prose_only),
        SignalField::SinkSynthesised => flag(signals.sink_synthesised),
        SignalField::UnusualSequence => flag(signals.unusual_sequence),
        SignalField::Velocity => number(signals.velocity),
        SignalField::VelocityAnomaly => flag(signals.velocity_anomaly),
    }
}

/// Where the value at a place of the arguments came from, and the values inside it.
pub(super) fn provenance<'a>(pointer: &str, sinks: Sinks, signals: &'a Signals, visit: Visit<'_, 'a>) {
    let inside = |of: &str| of.strip_prefix(pointer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let mut found = false;
    for provenance in signals.provenance.iter().filter(|provenance| inside(&provenance.pointer)) {
        found = true;
        let counts = match sinks {
            Sinks::All => true,
            Sinks::Only => provenance.sink,
            Sinks::Without => !provenance.sink,
        };
        visit(if counts { Datum::Text(provenance.origin.as_str()) } else { Datum::Absent });
    }
    if !found {
        visit(Datum::Unknown);
    }
}

fn number<'a>(value: Option<u64>) -> Datum<'a> {
    value.map_or(Datum::Unknown, |value| Datum::Number(Number::Integer(i128::from(value))))
}

/// Division rounds correctly, so 700,000 parts per million is exactly the 0.7 that a policy writes.
fn fraction<'a>(value: Option<PartsPerMillion>) -> Datum<'a> {
    value.map_or(Datum::Unknown, |ppm| Datum::Number(Number::Float(f64::from(ppm.0) / 1e6)))
}

const fn correlation(correlation: Correlation) -> &'static str {
    match correlation {
        Correlation::SignedToken => "signed_token",
        Correlation::Transport => "transport",
        Correlation::ProtocolSession => "protocol_session",
        Correlation::ClientAsserted => "client_asserted",
        Correlation::IdentityAndGap => "identity_and_gap",
    }
}

const fn intent_source(source: IntentSource) -> &'static str {
    match source {
        IntentSource::SignedToken => "signed_token",
        IntentSource::Host => "host",
        IntentSource::Telemetry => "telemetry",
        IntentSource::Inferred => "inferred",
    }
}

const fn level_source(source: LevelSource) -> &'static str {
    match source {
        LevelSource::Default => "default",
        LevelSource::Detector => "detector",
        LevelSource::Label => "label",
        LevelSource::Policy => "policy",
    }
}
