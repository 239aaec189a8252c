//! Reading a text that is much like one that was read: the entries of a log differ in a few values each.

use super::scanner::{self, Node};
use super::{Document, Kind};

/// A text that was read by comparing it with another.
#[derive(Debug)]
pub struct Alike {
    /// What [`super::scan`] would have given.
    pub document: Document,
    /// The places of the values that are written otherwise, ascending. None of them holds others.
    pub changed: Vec<usize>,
}

/// Reads `text` where it differs from `known`, a text and what scanning it gave, in nothing but strings, numbers and truth
/// values. `None` when it differs in more, which [`super::scan`] reads, or is not JSON, of which that says why.
#[must_use]
pub fn scan_alike(text: &str, (known, document): (&str, &Document)) -> Option<Alike> {
    // Every offset fits.
    u32::try_from(text.len()).ok()?;
    let (from, to) = (known.as_bytes(), text.as_bytes());
    let mut shifts = Shifts { known: &document.nodes, nodes: Vec::with_capacity(document.nodes.len()), by: Vec::new() };
    let (mut at, mut changed) = ((0, 0), Vec::new());
    loop {
        let same = common_prefix(from.get(at.0..)?, to.get(at.1..)?);
        at = (at.0 + same, at.1 + same);
        if at == (from.len(), to.len()) {
            break;
        }
        shifts.pass(at.0);
        // What differs begins within a value or at its end, or is more than a value.
        let node = shifts.next().filter(|node| node.start as usize <= at.0 && !node.kind.holds_others())?;
        let start = shifts.shifted(node.start) as usize;
        let end = scanner::scalar(text, start, node.kind)?;
        if known.get(node.start as usize..node.end as usize) != text.get(start..end) {
            changed.push(shifts.nodes.len());
        }
        at = (node.end as usize, end);
        shifts.push(u32::try_from(end).ok()?);
    }
    shifts.pass(usize::MAX);
    Some(Alike { document: Document { nodes: shifts.ended() }, changed })
}

/// The known values, moved to where they stand in the other text.
struct Shifts<'a> {
    known: &'a [Node],
    nodes: Vec<Node>,
    /// By how much what follows each of `nodes` is moved, modulo 2^32.
    by: Vec<u32>,
}

impl<'a> Shifts<'a> {
    fn next(&self) -> Option<&'a Node> {
        self.known.get(self.nodes.len())
    }

    fn shifted(&self, offset: u32) -> u32 {
        offset.wrapping_add(self.by.last().copied().unwrap_or_default())
    }

    /// Takes over the values that ended before `end`, and the lists and objects that began before it.
    fn pass(&mut self, end: usize) {
        while let Some(node) = self.next() {
            let behind = if node.kind.holds_others() { node.start } else { node.end };
            if behind as usize >= end {
                break;
            }
            self.push(self.shifted(node.end));
        }
    }

    /// Takes over the next value, which ends at `end` in the other text.
    fn push(&mut self, end: u32) {
        let Some(node) = self.next() else { return };
        let start = self.shifted(node.start);
        let (key_start, key_end) = (self.key(node.key_start, node), self.key(node.key_end, node));
        // Those that hold others end behind the last of them: see `ended`.
        let by = if node.kind.holds_others() { self.shifted(0) } else { end.wrapping_sub(node.end) };
        self.nodes.push(Node { start, end, key_start, key_end, ..*node });
        self.by.push(by);
    }

    /// An offset of the value's name, if it has one.
    fn key(&self, offset: u32, node: &Node) -> u32 {
        if node.key_end == 0 { 0 } else { self.shifted(offset) }
    }

    fn ended(mut self) -> Vec<Node> {
        for (node, known) in self.nodes.iter_mut().zip(self.known) {
            if node.kind.holds_others() {
                let last = (node.next as usize).checked_sub(1).and_then(|last| self.by.get(last));
                node.end = known.end.wrapping_add(last.copied().unwrap_or_default());
            }
        }
        self.nodes
    }
}

impl Kind {
    const fn holds_others(self) -> bool {
        matches!(self, Self::Array | Self::Object)
    }
}

