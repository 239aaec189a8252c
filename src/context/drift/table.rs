//! A table of word vectors that the operator brings along: what distances are measured with instead of n-grams.
//!
//! Looked up, never computed: the vector of a text is the sum of the vectors of its words, as `model2vec` and others
//! distil them. The table is pinned by the digest of its file, which the policy set covers, so that the same policies
//! stand for the same distances. A word that is not in it says nothing, and a text without any word of it has no distance.
//!
//! Sums and products are made of integers. The same table gives the same distance on every machine.

use std::collections::HashMap;
use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::grammar::class;
use super::scan::words;
use crate::model::{Digest, PartsPerMillion};

/// Largest file: 500,000 words of 300 numbers in text.
const FILE_BYTES_MAX: u64 = 2 << 30;
/// Most words.
const WORDS_MAX: usize = 1_000_000;
/// Numbers of one vector.
const DIMENSIONS: std::ops::RangeInclusive<usize> = 2..=1_024;
/// Most numbers in all: they take two bytes each in memory.
const NUMBERS_MAX: usize = 256 << 20;
/// Bytes of a text that count, as for n-grams.
const TEXT_BYTES_MAX: usize = 8_192;
/// Longest name of a model: it stands in every decision.
const NAME_BYTES_MAX: usize = 48;
/// What the largest number of a table becomes.
const FULL: f32 = 32_767.0;

/// Which table is used.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TableConfig {
    /// The file: a line for each word, the word and its numbers, with spaces between them. The first line may be the
    /// number of words and of numbers (word2vec's text format, which GloVe and fastText write too).
    pub file: PathBuf,
    /// The SHA-256 of the file, as hexadecimal digits.
    pub sha256: String,
    /// What the table is called in receipts and events.
    pub model: String,
}

/// A table that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The file cannot be read.
    #[error("read the word vectors `{path}`; correct `sessions.drift.static_table.file`")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is not the one that was meant.
    #[error(
        "`{path}` has the SHA-256 {found}; if it is the table that you mean, write this into \
             `sessions.drift.static_table.sha256`"
    )]
    Digest {
        /// The file.
        path: PathBuf,
        /// The digest of what is there.
        found: String,
    },
    /// It is no table.
    #[error("{path}:{line}: {problem}")]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1; 0 for the file as a whole.
        line: usize,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A setting that cannot be used.
    #[error("`sessions.drift.static_table.{key}`: {problem}")]
    Setting {
        /// The key.
        key: &'static str,
        /// What is wrong and what to do.
        problem: String,
    },
}

impl TableConfig {
    /// The digest that is pinned.
    ///
    /// # Errors
    /// [`TableError::Setting`]: it is none.
    pub fn digest(&self) -> Result<Digest, TableError> {
        let problem = "write the 64 hexadecimal digits that `sha256sum FILE` prints".into();
        Digest::parse(&self.sha256).ok_or(TableError::Setting { key: "sha256", problem })
    }

    /// Reads the table.
    ///
    /// # Errors
    /// [`TableError`]: it cannot be read, or is not the one that is pinned.
    pub fn load(&self) -> Result<Table, TableError> {
        let pinned = self.digest()?;
        let name = self.model.trim();
        if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(|c| c.is_control() || c.is_whitespace()) {
            let problem = format!("write a name of at most {NAME_BYTES_MAX} bytes without spaces");
            return Err(TableError::Setting { key: "model", problem });
        }
        let failed = |source| TableError::Read { path: self.file.clone(), source };
        let file = std::fs::File::open(&self.file).map_err(failed)?;
        let mut bytes = Vec::new();
        file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(wrong(&self.file, 0, format!("larger than {FILE_BYTES_MAX} bytes; leave rare words out")));
        }
        let found = Digest::of(&bytes);
        if found != pinned {
            return Err(TableError::Digest { path: self.file.clone(), found: found.to_hex() });
        }
        let text = String::from_utf8(bytes).map_err(|_| wrong(&self.file, 0, "not UTF-8".into()))?;
        Table::read(&text, &self.file, name, found)
    }
}

fn wrong(path: &Path, line: usize, problem: String) -> TableError {
    TableError::Line { path: path.to_owned(), line, problem }
}

/// Word vectors.
pub struct Table {
    /// `NAME@sha256:` and the first digits of the digest, as receipts and events carry it.
    pub(super) model: Arc<str>,
    digest: Digest,
    dimensions: usize,
    places: HashMap<Box<str>, u32>,
    /// One vector after the other, all on one scale.
    numbers: Vec<i16>,
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Table({}, {} words of {})", self.model, self.places.len(), self.dimensions)
    }
}

