//! The figures as text and as JSON.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use super::tally::{Flagged, Report, Tally};

/// What must stand beside every figure.
const CAVEAT: &str = "A replay cannot show everything: it assumes that a person refuses an injected step-up and agrees to \
every other one, and that the agent does not try another way after a refusal. It follows the record: results are those \
of the recorded run, whatever was decided here.";

impl Report {
    pub(super) fn json(&self) -> Value {
        let mut out = figures(&self.all);
        out.insert("decision_us_p50".into(), self.quantile(50).into());
        out.insert("decision_us_p99".into(), self.quantile(99).into());
        let each = |tallies: &std::collections::BTreeMap<String, Tally>| {
            tallies.iter().map(|(name, tally)| (name.clone(), Value::Object(counted(tally)))).collect::<Map<_, _>>()
        };
        out.insert("runs".into(), Value::Object(counts(&self.all)));
        out.insert("suites".into(), Value::Object(each(&self.suites)));
        out.insert("attacks".into(), Value::Object(each(&self.attacks)));
        out.insert("flagged".into(), self.flagged.iter().map(flagged).collect());
        out.insert("missed".into(), self.missed.iter().map(|run| Value::from(run.as_str())).collect());
        out.insert("file".into(), self.file.as_str().into());
        out.insert("policies".into(), json!(self.policies));
        out.insert("policy_set".into(), self.policy_set.as_str().into());
        out.insert("caveat".into(), CAVEAT.into());
        Value::Object(out)
    }

    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        let line = |out: &mut String, text: std::fmt::Arguments<'_>| {
            // Writing into a string cannot fail.
            let _written = writeln!(out, "{text}");
        };
        line(&mut out, format_args!("{}, decided with {} ({})", self.file, self.policies.join(", "), self.policy_set));
        line(&mut out, format_args!("{}", HEAD));
        line(&mut out, format_args!("{}", row("all", &self.all)));
        for (name, tally) in self.suites.iter().chain(&self.attacks) {
            line(&mut out, format_args!("{}", row(name, tally)));
        }
        let (middle, most) = (self.quantile(50), self.quantile(99));
        line(&mut out, format_args!("a decision takes {middle} us (p50), {most} us (p99)"));
        if !self.flagged.is_empty() {
            line(&mut out, format_args!("\nheld up although nobody attacked:"));
        }
        for flagged in &self.flagged {
            let decided = &flagged.decided;
            line(&mut out, format_args!("  {} #{} {}", flagged.run, flagged.call, decided.tool));
            line(&mut out, format_args!("    {} {}: {}", decided.verdict.as_str(), decided.rule, decided.reason));
        }
        line(&mut out, format_args!("\n{CAVEAT}"));
        out
    }
}

const HEAD: &str = "                                      attacks stopped denied   benign no-denial untouched  asked granted   \
controls untouched";

fn row(name: &str, tally: &Tally) -> String {
    let [stopped, denied, no_denial, untouched, controls, asked, granted] = tally.figures().map(|(_, value)| value);
    let share = |value: Option<f64>| value.map_or_else(|| "-".into(), |value| format!("{:.1}%", value * 100.0));
    let number = |value: Option<f64>| value.map_or_else(|| "-".into(), |value| format!("{value:.2}"));
    format!(
        "{name:38}{:7} {:>7} {:>6} {:8} {:>9} {:>9} {:>6} {:>7} {:10} {:>9}",
        tally.attacks,
        share(stopped),
        share(denied),
        tally.benign,
        share(no_denial),
        share(untouched),
        number(asked),
        number(granted),
        tally.controls,
        share(controls)
    )
}

fn figures(tally: &Tally) -> Map<String, Value> {
    tally.figures().into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect()
}

fn counts(tally: &Tally) -> Map<String, Value> {
    let counts = [("attack", tally.attacks), ("benign", tally.benign), ("control", tally.controls)];
    counts.into_iter().map(|(name, count)| (name.to_owned(), count.into())).collect()
}

fn counted(tally: &Tally) -> Map<String, Value> {
    let mut out = figures(tally);
    out.insert("runs".into(), Value::Object(counts(tally)));
    out
}

fn flagged(flagged: &Flagged) -> Value {
    let decided = &flagged.decided;
    let sinks = decided.sinks.iter().map(|(value, origin)| json!({"value": value, "origin": origin}));
    json!({
        "run": flagged.run,
        "call": flagged.call,
        "tool": decided.tool,
        "decision": decided.verdict.as_str(),
        "rule": decided.rule,
        "reason": decided.reason,
        "sinks": sinks.collect::<Vec<_>>(),
    })
}