/// How many bytes are the same from the start on.
fn common_prefix(one: &[u8], other: &[u8]) -> usize {
    const STEP: usize = 32;
    let steps = one.chunks_exact(STEP).zip(other.chunks_exact(STEP));
    let same = steps.take_while(|(one, other)| one == other).count() * STEP;
    let (one, other) = (one.get(same..).unwrap_or_default(), other.get(same..).unwrap_or_default());
    same + one.iter().zip(other).take_while(|(one, other)| one == other).count()
}

#[cfg(test)]
mod tests {
    use super::super::{Limits, scan};
    use super::*;

    const KNOWN: &str = concat!(
        r#"{"action":{"id":"a-17","ok":true,"args":"{\"x\":[1,2]}","size":120},"empty":{},"list":[1,-2.5e3,[],"#,
        r#"[null,"z"],{"a":"","b":false}],"time":"2026-01-02T03:04:05Z","ü":"ö"} "#
    );

    /// What comparing gives must be what scanning gives.
    fn check(text: &str, known: &str) -> bool {
        let (_, before) = scan(known.as_bytes(), Limits::default()).unwrap();
        let scanned = scan(text.as_bytes(), Limits::default()).map(|(_, document)| document);
        let Some(alike) = scan_alike(text, (known, &before)) else { return false };
        let scanned = scanned.unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(alike.document.nodes, scanned.nodes, "{text}");
        let differs = |place: &usize| {
            let (old, new) = (before.at(known, *place), scanned.at(text, *place));
            !new.kind().holds_others() && old.text() != new.text()
        };
        assert_eq!(alike.changed, (0..scanned.len()).filter(differs).collect::<Vec<_>>(), "{text}");
        true
    }

    #[test]
    fn what_comparing_gives_is_what_scanning_gives() {
        assert!(check(KNOWN, KNOWN));
        let (mut read, mut left) = (0, 0);
        let inserted = [
            "\"",
            "\\",
            "\\\"",
            "0",
            "5",
            "-",
            ".",
            "e1",
            "a",
            "long text",
            ",",
            ":",
            "{",
            "}",
            "[",
            "]",
            " ",
            "\n",
            "\u{1}",
            "null",
            "true",
            "ü",
            "\\u00e9",
            "\\ud800",
        ];
        for at in 0..KNOWN.len() {
            for length in 0..5 {
                let (Some(before), Some(behind)) = (KNOWN.get(..at), KNOWN.get(at + length..)) else { continue };
                for insertion in inserted.iter().chain(&[""]) {
                    let text = format!("{before}{insertion}{behind}");
                    if check(&text, KNOWN) { read += 1 } else { left += 1 }
                }
            }
        }
        assert!(read > 3_000 && left > 3_000, "{read} {left}");
    }

    #[test]
    fn values_of_the_same_kind_may_differ_and_no_others() {
        let known = r#"{"a":1,"b":"x","c":true,"d":[{"e":null,"f":"y"}]}"#;
        for (text, is_alike) in [
            (r#"{"a":22,"b":"longer","c":false,"d":[{"e":null,"f":""}]}"#, true),
            (r#"{"a":-0.1,"b":"\"}","c":true,"d":[{"e":null,"f":"\u00e9"}]}"#, true),
            (r#"{"a":1,"b":null,"c":true,"d":[{"e":null,"f":"y"}]}"#, false),
            (r#"{"a":1,"b":"x","c":null,"d":[{"e":null,"f":"y"}]}"#, false),
            (r#"{"a":1,"b":"x","c":true,"d":[{"e":null,"f":"y"},1]}"#, false),
            (r#"{"a":1,"b":"x","c":true,"d":[]}"#, false),
            (r#"{"a":1,"z":"x","c":true,"d":[{"e":null,"f":"y"}]}"#, false),
            (r#"{"a":1,"b":"x","c":true,"d":[{"e":null,"f":"y"}]"#, false),
            (r#"{"a":1,"b":"x","c":true,"d":[{"e":null,"f":"y"}]}}"#, false),
            ("", false),
        ] {
            assert_eq!(check(text, known), is_alike, "{text}");
        }
    }
}
