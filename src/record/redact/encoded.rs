//! Secrets that stand in a text as base64, as hexadecimal or with percent signs: what reads them back reads secrets.
//!
//! One level deep. A run that decodes to anything but printable text is a digest, a key that verifies, or chance.

use std::borrow::Cow;
use std::ops::Range;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};

use super::quick::may_hold_secret;
use super::scan::{self, Secret};

/// Shorter runs hold no encoded secret of the shortest kind that is known by its look (AWS keys, 20 characters).
const RUN_MIN: usize = 24;

/// What is decoded of a run before the rest is worth it: four bytes of base64 make three.
const PROBE: usize = 32;

/// Appends the secrets in `text`, encoded ones included, in order, without overlap. `found` is empty.
pub(super) fn find(text: &str, found: &mut Vec<Secret>) {
    if may_hold_secret(text) {
        search(text, found);
    }
}

/// [`find`], whatever the quick look says.
pub(super) fn search(text: &str, found: &mut Vec<Secret>) {
    scan::find(text, found);
    let plain = found.len();
    for run in runs(text.as_bytes()) {
        let known = found.iter().take(plain).any(|secret| overlap(&secret.range, &run));
        if !known && text.get(run.clone()).is_some_and(|part| decoded(part).is_some_and(|read| holds(&read))) {
            found.push(Secret { kind: "encoded", range: run });
        }
    }
    if text.contains('%') {
        percent(text, found);
    }
    if found.len() > plain {
        found.sort_by_key(|secret| secret.range.start);
        found.dedup_by(|next, last| {
            let joined = overlap(&next.range, &last.range);
            last.range.end = if joined { last.range.end.max(next.range.end) } else { last.range.end };
            joined
        });
    }
}

const fn overlap(one: &Range<usize>, other: &Range<usize>) -> bool {
    one.start < other.end && other.start < one.end
}

fn holds(text: &str) -> bool {
    let mut found = Vec::new();
    scan::find(text, &mut found);
    !found.is_empty()
}

/// Runs of characters that base64 and hexadecimal are written in, long enough to hold something.
fn runs(bytes: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let in_run = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_');
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < bytes.len() {
            let start = at + bytes.get(at..)?.iter().position(in_run)?;
            let length = bytes.get(start..)?.iter().take_while(|byte| in_run(byte)).count();
            at = start + length;
            if length >= RUN_MIN {
                return Some(start..at);
            }
        }
        None
    })
}

/// What a run stands for, if that is text.
fn decoded(run: &str) -> Option<String> {
    let read: fn(&str) -> Option<Vec<u8>> =
        if run.bytes().all(|byte| byte.is_ascii_hexdigit()) { hexadecimal } else { base64 };
    let printable =
        |bytes: &[u8]| bytes.iter().all(|byte| matches!(byte, b'\t' | b'\n' | b'\r' | 0x20..=0x7e | 0x80..));
    let probe = run.get(..PROBE).map_or_else(|| read(run), read)?;
    if !printable(&probe) {
        return None;
    }
    String::from_utf8(read(run)?).ok().filter(|text| printable(text.as_bytes()))
}

fn base64(run: &str) -> Option<Vec<u8>> {
    BASE64_STANDARD_NO_PAD.decode(run).or_else(|_| BASE64_URL_SAFE_NO_PAD.decode(run)).ok()
}

fn hexadecimal(run: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = run.as_bytes().chunks_exact(2);
    pairs.map(|pair| pair.iter().try_fold(0, |byte, text| Some(byte << 4 | digit(*text)?))).collect()
}

/// Finds what is secret once percent signs are read (RFC 3986 §2.1).
fn percent(text: &str, found: &mut Vec<Secret>) {
    let bytes = text.as_bytes();
    let (mut read, mut places, mut at) = (Vec::with_capacity(bytes.len()), Vec::new(), 0);
    while let Some(byte) = bytes.get(at) {
        let pair = if *byte == b'%' { text.get(at + 1..at + 3).and_then(hexadecimal) } else { None };
        places.push(at);
        match pair.as_deref() {
            Some([value]) => {
                read.push(*value);
                at += 3;
            }
            _ => {
                read.push(*byte);
                at += 1;
            }
        }
    }
    places.push(at);
    if read.len() == bytes.len() {
        return;
    }
    // Where the text is no text any more a question mark stands, so that places stay what they are.
    let read: Cow<'_, str> = match String::from_utf8(read) {
        Ok(read) => read.into(),
        Err(error) => {
            error.as_bytes().iter().map(|byte| if byte.is_ascii() { char::from(*byte) } else { '?' }).collect()
        }
    };
    let mut secrets = Vec::new();
    scan::find(&read, &mut secrets);
    for Secret { kind, range } in secrets {
        if let (Some(start), Some(end)) = (places.get(range.start), places.get(range.end)) {
            found.push(Secret { kind, range: *start..*end });
        }
    }
}
