//! Which results may hold a value: superimposed codes (Roberts, 1979), sliced by bit.
//!
//! A value that stands in none of many results is the rule for what an agent writes itself, and looking it up in each
//! would touch all that a session remembers. A row for each of a few hundred buckets has one bit for each result; the
//! results that may hold a phrase are the conjunction of the rows of its words. May say yes wrongly, never no.

use std::collections::VecDeque;

use super::Memory;
use super::passage::Phrase;
use super::result::Seen;

/// Buckets. A long result fills most of them, and is then looked at; that costs time and nothing else.
const ROWS: usize = 512;

/// Results in a slice.
const WIDTH: u64 = 32;

/// Fewer results are quicker looked at one by one.
pub(super) const WORTHWHILE: usize = 16;

/// One bit for each of [`WIDTH`] results in each row.
#[derive(Clone, Debug)]
struct Slice {
    number: u64,
    rows: Box<[u32; ROWS]>,
}

/// The codes of the results of one session.
#[derive(Clone, Debug, Default)]
pub(super) struct Signatures {
    slices: VecDeque<Slice>,
    /// The number of the last result that was added; 0 when there is none.
    last: u64,
    /// Some result is not remembered word for word.
    pub(super) partial: bool,
}

impl Signatures {
    /// The codes of results that are remembered already.
    pub(super) fn of<'s>(results: impl Iterator<Item = &'s Seen>) -> Self {
        let mut signatures = Self::default();
        results.for_each(|seen| signatures.add(seen));
        signatures
    }

    /// Whether every result up to this one is in here.
    pub(super) const fn covers(&self, last: u64) -> bool {
        self.last == last
    }

    /// Adds the next result.
    pub(super) fn add(&mut self, seen: &Seen) {
        self.last = seen.number;
        self.partial |= seen.faded || seen.passage.partial;
        let number = seen.number / WIDTH;
        if self.slices.back().is_none_or(|slice| slice.number != number) {
            self.slices.push_back(Slice { number, rows: Box::new([0; ROWS]) });
        }
        let Some(slice) = self.slices.back_mut() else { return };
        let bit = 1u32 << (seen.number % WIDTH);
        for hash in seen.passage.words().map(word_row).chain(seen.fields().map(field_row)) {
            if let Some(row) = slice.rows.get_mut(hash) {
                *row |= bit;
            }
        }
    }

    /// Forgets the results before `number`.
    pub(super) fn forget_before(&mut self, number: u64) {
        while self.slices.front().is_some_and(|slice| (slice.number + 1) * WIDTH <= number) {
            self.slices.pop_front();
        }
    }

    /// Calls `visit` with the numbers of the results that may hold the phrase, or the field of this digest; in order.
    pub(super) fn candidates(&self, phrase: &Phrase, digest: u32, mut visit: impl FnMut(u64)) {
        for slice in &self.slices {
            let row = |hash: usize| slice.rows.get(hash).copied().unwrap_or(u32::MAX);
            let words = phrase.0.iter().map(|word| row(word_row(*word))).reduce(|all, row| all & row);
            let mut bits = words.unwrap_or(0) | row(field_row(digest));
            while bits != 0 {
                visit(slice.number * WIDTH + u64::from(bits.trailing_zeros()));
                bits &= bits - 1;
            }
        }
    }

    /// Bytes in memory.
    pub(super) fn bytes(&self) -> usize {
        self.slices.len() * (size_of::<Slice>() + ROWS * 4)
    }
}

impl Memory {
    /// Whether everything of every result is remembered.
    pub(super) fn is_whole(&self) -> bool {
        !self.lost && !self.signatures.partial && (self.is_covered() || !self.results.iter().any(Seen::is_partial))
    }

    pub(super) fn is_covered(&self) -> bool {
        self.results.len() > WORTHWHILE && self.signatures.covers(self.results_total)
    }

    pub(super) fn forget_signatures(&mut self) {
        self.signatures.forget_before(self.results.front().map_or(self.results_total + 1, |seen| seen.number));
    }
}

/// The lowest bit of a word says what it is glued to.
const fn word_row(hash: u32) -> usize {
    (hash >> 1) as usize % ROWS
}

/// The lowest bit of a field says whether the intent named its record.
const fn field_row(digest: u32) -> usize {
    (digest >> 16) as usize % ROWS
}
