//! One pass over a text: finds secrets by shape, and by the name in front of them.

use std::borrow::Cow;
use std::ops::Range;

use super::name::secret_name;
use super::random::{LENGTH_MIN, looks_random};
use super::shape;

/// A secret in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Secret {
    pub(super) kind: &'static str,
    pub(super) range: Range<usize>,
}

/// Appends the secrets in `text`, in order, without overlap.
pub(super) fn find(text: &str, found: &mut Vec<Secret>) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(start) = bytes.get(at..).and_then(|rest| rest.iter().position(|b| in_word(*b))).map(|n| at + n) {
        let length = bytes.get(start..).map_or(0, |rest| rest.iter().take_while(|b| in_word(**b)).count());
        let end = start + length;
        let before = found.len();
        let reached = by_shape(bytes, start..end, found);
        at = reached.max(end);
        if found.len() == before
            && let Some(secret) = named(text, start..end)
        {
            at = secret.range.end;
            found.push(secret);
        }
    }
}

/// `text` with every secret replaced by its kind.
pub(super) fn replace<'a>(text: &'a str, found: &[Secret]) -> Cow<'a, str> {
    if found.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut copied = 0;
    for secret in found {
        out.push_str(text.get(copied..secret.range.start).unwrap_or_default());
        out.push_str("[redacted:");
        out.push_str(secret.kind);
        out.push(']');
        copied = secret.range.end;
    }
    out.push_str(text.get(copied..).unwrap_or_default());
    Cow::Owned(out)
}

/// Bytes that words are made of; everything else separates them.
pub(super) const fn in_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'+' | b'/')
}

/// Finds secrets inside one word by how they look. Returns where reading goes on: a key block ends behind its word.
fn by_shape(bytes: &[u8], word: Range<usize>, found: &mut Vec<Secret>) -> usize {
    let mut at = word.start;
    let mut run_start = word.start;
    let mut previous = b' ';
    while at < word.end {
        let byte = bytes.get(at).copied().unwrap_or_default();
        if shape::can_start(byte)
            && !previous.is_ascii_alphanumeric()
            && let Some(shape) = bytes.get(at..).and_then(shape::at_start)
        {
            random_run(bytes, run_start..at, found);
            found.push(Secret { kind: shape.kind, range: at..at + shape.length });
            at += shape.length;
            run_start = at;
            previous = b' ';
            continue;
        }
        if byte == b'.' {
            random_run(bytes, run_start..at, found);
            run_start = at + 1;
        }
        previous = byte;
        at += 1;
    }
    random_run(bytes, run_start..word.end, found);
    at
}

fn random_run(bytes: &[u8], run: Range<usize>, found: &mut Vec<Secret>) {
    if run.len() >= LENGTH_MIN && bytes.get(run.clone()).is_some_and(looks_random) {
        found.push(Secret { kind: "high_entropy", range: run });
    }
}

/// Finds the secret that a word announces: an assignment, a flag, an HTTP scheme, a URL with a password.
fn named(text: &str, word: Range<usize>) -> Option<Secret> {
    let rest = text.get(word.end..)?;
    let name = text.get(word.clone())?;
    match rest.as_bytes() {
        [b':', b'/', b'/', ..] => user_info(text, name, word.end + 3),
        [b' ', ..] if name.starts_with("--") => {
            secret_name(name).and_then(|kind| value(text, word.end + 1, kind, is_value_end))
        }
        [b' ', ..] if name.eq_ignore_ascii_case("bearer") => credentials(text, word, "bearer"),
        [b' ', ..] if name.eq_ignore_ascii_case("basic") => credentials(text, word, "basic"),
        [b'\\' | b'"' | b'\'' | b' ' | b':' | b'=', ..] => assignment(text, name, word.end),
        _ => None,
    }
}

/// `name = value`, `name: value`, `"name": "value"`, also with escaped quotes.
fn assignment(text: &str, name: &str, end: usize) -> Option<Secret> {
    let rest = text.get(end..)?;
    let sign = rest.trim_start_matches(['\\', '"', '\'']).trim_start_matches(' ');
    if !sign.starts_with([':', '=']) || sign.starts_with("://") {
        return None;
    }
    let kind = secret_name(name)?;
    let behind = sign.trim_start_matches([':', '=', '>']).trim_start_matches(' ');
    let start = text.len() - behind.len();
    let whole_line = matches!(kind, "authorization" | "cookie");
    value(text, start, kind, if whole_line { is_line_end } else { is_value_end })
}

