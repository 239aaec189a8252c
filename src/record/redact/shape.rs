//! What secrets look like: known prefixes.

/// A secret at the start of a text: its kind and length in bytes.
pub(super) struct Shape {
    pub(super) kind: &'static str,
    pub(super) length: usize,
}

/// The secret that `text` begins with. The byte before `text` must be no letter or digit.
pub(super) fn at_start(text: &[u8]) -> Option<Shape> {
    let shape = |kind, length| Some(Shape { kind, length });
    match text {
        [b'A', b'K' | b'S', b'I', b'A', ..] => {
            run(text, 4, 16, upper_or_digit).and_then(|l| shape("aws_access_key", l))
        }
        [b'A', b'I', b'z', b'a', ..] => run(text, 4, 30, word).and_then(|l| shape("google_api_key", l)),
        [b'g', b'h', b'p' | b'o' | b'u' | b's' | b'r', b'_', ..] => {
            run(text, 4, 20, word).and_then(|l| shape("github_token", l))
        }
        [b'g', ..] if text.starts_with(b"github_pat_") => {
            run(text, 11, 20, word).and_then(|l| shape("github_token", l))
        }
        [b'g', ..] if text.starts_with(b"glpat-") => run(text, 6, 16, word).and_then(|l| shape("gitlab_token", l)),
        [b'h', b'f', b'_', ..] => run(text, 3, 30, word).and_then(|l| shape("api_key", l)),
        [b'n', b'p', b'm', b'_', ..] => run(text, 4, 30, word).and_then(|l| shape("npm_token", l)),
        [b'x', b'o', b'x', b'a' | b'b' | b'e' | b'o' | b'p' | b'r' | b's', b'-' | b'.', ..] => {
            run(text, 5, 10, word_or_dot).and_then(|l| shape("slack_token", l))
        }
        [b'x', ..] if text.starts_with(b"xapp-") => run(text, 5, 10, word).and_then(|l| shape("slack_token", l)),
        [b's' | b'r', b'k', b'_', ..] if live_or_test(text) => {
            run(text, 8, 8, word).and_then(|l| shape("stripe_key", l))
        }
        [b's', b'k', b'-', ..] => {
            // Words joined by hyphens have no digits; keys do.
            run(text, 3, 16, word).filter(|l| has_digit(text.get(..*l))).and_then(|l| shape("api_key", l))
        }
        [b'S', b'G', b'.', ..] => run(text, 3, 30, word_or_dot).and_then(|l| shape("api_key", l)),
        [b'e', b'y', b'J', ..] => json_web_token(text).and_then(|l| shape("jwt", l)),
        [b'-', ..] if text.starts_with(b"-----BEGIN ") => private_key(text).and_then(|l| shape("private_key", l)),
        _ => None,
    }
}

/// Whether a secret shape can begin with this byte.
pub(super) const fn can_start(byte: u8) -> bool {
    matches!(byte, b'A' | b'g' | b'h' | b'n' | b'x' | b's' | b'r' | b'S' | b'e' | b'-')
}

/// The length of `prefix` bytes and the run of allowed bytes behind them, if that run is long enough.
fn run(text: &[u8], prefix: usize, least: usize, allowed: fn(u8) -> bool) -> Option<usize> {
    let behind = text.get(prefix..)?.iter().take_while(|byte| allowed(**byte)).count();
    (behind >= least).then_some(prefix + behind)
}

fn live_or_test(text: &[u8]) -> bool {
    text.get(3..8).is_some_and(|part| part == b"live_" || part == b"test_")
}

fn json_web_token(text: &[u8]) -> Option<usize> {
    let header = run(text, 3, 5, word)?;
    if text.get(header) != Some(&b'.') {
        return None;
    }
    let payload = run(text, header + 1, 4, word)?;
    // The signature may be missing, or empty, in an unsecured token.
    if text.get(payload) == Some(&b'.') { run(text, payload + 1, 0, word_or_dot) } else { Some(payload) }
}

/// A block from `-----BEGIN ... PRIVATE KEY-----` to the end of its last line, or of the text when that is missing.
fn private_key(text: &[u8]) -> Option<usize> {
    const LINE_MAX: usize = 64;
    let line = text.get(..text.len().min(LINE_MAX))?;
    find(line, b"PRIVATE KEY")?;
    let Some(end) = find(text, b"-----END ") else { return Some(text.len()) };
    let tail = text.get(end + 9..)?;
    Some(find(tail, b"-----").map_or(text.len(), |at| end + 9 + at + 5))
}

fn find(text: &[u8], word: &[u8]) -> Option<usize> {
    text.windows(word.len()).position(|window| window == word)
}

fn has_digit(text: Option<&[u8]>) -> bool {
    text.is_some_and(|text| text.iter().any(u8::is_ascii_digit))
}

const fn upper_or_digit(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit()
}

const fn word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

const fn word_or_dot(byte: u8) -> bool {
    word(byte) || byte == b'.'
}
