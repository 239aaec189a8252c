//! JSON, and what programming languages print for their values: `{'a': [1, None]}`, `Point(x=1)`.

use std::borrow::Cow;

use super::{Form, Leaves, NESTING_MAX};

/// Deepest nesting that is followed.
const DEPTH_MAX: usize = 64;

/// Reads `text` if it is one such value from the first letter to the last. Otherwise nothing is added.
pub(super) fn read<'t>(text: &'t str, out: &mut Leaves<'t>, nesting: u8) -> bool {
    let opens = |c: char| matches!(c, '{' | '[');
    let begins = text.starts_with(opens) || is_constructor(text);
    if !begins || !text.ends_with(['}', ']', ')']) {
        return false;
    }
    let (length, record) = (out.leaves.len(), out.record);
    let mut reader = Reader { text, at: 0, out, nesting };
    let whole = reader.value(0).is_some() && reader.rest().trim().is_empty();
    if !whole {
        out.leaves.truncate(length);
        out.record = record;
    }
    whole
}

/// `Name(`
fn is_constructor(text: &str) -> bool {
    text.split_once('(').is_some_and(|(name, _)| !name.is_empty() && is_name(name))
}

fn is_name(text: &str) -> bool {
    text.len() <= 64 && text.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '.')
}

struct Reader<'o, 't> {
    text: &'t str,
    at: usize,
    out: &'o mut Leaves<'t>,
    nesting: u8,
}

impl<'t> Reader<'_, 't> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&mut self) -> Option<char> {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
        self.rest().chars().next()
    }

    fn eat(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.at += wanted.len_utf8();
        }
        found
    }

    fn value(&mut self, depth: usize) -> Option<()> {
        if depth > DEPTH_MAX {
            return None;
        }
        match self.peek()? {
            '{' => {
                self.at += 1;
                self.out.next_record();
                self.members('}', depth)
            }
            '[' => {
                self.at += 1;
                self.elements(']', depth)
            }
            '(' => {
                self.at += 1;
                self.elements(')', depth)
            }
            '\'' | '"' => {
                let text = self.quoted()?;
                self.text(text);
                Some(())
            }
            _ => self.bare(depth),
        }
    }

    fn members(&mut self, close: char, depth: usize) -> Option<()> {
        let record = self.out.record;
        loop {
            if self.eat(close) {
                return Some(());
            }
            // A set, or the key of a map: either way a value that somebody put there.
            let begun = self.out.leaves.len();
            self.value(depth + 1)?;
            if self.eat(':') {
                self.out.record = record;
                // Keys are names of columns as a rule; one with a space or a sign in it is data.
                let is_name =
                    self.out.leaves.get(begun).is_none_or(|key| {
                        is_name(&key.text) && key.text.chars().next().is_some_and(char::is_lowercase)
                    });
                if is_name {
                    self.out.leaves.truncate(begun);
                }
                self.value(depth + 1)?;
                self.out.record = record;
            }
            if !self.eat(',') {
                return self.eat(close).then_some(());
            }
        }
    }

    fn elements(&mut self, close: char, depth: usize) -> Option<()> {
        let record = self.out.record;
        loop {
            if self.eat(close) {
                return Some(());
            }
            let begun = self.at;
            self.value(depth + 1)?;
            // `name=value` inside a constructor.
            if self.eat('=') {
                let _named = begun;
                self.out.leaves.pop();
                self.value(depth + 1)?;
            }
            if close == ')' {
                self.out.record = record.max(1);
            }
            if !self.eat(',') {
                return self.eat(close).then_some(());
            }
        }
    }

    /// A number, a word, a constructor.
    fn bare(&mut self, depth: usize) -> Option<()> {
        let rest = self.rest();
        let end = rest.find([',', ']', '}', ')', '(', ':', '=', '\n', '\'', '"']).unwrap_or(rest.len());
        let word = rest.get(..end)?.trim();
        if word.is_empty() {
            return None;
        }
        self.at += end;
        if rest.get(end..)?.starts_with('(') && is_name(word) {
            self.at += 1;
            self.out.next_record();
            return self.elements(')', depth + 1);
        }
        // Times without quotes: `10:20:00`.
        let rest = self.rest();
        let digits = |text: &str| text.bytes().next().is_some_and(|b| b.is_ascii_digit());
        if digits(word) && rest.starts_with(':') && rest.get(1..).is_some_and(digits) {
            let end = rest.find([',', ']', '}', ')']).unwrap_or(rest.len());
            self.at += end;
        }
        if !matches!(word, "null" | "None" | "nil" | "undefined") {
            self.out.push(Cow::Borrowed(word), Form::Field);
        }
        Some(())
    }

    fn quoted(&mut self) -> Option<Cow<'t, str>> {
        let quote = self.peek()?;
        let inner = self.rest().get(1..)?;
        let mut escaped = false;
        let mut has_escapes = false;
        for (index, c) in inner.char_indices() {
            match c {
                _ if escaped => escaped = false,
                '\\' => (escaped, has_escapes) = (true, true),
                c if c == quote => {
                    self.at += index + 2;
                    let text = inner.get(..index)?;
                    return Some(if has_escapes { Cow::Owned(unescape(text)) } else { Cow::Borrowed(text) });
                }
                _ => {}
            }
        }
        None
    }

    fn text(&mut self, text: Cow<'t, str>) {
        let opens = text.trim_start().starts_with(['{', '[']);
        if opens && self.nesting < NESTING_MAX {
            // A value that was printed into a text.
            let mut inner = Leaves { leaves: Vec::new(), record: self.out.record + 1 };
            let owned = text.clone().into_owned();
            let mut found = Vec::new();
            if read(owned.trim(), &mut inner, self.nesting + 1) {
                let last = inner.record;
                found.extend(inner.leaves.into_iter().map(|leaf| (leaf.text.into_owned(), leaf.record, leaf.form)));
                for (text, record, form) in found {
                    self.out.record = record;
                    self.out.push(Cow::Owned(text), form);
                }
                self.out.record = last + 1;
                return;
            }
        }
        self.out.push(text, Form::Field);
    }
}

/// Resolves the escapes that JSON, Python, JavaScript and YAML share.
pub(super) fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match rest.next() {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r' | 'b' | 'f') => {}
            Some('u') => out.extend(code(&mut rest, 4)),
            Some('x') => out.extend(code(&mut rest, 2)),
            Some('U') => out.extend(code(&mut rest, 8)),
            Some(other) => out.push(other),
            None => {}
        }
    }
    out
}

fn code(rest: &mut std::str::Chars<'_>, digits: usize) -> Option<char> {
    let mut ahead = rest.clone();
    let value = (0..digits).try_fold(0u32, |value, _| Some(value << 4 | ahead.next()?.to_digit(16)?))?;
    *rest = ahead;
    char::from_u32(value)
}
