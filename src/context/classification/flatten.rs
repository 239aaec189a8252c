//! A result as running text: one line for each value, with the name of the member it stands in.
//!
//! Detectors see what a model sees. Escapes are undone, so that `\n` or `\u0040` hide nothing; the lines keep the names,
//! so that `"ssn": 123` is found in a member, in JSON inside a text, and in YAML, by the same reader.

use crate::model::json::{Kind, Limits, View, scan};

/// A result as running text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flat {
    /// The lines.
    pub text: String,
    /// Whether there was something in it that nobody can read: pictures, sound, archives.
    pub opaque: bool,
}

/// Shortest run without white space that counts as encoded bytes and not as text: longer than any key or token.
const ENCODED_MIN: usize = 1_024;

/// Envelope members of MCP results that say nothing about the data.
const ENVELOPE: &[&str] = &["type", "mimeType", "annotations", "resultType", "isError", "ttlMs", "cacheScope", "_meta"];

/// Flattens an answer: the `result` or `error` of a JSON-RPC message, all of any other JSON text, or running text.
#[must_use]
pub fn flatten(body: &[u8]) -> Flat {
    let mut flat = Flat::default();
    flat.take(body);
    flat
}

impl Flat {
    /// Adds another message.
    pub fn take(&mut self, body: &[u8]) {
        match scan(body, Limits { depth_max: 128, values_max: 1_048_576 }) {
            Ok((text, document)) => {
                let root = document.root(text);
                let is_message = root.get("jsonrpc").is_some();
                let member = |name| root.get(name).filter(|_| is_message);
                let inner = member("result").or_else(|| member("error")).or_else(|| member("params"));
                self.text.reserve(text.len());
                self.add("", inner.unwrap_or(root), is_message);
            }
            Err(_) => match String::from_utf8(body.to_vec()) {
                Ok(text) => self.text.push_str(&text),
                Err(_) => self.opaque = true,
            },
        }
    }

    /// Whether there is anything in it at all.
    #[must_use]
    pub fn has_data(&self) -> bool {
        self.opaque || !self.text.trim_ascii().is_empty()
    }

    fn add(&mut self, name: &str, value: View<'_>, is_message: bool) {
        match value.kind() {
            Kind::Object => {
                for (member, inner) in value.members() {
                    if !(is_message && ENVELOPE.contains(&&*member)) {
                        self.add(&member, inner, is_message);
                    }
                }
            }
            Kind::Array => value.children().for_each(|inner| self.add(name, inner, is_message)),
            Kind::Null => {}
            Kind::String => {
                let text = value.as_str().unwrap_or_default();
                if text.len() >= ENCODED_MIN
                    && !text.bytes().any(|byte| byte.is_ascii_whitespace())
                    && is_encoded(&text)
                {
                    self.opaque = true;
                } else {
                    self.line(name, &text);
                }
            }
            Kind::Bool | Kind::Number => self.line(name, value.text()),
        }
    }

    fn line(&mut self, name: &str, value: &str) {
        if value.is_empty() {
            return;
        }
        // `text` is the member that MCP puts every text into; it names nothing.
        if !name.is_empty() && name != "text" {
            self.text.push_str(name);
            self.text.push_str(": ");
        }
        self.text.push_str(value);
        self.text.push('\n');
    }
}

/// Whether a long text is the base64 of something.
fn is_encoded(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_'))
}
