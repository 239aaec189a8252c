//! Questions to a scanned document.

use std::borrow::Cow;
use std::ops::Range;

use super::scanner::Node;

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `[...]`
    Array,
    /// `true` or `false`
    Bool,
    /// `null`
    Null,
    /// A number, as written.
    Number,
    /// `{...}`
    Object,
    /// `"..."`
    String,
}

/// One value of a scanned document.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    text: &'a str,
    nodes: &'a [Node],
    index: usize,
}

impl<'a> View<'a> {
    pub(super) const fn new(text: &'a str, nodes: &'a [Node], index: usize) -> Self {
        Self { text, nodes, index }
    }

    /// Where the value stands among the values of its document: what [`super::Document::at`] takes.
    #[must_use]
    pub const fn place(&self) -> usize {
        self.index
    }

    /// What the value is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.node().map_or(Kind::Null, |node| node.kind)
    }

    /// Where the value stands in the text, in bytes.
    #[must_use]
    pub fn span(&self) -> Range<usize> {
        self.node().map_or(0..0, |node| node.start as usize..node.end as usize)
    }

    /// Where the value's member name stands, quotes included; empty outside objects.
    #[must_use]
    pub fn key_span(&self) -> Range<usize> {
        self.node().map_or(0..0, |node| node.key_start as usize..node.key_end as usize)
    }

    /// The value as it is written.
    #[must_use]
    pub fn text(&self) -> &'a str {
        self.text.get(self.span()).unwrap_or_default()
    }

    /// The string's value; `None` when this is no string.
    #[must_use]
    pub fn as_str(&self) -> Option<Cow<'a, str>> {
        if self.kind() != Kind::String {
            return None;
        }
        unescape(unquote(self.text()))
    }

    /// The truth value; `None` when this is none.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        (self.kind() == Kind::Bool).then(|| self.text() == "true")
    }

    /// The member `name` of an object.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Self> {
        self.written_members().find(|(key, _)| is_named(unquote(key), name)).map(|(_, value)| value)
    }

    /// The value a JSON pointer (RFC 6901) leads to.
    #[must_use]
    pub fn pointer(&self, pointer: &str) -> Option<Self> {
        let mut at = *self;
        for part in pointer.split('/').skip(usize::from(pointer.starts_with('/'))) {
            if pointer.is_empty() {
                break;
            }
            // Almost no name has a tilde, and events are made of a hundred pointers.
            let name = match part.contains('~') {
                true => Cow::Owned(part.replace("~1", "/").replace("~0", "~")),
                false => Cow::Borrowed(part),
            };
            at = match at.kind() {
                Kind::Array => at.children().nth(name.parse().ok()?)?,
                _ => at.get(&name)?,
            };
        }
        Some(at)
    }

    /// The members of an object, in the order of the text. Empty for anything else.
    pub fn members(&self) -> impl Iterator<Item = (Cow<'a, str>, Self)> + use<'a> {
        let (object, text) = (self.kind() == Kind::Object, self.text);
        self.children().filter(move |_| object).map(move |value| {
            let name = unquote(text.get(value.key_span()).unwrap_or_default());
            (unescape(name).unwrap_or(Cow::Borrowed(name)), value)
        })
    }

    /// The members of an object with their names as they are written, quotes included, in the order of the text.
    pub(crate) fn written_members(&self) -> impl Iterator<Item = (&'a str, Self)> + use<'a> {
        let (object, text) = (self.kind() == Kind::Object, self.text);
        self.children()
            .filter(move |_| object)
            .map(move |value| (text.get(value.key_span()).unwrap_or_default(), value))
    }

    /// The elements of an array or the values of an object, in the order of the text.
    pub fn children(&self) -> impl Iterator<Item = Self> + use<'a> {
        let parent = *self;
        let end = if matches!(self.kind(), Kind::Array | Kind::Object) { self.next() } else { self.index + 1 };
        let mut at = self.index + 1;
        std::iter::from_fn(move || {
            let child = Self { index: at, ..parent };
            (at < end).then(|| {
                at = child.next();
                child
            })
        })
    }

    /// Every value below this one and itself, in the order of the text.
    pub fn descendants(&self) -> impl Iterator<Item = Self> + use<'a> {
        let parent = *self;
        (self.index..self.next()).map(move |index| Self { index, ..parent })
    }

    fn next(&self) -> usize {
        self.node().map_or(usize::MAX, |node| node.next as usize)
    }

    fn node(&self) -> Option<&'a Node> {
        self.nodes.get(self.index)
    }
}

fn unquote(text: &str) -> &str {
    text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text)
}

/// Whether the inside of a written name stands for `name`.
fn is_named(inner: &str, name: &str) -> bool {
    let escaped = || inner.contains('\\');
    if inner == name { !escaped() } else { escaped() && unescape(inner).is_some_and(|inner| inner == name) }
}

