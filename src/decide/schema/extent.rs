//! What a rule says about time, order and amount: hours, sequences, rates and budgets.

use super::error::{Problems, advise};
use super::matching;
use super::section::{self, Section};
use super::value::level;
use super::yaml::{Node, Yaml};
use crate::decide::clock::{self, Hours};
use crate::decide::condition::{Condition, Leaf, Quantifier, Test};
use crate::decide::field::Field;
use crate::decide::limit::Limit;
use crate::decide::names::Scope;
use crate::decide::number::{Comparison, Number};
use crate::decide::path::Path;
use crate::decide::sequence::{STEPS_MAX, Sequence, Step};

/// Most actions that `within` may look back on: what a session remembers word by word (AARM ).
const ACTIONS_MAX: i64 = 100;

/// `time: {zone: Europe/Berlin, days: [mon, tue], from: "08:00", to: "18:00"}`.
pub(super) fn hours(node: &Node, problems: &mut Problems<'_>) -> Condition {
    let Some(mut section) = Section::open(node, "time", problems) else { return Condition::always() };
    let zone = match section.take("zone") {
        Some(node) => section::text(node, "time.zone", problems).and_then(|text| {
            let zone = clock::zone(text);
            if zone.is_none() {
                let advice = "write a zone like Europe/Berlin, UTC, or an offset like +02:00";
                problems.add(node.line, format!("`{text}` is no time zone"), advice);
            }
            zone
        }),
        None => {
            problems.add(node.line, "`time` has no `zone`", "say where it is that late: Europe/Berlin, UTC or +02:00");
            None
        }
    };
    let days = section.take("days").map(|node| days(node, problems));
    let mut minute = |name: &'static str, otherwise| {
        let Some(node) = section.take(name) else { return Some(otherwise) };
        let found = node.as_text().and_then(clock::time_of_day);
        if found.is_none() {
            problems.add(node.line, format!("`time.{name}` is no time of the day"), "write \"08:30\", in quotes");
        }
        found
    };
    let (from, to) = (minute("from", 0), minute("to", clock::DAY_MIN));
    section.close(&["zone", "days", "from", "to"], &[], problems);
    let (Some(zone), Some(from), Some(to)) = (zone, from, to) else { return Condition::always() };
    let days = days.unwrap_or_else(|| DAYS.iter().filter_map(|day| clock::day(day)).collect());
    Condition::Hours(Box::new(Hours { zone, days, from, to }))
}

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

fn days(node: &Node, problems: &mut Problems<'_>) -> Vec<jiff::civil::Weekday> {
    let mut days = Vec::new();
    for text in section::texts(node, "time.days", problems) {
        match clock::day(text) {
            Some(day) => days.push(day),
            None => problems.add(node.line, format!("`{text}` is no day"), advise(text, &DAYS)),
        }
    }
    days
}

/// `sequence: {steps: [{tool: ...}, ...], within: {actions: 20, seconds: 600}}`, or only the list.
pub(super) fn sequence(node: &Node, problems: &mut Problems<'_>) -> Condition {
    let (steps, within) = match &node.value {
        Yaml::List(_) => (Some(node), None),
        _ => {
            let Some(mut section) = Section::open(node, "sequence", problems) else { return Condition::always() };
            let parts = (section.take("steps"), section.take("within"));
            section.close(&["steps", "within"], &[], problems);
            parts
        }
    };
    let steps = match steps {
        Some(node) if (1..=STEPS_MAX).contains(&node.elements().len()) => node.elements(),
        other => {
            let line = other.unwrap_or(node).line;
            let advice = format!("list 1 to {STEPS_MAX} earlier actions, oldest first; this action comes after them");
            problems.add(line, "`sequence` has no steps", advice);
            return Condition::always();
        }
    };
    let (mut actions, mut seconds) = (None, None);
    if let Some(node) = within
        && let Some(mut section) = Section::open(node, "within", problems)
    {
        if let Some(node) = section.take("actions") {
            actions = whole(node, "within.actions", ACTIONS_MAX, problems);
        }
        if let Some(node) = section.take_one(&["seconds", "time"], problems) {
            seconds = section::seconds(node, "within.seconds", problems);
        }
        section.close(&["actions", "seconds", "time"], &[], problems);
    }
    let steps = steps.iter().filter_map(|node| step(node, problems)).collect();
    Condition::Sequence(Box::new(Sequence { steps, actions, seconds }))
}

fn step(node: &Node, problems: &mut Problems<'_>) -> Option<Step> {
    let mut scope = Scope::default();
    if let Some(text) = node.as_text() {
        scope.tool.add(text);
        return Some(Step { scope, level: None });
    }
    let mut section = Section::open(node, "step", problems)?;
    let wanted = section.take("level").and_then(|node| {
        let found = node.as_text().and_then(level);
        if found.is_none() {
            problems.add(node.line, "`level` is no level", "write PUBLIC, INTERNAL, CONFIDENTIAL or RESTRICTED");
        }
        found
    });
    for (key, value) in section.take_rest() {
        matching::place(&mut scope, key, value, "step", problems);
    }
    Some(Step { scope, level: wanted })
}

/// `rate: {max: 10, window: 1h}` and `budget: {sum: amount, max: 1000, window: 24h}`.
pub(super) fn limit(node: &Node, what: &str, problems: &mut Problems<'_>) -> Condition {
    let section = Section::open(node, if what == "rate" { "rate" } else { "budget" }, problems);
    let Some(mut section) = section else { return Condition::always() };
    let amount = section.take("sum");
    let (max, window) = (section.take("max"), section.take("window"));
    let known: &[&str] = if what == "rate" { &["max", "window"] } else { &["sum", "max", "window"] };
    let advice = if what == "rate" {
        "write `rate: {max: 10, window: 1h}`"
    } else {
        "write `budget: {sum: amount, max: 1000, window: 24h}`"
    };
    let window = window.and_then(|node| section::seconds(node, "window", problems));
    let bound = max.and_then(|node| match node.value {
        Yaml::Integer(number) if number >= 0 => Some(Number::Integer(i128::from(number))),
        Yaml::Float(number) if number >= 0.0 => Some(Number::Float(number)),
        _ => None,
    });
    let amount = match (what, amount) {
        ("budget", Some(node)) => section::text(node, "sum", problems).and_then(|text| {
            let name = text.strip_prefix("parameters.").unwrap_or(text);
            Path::parse(name).map_err(|problem| problems.add(node.line, problem, advice)).ok()
        }),
        _ => None,
    };
    section.close(known, &[], problems);
    let (Some(window_s), Some(bound)) = (window, bound) else {
        problems.add(node.line, format!("`{what}` is not complete"), advice);
        return Condition::always();
    };
    if what == "budget" && amount.is_none() {
        problems.add(node.line, "`budget` names no parameter to add up", advice);
        return Condition::always();
    }
    Condition::Is(Box::new(Leaf {
        label: what.into(),
        field: Field::Meter(Box::new(Limit { window_s, amount })),
        test: Test::Compare(Comparison::LessOrEqual, bound),
        quantifier: Quantifier::All,
        fold_case: false,
    }))
}

/// A whole number from 1 to `max`.
pub(super) fn whole(node: &Node, what: &str, max: i64, problems: &mut Problems<'_>) -> Option<u32> {
    let found = match node.value {
        Yaml::Integer(number) if (1..=max).contains(&number) => u32::try_from(number).ok(),
        _ => None,
    };
    if found.is_none() {
        problems.add(
            node.line,
            format!("`{what}` is no number of its kind"),
            format!("write a number from 1 to {max}"),
        );
    }
    found
}
