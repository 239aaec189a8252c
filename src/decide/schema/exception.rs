//! `exceptions`: rules that are taken out for a while.

use std::sync::Arc;

use super::error::{Problems, advise};
use super::matching;
use super::rule::identifier;
use super::section::{self, Section};
use super::yaml::Node;
use super::{Phase, Rule};
use crate::decide::condition::{Condition, Reading};
use crate::decide::exception::Exception;
use crate::decide::names::Scope;
use crate::model::{Classification, Timestamp, Verdict};

const KEYS: &[&str] = &["id", "rules", "rule", "match", "scope", "owner", "ticket", "expires", "reason"];

/// Reads the list.
pub(super) fn read(node: &Node, rules: &[Rule], problems: &mut Problems<'_>) -> Vec<Exception> {
    let read: Vec<Exception> = node.elements().iter().filter_map(|node| one(node, rules, problems)).collect();
    for (at, exception) in read.iter().enumerate() {
        if read.iter().take(at).any(|other| other.id == exception.id) {
            let what = format!("exception `{}` stands twice", exception.id);
            problems.add(exception.line, what, "give every exception an id of its own: receipts name it");
        }
    }
    read
}

fn one(node: &Node, rules: &[Rule], problems: &mut Problems<'_>) -> Option<Exception> {
    let mut section = Section::open(node, "exception", problems)?;
    let id = section.take("id").and_then(|node| identifier(node, "exception.id", problems));
    let named = section.take_one(&["rules", "rule"], problems);
    let place = section.take_one(&["match", "scope"], problems);
    for key in ["owner", "ticket"] {
        match section.take(key) {
            Some(node) => drop(section::text(node, key, problems)),
            None => problems.add(
                node.line,
                format!("an exception has no `{key}`"),
                "say who answers for it, and where it was agreed",
            ),
        }
    }
    let expires = section.take("expires");
    if let Some(node) = section.take("reason") {
        section::text(node, "reason", problems);
    }
    section.close(KEYS, &[], problems);
    if id.is_none() {
        problems.add(node.line, "an exception has no `id`", "give it one: receipts name it");
    }
    let expires = match expires {
        Some(node) => moment(node, problems),
        None => {
            problems.add(node.line, "an exception has no `expires`", "every exception ends: `expires: 2026-12-31`");
            None
        }
    };
    let (scope, condition) = match place {
        Some(node) => matching::block(node, "match", Reading::Narrow, problems),
        None => {
            problems.add(
                node.line,
                "an exception has no `match`",
                "say for whom or what it is, as narrowly as you can",
            );
            (Scope::default(), Condition::always())
        }
    };
    let rules = named.map(|node| excepted(node, rules, problems)).unwrap_or_default();
    if rules.is_empty() {
        problems.add(node.line, "an exception names no rule", "write `rules:` with ids of rules of this file");
    }
    Some(Exception { id: id?, line: node.line, rules, scope, condition, expires: expires? })
}

/// The named rules: there, restricting, and not forbidden.
fn excepted(node: &Node, rules: &[Rule], problems: &mut Problems<'_>) -> Vec<Arc<str>> {
    let mut found = Vec::new();
    for text in section::texts(node, "rules", problems) {
        let Some(rule) = rules.iter().find(|rule| &*rule.id == text) else {
            let ids: Vec<&str> = rules.iter().map(|rule| &*rule.id).collect();
            problems.add(node.line, format!("no rule `{text}` in this file"), advise(text, &ids));
            continue;
        };
        let problem = if rule.classification == Classification::Forbidden {
            Some("is forbidden, whatever the context")
        } else if rule.action == Verdict::Allow {
            Some("allows")
        } else if rule.phase == Phase::Result {
            Some("is about results")
        } else {
            None
        };
        match problem {
            Some(problem) => {
                let what = format!("there can be no exception from `{text}`, which {problem}");
                problems.add(node.line, what, "exceptions are for rules that refuse, ask, suspend or change");
            }
            None => found.push(Arc::clone(&rule.id)),
        }
    }
    found
}

/// A date, which ends with the day (UTC), or a moment.
fn moment(node: &Node, problems: &mut Problems<'_>) -> Option<Timestamp> {
    let text = node.as_text().unwrap_or_default();
    let day = Timestamp::parse(&format!("{text}T00:00:00Z")).map(|day| day.plus_micros(86_400_000_000));
    let found = day.or_else(|| Timestamp::parse(text));
    if found.is_none() {
        problems.add(node.line, "`expires` is no moment", "write a date like 2026-12-31, or 2026-12-31T18:00:00Z");
    }
    found
}
