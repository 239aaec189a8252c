//! One result, as it is remembered.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::grammar::{
    Effects, LEXICON_MACHINE, LEXICON_MARKUP, LEXICON_OVERRIDE, LEXICON_PRECEDENCE, LEXICON_SECRECY, LEXICON_TASK,
};
use super::hash::HashKey;
use super::intent::Intent;
use super::passage::{Passage, Phrase};
use super::shape::Shape;
use super::structure::{Form, Leaf, leaves};
use super::{ResultSeen, Trust};

/// Words of a field that still counts as a value of its own.
const FIELD_WORDS_MAX: usize = 24;

/// Words of a field that can tie its record to the intent: a name, a title, not a letter.
const NAMING_WORDS_MAX: usize = 12;

/// Words of an answer that only says what was done.
const ACKNOWLEDGEMENT_WORDS_MAX: usize = 30;

/// Sentences before and behind a value in which wording addressed to a machine counts as beside it.
const LEXICON_BEFORE: usize = 4;
const LEXICON_BEHIND: usize = 1;

/// Facts of one result.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Seen {
    pub(super) number: u64,
    /// The action that it answers.
    #[serde(default = "nothing")]
    pub(super) action: Arc<str>,
    pub(super) operation: Arc<str>,
    pub(super) trust: Trust,
    /// The user named where it comes from.
    pub(super) named: bool,
    /// It only says what was done.
    pub(super) acknowledges: bool,
    /// Digests of fields, sorted; the lowest bit says that the record was named by the intent.
    fields: Vec<u32>,
    pub(super) passage: Passage,
    /// Running text was let go.
    pub(super) faded: bool,
    pub(super) directive: bool,
    /// Effects that its sentences order.
    orders: Effects,
    pub(super) instruction_like: bool,
    pub(super) restates_goal: bool,
}

/// What is known about the call a result answers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Asked {
    pub(super) named: bool,
    /// Digests of its arguments: a result that repeats them vouches for nothing.
    pub(super) arguments: Vec<u32>,
    /// Digests of the hosts it reaches.
    pub(super) hosts: Vec<u32>,
    pub(super) effects: Effects,
}

/// The action of a result that was kept before its action was.
fn nothing() -> Arc<str> {
    Arc::from("")
}

/// Whether a phrase would leave something of it out.
fn has_scheme(text: &str) -> bool {
    let text = text.trim_start();
    text.contains("://") || text.starts_with("www.") || text.starts_with("mailto:")
}

impl Seen {
    pub(super) fn read(
        number: u64,
        operation: Arc<str>,
        result: &ResultSeen<'_>,
        asked: &Asked,
        intent: Option<&Intent>,
        key: &HashKey,
    ) -> Self {
        let mut passage = Passage::default();
        // Records that share a word with the intent, and the one leaf that does; none when several do.
        let mut touched: HashMap<u32, Option<usize>> = HashMap::new();
        let echoes: HashSet<u32> = asked.arguments.iter().copied().collect();
        let mut digests: Vec<(usize, u32, u32)> = Vec::new();
        let mut addresses = false;
        passage.partial = !result.whole;
        let all = every_leaf(result.parts);
        for (number, leaf) in all.iter().enumerate() {
            let mut touches = false;
            let before = passage.word_count();
            if leaf.form != Form::Line {
                passage.add(&leaf.text, key, |hash, _, _| {
                    touches |= intent.is_some_and(|intent| intent.is_distinctive(hash));
                });
                touches &= passage.word_count() - before <= NAMING_WORDS_MAX;
            }
            if leaf.form == Form::Text {
                continue;
            }
            addresses |= Shape::of(&leaf.text).is_address();
            if touches {
                touched.entry(leaf.record).and_modify(|only| *only = None).or_insert(Some(number));
            }
            // The words were just hashed, unless they are a line's or have a scheme in front.
            let (count, digest) = if leaf.form == Form::Line || has_scheme(&leaf.text) {
                let phrase = Phrase::of(&leaf.text, key);
                (phrase.len(), phrase.digest(key))
            } else {
                let count = passage.word_count() - before;
                (count, if count <= FIELD_WORDS_MAX { passage.digest_from(before, key) } else { 0 })
            };
            if (1..=FIELD_WORDS_MAX).contains(&count) && !echoes.contains(&digest) {
                digests.push((number, leaf.record, digest));
            }
        }
        let named = |number: usize, record: &u32| touched.get(record).is_some_and(|only| *only != Some(number));
        let flagged = digests.iter().map(|(number, record, digest)| digest & !1 | u32::from(named(*number, record)));
        let mut fields: Vec<u32> = flagged.collect();
        passage.index();
        fields.sort_unstable();
        fields.dedup();
        fields.shrink_to_fit();
        let directives = || passage.sentences.iter().filter(|mark| mark.directive);
        let directive = directives().next().is_some();
        let orders = directives().fold(Effects::default(), |all, mark| all.with(mark.effects));
        let address = |part: &String| part.contains('@') || part.contains("://") || part.contains("www.");
        addresses |= result.parts.iter().any(address);
        let acknowledges = passage.word_count() <= ACKNOWLEDGEMENT_WORDS_MAX && !directive && !addresses;
        let mut seen = Self {
            number,
            action: Arc::from(result.action),
            operation,
            trust: result.trust,
            named: asked.named,
            acknowledges,
            fields,
            passage,
            faded: false,
            directive,
            orders,
            instruction_like: false,
            restates_goal: false,
        };
        let sentences = seen.passage.sentences.len();
        seen.instruction_like = (0..sentences).any(|at| seen.is_instruction_like(at));
        seen.restates_goal = (0..sentences).any(|at| {
            let shown = seen.lexicon(at.saturating_sub(1), at);
            shown & LEXICON_TASK != 0 && shown & (LEXICON_OVERRIDE | LEXICON_PRECEDENCE) != 0
        });
        seen
    }

