//! The notation of YAML, labels, lists of short lines, and prose.

use std::borrow::Cow;

use super::{Form, Leaves, NESTING_MAX, literal};

/// Words in a label before a colon.
const LABEL_WORDS_MAX: usize = 5;
/// Words behind a label that still make a field.
const VALUE_WORDS_MAX: usize = 12;
/// Words in a line that still make an item of a list.
const ITEM_WORDS_MAX: usize = 6;

/// Reads `text` if it looks like YAML: its first line is an item or a label, and labels or items are what it has.
pub(super) fn read<'t>(text: &'t str, out: &mut Leaves<'t>, depth: u8) -> bool {
    if depth > NESTING_MAX || !looks_like_yaml(text) {
        return false;
    }
    let mut reader = Yaml { out, open: None, dash: None };
    for line in text.lines() {
        reader.line(line);
    }
    reader.close();
    true
}

fn looks_like_yaml(text: &str) -> bool {
    let Some(first) = text.lines().find(|line| !line.trim().is_empty()) else { return false };
    let first = first.trim_start_matches(['<', '`', ' ']);
    if first.starts_with("- ") {
        // A list of bullets in prose has sentences; items of data begin with a label or are short.
        let item = first.get(2..).unwrap_or_default().trim_start();
        return label(item).is_some()
            || item.starts_with(['\'', '"', '-'])
            || item.split_whitespace().count() <= ITEM_WORDS_MAX;
    }
    let Some((name, _)) = label(first) else { return false };
    if name.contains(' ') {
        return false;
    }
    let top: Vec<&str> =
        text.lines().filter(|line| !line.starts_with([' ', '\t']) && !line.trim().is_empty()).collect();
    let fitting = top.iter().filter(|line| label(line).is_some() || line.starts_with("- ")).count();
    top.len() >= 2 && fitting == top.len()
}

/// `label: value` as (label, value).
fn label(text: &str) -> Option<(&str, &str)> {
    let (name, rest) = text.split_once(':')?;
    let fits = !name.is_empty()
        && name.len() <= 60
        && name.split_whitespace().count() <= LABEL_WORDS_MAX
        && !name.starts_with(['\'', '"', '<', '#'])
        && name.chars().all(|c| c.is_alphanumeric() || " _-./()@'&#".contains(c));
    (fits && (rest.is_empty() || rest.starts_with([' ', '\n', '\t']))).then_some((name.trim(), rest.trim()))
}

/// A value that goes on over lines.
struct Open {
    text: String,
    style: Style,
    /// Lines that are indented more belong to it.
    indent: usize,
    blank: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Block,
    Double,
    Plain,
    Single,
}

struct Yaml<'o, 't> {
    out: &'o mut Leaves<'t>,
    open: Option<Open>,
    /// Indentation of the dash of the current record.
    dash: Option<usize>,
}

impl<'t> Yaml<'_, 't> {
    fn line(&mut self, line: &'t str) {
        let trimmed = line.trim();
        let indent = line.len() - line.trim_start().len();
        if let Some(open) = &mut self.open {
            if trimmed.is_empty() {
                open.blank += 1;
                return;
            }
            let goes_on = match open.style {
                Style::Single | Style::Double => true,
                Style::Block | Style::Plain => indent > open.indent,
            };
            if goes_on {
                open.add(trimmed);
                if open.is_complete() {
                    self.close();
                }
                return;
            }
            self.close();
        }
        if !trimmed.is_empty() {
            self.item(trimmed, indent);
        }
    }

    fn item(&mut self, mut text: &'t str, mut indent: usize) {
        let mut dashed = None;
        while let Some(rest) = text.strip_prefix("- ").or_else(|| (text == "-").then_some("")) {
            dashed.get_or_insert(indent);
            let inner = rest.trim_start();
            indent += text.len() - inner.len();
            text = inner;
        }
        match (label(text), dashed) {
            (Some((_, value)), dashed) => {
                if let Some(dash) = dashed {
                    self.out.next_record();
                    self.dash = Some(dash);
                }
                self.value(value, indent);
            }
            (None, Some(dash)) => self.value(text, dash),
            (None, None) => self.value(text, indent),
        }
    }

    fn value(&mut self, text: &'t str, indent: usize) {
        let style = match text.chars().next() {
            None => return,
            Some('\'') => Style::Single,
            Some('"') => Style::Double,
            Some('|' | '>') if text.len() <= 2 => Style::Block,
            _ => Style::Plain,
        };
        let mut open = Open { text: String::new(), style, indent, blank: 0 };
        match style {
            Style::Block => {}
            _ => open.text.push_str(text),
        }
        if matches!(style, Style::Single | Style::Double) && open.is_complete() {
            self.open = Some(open);
            return self.close();
        }
        self.open = Some(open);
    }

    fn close(&mut self) {
        let Some(open) = self.open.take() else { return };
        let text = match open.style {
            Style::Single => open.text.trim_matches('\'').replace("''", "'"),
            Style::Double => {
                let inner = open.text.strip_prefix('"').unwrap_or(&open.text);
                literal::unescape(inner.strip_suffix('"').unwrap_or(inner))
            }
            Style::Block | Style::Plain => open.text,
        };
        let text = text.trim();
        if text.starts_with(['{', '[']) {
            let mut inner = Leaves { leaves: Vec::new(), record: self.out.record };
            if literal::read(text, &mut inner, 1) {
                for leaf in inner.leaves {
                    self.out.push(Cow::Owned(leaf.text.into_owned()), leaf.form);
                }
                return;
            }
        }
        self.out.push(Cow::Owned(text.to_owned()), Form::Field);
    }
}

