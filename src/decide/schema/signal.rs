//! The signals that a test names.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::annotation::fraction;
use super::error::Problems;
use super::section::{self, Section, flag, text};
use super::surroundings::number;
use super::yaml::{Key, Node, Yaml};
use crate::decide::field::{self, SignalField as Field};
use crate::model::{Origin, Provenance, Signals};

/// `signals: {semantic_distance: 0.9, effect: communicate}`.
pub(super) fn read(node: &Node, signals: &mut Signals, problems: &mut Problems<'_>) {
    let Some(mut section) = Section::open(node, "signals", problems) else { return };
    for (key, node) in section.take_rest() {
        match field::lookup(field::SIGNALS, &key.name) {
            Some((field, _)) => set(field, key, node, signals, problems),
            None => section::unknown_key(key, "signals", &field::names(field::SIGNALS), &[], problems),
        }
    }
}

/// `provenance: {to: prose, "/cc/0": intent}`: where values came from, by parameter or JSON pointer. With
/// `body: {origin: prose, sink: false}` a value that does not say where the effect goes.
pub(super) fn provenance(node: &Node, signals: &mut Signals, problems: &mut Problems<'_>) {
    let Some(mut section) = Section::open(node, "provenance", problems) else { return };
    let mut entries = Vec::new();
    for (key, node) in section.take_rest() {
        let (mut sink, mut origin) = (true, Some(node));
        if let Yaml::Map(_) = &node.value
            && let Some(mut inner) = Section::open(node, "provenance", problems)
        {
            origin = inner.take("origin");
            sink = inner.take("sink").and_then(|node| flag(node, "sink", problems)).unwrap_or(sink);
            inner.close(&["origin", "sink"], &[], problems);
        }
        let Some(origin) = word::<Origin>(origin.unwrap_or(node), &key.name, problems) else { continue };
        let pointer = if key.name.starts_with('/') { key.name.clone() } else { format!("/{}", key.name) };
        entries.push(Provenance { pointer: pointer.into(), origin, sink, witness: None });
    }
    signals.provenance = entries.into();
}

/// One of the words of a signal.
fn word<T: DeserializeOwned>(node: &Node, what: &str, problems: &mut Problems<'_>) -> Option<T> {
    let found = text(node, what, problems)?;
    let value = serde_json::from_value(Value::String(found.to_owned())).ok();
    if value.is_none() {
        problems.add(
            node.line,
            format!("`{what}` can never be `{found}`"),
            "the manual's page on policies lists the words",
        );
    }
    value
}

fn set(field: Field, key: &Key, node: &Node, signals: &mut Signals, problems: &mut Problems<'_>) {
    let name = &*key.name;
    let truth = match field {
        Field::ChainLength => return signals.chain_length = number(node, name, problems),
        Field::CumulativeDrift => return signals.cumulative_drift = fraction(node, name, problems),
        Field::DistanceModel => return signals.distance_model = text(node, name, problems).map(Into::into),
        Field::DistanceSource => return signals.distance_source = word(node, name, problems),
        Field::Effect => return signals.effect = word(node, name, problems),
        Field::SemanticDistance => return signals.semantic_distance = fraction(node, name, problems),
        Field::SinkOrigin => return signals.sink_origin = word(node, name, problems),
        Field::Velocity => return signals.velocity = number(node, name, problems),
        Field::ChainLengthExceeded => &mut signals.chain_length_exceeded,
        Field::ClassificationEscalation => &mut signals.classification_escalation,
        Field::CommandedByContent => &mut signals.commanded_by_content,
        Field::CredentialUse => &mut signals.credential_use,
        Field::DeclaredDestructive => &mut signals.declared_destructive,
        Field::DeclaredOpenWorld => &mut signals.declared_open_world,
        Field::DelegatedIntent => &mut signals.delegated_intent,
        Field::DriftDetected => &mut signals.drift_detected,
        Field::EffectOrderedByContent => &mut signals.effect_ordered_by_content,
        Field::ExternalDestination => &mut signals.external_destination,
        Field::GoalRestatement => &mut signals.goal_restatement,
        Field::InstructionLike => &mut signals.instruction_like,
        Field::LinkFetch => &mut signals.link_fetch,
        Field::LinkSameHost => &mut signals.link_same_host,
        Field::PrivilegeEscalation => &mut signals.privilege_escalation,
        Field::ScopeExpansion => &mut signals.scope_expansion,
        Field::SessionInstructionLike => &mut signals.session_instruction_like,
        Field::SinkProseOnly => &mut signals.sink_prose_only,
        Field::SinkSynthesised => &mut signals.sink_synthesised,
        Field::UnusualSequence => &mut signals.unusual_sequence,
        Field::VelocityAnomaly => &mut signals.velocity_anomaly,
    };
    *truth = flag(node, name, problems);
}
