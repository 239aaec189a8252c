//! What people are told: enough to know whether to look now, and no arguments: chats and mailboxes are no place for
//! them.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::approve::{Request, Source};
use crate::model::{ApprovalId, Severity, Timestamp};

/// Longest part of a message, characters.
const PART_CHARS_MAX: usize = 300;

/// Longest arguments that stand in a message, bytes: Slack takes 3,000 characters.
const ARGUMENTS_BYTES_MAX: usize = 2_500;

/// Why people are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::approve) enum Occasion {
    /// It waits.
    Asked,
    /// Nobody answered for a while.
    Escalated,
}

/// One message.
#[derive(Clone, Debug)]
pub(in crate::approve) struct Notice {
    /// The request.
    pub(in crate::approve) id: ApprovalId,
    /// Why.
    pub(in crate::approve) occasion: Occasion,
    /// Where it came from.
    pub(in crate::approve) source: Source,
    /// How much is at stake.
    pub(in crate::approve) risk: Severity,
    /// Who wants what: tool and operation, agent.
    pub(in crate::approve) what: Arc<str>,
    /// The agent.
    pub(in crate::approve) agent: Arc<str>,
    /// Why it was asked.
    pub(in crate::approve) reason: Arc<str>,
    /// Whom it is for.
    pub(in crate::approve) approvers: Arc<str>,
    /// Until when.
    pub(in crate::approve) expires: Timestamp,
    /// The page of the request.
    pub(in crate::approve) url: Option<Arc<str>>,
    /// What will run, word for word, where that can be shown in a message. Only buttons need it.
    pub(in crate::approve) arguments: Option<Arc<str>>,
}

impl Notice {
    pub(in crate::approve) fn of(request: &Request, occasion: Occasion, public_url: Option<&str>) -> Self {
        let asked: Vec<Arc<str>> = request.approvers.iter().chain(&request.escalated).cloned().collect();
        Self {
            id: request.id.clone(),
            occasion,
            source: request.source,
            risk: request.risk,
            what: part(&format!("{}.{}", request.what.0, request.what.1)).into(),
            agent: part(request.agent.as_deref().unwrap_or("an unnamed agent")).into(),
            reason: part(&request.reason).into(),
            approvers: part(&asked.join(", ")).into(),
            expires: request.expires,
            url: public_url.map(|url| format!("{url}/approvals/{}", request.id).into()),
            arguments: request.exact.as_ref().and_then(|exact| shown(exact)),
        }
    }

    /// One line: a deferral that nobody could settle is told apart by its first word (AARM ).
    pub(super) fn title(&self) -> String {
        let label = match (self.source, self.occasion) {
            (Source::DeferEscalation, _) => "DEFERRED",
            (Source::StepUp, Occasion::Asked) => "APPROVAL",
            (Source::StepUp, Occasion::Escalated) => "STILL UNANSWERED",
        };
        format!("[{label}] {} risk: {} wants {}", self.risk.as_str(), self.agent, self.what)
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.lines_with(None)
    }

    /// The same with a link that logs its reader in, once.
    pub(super) fn lines_with(&self, once: Option<&str>) -> Vec<String> {
        let mut lines = vec![format!("Why: {}", self.reason), format!("Until: {}", self.expires)];
        if !self.approvers.is_empty() {
            lines.push(format!("For: {}", self.approvers));
        }
        lines.push(match (&self.url, once) {
            (Some(url), Some(secret)) => format!("Decide (this link logs you in, once): {url}#once={secret}"),
            (Some(url), None) => format!("Decide: {url}"),
            (None, _) => format!("Decide: countersign approvals show {}", self.id),
        });
        lines
    }

    /// What programs get.
    pub(super) fn json(&self) -> Value {
        json!({
            "type": "approval_requested",
            "occasion": if self.occasion == Occasion::Asked { "asked" } else { "escalated" },
            "request_id": self.id.as_str(),
            "source": self.source.as_str(),
            "risk_level": self.risk,
            "action": &*self.what,
            "agent": &*self.agent,
            "reason": &*self.reason,
            "approvers": &*self.approvers,
            "expires": self.expires,
            "url": self.url.as_deref(),
        })
    }
}

/// Arguments that a message can show as they are: not too many, and no letter that could look like another.
fn shown(exact: &[u8]) -> Option<Arc<str>> {
    let plain = |byte: &u8| matches!(byte, b'\n' | b' '..=b'~');
    if exact.len() > ARGUMENTS_BYTES_MAX || !exact.iter().all(plain) {
        return None;
    }
    std::str::from_utf8(exact).ok().map(Arc::from)
}

/// Text from outside for a message: one line, bounded, without what chats read as markup or mentions.
fn part(text: &str) -> String {
    let plain = |c: char| match c {
        '<' | '>' | '@' | '`' | '*' | '|' | '[' | ']' | '(' | ')' => ' ',
        c if c.is_control() => ' ',
        c => c,
    };
    text.chars().take(PART_CHARS_MAX).map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_look_like_something_else_is_not_shown() {
        assert_eq!(shown(b"{ \"to\":\"<@U1>\" }").as_deref(), Some("{ \"to\":\"<@U1>\" }"));
        for wrong in ["{\"to\":\"\u{202e}evil\"}", "{\"to\":\"\u{430}cme\"}", "\u{7f}", &"x".repeat(2_501)] {
            assert_eq!(shown(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn nothing_from_outside_is_markup() {
        assert_eq!(part("<!channel> [x](http://evil)\r\nBcc: a@b"), " !channel   x  http://evil   Bcc: a b");
        assert_eq!(part(&"x".repeat(1_000)).len(), PART_CHARS_MAX);
    }
}
