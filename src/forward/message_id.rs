//! JSON-RPC ids and progress tokens, compared by value.
//!
//! A server may write an id back with other escapes than its client used: `"é"` and `"\u00e9"` are one id. Compared as
//! text, an answer would miss its call, and two calls that the server cannot tell apart could be in flight at once.

use crate::model::json::{Kind, Limits, scan};

/// An id or a token.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::forward) enum MessageId {
    /// As written.
    Number(String),
    /// Unescaped.
    Text(String),
}

impl MessageId {
    /// Reads an id as it is written in a message. `None` for anything but a string or a number.
    pub(in crate::forward) fn read(written: &str) -> Option<Self> {
        let (text, document) = scan(written.as_bytes(), Limits::default()).ok()?;
        let root = document.root(text);
        match root.kind() {
            Kind::Number => Some(Self::Number(root.text().to_owned())),
            Kind::String => root.as_str().map(|text| Self::Text(text.into_owned())),
            _ => None,
        }
    }

    /// Whether two ids as they are written are the same id.
    pub(in crate::forward) fn is_same(one: &str, other: &str) -> bool {
        one == other || Self::read(one).is_some_and(|one| Self::read(other) == Some(one))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_same_however_it_is_escaped() {
        assert_eq!(MessageId::read(r#""é/""#), MessageId::read(r#""\u00e9\/""#));
        assert_ne!(MessageId::read("1"), MessageId::read("\"1\""));
        assert_eq!(MessageId::read("12345678901234567890"), Some(MessageId::Number("12345678901234567890".into())));
        assert_eq!(MessageId::read("null"), None);
    }
}