/// The sum of the vectors of the words of a text. Means something together with its table alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Sum {
    /// The first bytes of the table's digest.
    table: u64,
    numbers: Vec<i32>,
}

impl Table {
    fn read(text: &str, path: &Path, name: &str, digest: Digest) -> Result<Self, TableError> {
        let (mut places, mut raw, mut dimensions) = (HashMap::new(), Vec::<f32>::new(), 0);
        for (at, line) in text.lines().enumerate() {
            let mut parts = line.split_ascii_whitespace();
            let Some(word) = parts.next() else { continue };
            let begin = raw.len();
            for part in parts {
                let number: f32 = part.parse().map_err(|_| wrong(path, at + 1, format!("`{part}` is no number")))?;
                if !number.is_finite() || raw.len() >= NUMBERS_MAX {
                    let problem =
                        format!("`{part}` is not finite, or more than {NUMBERS_MAX} numbers; leave rare words out");
                    return Err(wrong(path, at + 1, problem));
                }
                raw.push(number);
            }
            let length = raw.len() - begin;
            // The head of word2vec's format: how many words, and how many numbers each.
            if at == 0 && length == 1 && word.parse::<usize>().is_ok() {
                raw.clear();
                continue;
            }
            if dimensions == 0 {
                dimensions = length;
            }
            if length != dimensions || !DIMENSIONS.contains(&length) || places.len() >= WORDS_MAX {
                let (low, high) = (DIMENSIONS.start(), DIMENSIONS.end());
                let problem = format!(
                    "`{length}` numbers after the word; every line has the same number of them, {low} to {high}, and there \
                     are at most {WORDS_MAX} lines"
                );
                return Err(wrong(path, at + 1, problem));
            }
            let place = u32::try_from(begin / length).unwrap_or(u32::MAX);
            // Words are compared in small letters; the first of several stands.
            places.entry(word.to_lowercase().into_boxed_str()).or_insert(place);
        }
        let largest = raw.iter().fold(0.0_f32, |largest, number| largest.max(number.abs()));
        if places.is_empty() || largest <= 0.0 {
            return Err(wrong(path, 0, "no word has a vector; write a line for each word".into()));
        }
        #[expect(clippy::cast_possible_truncation, reason = "at most FULL, by its scale")]
        let numbers = raw.iter().map(|number| (number / largest * FULL).round() as i16).collect();
        let model = format!("{name}@sha256:{}", digest.to_hex().get(..16).unwrap_or_default());
        Ok(Self { model: model.into(), digest, dimensions, places, numbers })
    }

    /// Adds the words of a text to a sum. One that was made with another table begins anew as nothing.
    pub(super) fn add(&self, text: &str, sum: &mut Sum) {
        let id = self.id();
        if sum.table != id || sum.numbers.len() != self.dimensions {
            *sum = Sum { table: id, numbers: vec![0; self.dimensions] };
        }
        let mut end = text.len().min(TEXT_BYTES_MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        words(text.get(..end).unwrap_or_default(), &mut |word| {
            // As for n-grams: function words tie everything to everything.
            if class(word.text).is_stop() {
                return;
            }
            let Some(vector) = self.vector(word.text) else { return };
            for (total, number) in sum.numbers.iter_mut().zip(vector) {
                *total = total.saturating_add(i32::from(*number));
            }
        });
    }

    fn vector(&self, word: &str) -> Option<&[i16]> {
        let begin = usize::try_from(*self.places.get(word)?).ok()? * self.dimensions;
        self.numbers.get(begin..begin + self.dimensions)
    }

    /// `1 - cosine`, clamped to [0, 1]. `None`: one of the two has no word of the table, or was made with another one.
    pub(super) fn distance(&self, one: &Sum, other: &Sum) -> Option<PartsPerMillion> {
        let id = self.id();
        if one.table != id || other.table != id {
            return None;
        }
        let product = |left: &Sum, right: &Sum| -> i128 {
            left.numbers.iter().zip(&right.numbers).map(|(left, right)| i128::from(*left) * i128::from(*right)).sum()
        };
        let (ours, theirs) = (product(one, one), product(other, other));
        if ours == 0 || theirs == 0 {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "rounded the same way everywhere")]
        let cosine = product(one, other) as f64 / ((ours as f64).sqrt() * (theirs as f64).sqrt());
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to [0, 1,000,000]")]
        let millionths = ((1.0 - cosine).clamp(0.0, 1.0) * 1e6).round() as u32;
        Some(PartsPerMillion(millionths))
    }

    fn id(&self) -> u64 {
        self.digest.0.iter().take(8).fold(0, |id, byte| id << 8 | u64::from(*byte))
    }
}

impl Sum {
    pub(super) const fn bytes(&self) -> usize {
        self.numbers.capacity() * 4
    }
}