    /// Lets running text go: fields stay, and what the text said about itself.
    pub(super) fn fade(&mut self) {
        self.passage.fade();
        self.faded = true;
    }

    /// Whether some of it is not remembered word for word.
    pub(super) const fn is_partial(&self) -> bool {
        self.faded || self.passage.partial
    }

    /// The digests of its fields.
    pub(super) fn fields(&self) -> impl Iterator<Item = u32> {
        self.fields.iter().copied()
    }

    /// Whether the value stands as a field, and whether the intent named its record.
    pub(super) fn field(&self, digest: u32) -> Option<bool> {
        let wanted = digest & !1;
        let at = self.fields.partition_point(|field| field & !1 < wanted);
        let found = self.fields.get(at..)?.iter().take_while(|field| **field & !1 == wanted);
        found.fold(None, |any, field| Some(any.unwrap_or(false) || field & 1 == 1))
    }

    /// Whether it orders an effect of these kinds, whatever the values.
    pub(super) fn orders(&self, wanted: Effects) -> bool {
        self.trust != Trust::Trusted && self.orders.meets(wanted)
    }

    /// Whether wording that is addressed to a machine stands beside this sentence.
    pub(super) fn is_instruction_like(&self, sentence: usize) -> bool {
        let shown = self.lexicon(sentence.saturating_sub(LEXICON_BEFORE), sentence + LEXICON_BEHIND);
        let plain = LEXICON_OVERRIDE | LEXICON_MACHINE | LEXICON_MARKUP | LEXICON_SECRECY;
        shown & LEXICON_OVERRIDE != 0 || (shown & plain != 0 && (shown & (plain | LEXICON_TASK)).count_ones() >= 2)
    }

    fn lexicon(&self, from: usize, to: usize) -> u8 {
        self.passage.sentences.iter().take(to + 1).skip(from).fold(0, |shown, mark| shown | mark.lexicon)
    }

    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + self.operation.len() + self.action.len() + self.fields.capacity() * 4 + self.passage.bytes()
    }
}

/// The values of all parts. Records are counted on from part to part.
fn every_leaf(parts: &[String]) -> Vec<Leaf<'_>> {
    let (mut records, mut all) = (0, Vec::new());
    for part in parts {
        let mut found = leaves(part);
        found.iter_mut().for_each(|leaf| leaf.record += records);
        records = found.iter().map(|leaf| leaf.record + 1).max().unwrap_or(records);
        all.append(&mut found);
    }
    all
}
