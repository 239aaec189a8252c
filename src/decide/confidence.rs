//! How far an evaluation can be relied on (AARM A-3.7c): confidence in having evaluated, not in the danger.
//!
//! A rule is as sure as the weakest thing that it looks at. What is not known at all is no matter of confidence: the
//! rule is then unknown.

use super::condition::{Condition, Test};
use super::field::{ContextField, Field, SignalField};
use crate::model::{Correlation, IntentSource, LevelSource, PartsPerMillion, SessionContext};

/// Nothing in doubt.
pub(super) const FULL: PartsPerMillion = PartsPerMillion(1_000_000);

/// The confidence with which a condition was answered.
pub(super) fn of(condition: &Condition, context: &SessionContext) -> PartsPerMillion {
    match condition {
        Condition::All(parts) | Condition::Any(parts) => {
            parts.iter().map(|part| of(part, context)).min().unwrap_or(FULL)
        }
        Condition::Hours(_) | Condition::Named(_) => FULL,
        Condition::Is(leaf) if matches!(leaf.test, Test::Mentioned) => intent(context),
        Condition::Is(leaf) => field(&leaf.field, context),
        Condition::Not(inner) => of(inner, context),
        Condition::Sequence(_) => session(context),
        Condition::When(when) => when.fields().iter().map(|(_, seen)| field(seen, context)).min().unwrap_or(FULL),
    }
}

fn field(field: &Field, context: &SessionContext) -> PartsPerMillion {
    match field {
        Field::Context(field) => match field {
            ContextField::ActionCount
            | ContextField::ActionsSinceConfirmation
            | ContextField::ElapsedSeconds
            | ContextField::PriorActions => session(context),
            ContextField::DataClassification | ContextField::DataLevel => level(context),
            ContextField::Intent | ContextField::IntentClass => intent(context),
            ContextField::Correlation
            | ContextField::DataLevelSource
            | ContextField::Destination
            | ContextField::IntentSource
            | ContextField::Session => FULL,
        },
        Field::Signal(signal) => match signal {
            SignalField::ClassificationEscalation => level(context),
            SignalField::ChainLengthExceeded | SignalField::UnusualSequence | SignalField::VelocityAnomaly => {
                session(context)
            }
            SignalField::DeclaredDestructive | SignalField::DeclaredOpenWorld => FULL,
            _ => intent(context),
        },
        Field::Provenance(..) => intent(context),
        Field::Fact(_) | Field::Identity(_) | Field::Meter(_) | Field::Parameter(_) | Field::Result(_) => FULL,
    }
}

/// How sure it is that these actions belong together.
const fn session(context: &SessionContext) -> PartsPerMillion {
    match context.correlation {
        Correlation::SignedToken | Correlation::Transport | Correlation::ProtocolSession => FULL,
        Correlation::ClientAsserted => PartsPerMillion(700_000),
        Correlation::IdentityAndGap => PartsPerMillion(600_000),
    }
}

/// How sure it is that this is what the user wanted.
fn intent(context: &SessionContext) -> PartsPerMillion {
    match context.intent.as_ref().map(|intent| intent.source) {
        None | Some(IntentSource::SignedToken) => FULL,
        Some(IntentSource::Host) => PartsPerMillion(900_000),
        Some(IntentSource::Telemetry) => PartsPerMillion(800_000),
        Some(IntentSource::Inferred) => PartsPerMillion(500_000),
    }
}

/// How sure it is that the data is what it counts as.
fn level(context: &SessionContext) -> PartsPerMillion {
    match context.level.map(|(_, source)| source) {
        None | Some(LevelSource::Label | LevelSource::Policy) => FULL,
        Some(LevelSource::Detector) => PartsPerMillion(800_000),
        Some(LevelSource::Default) => PartsPerMillion(500_000),
    }
}
