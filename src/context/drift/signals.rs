//! The signals of one action, from everything that is remembered.

use std::sync::Arc;

use super::distance::{NGRAM_MODEL, Vector, action_text};
use super::grammar::Effects;
use super::hash::HashKey;
use super::operation::{self, Operation};
use super::passage::Phrase;
use super::provenance::{self, Trace};
use super::result::Asked;
use super::shape::{Purpose, Shape};
use super::table::Sum;
use super::values::{self, Argument};
use super::{ActionSeen, Config, LinkFetch, Memory};
use crate::model::{DistanceSource, Effect, Origin, PartsPerMillion, Provenance, Signals, ToolHints, Witness};

/// How far below the threshold a distance begins to add to the cumulative drift.
const SLACK: u32 = 150_000;

/// One minute, in which velocity is counted.
const MINUTE_US: u64 = 60_000_000;

pub(super) fn of(memory: &Memory, action: &ActionSeen<'_>, config: &Config, key: &HashKey) -> Signals {
    let operation = operation::of(action.method, action.operation, action.hints);
    let (arguments, more) = values::of(action.arguments, key);
    let traces: Vec<Trace> = arguments.iter().map(|argument| provenance::of(memory, argument, key)).collect();
    let traced: Vec<(&Argument<'_>, &Trace)> = arguments.iter().zip(&traces).collect();
    let mut signals =
        Signals { effect: Some(operation.effect), external_destination: action.external, ..Signals::default() };
    signals.declared_destructive = action.hints.map(ToolHints::declares_destructive);
    signals.declared_open_world = action.hints.map(ToolHints::declares_open_world);
    scope(memory, action, &operation, &mut signals, key);
    sinks(memory, &operation, (&traced, more), config.link_fetch, &mut signals, key);
    content(memory, &traced, config, &mut signals);
    distance(memory, action, config, &mut signals);
    pace(memory, action, config, &mut signals);
    signals.provenance = traced.iter().map(|(argument, trace)| entry(memory, argument, trace)).collect();
    signals
}

/// Whether the intent asks for an effect of this kind.
fn scope(memory: &Memory, action: &ActionSeen<'_>, operation: &Operation, signals: &mut Signals, key: &HashKey) {
    let Some(intent) = &memory.intent else { return };
    let expands = match operation.effect {
        Effect::Read | Effect::Confirm => false,
        Effect::Credential => !intent.secret,
        Effect::Other if operation.form => false,
        Effect::Other => {
            let mut words = Vec::new();
            super::shape::split_name(action.operation, &mut words);
            !words.iter().any(|word| word.len() > 2 && intent.has_word(word, key))
        }
        _ => !intent.effects.meets(operation.asked_by),
    };
    signals.scope_expansion = Some(expands);
    let privileged = matches!(operation.effect, Effect::Access | Effect::Credential | Effect::Execute);
    signals.privilege_escalation = Some(expands && privileged);
    signals.credential_use = Some(operation.secret && !intent.secret);
    signals.delegated_intent = Some(intent.delegates);
}

/// Where the effect goes.
fn sinks(
    memory: &Memory,
    operation: &Operation,
    (traced, more): (&[(&Argument<'_>, &Trace)], bool),
    link_fetch: LinkFetch,
    signals: &mut Signals,
    key: &HashKey,
) {
    let intent = memory.intent.as_ref();
    let is_link = |argument: &Argument<'_>| argument.shape == Shape::Link && argument.purpose != Purpose::Content;
    let is_near = |argument: &Argument<'_>, trace: &Trace| {
        let host = argument.host(key);
        let known = memory.own_hosts.contains(&host) || intent.is_some_and(|intent| intent.has_host(host));
        trace.origin == Origin::Intent || (known && link_fetch != LinkFetch::Named)
    };
    // "Summarise the article Bob posted": a link that is only mentioned, when the user asked for what is behind links.
    let is_asked_for = |trace: &Trace| {
        operation.effect == Effect::Read
            && link_fetch != LinkFetch::Named
            && intent.is_some_and(|intent| intent.web)
            && trace.verbatim
            && !trace.ordered.meets(Effects::FETCH)
    };
    let is_near = |argument: &Argument<'_>, trace: &Trace| is_near(argument, trace) || is_asked_for(trace);
    let mut links = traced.iter().filter(|(argument, _)| is_link(argument)).peekable();
    let carries = links.peek().is_some();
    let reads = operation.effect == Effect::Read || operation.form;
    let fetches = carries && reads && link_fetch != LinkFetch::Ignored;
    signals.link_fetch = Some(fetches);
    signals.link_same_host = Some(carries && links.all(|(argument, trace)| is_near(argument, trace)));
    // Whoever the user named as the target may be told whatever the user asked for.
    let is_target = |argument: &Argument<'_>| {
        argument.purpose == Purpose::Target
            && argument.is_sink()
            && !argument.mention
            && (!operation.form || argument.shape.is_address())
    };
    let mut targets = traced.iter().filter(|(argument, _)| is_target(argument)).peekable();
    let anchored = targets.peek().is_some()
        && targets
            .all(|(argument, trace)| trace.origin == Origin::Intent || (is_link(argument) && is_near(argument, trace)));
    let counts = |argument: &Argument<'_>| match argument.purpose {
        Purpose::Target => is_target(argument) || (argument.mention && !anchored),
        Purpose::Secret => operation.effect == Effect::Credential,
        Purpose::Content | Purpose::Manner => argument.is_sink() && !anchored && operation.effect != Effect::Read,
    };
    let sinks: Vec<_> = traced.iter().filter(|(argument, _)| counts(argument)).collect();
    let worst = sinks.iter().map(|(_, trace)| trace.origin).max();
    signals.sink_origin = if more { Some(Origin::Prose) } else { worst };
    let far = |argument: &Argument<'_>, trace: &Trace| !(is_link(argument) && is_near(argument, trace));
    signals.sink_prose_only =
        Some(more || sinks.iter().any(|(argument, trace)| trace.origin == Origin::Prose && far(argument, trace)));
    signals.sink_synthesised = Some(sinks.iter().any(|(argument, trace)| {
        trace.origin == Origin::Synthesised && argument.shape.is_address() && far(argument, trace)
    }));
    // What is ordered.
    let wanted = if fetches { operation.asked_by.with(Effects::FETCH) } else { operation.asked_by };
    let acts = operation.effect != Effect::Read || fetches;
    let may_be_ordered = |argument: &Argument<'_>, trace: &Trace| match argument.purpose {
        Purpose::Manner => argument.is_sink() && !anchored,
        Purpose::Content => !anchored || argument.shape == Shape::Link,
        Purpose::Target => {
            (!anchored || argument.shape == Shape::Link) && !(fetches && is_link(argument) && is_near(argument, trace))
        }
        Purpose::Secret => operation.effect == Effect::Credential,
    };
    signals.commanded_by_content = Some(
        acts && traced.iter().any(|(argument, trace)| {
            may_be_ordered(argument, trace) && trace.origin > Origin::Trusted && trace.ordered.meets(wanted)
        }),
    );
    signals.effect_ordered_by_content = Some(acts && memory.results.iter().any(|seen| seen.orders(wanted)));
}

