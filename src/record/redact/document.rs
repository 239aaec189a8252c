//! Redacts the strings of a JSON text in place, and knows each string's name.

use std::borrow::Cow;
use std::ops::Range;

use super::Redacted;
use super::encoded;
use super::name::secret_name;
use super::scan::{self, Secret};
use crate::model::json::{self, Document, Kind, View, write_string};

/// A value that is secret as a whole, with everything in it.
struct Covered {
    range: Range<usize>,
    kind: &'static str,
}

/// `text` without its secrets. `document` is what scanning it gave.
pub(super) fn redact<'a>(text: &'a str, document: &Document) -> Redacted<'a> {
    let root = document.root(text);
    let mut out = Output { text, out: String::new(), copied: 0, count: 0, found: Vec::new() };
    let mut covered: Vec<Covered> = Vec::new();
    // The kind of secret that a flag in a list of program arguments announces.
    let mut flag: Option<&'static str> = None;
    for view in root.descendants() {
        let (span, key) = (view.span(), view.key_span());
        covered.retain(|value| value.range.end > span.start);
        let announced = flag.take().filter(|_| key.is_empty());
        let outer = covered.iter().find(|value| value.range.contains(&span.start)).map(|value| value.kind);
        let kind = outer.or(announced).or_else(|| secret_name(&string_value(text, key.clone())?));
        out.string(key);
        match (view.kind(), kind) {
            (Kind::Array | Kind::Object, Some(kind)) => covered.push(Covered { range: span, kind }),
            (Kind::Object, None) => covered.extend(named_pair(view)),
            (Kind::String, Some(kind)) if span.len() > 2 => out.replace(span.start + 1..span.end - 1, kind),
            // Counts of tokens are no tokens; a number under any other secret name may be one.
            (Kind::Number, Some(kind)) if kind != "token" => out.replace_number(span, kind),
            (Kind::String, None) => {
                out.string(span);
                flag = view.as_str().filter(|value| value.starts_with("--")).and_then(|value| secret_name(&value));
            }
            _ => {}
        }
    }
    let members = (root.kind() == Kind::Object).then(|| root.children().count() as u64);
    out.finish(members)
}

/// The value of `{"name": "DB_PASSWORD", "value": "..."}`, as lists of variables and headers are written.
fn named_pair(object: View<'_>) -> Option<Covered> {
    let value = object.get("value").or_else(|| object.get("Value"))?;
    let names = ["name", "key", "Name", "Key"].into_iter().filter_map(|member| object.get(member)?.as_str());
    let kind = names.filter_map(|name| secret_name(&name)).next()?;
    Some(Covered { range: value.span(), kind })
}

/// The value of the string that stands at `span` of `text`, quotes included.
fn string_value(text: &str, span: Range<usize>) -> Option<Cow<'_, str>> {
    let quoted = text.get(span)?;
    let inner = quoted.strip_prefix('"')?.strip_suffix('"')?;
    if !inner.contains('\\') {
        return Some(Cow::Borrowed(inner));
    }
    let (quoted, document) = json::scan(quoted.as_bytes(), super::LIMITS).ok()?;
    document.root(quoted).as_str().map(|value| Cow::Owned(value.into_owned()))
}

struct Output<'a> {
    text: &'a str,
    out: String,
    /// How far `text` has been copied to `out`.
    copied: usize,
    count: u64,
    found: Vec<Secret>,
}

impl<'a> Output<'a> {
    /// Redacts inside the string that stands at `span`, quotes included.
    fn string(&mut self, span: Range<usize>) {
        let inner = span.start + 1..span.end.saturating_sub(1);
        let Some(raw) = self.text.get(inner.clone()).filter(|raw| !raw.is_empty()) else { return };
        let mut found = std::mem::take(&mut self.found);
        found.clear();
        if raw.contains('\\') {
            self.escaped_string(raw, span, &mut found);
        } else {
            encoded::find(raw, &mut found);
            for secret in &found {
                self.replace(inner.start + secret.range.start..inner.start + secret.range.end, secret.kind);
            }
        }
        self.found = found;
    }

    /// A secret may hide behind escapes, so the value is what is searched; written back only when it held one.
    fn escaped_string(&mut self, raw: &str, span: Range<usize>, found: &mut Vec<Secret>) {
        let Some(value) = string_value(self.text, span.clone()) else { return };
        encoded::find(&value, found);
        if !found.is_empty() {
            let mut written = String::with_capacity(raw.len());
            write_string(&mut written, &scan::replace(&value, found));
            self.count += found.len() as u64;
            self.put(span, &written);
        }
    }

    fn replace(&mut self, range: Range<usize>, kind: &str) {
        self.count += 1;
        self.put(range, &format!("[redacted:{kind}]"));
    }

    fn replace_number(&mut self, range: Range<usize>, kind: &str) {
        self.count += 1;
        self.put(range, &format!("\"[redacted:{kind}]\""));
    }

    fn put(&mut self, range: Range<usize>, instead: &str) {
        if self.out.capacity() == 0 {
            self.out.reserve(self.text.len());
        }
        self.out.push_str(self.text.get(self.copied..range.start).unwrap_or_default());
        self.out.push_str(instead);
        self.copied = range.end;
    }

    fn finish(mut self, members: Option<u64>) -> Redacted<'a> {
        if self.count == 0 {
            return Redacted { text: Cow::Borrowed(self.text), count: 0, members };
        }
        self.out.push_str(self.text.get(self.copied..).unwrap_or_default());
        Redacted { text: Cow::Owned(self.out), count: self.count, members }
    }
}