impl Open {
    fn add(&mut self, line: &str) {
        let folded = self.style == Style::Double && self.text.ends_with('\\');
        if folded {
            self.text.pop();
        } else if self.text.is_empty() {
        } else if self.blank > 0 {
            // One blank line is a line break, as YAML folds.
            self.text.extend(std::iter::repeat_n('\n', self.blank));
        } else {
            self.text.push(if self.style == Style::Block { '\n' } else { ' ' });
        }
        self.blank = 0;
        self.text.push_str(line);
    }

    /// Whether the closing quote has come.
    fn is_complete(&self) -> bool {
        let (Some(quote), inner) = (self.text.chars().next(), self.text.get(1..).unwrap_or_default()) else {
            return true;
        };
        match self.style {
            Style::Single => {
                let trailing = inner.len() - inner.trim_end_matches('\'').len();
                quote == '\'' && trailing % 2 == 1
            }
            Style::Double => {
                let backslashes = inner.strip_suffix('"').map(|rest| rest.len() - rest.trim_end_matches('\\').len());
                quote == '"' && backslashes.is_some_and(|count| count % 2 == 0)
            }
            Style::Block | Style::Plain => false,
        }
    }
}

/// Running text, with the labels and short lines in it as fields.
pub(super) fn prose<'t>(text: &'t str, out: &mut Leaves<'t>) {
    for line in text.lines() {
        let trimmed = line.trim().trim_start_matches(['-', '*', '\u{2022}']).trim_start();
        if !trimmed.is_empty() {
            out.next_record();
            fields_of(trimmed, out);
        }
    }
    // The whole once more as running text: sentences go over lines.
    out.push(Cow::Borrowed(text), Form::Text);
}

fn fields_of<'t>(line: &'t str, out: &mut Leaves<'t>) {
    let pairs: Vec<&'t str> = line.split(", ").collect();
    if pairs.len() > 1 && pairs.iter().all(|pair| label(pair).is_some()) {
        for pair in pairs {
            field(label(pair).map_or(pair, |(_, value)| value), out);
        }
        return;
    }
    match label(line) {
        Some((_, value)) if is_short(value, VALUE_WORDS_MAX) => field(value, out),
        Some(_) => {}
        None if is_short(line, ITEM_WORDS_MAX) => field(line, out),
        None => {}
    }
}

fn field<'t>(value: &'t str, out: &mut Leaves<'t>) {
    out.push(Cow::Borrowed(value), Form::Line);
    let items: Vec<&'t str> = value.split(", ").collect();
    if items.len() > 1 && items.iter().all(|item| is_short(item, 4)) {
        items.into_iter().for_each(|item| out.push(Cow::Borrowed(item), Form::Line));
    }
}

/// No sentence: few words, and no stop at the end or inside.
fn is_short(text: &str, words: usize) -> bool {
    let ends_sentence = text.ends_with(['!', '?', ',', ';', ':']) || (text.ends_with('.') && text.contains(' '));
    (1..=words).contains(&text.split_whitespace().take(words + 1).count()) && !ends_sentence && !text.contains(". ")
}