/// What the content of results has to say about this action.
fn content(memory: &Memory, traced: &[(&Argument<'_>, &Trace)], config: &Config, signals: &mut Signals) {
    let counts = |argument: &Argument<'_>| argument.purpose != Purpose::Manner || argument.shape.is_address();
    let tainted = |(argument, trace): &(&Argument<'_>, &Trace)| {
        counts(argument) && trace.origin > Origin::Trusted && trace.instruction_like
    };
    let lexicon = config.attack_lexicon;
    signals.instruction_like = Some(lexicon && traced.iter().any(tainted));
    signals.session_instruction_like = Some(lexicon && memory.results.iter().any(|seen| seen.instruction_like));
    signals.goal_restatement = Some(lexicon && memory.results.iter().any(|seen| seen.restates_goal));
}

fn distance(memory: &Memory, action: &ActionSeen<'_>, config: &Config, signals: &mut Signals) {
    let Some((intent, sum)) = memory.vectors() else { return };
    let text = action_text(action.operation, action.arguments);
    // What a table does not know, no other measure stands in for: distances of two are not comparable.
    let (distance, source, model) = match &config.table {
        Some(table) => {
            let mut ours = Sum::default();
            table.add(&text, &mut ours);
            (table.distance(sum, &ours), DistanceSource::StaticTable, Arc::clone(&table.model))
        }
        None => (intent.distance(&Vector::of(&text)), DistanceSource::Ngram, Arc::from(NGRAM_MODEL)),
    };
    let Some(distance) = distance else { return };
    // One that waited was added then.
    let again = memory.knows(action.id);
    let cumulative = PartsPerMillion(if again { memory.drift } else { accumulate(memory.drift, distance, config) });
    signals.semantic_distance = Some(distance);
    signals.distance_source = Some(source);
    signals.distance_model = Some(model);
    signals.cumulative_drift = Some(cumulative);
    signals.drift_detected = Some(distance > config.threshold() || cumulative > config.threshold());
}

/// The cumulative drift (AARM ): a running sum of how far each distance exceeds the threshold less the slack, never
/// below 0 and never above 1. Many small deviations add up; being near again takes them back.
pub(super) fn accumulate(drift: u32, distance: PartsPerMillion, config: &Config) -> u32 {
    let reference = config.threshold().0.saturating_sub(SLACK);
    (drift + distance.0).saturating_sub(reference).min(1_000_000)
}

fn pace(memory: &Memory, action: &ActionSeen<'_>, config: &Config, signals: &mut Signals) {
    let itself = u64::from(!memory.knows(action.id));
    let length = memory.actions + itself;
    signals.chain_length = Some(length);
    signals.chain_length_exceeded = Some(length > config.chain_length_max);
    let recent = memory.times.iter().filter(|time| action.at.micros_since(**time) < MINUTE_US).count();
    let velocity = recent as u64 + itself;
    signals.velocity = Some(velocity);
    signals.velocity_anomaly = Some(velocity > config.velocity_max);
    let effect = signals.effect.map_or_else(Effects::default, Effects::of);
    let new = effect != Effects::default() && !memory.effects.meets(effect);
    let after_orders = memory.results.back().is_some_and(|seen| seen.directive);
    signals.unusual_sequence = signals.scope_expansion.map(|expands| expands && new && after_orders);
}

fn entry(memory: &Memory, argument: &Argument<'_>, trace: &Trace) -> Provenance {
    let seen = trace.result.and_then(|result| memory.results.get(result));
    let witness = seen.map(|seen| Witness {
        result: seen.number,
        action: Arc::clone(&seen.action),
        operation: Arc::clone(&seen.operation),
    });
    Provenance { pointer: argument.pointer.as_str().into(), origin: trace.origin, sink: argument.is_sink(), witness }
}

/// What the result of this action will be read with.
pub(super) fn asked(memory: &Memory, action: &ActionSeen<'_>, key: &HashKey) -> Asked {
    let (arguments, _) = values::of(action.arguments, key);
    let names_source = |argument: &Argument<'_>| {
        let is_place = matches!(argument.shape, Shape::Link | Shape::Path) || argument.text.contains('.');
        let intent = memory.intent.as_ref();
        let below = |intent: &super::intent::Intent| {
            argument.shape == Shape::Path
                && folders(&argument.text).any(|folder| intent.names(&Phrase::of(folder, key)))
        };
        let host =
            |intent: &super::intent::Intent| argument.shape == Shape::Link && intent.has_host(argument.host(key));
        is_place && intent.is_some_and(|intent| intent.names(&argument.phrase) || below(intent) || host(intent))
    };
    let named = arguments
        .iter()
        .any(|argument| !argument.mention && argument.purpose != Purpose::Content && names_source(argument));
    let hosts =
        arguments.iter().filter(|argument| argument.shape == Shape::Link && argument.purpose != Purpose::Content);
    let hosts = hosts.map(|argument| argument.host(key)).collect();
    let effects = operation::of(action.method, action.operation, action.hints).asked_by;
    Asked { named, arguments: arguments.iter().map(|argument| argument.digest).collect(), hosts, effects }
}

/// The folders that a path lies in, those of one name left out: half the world is below `/home`.
fn folders(path: &str) -> impl Iterator<Item = &str> {
    let ends = path.char_indices().filter(|(_, c)| matches!(c, '/' | '\\')).map(|(at, _)| at);
    ends.filter_map(|end| path.get(..end))
        .filter(|folder| folder.split(['/', '\\']).filter(|name| !name.is_empty()).count() >= 2)
}
