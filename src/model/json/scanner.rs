//! The scanner behind [`scan`].

use std::ops::Range;

use super::view::{self, Kind};
use super::{Document, View, names};

/// Bounds on a document. Both protect the reader that comes after this one as much as this one.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Deepest nesting of arrays and objects.
    pub depth_max: usize,
    /// Most values in one document: 40 bytes of memory each.
    pub values_max: usize,
}

impl Default for Limits {
    /// 64 levels, the depth at which the strictest common JSON readers stop; 262,144 values, about 10 MiB of notes.
    fn default() -> Self {
        Self { depth_max: 64, values_max: 262_144 }
    }
}

/// Why a text is refused. Offsets are in bytes from the start of the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// A member name stands twice in one object.
    #[error("duplicate member `{name}` at byte {offset}")]
    Duplicate {
        /// The name, unescaped and shortened.
        name: String,
        /// Where the second one starts.
        offset: usize,
    },
    /// A string holds something strings may not hold.
    #[error("invalid string at byte {0}")]
    InvalidString(usize),
    /// Not UTF-8.
    #[error("invalid UTF-8 at byte {0}")]
    InvalidUtf8(usize),
    /// Something other than what the grammar allows here.
    #[error("unexpected {found} at byte {offset}")]
    Unexpected {
        /// What stands there.
        found: &'static str,
        /// Where.
        offset: usize,
    },
    /// Nested deeper than [`Limits::depth_max`].
    #[error("nested deeper than {0} levels")]
    TooDeep(usize),
    /// The text is longer than 4 GiB or holds more values than [`Limits::values_max`].
    #[error("more than {0} values")]
    TooMany(usize),
    /// Bytes behind the top-level value.
    #[error("bytes after the end of the document at byte {0}")]
    Trailing(usize),
}

/// One value of a document. Offsets into the text; `next` is the index of the first node behind this value's subtree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) start: u32,
    pub(super) end: u32,
    /// The member name with its quotes; empty for array elements and the top-level value.
    pub(super) key_start: u32,
    pub(super) key_end: u32,
    pub(super) next: u32,
}

/// Checks `text` and notes where its values stand.
///
/// # Errors
/// [`JsonError`]: the first thing in the text that is not strict JSON, or a limit passed.
pub fn scan(text: &[u8], limits: Limits) -> Result<(&str, Document), JsonError> {
    let text = std::str::from_utf8(text).map_err(|error| JsonError::InvalidUtf8(error.valid_up_to()))?;
    if u32::try_from(text.len()).is_err() {
        return Err(JsonError::TooMany(limits.values_max));
    }
    let mut scanner = Scanner {
        text,
        at: 0,
        nodes: Vec::with_capacity((text.len() / 16).clamp(16, 1_024)),
        open: Vec::new(),
        limits,
    };
    scanner.run()?;
    Ok((text, Document { nodes: scanner.nodes }))
}

/// Where the value at `start` ends, if it is one of that kind, and none that holds others.
pub(super) fn scalar(text: &str, start: usize, kind: Kind) -> Option<usize> {
    let mut scanner = Scanner { text, at: start, nodes: Vec::new(), open: Vec::new(), limits: Limits::default() };
    if scanner.kind()? != kind {
        return None;
    }
    match kind {
        Kind::Array | Kind::Object => return None,
        Kind::Bool | Kind::Null => scanner.literal().ok()?,
        Kind::Number => scanner.number().ok()?,
        Kind::String => {
            scanner.string().ok()?;
        }
    }
    Some(scanner.at)
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
    nodes: Vec<Node>,
    /// The arrays and objects that are not closed yet, outermost first.
    open: Vec<Open>,
    limits: Limits,
}

/// An array or object that is not closed yet.
struct Open {
    /// Its place among the nodes.
    index: usize,
    /// The name of its last member, with its quotes.
    key: Range<usize>,
    /// Whether each name so far stands, as it is written, behind the one before it in the order of bytes and none is
    /// escaped: then no name stands twice. Canonical JSON (RFC 8785) always is that way.
    ascending: bool,
}