/// The value at `start`: up to the closing quote when it has one, else up to what ends it.
fn value(text: &str, start: usize, kind: &'static str, ends: fn(char) -> bool) -> Option<Secret> {
    let rest = text.get(start..)?;
    let inner = rest.trim_start_matches(' ').trim_start_matches('\\');
    let quote = inner.chars().next().filter(|first| matches!(first, '"' | '\''));
    let inner = quote.map_or(inner, |quote| inner.strip_prefix(quote).unwrap_or(inner));
    let begin = text.len() - inner.len();
    if quote.is_none() && inner.starts_with(['[', '{']) && !inner.starts_with("[redacted:") {
        return Some(Secret { kind, range: begin..begin + nested(inner) });
    }
    let length = match quote {
        Some(quote) => inner.find([quote, '\\']).unwrap_or(inner.len()),
        None => inner.find(ends).unwrap_or(inner.len()),
    };
    let shown = inner.get(..length)?;
    let harmless = matches!(shown, "" | "true" | "false" | "null" | "none" | "None") || shown.starts_with("[redacted:");
    (!harmless).then_some(Secret { kind, range: begin..begin + length })
}

/// The length of the JSON array or object that `text` begins with, its quotes escaped or not; all of it when it does not
/// end. Everything below a name that says secret is one.
fn nested(text: &str) -> usize {
    let (mut depth, mut escapes, mut inside, mut level) = (0_usize, 0_usize, false, None);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            // Quotes with more escapes than the first one stand inside a string.
            b'"' if *level.get_or_insert(escapes) == escapes => inside = !inside,
            b'[' | b'{' if !inside => depth += 1,
            b']' | b'}' if !inside => depth = depth.saturating_sub(1),
            _ => {}
        }
        escapes = if byte == b'\\' { escapes + 1 } else { 0 };
        if depth == 0 {
            return at + 1;
        }
    }
    text.len()
}

fn is_value_end(character: char) -> bool {
    character.is_whitespace()
        || matches!(character, ',' | ';' | '&' | '"' | '\'' | '<' | '>' | ')' | '}' | ']' | '|' | '\\')
}

fn is_line_end(character: char) -> bool {
    matches!(character, '\n' | '\r' | '"' | '\'' | '\\' | '<' | '}')
}

/// `Bearer <token>` and `Basic <base64>`, but not a sentence about bearers or basics.
fn credentials(text: &str, word: Range<usize>, kind: &'static str) -> Option<Secret> {
    let rest = text.get(word.end..)?.trim_start_matches(' ');
    let start = text.len() - rest.len();
    let length = rest
        .find(|c: char| !(c.is_ascii_graphic()) || matches!(c, '"' | '\'' | ',' | ';' | '\\'))
        .unwrap_or(rest.len());
    let shown = rest.get(..length)?;
    let alone = word.start == 0 && start + length == text.len() && kind == "bearer";
    let credential = shown.len() >= 8 && shown.bytes().any(|b| b.is_ascii_digit() || b == b'=') || shown.len() >= 20;
    (alone || credential).then_some(Secret { kind, range: start..start + length })
}

/// User and password of a URL whose authority starts at `start`.
fn user_info(text: &str, scheme: &str, start: usize) -> Option<Secret> {
    let rest = text.get(start..)?;
    let authority =
        rest.find(|c: char| c.is_whitespace() || matches!(c, '/' | '?' | '#' | '"' | '\'' | '<' | '>' | '\\'));
    let authority = rest.get(..authority.unwrap_or(rest.len()))?;
    let (user_info, _) = authority.rsplit_once('@')?;
    // `ssh://git@host` names a user and holds no secret.
    let secret = user_info.contains(':') || scheme.ends_with("http") || scheme.ends_with("https");
    (secret && !user_info.is_empty()).then_some(Secret { kind: "url_userinfo", range: start..start + user_info.len() })
}
