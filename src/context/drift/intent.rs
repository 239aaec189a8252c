//! What the user asked for, as it is remembered.

use serde::{Deserialize, Serialize};

use super::distance::Vector;
use super::grammar::{Effects, Sentence};
use super::hash::{HashKey, low};
use super::passage::{Passage, Phrase};
use super::scan::{Begins, words};
use super::shape::{Shape, host};
use super::table::{Sum, Table};
use crate::model::IntentSource;

/// Most words of an intent that are remembered.
pub(super) const INTENT_WORDS_MAX: usize = 20_000;

/// The words of the user, from one channel.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Intent {
    pub(super) source: IntentSource,
    pub(super) passage: Passage,
    pub(super) effects: Effects,
    pub(super) secret: bool,
    pub(super) web: bool,
    pub(super) delegates: bool,
    /// Words that tell this request from another, sorted.
    distinctive: Vec<u32>,
    /// Digests of the hosts of links in it.
    hosts: Vec<u32>,
    pub(super) vector: Vector,
    /// The same by a table of word vectors.
    #[serde(default)]
    pub(super) sum: Sum,
}

impl Intent {
    pub(super) fn new(source: IntentSource) -> Self {
        Self {
            source,
            passage: Passage::default(),
            effects: Effects::default(),
            secret: false,
            web: false,
            delegates: false,
            distinctive: Vec::new(),
            hosts: Vec::new(),
            vector: Vector::default(),
            sum: Sum::default(),
        }
    }

    pub(super) fn add(&mut self, text: &str, table: Option<&Table>, key: &HashKey) {
        if self.passage.word_count() < INTENT_WORDS_MAX {
            let distinctive = &mut self.distinctive;
            self.passage.add(text, key, |hash, word, class| {
                if word.text.len() > 2 && class.is_distinctive() {
                    distinctive.push(hash);
                }
            });
            self.passage.index();
            self.distinctive.sort_unstable();
            self.distinctive.dedup();
        }
        let mut sentence = Sentence::start();
        let mut close = |sentence: &Sentence| {
            self.effects = self.effects.with(sentence.effects);
            self.secret |= sentence.secret;
            self.web |= sentence.web;
            self.delegates |= sentence.delegates;
        };
        words(text, &mut |word| {
            if word.begins == Begins::Sentence {
                close(&sentence);
                sentence = Sentence::start();
            }
            sentence.add(&word);
        });
        close(&sentence);
        for word in text.split(|c: char| c.is_whitespace() || "'\"(),;<>".contains(c)) {
            let word = word.trim_end_matches(['.', '!', '?', ':']);
            if Shape::of(word) == Shape::Link {
                self.hosts.push(Phrase::of(host(word), key).digest(key));
            }
        }
        self.vector.add(text);
        if let Some(table) = table {
            table.add(text, &mut self.sum);
        }
    }

    pub(super) fn names(&self, phrase: &Phrase) -> bool {
        !phrase.is_empty() && self.passage.contains(phrase)
    }

    /// Every word of the phrase stands somewhere in it: "Riverside Hotel" for "the hotel Riverside".
    pub(super) fn has_all_words(&self, phrase: &Phrase) -> bool {
        phrase.len() > 1 && phrase.0.iter().all(|word| self.passage.has_word(*word))
    }

    pub(super) fn is_distinctive(&self, hash: u32) -> bool {
        self.distinctive.binary_search(&(hash & !1)).is_ok()
    }

    pub(super) fn has_host(&self, digest: u32) -> bool {
        self.hosts.contains(&digest)
    }

    pub(super) fn has_word(&self, word: &str, key: &HashKey) -> bool {
        self.passage.has_word(low(key.hash(word.as_bytes())))
    }
}
