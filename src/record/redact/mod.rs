//! Takes secrets out of texts before they are written anywhere.
//!
//! Works on text: everything that is no secret stays byte for byte as it was, numbers and layout too; a secret becomes
//! `[redacted:<kind>]`. Found by the name a value has (`password`, `X-Api-Key`, `--token`) and by how it looks (known
//! prefixes, key blocks, passwords in URLs, long random strings), plainly or in base64, hexadecimal or percent signs. No
//! backtracking.
//!
//! It never finds every secret: a password in running prose looks like a word. It must never let one through that it
//! was told about by a name, and never change what a value means to the reader other than by hiding it.

mod document;
mod encoded;
mod name;
mod quick;
mod random;
mod scan;
mod shape;

use std::borrow::Cow;

pub use name::secret_name;

use crate::model::json;

/// The limits arguments are read with: those of the interceptor, which has accepted them.
pub(crate) const LIMITS: json::Limits = json::Limits { depth_max: 128, values_max: 1_048_576 };

/// A text without its secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redacted<'a> {
    /// The text.
    pub text: Cow<'a, str>,
    /// How many secrets were replaced.
    pub count: u64,
    /// How many members the top-level object has; `None` when the text is no JSON object.
    pub members: Option<u64>,
}

/// Redacts JSON text. What is not JSON, or not UTF-8, is treated as running text.
#[must_use]
pub fn json_or_text(bytes: &[u8]) -> Redacted<'_> {
    match json::scan(bytes, LIMITS) {
        Ok((text, document)) => document::redact(text, &document),
        Err(_) => match String::from_utf8_lossy(bytes) {
            Cow::Borrowed(borrowed) => text(borrowed),
            Cow::Owned(owned) => {
                let redacted = text(&owned);
                Redacted { text: Cow::Owned(redacted.text.into_owned()), count: redacted.count, members: None }
            }
        },
    }
}

/// Redacts running text: error messages, intents, names, URIs.
#[must_use]
pub fn text(text: &str) -> Redacted<'_> {
    let mut found = Vec::new();
    encoded::find(text, &mut found);
    Redacted { count: found.len() as u64, text: scan::replace(text, &found), members: None }
}

/// The kinds of the secrets in running text, in order: what [`text`] would write in their places.
pub fn kinds(text: &str) -> impl Iterator<Item = &'static str> {
    let mut found = Vec::new();
    encoded::find(text, &mut found);
    found.into_iter().map(|secret| secret.kind)
}

#[cfg(test)]
mod tests;
