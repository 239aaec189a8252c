//! `policy learn`: a policy proposed from what agents did. It is printed; nobody but a person puts it into force.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::recorded::{Place, Recorded};

#[derive(Args, Debug)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// The id of the proposed policy.
    #[arg(long, default_value = "learned")]
    id: String,
}

/// Most different values of a parameter that are listed one by one.
const VALUES_MAX: usize = 8;
/// Parameters of one tool that are looked at.
const PARAMETERS_MAX: usize = 32;

/// What one agent did with one operation.
#[derive(Debug, Default)]
struct Seen {
    count: u64,
    /// By hour, for the rate.
    hours: BTreeMap<String, u64>,
    parameters: BTreeMap<String, Domain>,
}

/// The values of one parameter.
#[derive(Debug, Default)]
struct Domain {
    count: u64,
    texts: BTreeSet<String>,
    /// More than [`VALUES_MAX`] texts, or values that are neither text nor number.
    open: bool,
    low: Option<f64>,
    high: Option<f64>,
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    let mut seen: BTreeMap<(String, String, String), Seen> = BTreeMap::new();
    let (mut total, mut refused) = (0_u64, 0_u64);
    for recorded in arguments.place.decisions()? {
        total += 1;
        // What was refused is not taken for what should be allowed; in shadow nothing was refused.
        if recorded.text("/decision/result") == "DENY"
            && recorded.predicate.pointer("/decision/enforced") == Some(&Value::Bool(true))
        {
            refused += 1;
            continue;
        }
        let agent = recorded.text("/identity/agent/id/value").to_owned();
        let key =
            (agent, recorded.text("/action/native/server").to_owned(), recorded.text("/action/operation").to_owned());
        seen.entry(key).or_default().add(&recorded);
    }
    print!("{}", proposal(&arguments.id, &seen, total, refused));
    Ok(ExitCode::SUCCESS)
}

impl Seen {
    fn add(&mut self, recorded: &Recorded) {
        self.count += 1;
        let hour = recorded.text("/action/received").get(..13).unwrap_or_default().to_owned();
        *self.hours.entry(hour).or_default() += 1;
        let Some(Value::Object(members)) = recorded.arguments() else { return };
        for (name, value) in members {
            let room = self.parameters.len() < PARAMETERS_MAX;
            if room || self.parameters.contains_key(&name) {
                self.parameters.entry(name).or_default().add(&value);
            }
        }
    }
}

impl Domain {
    fn add(&mut self, value: &Value) {
        self.count += 1;
        match value {
            Value::String(text) if text.len() <= 80 => {
                self.texts.insert(text.clone());
            }
            Value::Number(number) => {
                let number = number.as_f64();
                self.low = self.low.into_iter().chain(number).reduce(f64::min);
                self.high = self.high.into_iter().chain(number).reduce(f64::max);
            }
            _ => self.open = true,
        }
        self.open |= self.texts.len() > VALUES_MAX;
    }

    /// The condition that all values fit, if one can be said; seen often enough to be more than chance.
    fn condition(&self) -> Option<String> {
        if self.open || self.count < 3 {
            return None;
        }
        match (self.texts.is_empty(), self.low, self.high) {
            (false, None, None) => {
                let texts: Vec<String> = self.texts.iter().map(|text| Value::from(text.as_str()).to_string()).collect();
                Some(format!("{{ exists: true, in: [{}] }}", texts.join(", ")))
            }
            (true, Some(low), Some(high)) => Some(format!("{{ exists: true, gte: {low}, lte: {high} }}")),
            _ => None,
        }
    }
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

fn proposal(id: &str, seen: &BTreeMap<(String, String, String), Seen>, total: u64, refused: u64) -> String {
    let mut out = String::new();
    let mut line = |text: String| out.push_str(&(text + "\n"));
    line(format!(
        "# Proposed from {total} recorded actions ({refused} refused ones left out). Nothing applies it: read it, narrow it,"
    ));
    line("# give it tests, and put it in force in shadow first. What is not here is refused by the default.".into());
    line("policy:".into());
    line(format!("  id: {}", quoted(id)));
    line("  version: \"proposal\"".into());
    line("  mode: shadow".into());
    line("rules:".into());
    if seen.is_empty() {
        line("  []".into());
    }
    for (number, ((agent, server, operation), seen)) in seen.iter().enumerate() {
        let busiest = seen.hours.values().max().copied().unwrap_or(1);
        line(format!("  # {} times, at most {busiest} in an hour", seen.count));
        line(format!(
            "  - id: {}",
            quoted(&format!("{server}.{operation}.{}", number + 1).chars().take(120).collect::<String>())
        ));
        line("    match:".into());
        line(format!("      server: {}", quoted(server)));
        line(format!("      operation: {}", quoted(operation)));
        if !agent.is_empty() {
            line(format!("      identity: {{ agent: {} }}", quoted(agent)));
        }
        let conditions: Vec<(String, String)> =
            seen.parameters.iter().filter_map(|(name, domain)| Some((name.clone(), domain.condition()?))).collect();
        if !conditions.is_empty() {
            line("      parameters:".into());
            for (name, condition) in conditions {
                let path = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
                line(format!("        {}: {condition}", quoted(&path)));
            }
        }
        line("    action: ALLOW".into());
        line(format!(
            "  - id: {}",
            quoted(&format!("{server}.{operation}.{}.rate", number + 1).chars().take(120).collect::<String>())
        ));
        line(format!("    match: {{ server: {}, operation: {} }}", quoted(server), quoted(operation)));
        line(format!("    constraints: {{ rate: {{ max: {}, window: 1h }} }}", busiest.saturating_mul(2).max(10)));
        line("    action: STEP_UP".into());
        line("    reason: \"More often than was ever seen\"".into());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::{PolicySet, PolicySource, Settings};

    #[test]
    fn what_is_proposed_loads() {
        let mut seen = BTreeMap::new();
        let mut one = Seen { count: 5, ..Seen::default() };
        for value in [serde_json::json!("a\"b"), "c".into(), "a\"b".into()] {
            one.parameters.entry("to/~x".into()).or_default().add(&value);
            one.parameters.entry("n".into()).or_default().add(&serde_json::json!(1.5));
        }
        seen.insert(("agent: \"x\"".to_owned(), "mail".to_owned(), "send #1".to_owned()), one);
        for seen in [seen, BTreeMap::new()] {
            let text = proposal("learned", &seen, 5, 0);
            let source = PolicySource { name: "learned.yaml".into(), text };
            PolicySet::compile(std::slice::from_ref(&source), &Settings::default())
                .unwrap_or_else(|errors| panic!("{errors}\n{}", source.text));
        }
    }
}
