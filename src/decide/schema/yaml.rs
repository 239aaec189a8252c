//! YAML text to a tree that knows the line of every value.
//!
//! Policies are read from this tree instead of being deserialised straight into structs, because a struct reports only
//! its first mistake and a person wants all of them.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use super::error::Problems;

/// Largest policy file, bytes: some 30,000 rules, and a bound on the time a load can take.
pub(super) const FILE_BYTES_MAX: usize = 8 << 20;

/// Most YAML values in one file; goes with [`FILE_BYTES_MAX`].
const NODES_MAX: usize = 2_000_000;

/// Deepest nesting: nothing in the language needs a tenth of it.
const DEPTH_MAX: usize = 48;

/// Aliases (`*name`) in one file. They save typing; they must not multiply a small file into a large one.
const ALIASES_MAX: usize = 1_000;

/// A value and the line it stands on.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) line: u64,
    pub(super) value: Yaml,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Yaml {
    Null,
    Flag(bool),
    Integer(i64),
    /// Positive and past `i64`.
    Large(u64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    /// In the order of the file. Keys are unique: the reader refuses doubles.
    Map(Vec<(Key, Node)>),
}

/// A key and the line it stands on.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Key {
    pub(super) line: u64,
    pub(super) name: String,
}

impl Yaml {
    /// What it is, for messages.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Flag(_) => "a truth value",
            Self::Integer(_) | Self::Large(_) | Self::Float(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }
}

impl Node {
    pub(super) fn as_text(&self) -> Option<&str> {
        match &self.value {
            Yaml::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The elements of a list; anything else is a list of one.
    pub(super) fn elements(&self) -> &[Self] {
        match &self.value {
            Yaml::List(elements) => elements,
            _ => std::slice::from_ref(self),
        }
    }
}

/// Reads one file. `None` after a problem was added.
pub(super) fn read(text: &str, problems: &mut Problems<'_>) -> Option<Node> {
    if text.len() > FILE_BYTES_MAX {
        problems.add(0, format!("the file is larger than {FILE_BYTES_MAX} bytes"), "split it into several policies");
        return None;
    }
    let mut budget = serde_saphyr::Budget::default();
    budget.max_nodes = NODES_MAX;
    budget.max_events = 2 * NODES_MAX;
    budget.max_depth = DEPTH_MAX;
    budget.max_aliases = ALIASES_MAX;
    budget.max_documents = 1;
    let mut options = serde_saphyr::Options::default();
    options.budget = Some(budget);
    options.strict_booleans = true;
    options.reject_unsupported_tags = true;
    options.duplicate_keys = serde_saphyr::DuplicateKeyPolicy::Error;
    options.with_snippet = false;
    match serde_saphyr::from_str_with_options::<Spanned<Yaml>>(text, options) {
        Ok(root) => Some(root.into()),
        Err(error) => {
            let line = error.location().map_or(0, |location| location.line());
            let what = error.without_snippet().to_string().replace('\n', " ");
            problems.add(line, format!("not YAML that is accepted here: {what}"), "correct the line");
            None
        }
    }
}

impl From<Spanned<Yaml>> for Node {
    fn from(spanned: Spanned<Yaml>) -> Self {
        Self { line: spanned.referenced.line(), value: spanned.value }
    }
}

impl<'de> Deserialize<'de> for Yaml {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(YamlVisitor)
    }
}

struct YamlVisitor;

impl<'de> Visitor<'de> for YamlVisitor {
    type Value = Yaml;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Yaml, E> {
        Ok(Yaml::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Yaml, E> {
        Ok(Yaml::Flag(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Yaml, E> {
        Ok(Yaml::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Yaml, E> {
        Ok(i64::try_from(value).map_or(Yaml::Large(value), Yaml::Integer))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Yaml, E> {
        Ok(Yaml::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Yaml, E> {
        Ok(Yaml::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Yaml, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = sequence.next_element::<Spanned<Yaml>>()? {
            elements.push(element.into());
        }
        Ok(Yaml::List(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Yaml, A::Error> {
        let mut entries = Vec::new();
        while let Some((key, value)) = map.next_entry::<Spanned<String>, Spanned<Yaml>>()? {
            entries.push((Key { line: key.referenced.line(), name: key.value }, value.into()));
        }
        Ok(Yaml::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_every_line() {
        let mut problems = Problems::of("a");
        let root = read("a: 1\nb:\n  - x\n  - \"2\"\n  - {c: 1.5, d: yes}\n", &mut problems).unwrap();
        let Yaml::Map(entries) = &root.value else { panic!("{root:?}") };
        let (key, list) = &entries[1];
        assert_eq!((key.line, key.name.as_str()), (2, "b"));
        assert_eq!(list.elements()[1], Node { line: 4, value: Yaml::Text("2".into()) });
        let Yaml::Map(inner) = &list.elements()[2].value else { panic!() };
        assert_eq!(inner[0].0.line, 5);
        assert_eq!(inner[0].1.value, Yaml::Float(1.5));
        assert_eq!(inner[1].1.value, Yaml::Text("yes".into()), "only true and false are truth values");
    }

    #[test]
    fn refuses_what_two_readers_could_read_differently() {
        for text in ["a: 1\na: 2\n", "a: [", "a: .inf", "a: !custom x", "--- 1\n--- 2\n"] {
            let mut problems = Problems::of("a");
            assert_eq!(read(text, &mut problems), None, "{text:?}");
            assert_eq!(problems.into_errors().len(), 1);
        }
    }
}
