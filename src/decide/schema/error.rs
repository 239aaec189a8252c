//! What is wrong in a policy file, in a form that a person can act on: where, what, and what to do.

use std::fmt;

use crate::decide::names::CATEGORIES;
use crate::decide::settings::Settings;

/// One mistake in one policy file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {what}; {advice}")]
pub struct PolicyError {
    /// The file's name, as it was given.
    pub file: String,
    /// The line, from 1; 0 when the mistake is in no line, as with a file that is too large.
    pub line: u64,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub advice: String,
}

/// Every mistake that was found, in the order of the files and lines. Never empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct PolicyErrors(Vec<PolicyError>);

impl PolicyErrors {
    pub(in crate::decide) fn new(mut errors: Vec<PolicyError>) -> Self {
        errors.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
        Self(errors)
    }

    /// The mistakes.
    pub fn iter(&self) -> impl Iterator<Item = &PolicyError> {
        self.0.iter()
    }
}

impl fmt::Display for PolicyErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, error) in self.0.iter().enumerate() {
            if position > 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

/// Collects mistakes while one file is read, so that all of them are shown at once.
#[derive(Debug)]
pub(in crate::decide) struct Problems<'a> {
    file: &'a str,
    /// The words that the settings define.
    settings: Option<&'a Settings>,
    errors: Vec<PolicyError>,
}

impl<'a> Problems<'a> {
    #[cfg(test)]
    pub(super) const fn of(file: &'a str) -> Self {
        Self { file, settings: None, errors: Vec::new() }
    }

    pub(in crate::decide) const fn with(file: &'a str, settings: &'a Settings) -> Self {
        Self { file, settings: Some(settings), errors: Vec::new() }
    }

    /// The patterns of a category: the operator's, or else the shipped ones.
    pub(super) fn category(&self, name: &str) -> Option<Vec<String>> {
        let own = self.settings.and_then(|settings| settings.categories.get(name)).cloned();
        let shipped = || {
            let found = CATEGORIES.iter().find(|(known, _)| *known == name);
            found.map(|(_, patterns)| patterns.iter().map(|pattern| (*pattern).to_owned()).collect())
        };
        own.or_else(shipped)
    }

    /// Every category there is, for advice.
    pub(super) fn categories(&self) -> Vec<&str> {
        let own = self.settings.into_iter().flat_map(|settings| settings.categories.keys().map(String::as_str));
        CATEGORIES.iter().map(|(name, _)| *name).chain(own).collect()
    }

    /// Whether `privileges` of the settings has this rung, and which.
    pub(super) fn privilege(&self, name: &str) -> Option<i128> {
        self.settings.and_then(|settings| settings.privilege(name))
    }

    pub(super) fn add(&mut self, line: u64, what: impl Into<String>, advice: impl Into<String>) {
        self.errors.push(PolicyError { file: self.file.to_owned(), line, what: what.into(), advice: advice.into() });
    }

    pub(in crate::decide) fn into_errors(self) -> Vec<PolicyError> {
        self.errors
    }
}

/// The candidate that was probably meant: at most one edit for short words, two for longer ones.
pub(super) fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let edits_max = if word.chars().count() <= 4 { 1 } else { 2 };
    candidates
        .into_iter()
        .map(|candidate| (edits(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= edits_max)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Advice for an unknown word: the nearest known one, or all of them.
pub(in crate::decide) fn advise(word: &str, known: &[&str]) -> String {
    nearest(word, known.iter().copied())
        .map_or_else(|| format!("known here: {}", known.join(", ")), |meant| format!("did you mean `{meant}`?"))
}

/// Levenshtein distance, in characters.
fn edits(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (line, character) in left.chars().enumerate() {
        let mut diagonal = line;
        let mut before = line + 1;
        if let Some(first) = row.first_mut() {
            *first = before;
        }
        for (cell, other) in row.iter_mut().skip(1).zip(&right) {
            let replaced = diagonal + usize::from(character != *other);
            diagonal = *cell;
            before = replaced.min(*cell + 1).min(before + 1);
            *cell = before;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_word_that_was_meant() {
        assert_eq!(edits("", "abc"), 3);
        assert_eq!(edits("kitten", "sitting"), 3);
        assert_eq!(nearest("parametres", ["parameters", "priority"]), Some("parameters"));
        assert_eq!(nearest("toool", ["tool"]), Some("tool"));
        assert_eq!(nearest("xyz", ["tool", "operation"]), None);
    }

    #[test]
    fn prints_file_line_what_and_what_to_do() {
        let mut problems = Problems::of("mail.yaml");
        problems.add(7, "unknown key `toool`", advise("toool", &["tool"]));
        let errors = PolicyErrors::new(problems.into_errors());
        assert_eq!(errors.to_string(), "mail.yaml:7: unknown key `toool`; did you mean `tool`?");
    }
}
