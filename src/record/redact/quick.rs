//! The quick look that most texts pass: nothing in them can be a secret.
//!
//! It says `false` only of texts in which neither the shapes, nor the names, nor the encodings of the slow look can be
//! found; when in doubt it says `true`. A property test compares the two.

use super::scan::in_word;

/// The shortest secret that is known by its look: a JSON Web Token of five and four characters between its marks.
const WORD_MIN: usize = 13;

/// What a byte can be part of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Separates words.
    Gap,
    /// Of words, as the slow look knows them.
    Word,
    /// Of words, and announces flags and key blocks when it is doubled.
    Hyphen,
    /// Announces values: `:`, `=`, `%`.
    Sign,
}

const fn class(byte: u8) -> Class {
    match byte {
        b'-' => Class::Hyphen,
        b':' | b'=' | b'%' => Class::Sign,
        _ if in_word(byte) => Class::Word,
        _ => Class::Gap,
    }
}

/// Whether `text` has to be searched.
pub(super) fn may_hold_secret(text: &str) -> bool {
    let bytes = text.as_bytes();
    let (mut word, mut before) = (0_usize, Class::Gap);
    for (at, byte) in bytes.iter().enumerate() {
        let class = class(*byte);
        match class {
            Class::Sign => return true,
            Class::Hyphen if before == Class::Hyphen => return true,
            Class::Word | Class::Hyphen => {
                word += 1;
                if word >= WORD_MIN {
                    return true;
                }
            }
            Class::Gap => {
                if (word == 6 || word == 5) && announces(bytes.get(at - word..at).unwrap_or_default()) {
                    return true;
                }
                word = 0;
            }
        }
        before = class;
    }
    false
}

/// Whether a word is an HTTP scheme that a credential follows.
fn announces(word: &[u8]) -> bool {
    word.eq_ignore_ascii_case(b"bearer") || word.eq_ignore_ascii_case(b"basic")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::encoded;
    use super::may_hold_secret;

    proptest! {
        #[test]
        fn what_is_passed_over_holds_nothing_that_the_search_finds(
            parts in proptest::collection::vec(prop_oneof![
                "[a-zA-Z0-9 ,;@'\"\\\\._+/-]{0,14}",
                Just("Bearer ".to_owned()),
                Just("basic ".to_owned()),
                Just("password".to_owned()),
                Just("eyJabcde.abcd".to_owned()),
                Just("xoxb-0123456789".to_owned()),
                Just("--token ".to_owned()),
                "[:=%]{1,2}",
                Just("-----BEGIN ".to_owned()),
                "\\PC{0,6}",
            ], 0..8),
        ) {
            let text = parts.concat();
            let mut found = Vec::new();
            encoded::search(&text, &mut found);
            prop_assert!(found.is_empty() || may_hold_secret(&text), "{text:?} {found:?}");
        }
    }

    #[test]
    fn prose_and_addresses_are_passed_over_and_announced_values_are_not() {
        for text in ["", "Mail to colleagues is allowed", "ann@example.com", "Fern Hill Bakery, 480 EUR a month."] {
            assert!(!may_hold_secret(text), "{text}");
        }
        for text in ["password: hunter2", "--pin 1234", "BEARER abcdefgh1", "a%20b", "c2VjcmV0IHNlY3JldA"] {
            assert!(may_hold_secret(text), "{text}");
        }
    }
}
