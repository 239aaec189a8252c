//! A value on its way from an entry into an event.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::model::json::{Limits, scan, write_string};

/// A value of an event.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value<'a> {
    /// Unknown, or not applicable.
    Null,
    /// JSON text that stands somewhere already.
    Json(&'a str),
    /// JSON text made here: lists and objects.
    Made(String),
    /// A text that is not JSON yet.
    Text(Cow<'a, str>),
    /// A whole number.
    Integer(i64),
    /// A number between whole ones.
    Fraction(f64),
}

impl Value<'_> {
    /// Appends the value as JSON.
    pub(super) fn write_json(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Json(json) => out.push_str(json),
            Self::Made(json) => out.push_str(json),
            Self::Text(text) => write_string(out, text),
            // Writing into a string cannot fail.
            Self::Integer(number) => drop(write!(out, "{number}")),
            Self::Fraction(number) => drop(write!(out, "{number}")),
        }
    }

    /// The value as text: strings without quotes and escapes, everything else as JSON.
    pub(super) fn to_text(&self) -> Cow<'_, str> {
        match self {
            Self::Null => Cow::Borrowed(""),
            Self::Text(text) => Cow::Borrowed(text),
            Self::Json(json) => unquoted(json),
            Self::Made(json) => unquoted(json),
            Self::Integer(number) => Cow::Owned(number.to_string()),
            Self::Fraction(number) => Cow::Owned(number.to_string()),
        }
    }
}

/// The text of a JSON string; any other JSON as it is.
pub(super) fn unquoted(json: &str) -> Cow<'_, str> {
    let Some(inner) = json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return Cow::Borrowed(json);
    };
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    let read = scan(json.as_bytes(), Limits::default()).ok();
    let text = read.and_then(|(text, document)| document.root(text).as_str().map(Cow::into_owned));
    text.map_or(Cow::Borrowed(inner), Cow::Owned)
}
