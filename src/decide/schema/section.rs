//! Reads the maps of a policy: every key is either used or reported.

use super::error::{Problems, advise};
use super::yaml::{Key, Node, Yaml};

/// One map of a policy file, with which of its keys were used.
pub(super) struct Section<'n> {
    entries: Vec<(&'n Key, &'n Node, bool)>,
    /// What the map is, for messages: `rule`, `match`.
    what: &'static str,
}

impl<'n> Section<'n> {
    /// `None` after a problem was added: the value is no map.
    pub(super) fn open(node: &'n Node, what: &'static str, problems: &mut Problems<'_>) -> Option<Self> {
        let Yaml::Map(entries) = &node.value else {
            problems.add(node.line, format!("`{what}` is {}", node.value.kind()), "write a map of keys and values");
            return None;
        };
        Some(Self { entries: entries.iter().map(|(key, value)| (key, value, false)).collect(), what })
    }

    /// The value of a key.
    pub(super) fn take(&mut self, name: &str) -> Option<&'n Node> {
        let entry = self.entries.iter_mut().find(|(key, _, _)| key.name == name)?;
        entry.2 = true;
        Some(entry.1)
    }

    /// Whether there is such a key.
    pub(super) fn has(&self, name: &str) -> bool {
        self.entries.iter().any(|(key, _, _)| key.name == name)
    }

    /// The value of a key that has aliases. Two of them at once are a problem: which one was meant?
    pub(super) fn take_one(&mut self, names: &[&str], problems: &mut Problems<'_>) -> Option<&'n Node> {
        let mut found: Option<&'n Node> = None;
        for name in names {
            let Some(node) = self.take(name) else { continue };
            if found.is_some() {
                problems.add(node.line, format!("{} mean the same", quoted(names)), "keep one of them");
            }
            found = Some(node);
        }
        found
    }

    /// The entries that were not used yet, which now are.
    pub(super) fn take_rest(&mut self) -> Vec<(&'n Key, &'n Node)> {
        let rest = self.entries.iter_mut().filter(|entry| !entry.2);
        rest.map(|entry| {
            entry.2 = true;
            (entry.0, entry.1)
        })
        .collect()
    }

    /// Reports every key that nobody used. `later` names keys of AARM that are known and not supported, with what to
    /// do instead.
    pub(super) fn close(self, known: &[&str], later: &[(&str, &str)], problems: &mut Problems<'_>) {
        for (key, _, _) in self.entries.iter().filter(|entry| !entry.2) {
            unknown_key(key, self.what, known, later, problems);
        }
    }
}

/// Reports a key that does not belong here.
pub(super) fn unknown_key(key: &Key, what: &str, known: &[&str], later: &[(&str, &str)], problems: &mut Problems<'_>) {
    let name = &key.name;
    match later.iter().find(|(later, _)| later == name) {
        Some((_, advice)) => problems.add(key.line, format!("`{name}` is not supported in `{what}`"), *advice),
        None => problems.add(key.line, format!("unknown key `{name}` in `{what}`"), advise(name, known)),
    }
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" and ")
}

/// A text; numbers and truth values are not quietly taken for one.
pub(super) fn text<'n>(node: &'n Node, what: &str, problems: &mut Problems<'_>) -> Option<&'n str> {
    let text = node.as_text().filter(|text| !text.is_empty());
    if text.is_none() {
        problems.add(
            node.line,
            format!("`{what}` is {}", node.value.kind()),
            "write a text, quoted if it looks like something else",
        );
    }
    text
}

/// A text or a list of texts.
pub(super) fn texts<'n>(node: &'n Node, what: &str, problems: &mut Problems<'_>) -> Vec<&'n str> {
    if node.elements().is_empty() {
        problems.add(node.line, format!("`{what}` is an empty list"), "name at least one, or leave the key out");
    }
    node.elements().iter().filter_map(|element| text(element, what, problems)).collect()
}

/// true or false.
pub(super) fn flag(node: &Node, what: &str, problems: &mut Problems<'_>) -> Option<bool> {
    match node.value {
        Yaml::Flag(flag) => Some(flag),
        _ => {
            problems.add(node.line, format!("`{what}` is {}", node.value.kind()), "write true or false");
            None
        }
    }
}

/// One of a few words. Case counts.
pub(super) fn word<T: Copy>(node: &Node, what: &str, words: &[(&str, T)], problems: &mut Problems<'_>) -> Option<T> {
    let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    let found = node.as_text().and_then(|text| words.iter().find(|(word, _)| *word == text));
    if found.is_none() {
        let shown = node.as_text().unwrap_or(node.value.kind());
        let upper = shown.to_uppercase();
        let advice = match known.iter().find(|word| word.to_uppercase() == upper) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => advise(shown, &known),
        };
        problems.add(node.line, format!("`{what}` cannot be `{shown}`"), advice);
    }
    found.map(|(_, value)| *value)
}

/// A time span: whole seconds, or a number with `s`, `m` or `h`. At most a week.
pub(super) fn seconds(node: &Node, what: &str, problems: &mut Problems<'_>) -> Option<u32> {
    const WEEK_S: u32 = 7 * 86_400;
    let value = match &node.value {
        Yaml::Integer(number) => u32::try_from(*number).ok(),
        Yaml::Text(text) => [("s", 1), ("m", 60), ("h", 3_600)]
            .iter()
            .find_map(|(unit, factor)| text.strip_suffix(unit)?.parse::<u32>().ok()?.checked_mul(*factor)),
        _ => None,
    };
    let value = value.filter(|seconds| (1..=WEEK_S).contains(seconds));
    if value.is_none() {
        problems.add(
            node.line,
            format!("`{what}` is not a time span"),
            "write whole seconds, or a number with s, m or h; at most a week",
        );
    }
    value
}
