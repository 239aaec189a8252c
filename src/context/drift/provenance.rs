//! Where a value came from.

use super::grammar::Effects;
use super::hash::HashKey;
use super::passage::Phrase;
use super::result::Seen;
use super::shape::{Purpose, Shape, host};
use super::values::Argument;
use super::{Memory, Trust};
use crate::model::Origin;

/// What is known about one value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trace {
    pub(super) origin: Origin,
    /// Index of the result it was first found in.
    pub(super) result: Option<usize>,
    /// A sentence that holds it orders one of these effects.
    pub(super) ordered: Effects,
    /// It stands as the agent uses it in some text.
    pub(super) verbatim: bool,
    /// Wording addressed to a machine stands beside it.
    pub(super) instruction_like: bool,
}

/// Where a value was found in one result.
#[derive(Default)]
struct Found {
    field: Option<bool>,
    running: bool,
    ordered: Effects,
    ordered_here: bool,
    instruction_like: bool,
}

/// The origin of a value.
pub(super) fn of(memory: &Memory, argument: &Argument<'_>, key: &HashKey) -> Trace {
    let mut trace = whole(memory, &argument.phrase, argument.digest, argument.shape);
    // A link that nobody wrote, to a host that somebody wrote: what the agent put behind it is what leaves with it.
    if argument.shape == Shape::Link && trace.origin == Origin::Synthesised {
        let host = Phrase::of(host(&argument.text), key);
        let known = whole(memory, &host, host.digest(key), Shape::Link);
        if known.origin != Origin::Intent {
            trace = Trace { origin: known.origin.max(Origin::Synthesised), verbatim: false, ..known };
        }
    }
    // `owner/name` and paths are put together from parts that may be known by themselves.
    let parts = argument.shape == Shape::Path
        && matches!(argument.purpose, Purpose::Target | Purpose::Manner)
        && matches!(trace.origin, Origin::Prose | Origin::Synthesised);
    if parts && let Some(origin) = by_parts(memory, &argument.text, key) {
        trace.origin = trace.origin.min(origin);
    }
    trace
}

fn by_parts(memory: &Memory, text: &str, key: &HashKey) -> Option<Origin> {
    let parts: Vec<&str> =
        text.split(['/', '\\']).filter(|part| !part.is_empty() && !matches!(*part, "." | ".." | "~")).collect();
    let origins = parts.iter().map(|part| {
        let phrase = Phrase::of(part, key);
        let digest = phrase.digest(key);
        whole(memory, &phrase, digest, Shape::Words).origin
    });
    // Guessed parts are no better known than the whole.
    origins.max().filter(|worst| *worst != Origin::Synthesised)
}

fn whole(memory: &Memory, phrase: &Phrase, digest: u32, shape: Shape) -> Trace {
    let mut trace = Trace {
        origin: Origin::Synthesised,
        result: None,
        ordered: Effects::default(),
        verbatim: true,
        instruction_like: false,
    };
    let intent = memory.intent.as_ref();
    let named =
        intent.is_some_and(|intent| intent.names(phrase) || (shape == Shape::Words && intent.has_all_words(phrase)));
    if named {
        trace.origin = Origin::Intent;
        return trace;
    }
    let mut held = Held { only_named: true, ..Held::default() };
    memory.each_that_may_hold(phrase, digest, |index, seen| {
        let found = look(seen, phrase, digest, shape);
        if found.field.is_some() || found.running {
            held.add(index, seen, &found, &mut trace);
        }
    });
    let Held { first_field, first_running, only_named, trusted, acknowledged } = held;
    let own = memory.own.contains(&digest);
    // What was first seen in running text stays that, whoever repeats it as a field later.
    let (origin, result) = match (first_field, first_running) {
        _ if trusted => (Origin::Trusted, trace.result),
        _ if own => (Origin::OwnWrite, None),
        (Some((field, resolved)), running) if running.is_none_or(|running| field <= running) => {
            (if resolved { Origin::Resolved } else { Origin::Structured }, Some(field))
        }
        (_, Some(running)) if only_named => (Origin::NamedSource, Some(running)),
        (_, Some(running)) => (Origin::Prose, Some(running)),
        (_, None) if acknowledged => (Origin::OwnWrite, None),
        (_, None) if !memory.is_whole() => (Origin::Prose, None),
        (_, None) => (Origin::Synthesised, None),
    };
    Trace { origin, result, ..trace }
}

/// What is known once every result was looked at.
#[derive(Default)]
struct Held {
    /// The first result in which it is a field, and whether the intent named the field's record.
    first_field: Option<(usize, bool)>,
    first_running: Option<usize>,
    only_named: bool,
    trusted: bool,
    acknowledged: bool,
}

impl Held {
    fn add(&mut self, index: usize, seen: &Seen, found: &Found, trace: &mut Trace) {
        if seen.trust == Trust::Trusted {
            self.trusted = true;
            trace.result.get_or_insert(index);
            return;
        }
        trace.ordered = trace.ordered.with(found.ordered);
        trace.instruction_like |= found.instruction_like;
        match found.field {
            Some(resolved) if seen.trust == Trust::Fields => {
                self.first_field.get_or_insert((index, resolved));
            }
            _ if seen.acknowledges && seen.trust == Trust::Fields => self.acknowledged = true,
            _ => {
                self.first_running.get_or_insert(index);
                self.only_named &= seen.named && !found.ordered_here;
            }
        }
    }
}

impl Memory {
    /// Calls `visit` with every result that may hold the value, oldest first.
    fn each_that_may_hold(&self, phrase: &Phrase, digest: u32, mut visit: impl FnMut(usize, &Seen)) {
        if !self.is_covered() {
            return self.results.iter().enumerate().for_each(|(index, seen)| visit(index, seen));
        }
        let first = self.results.front().map_or(0, |seen| seen.number);
        self.signatures.candidates(phrase, digest, |number| {
            let index = number.checked_sub(first).and_then(|index| usize::try_from(index).ok());
            if let Some((index, seen)) = index.and_then(|index| Some((index, self.results.get(index)?))) {
                visit(index, seen);
            }
        });
    }
}

fn look(seen: &Seen, phrase: &Phrase, digest: u32, shape: Shape) -> Found {
    let mut found = Found { field: seen.field(digest), ..Found::default() };
    // A part of a longer address is still that address; a part of a longer number or name is something else.
    let parts_count = shape.is_address() || shape == Shape::Path;
    seen.passage.find(phrase, &mut |hit| {
        if !hit.whole && !parts_count {
            return true;
        }
        found.running = true;
        found.instruction_like |= seen.is_instruction_like(hit.sentence);
        // "3. Plan": the number of an item, not the item.
        if shape == Shape::Number && hit.first {
            return true;
        }
        // "Please pay soon. The account is X": the order may stand beside an address that stands nowhere else.
        let beside = shape.is_address() && found.field.is_none();
        let (before, behind) = (hit.sentence.checked_sub(1), Some(hit.sentence + 1));
        for sentence in [Some(hit.sentence), before.filter(|_| beside), behind.filter(|_| beside)].into_iter().flatten()
        {
            let Some(mark) = seen.passage.sentence(sentence).filter(|mark| mark.directive) else { continue };
            found.ordered = found.ordered.with(mark.effects);
            found.ordered_here |= sentence == hit.sentence;
        }
        true
    });
    found
}