impl Scanner<'_> {
    fn run(&mut self) -> Result<(), JsonError> {
        self.skip_space();
        self.value(0..0)?;
        while let Some(parent) = self.open.last().map(|open| open.index) {
            self.skip_space();
            let kind = self.nodes.get(parent).map_or(Kind::Null, |node| node.kind);
            let first = self.nodes.len() == parent + 1;
            match (self.peek(), kind) {
                (Some(b'}'), Kind::Object) | (Some(b']'), Kind::Array) => self.close(parent)?,
                (Some(b','), _) if !first => {
                    self.at += 1;
                    self.skip_space();
                    self.member_or_element(kind)?;
                }
                _ if first => self.member_or_element(kind)?,
                _ => return Err(self.unexpected()),
            }
        }
        self.skip_space();
        if self.at < self.text.len() { Err(JsonError::Trailing(self.at)) } else { Ok(()) }
    }

    fn member_or_element(&mut self, parent: Kind) -> Result<(), JsonError> {
        if parent != Kind::Object {
            return self.value(0..0);
        }
        if self.peek() != Some(b'"') {
            return Err(self.unexpected());
        }
        let (key, escaped) = self.string()?;
        self.note_name(key.clone(), escaped);
        self.skip_space();
        if self.peek() != Some(b':') {
            return Err(self.unexpected());
        }
        self.at += 1;
        self.skip_space();
        self.value(key)
    }

    /// What begins here.
    fn kind(&self) -> Option<Kind> {
        Some(match self.peek()? {
            b'{' => Kind::Object,
            b'[' => Kind::Array,
            b'"' => Kind::String,
            b'-' | b'0'..=b'9' => Kind::Number,
            b't' | b'f' => Kind::Bool,
            b'n' => Kind::Null,
            _ => return None,
        })
    }

    fn note_name(&mut self, key: Range<usize>, escaped: bool) {
        let text = self.text.as_bytes();
        if let Some(object) = self.open.last_mut() {
            object.ascending &= !escaped && text.get(object.key.clone()) < text.get(key.clone());
            object.key = key;
        }
    }

    fn value(&mut self, key: Range<usize>) -> Result<(), JsonError> {
        let start = self.at;
        let kind = self.kind().ok_or_else(|| self.unexpected())?;
        match kind {
            Kind::Array | Kind::Object => self.at += 1,
            Kind::Bool | Kind::Null => self.literal()?,
            Kind::Number => self.number()?,
            Kind::String => {
                self.string()?;
            }
        }
        if self.nodes.len() >= self.limits.values_max {
            return Err(JsonError::TooMany(self.limits.values_max));
        }
        let index = self.nodes.len();
        self.nodes.push(Node {
            kind,
            start: offset(start),
            end: offset(self.at),
            key_start: offset(key.start),
            key_end: offset(key.end),
            next: offset(index + 1),
        });
        if matches!(kind, Kind::Array | Kind::Object) {
            if self.open.len() >= self.limits.depth_max {
                return Err(JsonError::TooDeep(self.limits.depth_max));
            }
            self.open.push(Open { index, key: 0..0, ascending: true });
        }
        Ok(())
    }

    fn close(&mut self, index: usize) -> Result<(), JsonError> {
        self.at += 1;
        let ascending = self.open.pop().is_some_and(|open| open.ascending);
        let (end, next) = (offset(self.at), offset(self.nodes.len()));
        if let Some(node) = self.nodes.get_mut(index) {
            node.end = end;
            node.next = next;
        }
        if ascending { Ok(()) } else { names::no_duplicates(View::new(self.text, &self.nodes, index)) }
    }

    fn literal(&mut self) -> Result<(), JsonError> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let length = [&b"true"[..], b"false", b"null"].iter().find(|word| rest.starts_with(word)).map(|w| w.len());
        let Some(length) = length else { return Err(self.unexpected()) };
        self.at += length;
        Ok(())
    }

    fn number(&mut self) -> Result<(), JsonError> {
        self.skip_if(b'-');
        if !self.skip_if(b'0') {
            self.digits()?;
        }
        if self.skip_if(b'.') {
            self.digits()?;
        }
        if self.skip_if(b'e') || self.skip_if(b'E') {
            if !self.skip_if(b'+') {
                self.skip_if(b'-');
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { Err(self.unexpected()) } else { Ok(()) }
    }

    /// Reads a string and returns its span with the quotes, and whether anything in it is escaped.
    fn string(&mut self) -> Result<(Range<usize>, bool), JsonError> {
        let start = self.at;
        let mut escaped = false;
        self.at += 1;
        loop {
            self.at += plain(self.text.as_bytes().get(self.at..).unwrap_or_default());
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.at += 2;
                }
                Some(0..=0x1f) | None => return Err(JsonError::InvalidString(self.at.min(self.text.len()))),
                Some(_) => self.at += 1,
            }
        }
        self.at += 1;
        let inner = self.text.get(start + 1..self.at - 1).ok_or(JsonError::InvalidString(start))?;
        if escaped && !view::can_unescape(inner) {
            return Err(JsonError::InvalidString(start));
        }
        Ok((start..self.at, escaped))
    }

    fn skip_if(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn unexpected(&self) -> JsonError {
        let found = match self.peek() {
            None => "end of text",
            Some(0xef) if self.text.get(self.at..).is_some_and(|rest| rest.starts_with('\u{feff}')) => {
                "byte order mark"
            }
            Some(b'"' | b'\'') => "string",
            Some(b'{' | b'}' | b'[' | b']') => "bracket",
            Some(b',' | b':') => "punctuation",
            Some(b'0'..=b'9' | b'-' | b'+' | b'.') => "number",
            Some(_) => "character",
        };
        JsonError::Unexpected { found, offset: self.at }
    }
}

/// How many bytes at the start of `text` are no quote, no backslash and no control character, in steps of eight: most
/// bytes of a call and of its answer stand in strings.
fn plain(text: &[u8]) -> usize {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    // The high bit of a byte that is zero; bytes behind the first such one may be marked too.
    let zero = |word: u64| word.wrapping_sub(EACH) & !word & HIGH;
    let mut at = 0;
    for chunk in text.chunks_exact(8) {
        let word = chunk.first_chunk().copied().map_or(0, u64::from_le_bytes);
        let control = word.wrapping_sub(EACH * 0x20) & !word & HIGH;
        let found = control | zero(word ^ (EACH * 0x22)) | zero(word ^ (EACH * 0x5c));
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    at
}

/// The length of the text was checked to fit, so every offset does; the saturation can never be reached.
fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_bytes_are_skipped_and_no_others() {
        for byte in 0..=u8::MAX {
            let special = byte < 0x20 || matches!(byte, b'"' | b'\\');
            for at in 0..24 {
                let mut text = [b'a', 0xff, 0x80, 0x7f, 0x20, 0x21, 0x23, 0x5d].repeat(3);
                text[at] = byte;
                assert_eq!(plain(&text), if special { at } else { 24 }, "{byte:#x} at {at}");
            }
        }
        assert_eq!(plain(b"shorter"), 0);
    }
}
