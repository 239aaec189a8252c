//! The values of an action's arguments, one by one.

use serde_json::Value;

use super::hash::HashKey;
use super::passage::Phrase;
use super::shape::{Purpose, Shape, host};

/// Longest value that is looked up, bytes. What is longer is a text.
pub(super) const VALUE_BYTES_MAX: usize = 160;

/// Longest text in which addresses are looked for, bytes.
const MENTION_BYTES_MAX: usize = 2_048;

/// Most values of one action. A hundred recipients are a hundred values; what is more is not looked at one by one.
const VALUES_MAX: usize = 256;

/// Deepest nesting of arguments that is followed.
const DEPTH_MAX: usize = 16;

/// One value.
#[derive(Clone, Debug)]
pub(super) struct Argument<'a> {
    /// Where it stands, as a JSON pointer.
    pub(super) pointer: String,
    pub(super) text: std::borrow::Cow<'a, str>,
    pub(super) shape: Shape,
    pub(super) purpose: Purpose,
    /// An address inside a longer text.
    pub(super) mention: bool,
    pub(super) phrase: Phrase,
    pub(super) digest: u32,
}

impl Argument<'_> {
    /// Whether it says where the effect goes.
    pub(super) const fn is_sink(&self) -> bool {
        match self.purpose {
            Purpose::Target => !matches!(self.shape, Shape::Date),
            Purpose::Content => self.shape.is_address(),
            Purpose::Manner => matches!(self.shape, Shape::Link | Shape::Mail),
            Purpose::Secret => false,
        }
    }

    /// The digest of the host of a link.
    pub(super) fn host(&self, key: &HashKey) -> u32 {
        Phrase::of(host(&self.text), key).digest(key)
    }
}

/// The values of `arguments`, and whether there were more.
pub(super) fn of<'a>(arguments: &'a Value, key: &HashKey) -> (Vec<Argument<'a>>, bool) {
    let mut collected = Collected { values: Vec::new(), more: false, key };
    collected.add(arguments, &mut String::new(), "", 0);
    (collected.values, collected.more)
}

struct Collected<'a, 'k> {
    values: Vec<Argument<'a>>,
    more: bool,
    key: &'k HashKey,
}

impl<'a> Collected<'a, '_> {
    fn add(&mut self, value: &'a Value, pointer: &mut String, name: &str, depth: usize) {
        if depth > DEPTH_MAX || self.values.len() >= VALUES_MAX {
            self.more = true;
            return;
        }
        let length = pointer.len();
        match value {
            Value::Array(elements) => {
                for (index, element) in elements.iter().enumerate() {
                    pointer.push('/');
                    pointer.push_str(&index.to_string());
                    self.add(element, pointer, name, depth + 1);
                    pointer.truncate(length);
                }
            }
            Value::Object(members) => {
                for (name, member) in members {
                    pointer.push('/');
                    pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
                    self.add(member, pointer, name, depth + 1);
                    pointer.truncate(length);
                }
            }
            Value::Number(number) => self.one(number.to_string().into(), pointer, name),
            Value::String(text) => self.one(text.as_str().into(), pointer, name),
            Value::Bool(_) | Value::Null => {}
        }
    }

    fn one(&mut self, text: std::borrow::Cow<'a, str>, pointer: &str, name: &str) {
        let purpose = Purpose::of(name);
        if text.len() <= VALUE_BYTES_MAX {
            let shape = Shape::of(&text);
            let spoken = purpose == Purpose::Content || shape == Shape::Words;
            if spoken && !shape.is_address() {
                self.mentions(&text, pointer, purpose);
            }
            self.push(text, pointer, shape, purpose, false);
        } else if text.len() <= MENTION_BYTES_MAX {
            self.mentions(&text, pointer, purpose);
        } else if purpose == Purpose::Target {
            self.more = true;
        }
    }

    /// Addresses inside a text.
    fn mentions(&mut self, text: &str, pointer: &str, purpose: Purpose) {
        let whole = text.trim().len();
        let apart = |c: char| {
            c.is_whitespace()
                || matches!(c, '\'' | '"' | '(' | ')' | ',' | ';' | '<' | '>' | '[' | ']' | '{' | '}' | '|')
        };
        for word in text.split(apart) {
            let word = word.trim_end_matches(['.', '!', '?', ':']);
            if word.len() < whole && word.len() <= VALUE_BYTES_MAX && Shape::may_be_address(word) {
                let shape = Shape::of(word);
                if shape.is_address() && self.values.len() < VALUES_MAX {
                    self.push(word.to_owned().into(), pointer, shape, purpose, true);
                }
            }
        }
    }

    fn push(&mut self, text: std::borrow::Cow<'a, str>, pointer: &str, shape: Shape, purpose: Purpose, mention: bool) {
        let phrase = Phrase::of(&text, self.key);
        if !phrase.is_empty() {
            let digest = phrase.digest(self.key);
            self.values.push(Argument { pointer: pointer.to_owned(), text, shape, purpose, mention, phrase, digest });
        }
    }
}
