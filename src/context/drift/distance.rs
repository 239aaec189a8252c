//! How far an action is from the words of the user (AARM ): `1 - cosine` of two vectors, in [0, 1].
//!
//! The vectors count hashed character n-grams (3 to 5 letters, word boundaries included) and words, in 1,024 buckets,
//! with a sign from the hash so that collisions cancel out, and the logarithm of the count as weight. No model, no
//! table, the same on every machine. Distances of another source are not comparable with these.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::grammar::class;
use super::scan::words;
use crate::model::PartsPerMillion;

/// Buckets of a vector.
pub(super) const BUCKETS: usize = 1_024;

/// Name and version of the method, as receipts carry it.
pub const NGRAM_MODEL: &str = "ngram-3-5+words/1024/v1";

/// Most bytes of a text that count.
const BYTES_MAX: usize = 8_192;

/// Bytes of one argument that count: what is long is content, not what the action is about.
const ARGUMENT_BYTES_MAX: usize = 160;

/// Counts by bucket.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Vector(Vec<(u16, i16)>);

impl Vector {
    pub(super) fn of(text: &str) -> Self {
        let mut vector = Self::default();
        vector.add(text);
        vector
    }

    pub(super) fn add(&mut self, text: &str) {
        let mut counts = [0i16; BUCKETS];
        for (bucket, count) in &self.0 {
            if let Some(slot) = counts.get_mut(usize::from(*bucket)) {
                *slot = *count;
            }
        }
        let mut end = text.len().min(BYTES_MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let mut padded = String::new();
        words(text.get(..end).unwrap_or_default(), &mut |word| {
            // Function words and the vocabulary of politeness tie everything to everything.
            if class(word.text).is_stop() {
                return;
            }
            put(&mut counts, word.text.as_bytes(), 0x57);
            padded.clear();
            padded.extend(["^", word.text, "$"]);
            let letters: Vec<usize> = padded.char_indices().map(|(at, _)| at).chain([padded.len()]).collect();
            for size in 3..=5 {
                for window in letters.windows(size + 1) {
                    if let [begin, .., end] = window {
                        put(&mut counts, padded.as_bytes().get(*begin..*end).unwrap_or_default(), 0x4e);
                    }
                }
            }
        });
        let nonzero = counts.iter().zip(0u16..).filter(|(count, _)| **count != 0);
        self.0 = nonzero.map(|(count, bucket)| (bucket, *count)).collect();
    }

    /// `1 - cosine`, clamped; `None` when one of the two is empty.
    pub(super) fn distance(&self, other: &Self) -> Option<PartsPerMillion> {
        let (mut dot, mut at) = (0.0, 0);
        for (bucket, count) in &self.0 {
            while other.0.get(at).is_some_and(|(other, _)| other < bucket) {
                at += 1;
            }
            if let Some((_, theirs)) = other.0.get(at).filter(|(other, _)| other == bucket) {
                dot += weight(*count) * weight(*theirs);
            }
        }
        let length = self.length() * other.length();
        if length <= 0.0 {
            return None;
        }
        let distance = (1.0 - dot / length).clamp(0.0, 1.0);
        // Whole millionths, rounded: between 0 and 1,000,000.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to [0, 1,000,000]")]
        let millionths = (distance * 1e6).round() as u32;
        Some(PartsPerMillion(millionths))
    }

    fn length(&self) -> f64 {
        self.0.iter().map(|(_, count)| weight(*count).powi(2)).sum::<f64>().sqrt()
    }

    pub(super) const fn bytes(&self) -> usize {
        self.0.capacity() * 4
    }
}

fn weight(count: i16) -> f64 {
    f64::from(count.signum()) * f64::from(count).abs().ln_1p()
}

/// FNV-1a with a final mix: fixed for ever, since vectors are stored and thresholds are calibrated.
fn put(counts: &mut [i16; BUCKETS], gram: &[u8], seed: u64) {
    let mut hash = 0xcbf2_9ce4_8422_2325 ^ seed;
    for byte in gram {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash ^= hash >> 32;
    hash = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let bucket = usize::try_from(hash >> 54).unwrap_or_default();
    if let Some(count) = counts.get_mut(bucket) {
        *count = count.saturating_add(if hash & 1 == 0 { 1 } else { -1 });
    }
}

/// The text that stands for an action: `tool.operation(short arguments)`.
pub(super) fn action_text(operation: &str, arguments: &Value) -> String {
    let mut text = operation.replace(['_', '-', '.', '/'], " ");
    collect(arguments, &mut text, 0);
    text
}

fn collect(value: &Value, text: &mut String, depth: u8) {
    match value {
        _ if depth > 4 || text.len() > BYTES_MAX => {}
        Value::Array(elements) => elements.iter().for_each(|element| collect(element, text, depth + 1)),
        Value::Object(members) => members.values().for_each(|member| collect(member, text, depth + 1)),
        Value::String(argument) if argument.len() <= ARGUMENT_BYTES_MAX => {
            text.push(' ');
            text.push_str(argument);
        }
        Value::Number(number) => {
            text.push(' ');
            text.push_str(&number.to_string());
        }
        _ => {}
    }
}
