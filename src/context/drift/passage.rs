//! A text as it is remembered: keyed hashes of its words, its sentences, and nothing else.

use serde::{Deserialize, Serialize};

use super::grammar::{Effects, Sentence};
use super::hash::{HashKey, low};
use super::scan::{Begins, words};

/// Most words of one text. What comes after is not remembered and counts as running text that nobody vouches for.
pub(super) const WORDS_MAX: usize = 60_000;

/// Lowest bit of a word: glued to the one before.
const GLUED: u32 = 1;

/// Words and sentences, as hashes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Passage {
    words: Vec<u32>,
    /// Positions in `words`, by the hash there.
    order: Vec<u16>,
    pub(super) sentences: Vec<Mark>,
    /// Something was left out.
    pub(super) partial: bool,
}

/// One sentence.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Mark {
    start: u16,
    pub(super) effects: Effects,
    pub(super) directive: bool,
    pub(super) lexicon: u8,
}

/// A value as it is looked up: the hashes of its words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Phrase(pub(super) Vec<u32>);

/// Where a phrase was found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hit {
    pub(super) sentence: usize,
    /// It stands there by itself, not as a part of something longer.
    pub(super) whole: bool,
    /// Its sentence begins with it.
    pub(super) first: bool,
}

impl Phrase {
    /// The phrase of a value. A scheme and `www` in front of a place are no part of it.
    pub(super) fn of(text: &str, key: &HashKey) -> Self {
        let mut hashes = Vec::new();
        words(place(text), &mut |word| {
            let glue = if word.glued && !hashes.is_empty() { GLUED } else { 0 };
            hashes.push(low(key.hash(word.text.as_bytes())) & !GLUED | glue);
        });
        Self(hashes)
    }

    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One hash for all of it, however it was punctuated.
    pub(super) fn digest(&self, key: &HashKey) -> u32 {
        key.sequence(self.0.iter().map(|word| word & !GLUED))
    }
}

/// A place without its scheme, without `www`, without a slash at the end.
pub(super) fn place(text: &str) -> &str {
    let text = text.trim();
    let bare = text.split_once("://").map_or(text, |(_, rest)| rest);
    let bare = bare.strip_prefix("mailto:").unwrap_or(bare);
    bare.strip_prefix("www.").unwrap_or(bare).trim_end_matches('/')
}

impl Passage {
    /// Adds a text; a sentence begins with it.
    pub(super) fn add(
        &mut self,
        text: &str,
        key: &HashKey,
        mut visit: impl FnMut(u32, &super::scan::Word<'_>, super::grammar::Class),
    ) {
        let mut sentence = Sentence::start();
        let mut first = true;
        words(text, &mut |word| {
            let Ok(at) = u16::try_from(self.words.len()) else {
                self.partial = true;
                return;
            };
            if self.words.len() >= WORDS_MAX {
                self.partial = true;
                return;
            }
            if first || word.begins == Begins::Sentence {
                self.finish(&sentence);
                self.sentences.push(Mark { start: at, effects: Effects::default(), directive: false, lexicon: 0 });
                sentence = Sentence::start();
                first = false;
            }
            let class = sentence.add(&word);
            let hash = low(key.hash(word.text.as_bytes())) & !GLUED;
            visit(hash, &word, class);
            self.words.push(hash | if word.glued { GLUED } else { 0 });
        });
        self.finish(&sentence);
    }

    /// Writes what a sentence said behind its mark.
    fn finish(&mut self, sentence: &Sentence) {
        if let Some(mark) = self.sentences.last_mut() {
            mark.effects = mark.effects.with(sentence.effects);
            mark.directive |= sentence.directive;
            mark.lexicon |= sentence.lexicon;
        }
    }

    /// Lets the words go. That sentences gave orders, and what for, stays.
    pub(super) fn fade(&mut self) {
        self.words = Vec::new();
        self.order = Vec::new();
        self.sentences.retain(|mark| mark.directive);
        self.sentences.shrink_to_fit();
    }

    /// Makes the passage ready to be searched.
    pub(super) fn index(&mut self) {
        let count = u16::try_from(self.words.len()).unwrap_or(u16::MAX);
        let mut order: Vec<u16> = (0..count).collect();
        order.sort_unstable_by_key(|at| self.words.get(usize::from(*at)).map(|word| word & !GLUED));
        self.order = order;
        self.words.shrink_to_fit();
        self.sentences.shrink_to_fit();
    }

    /// Calls `visit` for every place where the phrase stands, until it says that it has seen enough.
    pub(super) fn find(&self, phrase: &Phrase, visit: &mut impl FnMut(Hit) -> bool) {
        let Some(first) = phrase.0.first().map(|word| word & !GLUED) else { return };
        let at_word = |at: &u16| self.words.get(usize::from(*at)).map_or(0, |word| word & !GLUED);
        let begin = self.order.partition_point(|at| at_word(at) < first);
        for at in self.order.iter().skip(begin).take_while(|at| at_word(at) == first) {
            let at = usize::from(*at);
            let here = self.words.get(at..at + phrase.len());
            let same = here.is_some_and(|here| here.iter().zip(&phrase.0).all(|(a, b)| (a ^ b) & !GLUED == 0));
            if !same {
                continue;
            }
            let glued = |at: usize| self.words.get(at).is_some_and(|word| word & GLUED != 0);
            let sentence = self.sentence_at(at);
            let first = self.sentences.get(sentence).is_some_and(|mark| usize::from(mark.start) == at);
            let hit = Hit { sentence, whole: !glued(at) && !glued(at + phrase.len()), first };
            if !visit(hit) {
                return;
            }
        }
    }

    pub(super) fn contains(&self, phrase: &Phrase) -> bool {
        let mut found = false;
        self.find(phrase, &mut |_| {
            found = true;
            false
        });
        found
    }

    fn sentence_at(&self, at: usize) -> usize {
        self.sentences.partition_point(|mark| usize::from(mark.start) <= at).saturating_sub(1)
    }

    /// The sentence of that number.
    pub(super) fn sentence(&self, number: usize) -> Option<&Mark> {
        self.sentences.get(number)
    }

    /// Every word, without what glues them.
    pub(super) fn has_word(&self, hash: u32) -> bool {
        let at_word = |at: &u16| self.words.get(usize::from(*at)).map_or(0, |word| word & !GLUED);
        self.order.binary_search_by(|at| at_word(at).cmp(&(hash & !GLUED))).is_ok()
    }

    /// The hashes of its words.
    pub(super) fn words(&self) -> impl Iterator<Item = u32> {
        self.words.iter().copied()
    }

    /// Bytes in memory.
    pub(super) const fn bytes(&self) -> usize {
        self.words.capacity() * 4 + self.order.capacity() * 2 + self.sentences.capacity() * size_of::<Mark>()
    }

    /// The digest of the words from `start` on, as [`Phrase::digest`] gives it.
    pub(super) fn digest_from(&self, start: usize, key: &HashKey) -> u32 {
        key.sequence(self.words.iter().skip(start).map(|word| word & !GLUED))
    }

    pub(super) const fn word_count(&self) -> usize {
        self.words.len()
    }
}
