//! What each word is: the vocabulary, made ready to be looked up.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::OnceLock;

use super::super::vocabulary as v;
use super::{Class, EFFECT_NOUN_SHIFT, NOUN_VERB_SHIFT};

type Table = HashMap<Box<str>, Class, BuildHasherDefault<Fnv>>;

/// FNV-1a. The words in the table are fixed, so nobody can choose them to collide.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// The class of a word in lower case.
pub(in crate::context::drift) fn class(word: &str) -> Class {
    table().get(word).copied().unwrap_or_default()
}

fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| {
        let mut table = Table::default();
        let mut put = |word: &str, class: u64| table.entry(word.into()).or_default().0 |= class;
        for (class, words) in v::VERBS {
            for word in words.split(' ') {
                put(word, class.0 | Class::BASE.0);
                put(&gerund(word), class.0);
            }
        }
        for (class, words) in v::NOUN_VERBS {
            words.split(' ').for_each(|word| put(word, class.0 << NOUN_VERB_SHIFT | Class::BASE.0));
        }
        for (class, words) in v::EFFECT_NOUNS {
            words.split(' ').for_each(|word| put(word, class.0 << EFFECT_NOUN_SHIFT));
        }
        for (class, words) in [
            (Class::READ, v::READS),
            (Class::READ_NOUN, v::READ_NOUNS),
            (Class::CONFIRM, v::CONFIRMS),
            (Class::FORM, v::FORMS),
            (Class::PERSON, v::PEOPLE),
            (Class::WEB, v::WEB),
            (Class::FETCH, v::FETCHES),
            (Class::DELEGATE, v::DELEGATES),
            (Class::DELEGATED, v::DELEGATED),
            (Class::STOP, v::STOP),
            (Class::GENERIC, v::GENERIC),
            (Class::PLEASE, v::PLEASE),
            (Class::MODAL, v::MODALS),
            (Class::BASE, v::IMPERATIVES),
            (Class::LIGHT, v::LIGHT),
            (Class::MONEY, v::MONEY),
            (Class::MONEY_VERB, v::MONEY_VERBS),
            (Class::SECRET, v::CREDENTIALS),
            (Class::NAME_SECRET, v::NAME_CREDENTIALS),
            (Class::OVERRIDE_VERB, v::OVERRIDE_VERBS),
            (Class::OVERRIDE_OBJECT, v::OVERRIDE_OBJECTS),
            (Class::MACHINE, v::MACHINES),
            (Class::PRECEDENCE, v::PRECEDENCE),
            (Class::SECRECY, v::SECRECY),
            (Class::MARKUP, v::MARKUP),
            (Class::BEFORE_VERB, v::BEFORE_VERBS),
            (Class::EVENT, v::EVENTS),
            (Class::SHOP, v::SHOPS),
            (Class::ROLE, v::ROLES),
        ] {
            words.split(' ').for_each(|word| put(word, class.0));
        }
        table
    })
}

/// `send` to `sending`, `make` to `making`, `get` to `getting`.
fn gerund(verb: &str) -> String {
    let mut letters = verb.chars().rev();
    let (last, before) = (letters.next().unwrap_or(' '), letters.next().unwrap_or(' '));
    let is_vowel = |letter: char| "aeiou".contains(letter);
    match last {
        'e' if before != 'e' => format!("{}ing", verb.strip_suffix('e').unwrap_or(verb)),
        'b' | 'd' | 'g' | 'm' | 'n' | 'p' | 't' if verb.len() <= 4 && is_vowel(before) => format!("{verb}{last}ing"),
        _ => format!("{verb}ing"),
    }
}
