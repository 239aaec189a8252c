//! The demo on a terminal: at most 40 lines of at most 100 columns.
//!
//! Colour only supports what a word already says, and only where the caller asks for it.

use std::fmt::Write as _;

use serde_json::Value;

use super::agent::Teller;
use super::expect::{Expectation, standings};
use super::facts::{Decided, Facts};

/// Columns of a line.
pub(super) const WIDTH: usize = 100;
const CALL_WIDTH: usize = 32;
const WORD_WIDTH: usize = 8;
/// Where the reasons begin: behind the number, the call and two words.
const WHY_COLUMN: usize = 3 + CALL_WIDTH + 2 * WORD_WIDTH;
const LABEL_WIDTH: usize = 10;
/// Columns of what the verifier says about the spoilt copy: with what stands before it, two lines.
const FAULT_WIDTH: usize = 86;

/// What is shown of the event in OCSF. The whole of it is in `--json`.
const SHOWN: [&str; 7] = ["class_uid", "class_name", "severity", "action", "disposition", "message", "resources"];
/// Columns of what is shown of the event in CEF: two lines.
const CEF_WIDTH: usize = 180;

/// Whether words are coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colour {
    Off,
    On,
}

/// Where the demo left something, and what to say about it.
#[derive(Clone, Debug)]
pub(super) struct Left<'a> {
    /// The directory.
    pub(super) directory: &'a std::path::Path,
    /// Everything is still there, not the check alone.
    pub(super) all: bool,
}

/// The whole text.
pub(super) fn story(facts: &Facts, expectations: &[Expectation], left: &Left<'_>, colour: Colour) -> String {
    let mut page = Page { text: String::new(), colour };
    page.line("One task, one poisoned mail, played twice: without Countersign and with it. All on this machine.");
    page.line("");
    calls(&mut page, facts);
    evidence(&mut page, facts);
    event(&mut page, facts);
    own_server(&mut page);
    ending(&mut page, facts, expectations, left);
    page.text
}

fn calls(page: &mut Page, facts: &Facts) {
    page.line(&format!("   {:CALL_WIDTH$}{:WORD_WIDTH$}{:WORD_WIDTH$}why", "call", "without", "with"));
    let mut injected = false;
    for (number, step) in facts.with.steps.iter().enumerate() {
        if step.teller == Teller::InjectedText && !injected {
            page.line("   and what the mail told it to do:");
            injected = true;
        }
        let call = fit(&format!("{} {}", step.order.name(), step.order.summary), CALL_WIDTH - 1);
        let before = if facts.without.effects.harmful_calls.contains(&number) { "HARM" } else { "ran" };
        let decided = facts.decisions.get(number);
        let verdict = decided.map_or("?", |decided| decided.verdict.as_str());
        let why = wrap(&decided.map(reason).unwrap_or_default(), WIDTH - WHY_COLUMN);
        let (before, verdict) = (page.word(before), page.word(verdict));
        let first = why.first().map(String::as_str).unwrap_or_default();
        page.line(&format!("{:>2} {call:CALL_WIDTH$}{before}{verdict}{first}", number + 1));
        for more in why.iter().skip(1) {
            page.line(&format!("{:WHY_COLUMN$}{more}", ""));
        }
    }
    page.line(&format!("   a payment the user wants: {}", waited(facts)));
    let plural = |count: usize| if count == 1 { "effect" } else { "effects" };
    let (before, after) = (facts.without.effects.harms.len(), facts.with.effects.harms.len());
    let finished = if facts.with.effects.answered { "the task itself finished" } else { "the task did not finish" };
    page.line(&format!("   {before} harmful {} → {after}; {finished}", plural(before)));
}

/// What became of the payment that waited for a person.
fn waited(facts: &Facts) -> String {
    let ran = match facts.with.effects.paid {
        0 => "did not run".to_owned(),
        1 => "then ran once".to_owned(),
        more => format!("then ran {more} times"),
    };
    format!("STEP_UP, waits; {} by a person; {ran}", facts.waited.answer)
}

/// Why, and for what waits for people: that it does.
fn reason(decided: &Decided) -> String {
    match decided.verdict.as_str() {
        "DEFER" | "STEP_UP" => format!("waits: {}", decided.reason),
        _ => decided.reason.clone(),
    }
}

