//! The last look at every text before it leaves: redaction once more.
//!
//! Entries are written without secrets. This pass does not trust that: an entry may come from an older version with a
//! weaker redactor, or from a stage that forgot. It runs once for each entry, before any schema sees it, over every
//! string of the predicate, and also over what base64 and hexadecimal strings hold. Schemas only copy, join and rename
//! what they are given, so what was removed here is in no destination's bytes.

use std::borrow::Cow;
use std::ops::Range;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};

use crate::model::json::{Document, Kind, View, write_string};
use crate::record::redact;

/// Members that are public by their nature and look like secrets: keys that verify, and tokens of time stamps.
const PUBLIC: [(&str, &str); 4] =
    [("genesis", "root_key"), ("key", "log_key"), ("key", "receipt_key"), ("anchor", "token")];

/// Shorter strings hold no encoded secret of the shortest kind that is known by its look (AWS keys, 20 characters).
const ENCODED_MIN: usize = 24;

/// `text` without the secrets that are left in it; `None` when there are none, which is the rule. `document` is what
/// scanning `text` gave.
pub(super) fn redact(text: &str, document: &Document) -> Option<String> {
    let predicate = document.root(text).get("predicate")?;
    let public: Vec<usize> = PUBLIC
        .iter()
        .filter_map(|(block, member)| predicate.get(block)?.get(member))
        .map(|view| view.place())
        .collect();
    let mut found: Vec<(Range<usize>, String)> = Vec::new();
    for view in predicate.descendants() {
        if view.kind() == Kind::String
            && !is_plain(view.text())
            && !public.contains(&view.place())
            && let Some(clean) = clean(view)
        {
            let mut written = String::with_capacity(clean.len() + 2);
            write_string(&mut written, &clean);
            found.push((view.span(), written));
        }
    }
    if found.is_empty() {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    let mut copied = 0;
    for (span, written) in found {
        out.push_str(text.get(copied..span.start).unwrap_or_default());
        out.push_str(&written);
        copied = span.end;
    }
    out.push_str(text.get(copied..).unwrap_or_default());
    Some(out)
}

/// Strings that are too short to hold a secret, digests and times: three quarters of an entry. `quoted` has its quotes.
fn is_plain(quoted: &str) -> bool {
    const SHORT: usize = 8;
    const DIGEST: usize = 73;
    const TIME: usize = 29;
    match quoted.len() {
        0..=SHORT => true,
        DIGEST => quoted.get(1..8) == Some("sha256:"),
        TIME => quoted.get(11..13).is_some_and(|part| part.ends_with('T')) && quoted.ends_with("Z\""),
        _ => false,
    }
}

/// The string without its secrets; `None` when it holds none.
fn clean(view: View<'_>) -> Option<String> {
    let value = view.as_str()?;
    // The text of arguments and results is JSON in a string: names tell what is secret there.
    let redacted = match value.as_bytes().first() {
        Some(b'{' | b'[') => redact::json_or_text(value.as_bytes()),
        _ => redact::text(&value),
    };
    let changed = redacted.count > 0;
    let encoded = hide_encoded(&redacted.text);
    match encoded {
        Some(hidden) => Some(hidden),
        None => changed.then(|| redacted.text.into_owned()),
    }
}

/// The text with every run hidden that holds a secret in base64 or hexadecimal.
fn hide_encoded(text: &str) -> Option<String> {
    let mut out: Option<String> = None;
    let mut copied = 0;
    for run in encoded_runs(text) {
        let Some(part) = text.get(run.clone()) else { continue };
        if decodings(part).any(|decoded| redact::text(&decoded).count > 0) {
            let out = out.get_or_insert_with(|| String::with_capacity(text.len()));
            out.push_str(text.get(copied..run.start).unwrap_or_default());
            out.push_str("[redacted:encoded]");
            copied = run.end;
        }
    }
    let mut out = out?;
    out.push_str(text.get(copied..).unwrap_or_default());
    Some(out)
}

/// Runs of characters that base64 and hexadecimal are written in, long enough to hold something.
fn encoded_runs(text: &str) -> impl Iterator<Item = Range<usize>> {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < bytes.len() {
            let start = at + bytes.get(at..)?.iter().position(|byte| is_encoding(*byte))?;
            let length = bytes.get(start..)?.iter().take_while(|byte| is_encoding(**byte)).count();
            at = start + length;
            if length >= ENCODED_MIN {
                return Some(start..at);
            }
        }
        None
    })
}

const fn is_encoding(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_')
}

/// What a run may stand for, as text.
fn decodings(run: &str) -> impl Iterator<Item = Cow<'static, str>> {
    let hexadecimal = run.bytes().all(|byte| byte.is_ascii_hexdigit());
    let bytes = if hexadecimal {
        [from_hexadecimal(run), None]
    } else {
        let standard = BASE64_STANDARD_NO_PAD.decode(run).ok();
        let url_safe = if standard.is_none() { BASE64_URL_SAFE_NO_PAD.decode(run).ok() } else { None };
        [standard, url_safe]
    };
    // Secrets are printable: what decodes to anything else is a digest, a key that verifies, or chance.
    bytes.into_iter().flatten().filter_map(|bytes| String::from_utf8(bytes).ok()).map(Cow::Owned)
}

fn from_hexadecimal(run: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        run.chars().map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    Some(digits?.chunks_exact(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect())
}
