//! Collects faults while the verifier works.

use std::path::Path;

use super::assertion::Aspect;
use super::report::Problem;

/// Faults that are kept. A log with more is not repaired fault by fault; the rest is counted.
const PROBLEMS_MAX: usize = 1_000;

/// The faults so far.
#[derive(Debug, Default)]
pub(in crate::record) struct Findings {
    kept: Vec<Problem>,
    total: u64,
    broken: Vec<Aspect>,
}

impl Findings {
    /// A fault of an entry.
    pub(in crate::record) fn entry(&mut self, aspect: Aspect, index: u64, what: impl Into<String>) {
        self.add(Problem { index: Some(index), file: None, what: what.into(), aspect });
    }

    /// A fault of a file.
    pub(in crate::record) fn file(&mut self, aspect: Aspect, file: &Path, what: impl Into<String>) {
        self.add(Problem { index: None, file: Some(file.to_owned()), what: what.into(), aspect });
    }

    /// A fault of an entry that shows in a file.
    pub(in crate::record) fn entry_in(&mut self, aspect: Aspect, index: u64, file: &Path, what: impl Into<String>) {
        self.add(Problem { index: Some(index), file: Some(file.to_owned()), what: what.into(), aspect });
    }

    /// A fault of the log as a whole.
    pub(in crate::record) fn log(&mut self, aspect: Aspect, what: impl Into<String>) {
        self.add(Problem { index: None, file: None, what: what.into(), aspect });
    }

    fn add(&mut self, problem: Problem) {
        self.total += 1;
        if !self.broken.contains(&problem.aspect) {
            self.broken.push(problem.aspect);
        }
        if self.kept.len() < PROBLEMS_MAX {
            self.kept.push(problem);
        }
    }

    /// Whether something is known against this entry already.
    pub(in crate::record) fn names(&self, index: u64) -> bool {
        self.kept.iter().any(|problem| problem.index == Some(index))
    }

    /// Whether a statement does not hold.
    pub(in crate::record) fn breaks(&self, aspect: Aspect) -> bool {
        self.broken.contains(&aspect)
    }

    /// How many faults break a statement, of those that are kept.
    pub(in crate::record) fn count(&self, aspect: Aspect) -> usize {
        self.kept.iter().filter(|problem| problem.aspect == aspect).count()
    }

    /// The faults, those of entries in their order, and how many there are.
    pub(in crate::record) fn into_problems(mut self) -> (Vec<Problem>, u64) {
        self.kept.sort_by_key(|problem| problem.index.unwrap_or(u64::MAX));
        (self.kept, self.total)
    }
}
