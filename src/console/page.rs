//! How listings are answered: a bounded part, and how many there are.

use serde::Serialize;

/// Elements of one answer at most.
const PAGE_MAX: usize = 500;

/// A part of a listing.
#[derive(Clone, Debug, Serialize)]
pub struct Page<T> {
    /// The elements, in the order that the listing says.
    pub items: Vec<T>,
    /// How many there are in all.
    pub total: usize,
}

impl<T> Page<T> {
    /// The elements from `offset` on, as many as one answer holds.
    #[must_use]
    pub fn of(all: Vec<T>, offset: usize) -> Self {
        Self::part(all, offset, None)
    }

    /// As [`Self::of`], at most `limit` elements.
    #[must_use]
    pub fn part(all: Vec<T>, offset: usize, limit: Option<usize>) -> Self {
        let (total, limit) = (all.len(), limit.unwrap_or(PAGE_MAX).min(PAGE_MAX));
        Self { items: all.into_iter().skip(offset).take(limit).collect(), total }
    }
}