fn evidence(page: &mut Page, facts: &Facts) {
    page.line("");
    page.line("The log: every decision signed and on disk before anything else happens");
    let restart = &facts.restart;
    page.labelled(
        "killed",
        &format!(
            "SIGKILL, started again in {} ms: {} of {} entries recovered",
            restart.ready_ms,
            restart.recovered,
            restart.known.len()
        ),
    );
    let verified = &facts.verified;
    page.labelled("verified", &format!("{} entries: {}", verified.entries, standings(verified)));
    let tampered = &facts.tampered;
    let named = tampered.verified.named.map_or_else(|| "no entry".to_owned(), |index| format!("entry {index}"));
    let said = format!("the verifier names {named}: {}", fit(&tampered.verified.fault, FAULT_WIDTH));
    page.labelled("tampered", &format!("one bit of entry {} flipped in a copy; {said}", tampered.index));
    page.labelled("yourself", &format!("entry {}, with openssl alone:", facts.check.index));
    for line in facts.check.command.lines() {
        page.line(&format!("   {line}"));
    }
}

fn event(page: &mut Page, facts: &Facts) {
    page.line("");
    page.line("The refused mail, as SIEMs get it, in OCSF and in CEF (shortened; all of it is in --json)");
    let shown = |name: &&str| format!("\"{name}\":{}", facts.ocsf.get(*name).unwrap_or(&Value::Null));
    let members: Vec<String> = SHOWN.iter().map(shown).collect();
    for line in wrap(&format!("{{{},…}}", members.join(",")), WIDTH - 4) {
        page.line(&format!("   {line}"));
    }
    for line in wrap(&fit(&facts.cef, CEF_WIDTH), WIDTH - 4) {
        page.line(&format!("   {line}"));
    }
}

fn own_server(page: &mut Page) {
    page.line("");
    page.line("Your own server, first only watched (shadow mode), and the line it prints for your client:");
    for line in super::OWN_SERVER {
        page.line(&format!("   {line}"));
    }
}

fn ending(page: &mut Page, facts: &Facts, expectations: &[Expectation], left: &Left<'_>) {
    page.line("");
    let failed: Vec<&Expectation> = expectations.iter().filter(|expectation| !expectation.held).collect();
    for expectation in &failed {
        let _written =
            writeln!(page.text, "{}{} (found: {})", page.word("FAILED"), expectation.name, expectation.found);
    }
    let held = expectations.len() - failed.len();
    let seconds = format!("{}.{} s", facts.took_ms / 1_000, facts.took_ms % 1_000 / 100);
    page.line(&format!("{held} of {} expectations held, in {seconds}.", expectations.len()));
    let what = if left.all { "Everything is" } else { "The files of the openssl check are" };
    page.line(&format!("{what} in {}", left.directory.display()));
}

struct Page {
    text: String,
    colour: Colour,
}

impl Page {
    fn line(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    /// A label and its text, continued on further lines where it is long.
    fn labelled(&mut self, label: &str, text: &str) {
        for (number, line) in wrap(text, WIDTH - 3 - LABEL_WIDTH).iter().enumerate() {
            let label = if number == 0 { label } else { "" };
            self.line(&format!("   {label:LABEL_WIDTH$}{line}"));
        }
    }

    /// A word in its column, coloured by what it means.
    fn word(&self, word: &str) -> String {
        let padded = format!("{word:WORD_WIDTH$}");
        let code = match word {
            "ALLOW" => "32",
            "DENY" | "FAILED" | "HARM" => "31",
            "DEFER" | "STEP_UP" => "33",
            "MODIFY" => "36",
            _ => return padded,
        };
        if self.colour == Colour::On { format!("\u{1b}[{code}m{padded}\u{1b}[0m") } else { padded }
    }
}

/// At most `width` characters, the last an ellipsis where something is left out.
fn fit(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// Lines of at most `width` characters, broken after spaces and commas where there are any.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for piece in text.split_inclusive([' ', ',']) {
        let mut piece = piece.to_owned();
        while !piece.is_empty() {
            let used = lines.last().map_or(0, |line| line.chars().count());
            let length = piece.trim_end().chars().count();
            if used + length <= width {
                if let Some(line) = lines.last_mut() {
                    line.push_str(&piece);
                }
                break;
            }
            if used == 0 {
                let rest = piece.chars().skip(width).collect();
                if let Some(line) = lines.last_mut() {
                    line.extend(piece.chars().take(width));
                }
                piece = rest;
            }
            lines.push(String::new());
        }
    }
    lines.iter().map(|line| line.trim_end().to_owned()).filter(|line| !line.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_in_wrapping() {
        for width in [1, 3, 7, 40] {
            let text = "{\"a\":1,\"averylongwordindeed\":2} and, some words";
            let lines = wrap(text, width);
            assert!(lines.iter().all(|line| line.chars().count() <= width), "{width}: {lines:?}");
            let joined: String = lines.concat();
            assert_eq!(joined.replace(' ', ""), text.replace(' ', ""), "{width}");
        }
        assert_eq!(fit("abcdef", 4), "abc…");
        assert_eq!(fit("abcd", 4), "abcd");
    }
}
