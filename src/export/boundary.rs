//! The last look at every text before it leaves: redaction once more.
//!
//! Entries are written without secrets. This pass does not trust that: an entry may come from an older version with a
//! weaker redactor, or from a stage that forgot. It runs once for each entry, before any schema sees it, over every
//! string of the predicate, and also over what base64 and hexadecimal strings hold. Schemas only copy, join and rename
//! what they are given, so what was removed here is in no destination's bytes.
//!
//! Most strings of an entry stand in the entries around it too: who acts, with which tool, under which policy. What was
//! searched a moment ago and held nothing is not searched again ([`Searched`]), nor is what stands in the same place of an
//! entry that was read before ([`super::reader`]).

use std::hash::{BuildHasher as _, RandomState};
use std::ops::Range;

use crate::model::json::{Document, Kind, View, write_string};
use crate::record::redact;

/// Members that are public by their nature and look like secrets: keys that verify, and tokens of time stamps.
const PUBLIC: [(&str, &str); 4] =
    [("genesis", "root_key"), ("key", "log_key"), ("key", "receipt_key"), ("anchor", "token")];

/// Strings that are remembered by one thread: those of some dozens of agents, tools and rules.
const SEARCHED_MAX: usize = 2_048;

/// The longest string that is remembered, in bytes: longer ones are arguments and results, which differ.
const SEARCHED_BYTES_MAX: usize = 256;

/// Strings that held no secret. Whether one does depends on nothing but itself.
pub(super) struct Searched {
    hasher: RandomState,
    slots: Box<[Option<Box<str>>]>,
}

impl Default for Searched {
    fn default() -> Self {
        Self { hasher: RandomState::new(), slots: vec![None; SEARCHED_MAX].into_boxed_slice() }
    }
}

impl Searched {
    fn slot(&mut self, quoted: &str) -> Option<&mut Option<Box<str>>> {
        let number = self.hasher.hash_one(quoted) % SEARCHED_MAX as u64;
        self.slots.get_mut(usize::try_from(number).ok()?)
    }

    /// [`clean`], remembered.
    fn clean(&mut self, view: View<'_>) -> Option<String> {
        let quoted = view.text();
        if quoted.len() > SEARCHED_BYTES_MAX {
            return clean(view);
        }
        let Some(slot) = self.slot(quoted) else { return clean(view) };
        if slot.as_deref() == Some(quoted) {
            return None;
        }
        let cleaned = clean(view);
        if cleaned.is_none() {
            *slot = Some(quoted.into());
        }
        cleaned
    }
}

/// `text` without the secrets that are left in `views`, values of it; `None` when there are none, which is the rule.
/// `document` is what scanning `text` gave.
pub(super) fn redact<'a>(
    text: &'a str,
    document: &'a Document,
    views: impl Iterator<Item = View<'a>>,
    searched: &mut Searched,
) -> Option<String> {
    let predicate = document.root(text).get("predicate")?;
    let within = predicate.span();
    let mut found: Vec<(Range<usize>, String)> = Vec::new();
    for view in views.filter(|view| view.kind() == Kind::String && !is_plain(view.text())) {
        let span = view.span();
        if within.contains(&span.start)
            && let Some(clean) = searched.clean(view)
            && !is_public(predicate, view)
        {
            let mut written = String::with_capacity(clean.len() + 2);
            write_string(&mut written, &clean);
            found.push((span, written));
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

/// Whether `view` is one of [`PUBLIC`].
fn is_public(predicate: View<'_>, view: View<'_>) -> bool {
    let mut public = PUBLIC.iter().filter_map(|(block, member)| predicate.get(block)?.get(member));
    public.any(|public| public.place() == view.place())
}

/// Strings that are too short to hold a secret, digests, times and ids of this product: three quarters of an entry.
/// `quoted` has its quotes.
fn is_plain(quoted: &str) -> bool {
    const SHORT: usize = 8;
    const DIGEST: usize = 73;
    const TIME: usize = 29;
    match quoted.len() {
        0..=SHORT => true,
        DIGEST => quoted.get(1..8) == Some("sha256:"),
        TIME => quoted.get(11..13).is_some_and(|part| part.ends_with('T')) && quoted.ends_with("Z\""),
        42 | 43 => quoted.split_once('_').is_some_and(|(_, id)| is_uuid(id)),
        _ => false,
    }
}

/// `019aa3d4-3f80-7000-8000-000000000001"`
fn is_uuid(id: &str) -> bool {
    id.len() == 37
        && id.bytes().zip(0..).all(|(byte, at)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            36 => byte == b'"',
            _ => byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'),
        })
}

/// The string without its secrets; `None` when it holds none.
fn clean(view: View<'_>) -> Option<String> {
    let value = view.as_str()?;
    // The text of arguments and results is JSON in a string: names tell what is secret there.
    let redacted = match value.as_bytes().first() {
        Some(b'{' | b'[') => redact::json_or_text(value.as_bytes()),
        _ => redact::text(&value),
    };
    (redacted.count > 0).then(|| redacted.text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::json::{Limits, scan};

    fn redacted(value: &str, searched: &mut Searched) -> Option<String> {
        let mut quoted = String::new();
        write_string(&mut quoted, value);
        let text = format!(r#"{{"predicate":{{"reason":{quoted}}}}}"#);
        let (text, document) = scan(text.as_bytes(), Limits::default()).unwrap();
        redact(text, &document, document.root(text).descendants(), searched)
    }

    #[test]
    fn what_is_remembered_lets_no_secret_through() {
        let mut searched = Searched::default();
        let secret = |number: usize| format!("run {number} with password: hunter{number}");
        // More than are remembered, so that places are taken again and again.
        for number in 0..2 * SEARCHED_MAX {
            let (calm, secret) = (format!("policy rule number {number} allowed it"), secret(number));
            for _ in 0..2 {
                assert_eq!(redacted(&calm, &mut searched), None);
                assert!(redacted(&secret, &mut searched).is_some_and(|text| !text.contains("hunter")), "{secret}");
            }
        }
    }

    #[test]
    fn ids_are_passed_over_and_what_only_resembles_them_is_not() {
        assert!(is_plain("\"act_019aa3d4-3f80-7000-8000-000000000001\""));
        assert!(is_plain("\"sess_019aa3d4-3f80-7000-8000-0000000000bb\""));
        for other in ["\"act_019aa3d4-3f80-7000-8000-00000000000g\"", "\"act_019aa3d4x3f80-7000-8000-000000000001\""] {
            assert!(!is_plain(other), "{other}");
        }
        // As long as an id: nothing about the length alone makes a text plain.
        let token = format!("act_{}", "ghp_0123456789abcdefghijABCDEFGHIJ012345");
        assert!(redacted(&token, &mut Searched::default()).is_some());
    }
}
