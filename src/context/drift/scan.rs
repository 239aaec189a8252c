//! A text as words and sentences.
//!
//! A word is a run of letters and digits, in lower case. What stands between two words decides whether they are glued
//! (`mark.black@mail.test` is five words, all glued) and whether a sentence ends there. Characters without width are
//! dropped, so that they cannot take words apart.

/// What a text consists of, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word<'w> {
    /// In lower case.
    pub(super) text: &'w str,
    /// Nothing but joining characters between this word and the one before.
    pub(super) glued: bool,
    /// What begins here.
    pub(super) begins: Begins,
    /// A currency sign stands before it.
    pub(super) money: bool,
    /// It begins with a capital letter.
    pub(super) capital: bool,
    /// The bracket of a tag or heading stands before it.
    pub(super) tagged: bool,
    /// A colon stands before it: the word before is a label.
    pub(super) labelled: bool,
}

/// What begins with a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Begins {
    Nothing,
    /// After a comma, a colon, a bracket or a quote.
    Clause,
    Sentence,
}

/// Calls `visit` for every word.
pub(super) fn words(text: &str, visit: &mut impl FnMut(Word<'_>)) {
    let mut gap = Gap::start();
    let mut word = String::new();
    let mut capital = false;
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        if character.is_alphanumeric() {
            if word.is_empty() {
                capital = character.is_uppercase();
            }
            if character.is_ascii() {
                word.push(character.to_ascii_lowercase());
            } else {
                word.extend(character.to_lowercase());
            }
            continue;
        }
        if is_invisible(character) {
            continue;
        }
        if !word.is_empty() {
            visit(gap.word(&word, capital));
            word.clear();
            gap = Gap::default();
        }
        match character {
            // Escapes that somebody else did not resolve.
            '\\' if matches!(rest.peek(), Some('n' | 'r' | 't')) => {
                rest.next();
                gap.add('\n');
            }
            other => gap.add(other),
        }
    }
    if !word.is_empty() {
        visit(gap.word(&word, capital));
    }
}

const fn is_invisible(character: char) -> bool {
    matches!(character, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
}

/// What stands between two words.
#[derive(Clone, Copy, Debug, Default)]
struct Gap {
    length: usize,
    joiners: usize,
    spaces: usize,
    newlines: usize,
    comma: bool,
    /// A mark that ends a sentence when space follows.
    stop: bool,
    stopped: bool,
    clause: bool,
    markup: bool,
    bullet: bool,
    money: bool,
    tagged: bool,
    colon: bool,
    start: bool,
}

impl Gap {
    fn start() -> Self {
        Self { start: true, ..Self::default() }
    }

    fn add(&mut self, character: char) {
        self.length += 1;
        match character {
            '\n' | '\r' => {
                self.stopped |= self.stop;
                self.newlines += 1;
                self.spaces += 1;
            }
            c if c.is_whitespace() => {
                self.stopped |= self.stop;
                self.spaces += 1;
            }
            '.' | '?' | '!' => {
                self.stop = true;
                self.joiners += 1;
            }
            ';' => self.stopped = true,
            '<' => (self.markup, self.tagged) = (true, true),
            '>' | '|' | '{' | '}' | '`' => self.markup = true,
            '*' | '\u{2022}' => self.bullet = true,
            '-' => {
                self.bullet |= self.newlines > 0;
                self.joiners += 1;
            }
            ':' => {
                (self.clause, self.colon) = (true, true);
                self.joiners += 1;
            }
            ',' => {
                self.clause = true;
                self.comma = true;
            }
            '#' => {
                self.tagged = true;
                self.joiners += 1;
            }
            '_' | '/' | '@' | '+' | '%' | '=' | '&' | '~' | '\'' | '\u{2019}' | '\\' => self.joiners += 1,
            '$' | '\u{20ac}' | '\u{a3}' | '\u{a5}' => self.money = true,
            '[' => (self.clause, self.tagged) = (true, true),
            '(' | '"' | '\u{201c}' | '\u{2014}' => self.clause = true,
            _ => {}
        }
    }

    fn word<'w>(&self, text: &'w str, capital: bool) -> Word<'w> {
        let joined = self.length > 0 && self.joiners == self.length && self.length <= 4;
        let number = self.comma && self.length == 1 && text.bytes().all(|b| b.is_ascii_digit());
        let digit = text.bytes().next().is_some_and(|b| b.is_ascii_digit());
        let line = self.newlines > 1 || (self.newlines == 1 && (capital || digit || self.bullet || self.clause));
        let begins = if self.start || self.stopped || self.markup || line {
            Begins::Sentence
        } else if self.clause && self.spaces > 0 || self.clause && !joined && !number {
            Begins::Clause
        } else {
            Begins::Nothing
        };
        Word {
            text,
            glued: !self.start && (joined || number) && !self.markup,
            begins,
            money: self.money,
            capital,
            tagged: self.tagged,
            labelled: self.colon,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let mut shown = String::new();
        words(text, &mut |word| {
            shown.push_str(match (word.begins, word.glued) {
                (Begins::Sentence, _) => " | ",
                (Begins::Clause, _) => " , ",
                (Begins::Nothing, true) => "+",
                (Begins::Nothing, false) => " ",
            });
            shown.push_str(word.text);
        });
        shown.trim().to_owned()
    }

    #[test]
    fn takes_texts_apart() {
        for (text, expected) in [
            ("Send it to Mark.Black-2@x.test.", "| send it to mark+black+2+x+test"),
            ("See https://a.test/b?c=1. Then go", "| see https+a+test+b+c+1 | then go"),
            ("the file with ID '13' from", "| the file with id 13 from"),
            ("first:\nCreate a\n file", "| first | create a file"),
            ("one\n\ntwo\n- three\nFour", "| one | two | three | four"),
            ("1,200 and a,b", "| 1+200 and a , b"),
            ("<b>do</b> it", "| b | do | b | it"),
            ("pass\u{200b}word d\u{ad}on't", "| password don+t"),
            ("raw\\nnext", "| raw next"),
            ("", ""),
        ] {
            assert_eq!(shown(text), expected, "{text:?}");
        }
    }
}