/// The value of a string's inside. `None` for an escape that JSON does not have, or half a surrogate pair.
pub(super) fn unescape(inner: &str) -> Option<Cow<'_, str>> {
    if !inner.contains('\\') {
        return Some(Cow::Borrowed(inner));
    }
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some((plain, behind)) = rest.split_once('\\') {
        let (character, behind) = escaped(behind)?;
        out.push_str(plain);
        out.push(character);
        rest = behind;
    }
    out.push_str(rest);
    Some(Cow::Owned(out))
}

/// Whether [`unescape`] gives a value.
pub(super) fn can_unescape(inner: &str) -> bool {
    let mut rest = inner;
    while let Some((_, behind)) = rest.split_once('\\') {
        let Some((_, behind)) = escaped(behind) else { return false };
        rest = behind;
    }
    true
}

/// The character that an escape stands for, and what is behind it. `text` begins behind the backslash.
fn escaped(text: &str) -> Option<(char, &str)> {
    let mut rest = text.chars();
    let character = match rest.next()? {
        same @ ('"' | '\\' | '/') => same,
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'u' => unicode(&mut rest)?,
        _ => return None,
    };
    Some((character, rest.as_str()))
}

fn unicode(rest: &mut std::str::Chars<'_>) -> Option<char> {
    let first = four_digits(rest)?;
    if !(0xd800..0xdc00).contains(&first) {
        return char::from_u32(first);
    }
    if rest.next()? != '\\' || rest.next()? != 'u' {
        return None;
    }
    let second = four_digits(rest)?;
    (0xdc00..0xe000)
        .contains(&second)
        .then(|| char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)))?
}

fn four_digits(rest: &mut std::str::Chars<'_>) -> Option<u32> {
    (0..4).try_fold(0, |value, _| Some(value << 4 | rest.next()?.to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::super::{JsonError, Limits, scan};
    use super::*;

    fn check(text: &str) -> Result<(), JsonError> {
        scan(text.as_bytes(), Limits::default()).map(drop)
    }

    #[test]
    fn finds_values_as_they_are_written() {
        let text = r#" {"a": [1e2, 12345678901234567890123, {"b~/c": "\u0041\ud83d\ude00"}], "n\u0061me": null} "#;
        let (text, document) = scan(text.as_bytes(), Limits::default()).unwrap();
        let root = document.root(text);
        assert_eq!(root.pointer("/a/0").unwrap().text(), "1e2");
        assert_eq!(root.pointer("/a/1").unwrap().text(), "12345678901234567890123");
        assert_eq!(root.pointer("/a/2/b~0~1c").unwrap().as_str().unwrap(), "A\u{1f600}");
        assert_eq!(root.get("name").unwrap().kind(), Kind::Null);
        assert!(root.get(r"n\u0061me").is_none());
        assert_eq!(root.pointer("").unwrap().span(), root.span());
        assert!(root.pointer("/a/9").is_none() && root.pointer("/z").is_none());
        assert_eq!(root.descendants().count(), document.len());
        assert!(root.descendants().all(|value| document.at(text, value.place()).span() == value.span()));
        assert_eq!(document.at(text, document.len()).kind(), Kind::Null);
    }

    #[test]
    fn refuses_what_two_readers_could_read_differently() {
        for text in [
            "",
            " ",
            "{",
            "[1,]",
            "[,1]",
            "{\"a\":1,}",
            "{\"a\"}",
            "{a:1}",
            "[1 2]",
            "{\"a\":1 \"b\":2}",
            "01",
            "1.",
            ".5",
            "+1",
            "1e",
            "-",
            "NaN",
            "Infinity",
            "tru",
            "'a'",
            "\"\u{1}\"",
            "\"\\x\"",
            "\"\\ud800\"",
            "\"\\udc00\"",
            "\"\\ud800\\u0041\"",
            "\"a",
            "\"a\\",
            "{} {}",
            "[]x",
            "\u{feff}{}",
            "{\"a\":1]",
            "[1}",
            "]",
        ] {
            assert!(check(text).is_err(), "{text:?} must be refused");
        }
        assert!(scan(b"\"\xff\"", Limits::default()).is_err());
    }

    #[test]
    fn refuses_duplicate_names_at_any_depth_after_unescaping() {
        for text in [r#"{"a":1,"a":2}"#, r#"[{"x":{"name":1,"n\u0061me":2}}]"#] {
            assert!(matches!(check(text), Err(JsonError::Duplicate { .. })), "{text}");
        }
        let many = (0..100).map(|n| format!("\"k{n}\":0")).collect::<Vec<_>>().join(",");
        assert_eq!(check(&format!("{{{many}}}")), Ok(()));
        assert!(matches!(check(&format!("{{{many},\"k7\":0}}")), Err(JsonError::Duplicate { .. })));
    }

    #[test]
    fn keeps_its_limits() {
        assert_eq!(check(&format!("{}{}", "[".repeat(64), "]".repeat(64))), Ok(()));
        assert_eq!(check(&format!("{}{}", "[".repeat(65), "]".repeat(65))), Err(JsonError::TooDeep(64)));
        let few = Limits { values_max: 3, ..Limits::default() };
        assert!(scan(b"[1,2]", few).is_ok());
        assert_eq!(scan(b"[1,2,3]", few).map(drop), Err(JsonError::TooMany(3)));
    }
}
