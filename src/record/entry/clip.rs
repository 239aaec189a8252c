//! Bounds: every text and list of an entry has one, so that an entry always fits a tile.
//!
//! Lengths are counted as they will stand in the JSON text, escapes included: a string of control characters is six
//! times as long there. What was cut is marked, never silently shorter.

use std::borrow::Cow;

/// Marks the end of a text that was cut: U+2026.
pub const CUT_MARK: &str = "…";

/// `text`, cut so that it and the mark take at most `max` bytes inside a JSON string.
#[must_use]
pub fn clip(text: &str, max: usize) -> Cow<'_, str> {
    match fitting(text, max) {
        None => Cow::Borrowed(text),
        Some(_) => {
            let end = fitting(text, max.saturating_sub(CUT_MARK.len())).unwrap_or(0);
            Cow::Owned(format!("{}{CUT_MARK}", text.get(..end).unwrap_or_default()))
        }
    }
}

/// The same for a text that is already owned or borrowed.
#[must_use]
pub fn clip_cow(text: Cow<'_, str>, max: usize) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => clip(text, max),
        Cow::Owned(text) if fitting(&text, max).is_none() => Cow::Owned(text),
        Cow::Owned(text) => Cow::Owned(clip(&text, max).into_owned()),
    }
}

/// `None` when `text` fits into `max` bytes of a JSON string; else the longest prefix, in bytes of `text`, that does.
#[must_use]
pub fn fitting(text: &str, max: usize) -> Option<usize> {
    // The longest escape, `\u0001`, has six bytes.
    if text.len().saturating_mul(6) <= max {
        return None;
    }
    let mut written = 0;
    for (at, character) in text.char_indices() {
        written += escaped_bytes(character);
        if written > max {
            return Some(at);
        }
    }
    None
}

/// The bytes `text` takes as an element of a JSON list: escapes, quotes and a comma counted.
#[must_use]
pub(crate) fn json_bytes(text: &str) -> usize {
    text.chars().map(escaped_bytes).sum::<usize>() + 3
}

const fn escaped_bytes(character: char) -> usize {
    match character {
        '"' | '\\' | '\u{8}' | '\u{c}' | '\n' | '\r' | '\t' => 2,
        '\0'..='\u{1f}' => 6,
        other => other.len_utf8(),
    }
}

/// Takes elements while what they take in JSON stays within `budget` bytes. Returns what fits; how many there were is
/// recorded beside it.
pub(crate) fn take_fitting<T>(elements: impl Iterator<Item = T>, budget: usize, bytes: impl Fn(&T) -> usize) -> Vec<T> {
    let mut left = budget;
    elements
        .take_while(|element| match left.checked_sub(bytes(element)) {
            None => false,
            Some(rest) => {
                left = rest;
                true
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_at_characters_and_says_so() {
        assert_eq!(clip("short", 5), "short");
        assert_eq!(clip("longer", 5), "lo…");
        assert_eq!(clip("ééé", 5), "é…");
        assert_eq!(clip("abc", 2), "…");
        assert_eq!(clip_cow(Cow::Owned("longer".into()), 5), "lo…");
    }

    #[test]
    fn counts_what_will_be_written() {
        for text in ["a\"b\\c\n\u{1}\u{7f}é\u{10ffff}", "", "\0\0\0"] {
            let written = serde_json::to_string(text).unwrap().len() - 2;
            assert_eq!(fitting(text, written), None, "{text:?}");
            if written > 0 {
                assert!(fitting(text, written - 1).is_some(), "{text:?}");
            }
        }
    }

    #[test]
    fn lists_stop_at_their_budget() {
        assert_eq!(take_fitting(["aa", "bb", "c"].into_iter(), 4, |s| s.len()), ["aa", "bb"]);
    }
}
