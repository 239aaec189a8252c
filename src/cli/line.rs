//! One line a call, for whoever watches a terminal, and the summary at the end.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::mediate::Observer;
use crate::model::{Call, Decision, Enforcement, Identity, Verdict};
use crate::record::redact;

/// Prints decisions to standard error.
pub(super) struct Lines {
    colour: bool,
    calls: AtomicU64,
    against: AtomicU64,
    shadow: AtomicU64,
}

impl Lines {
    pub(super) fn new() -> Self {
        let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self { colour, calls: AtomicU64::new(0), against: AtomicU64::new(0), shadow: AtomicU64::new(0) }
    }

    /// What is said at the end: how many calls there were, and how many were or would have been refused.
    pub(super) fn summary(&self) -> String {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (calls, against, shadow) = (load(&self.calls), load(&self.against), load(&self.shadow));
        let refused = against.saturating_sub(shadow);
        match (shadow, refused) {
            (0, refused) => format!("{refused} of {calls} calls were refused"),
            (shadow, 0) => format!("{shadow} of {calls} calls would have been refused; --enforce turns it on"),
            (shadow, refused) => {
                format!("{refused} of {calls} calls were refused, {shadow} would have been")
            }
        }
    }
}

impl Observer for Lines {
    fn decided(&self, call: &Call, identity: &Identity, decision: &Decision) {
        let against = matches!(decision.verdict, Verdict::Deny | Verdict::StepUp | Verdict::Defer);
        let shadow = decision.enforcement == Enforcement::Shadow;
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.against.fetch_add(u64::from(against), Ordering::Relaxed);
        self.shadow.fetch_add(u64::from(against && shadow), Ordering::Relaxed);
        let time = call.action.received.to_string();
        let time = time.get(11..19).unwrap_or_default();
        let who = identity.agent.as_ref().map_or("nobody verified", |agent| &agent.id.value);
        let what = format!("{}.{}", call.action.tool, printable(&redact::text(&call.action.operation).text));
        let verdict = self.paint(decision.verdict);
        let note = if shadow && against { " (shadow: forwarded)" } else { "" };
        let line =
            format!("{time}  {verdict}  {what}  [{who}]  {}{note}\n", printable(&redact::text(&decision.reason).text));
        // A terminal that cannot be written to must not stop a call.
        let _written = std::io::stderr().lock().write_all(line.as_bytes());
    }
}

impl Lines {
    fn paint(&self, verdict: Verdict) -> String {
        let word = format!("{:<7}", verdict.as_str());
        if !self.colour {
            return word;
        }
        let code = match verdict {
            Verdict::Allow => 32,
            Verdict::Deny => 31,
            Verdict::Modify => 36,
            Verdict::Defer | Verdict::StepUp => 33,
        };
        format!("\x1b[{code}m{word}\x1b[0m")
    }
}

/// Names come from agents and servers: control characters must not reach a terminal.
pub(super) fn printable(text: &str) -> String {
    text.chars()
        .take(300)
        .flat_map(|c| if c.is_control() { c.escape_default().collect::<Vec<_>>() } else { vec![c] })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_move_the_cursor() {
        assert_eq!(printable("a\x1b[2Jb\n"), "a\\u{1b}[2Jb\\n");
    }
}
