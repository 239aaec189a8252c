//! Buttons in Slack, where the operator asks for them: a press is an answer when Slack signed it and the operator says who
//! the user is.
//!
//! What runs is shown with the buttons, word for word, or there are none: long arguments, and such that could look like
//! something else, are for the console. A no needs a reason, which stands in a field beside the button.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_lc_rs::hmac;
use reqwest::Url;
use serde::Deserialize;
use serde_json::{Value, json};

use super::person::{self, NotifiedPerson};
use super::{Notice, NotifyError};
use crate::approve::{Answer, Person};
use crate::model::{ApprovalId, Clock, with_causes};
use crate::net::{Secret, SecretSource};

/// How old a press may be, seconds: what Slack recommends against replays.
const AGE_S_MAX: u64 = 300;
const APPROVE: &str = "countersign_approve";
const DENY: &str = "countersign_deny";
const REASON: &str = "countersign_reason";

/// Buttons of a Slack app (`interactive:`). Its Request URL leads to `/hooks/slack` of the admin address.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ButtonsConfig {
    /// The signing secret of the app.
    pub signing_secret: SecretSource,
    /// Who Slack's users are, by the id that begins with `U` or `W`.
    pub people: BTreeMap<String, NotifiedPerson>,
}

/// The buttons of one notifier.
pub(in crate::approve) struct Buttons {
    key: hmac::Key,
    people: BTreeMap<String, Person>,
    /// Where Slack is: what a press is answered to must be there.
    slack: Url,
    client: reqwest::Client,
    clock: Arc<dyn Clock>,
}

/// A press that counts: who, about what, and what.
#[derive(Debug)]
pub struct Pressed {
    /// The request.
    pub id: ApprovalId,
    /// Who pressed.
    pub person: Person,
    /// What.
    pub answer: Answer,
    /// Where it can be said what came of it.
    reply: Option<Url>,
}

/// What is read of a payload of Slack (`block_actions`).
#[derive(Deserialize)]
struct Payload {
    user: User,
    actions: Vec<Action>,
    #[serde(default)]
    state: Value,
    #[serde(default)]
    response_url: Option<String>,
}

#[derive(Deserialize)]
struct User {
    id: String,
}

#[derive(Deserialize)]
struct Action {
    action_id: String,
    #[serde(default)]
    value: Option<String>,
}

impl Buttons {
    pub(super) fn new(
        name: &str,
        config: &ButtonsConfig,
        url: &Secret,
        client: reqwest::Client,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, NotifyError> {
        let wrong = |problem: &str| NotifyError::Value { name: name.to_owned(), problem: problem.to_owned() };
        let secret = config.signing_secret.load();
        let secret = secret.map_err(|source| NotifyError::Secret { name: name.to_owned(), source })?;
        if config.people.is_empty() {
            return Err(wrong("name somebody under `interactive.people`"));
        }
        person::check(&config.people, "interactive.people").map_err(|problem| wrong(&problem))?;
        Ok(Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes()),
            people: config.people.iter().map(|(id, known)| (id.clone(), known.person("slack"))).collect(),
            slack: Url::parse(url.expose()).map_err(|_| wrong("`url` is no address"))?,
            client,
            clock,
        })
    }

    /// What was pressed; `None` when Slack did not sign it for this app just now, or it is nothing of ours.
    pub(in crate::approve) fn pressed(&self, timestamp: &str, signature: &str, body: &[u8]) -> Option<Pressed> {
        let seconds: u64 = timestamp.parse().ok()?;
        if self.clock.now().as_secs().abs_diff(seconds) > AGE_S_MAX {
            return None;
        }
        let tag = unhex(signature.strip_prefix("v0=")?)?;
        let signed = [b"v0:", timestamp.as_bytes(), b":", body].concat();
        hmac::verify(&self.key, &signed, &tag).ok()?;
        let form = Url::parse(&format!("http://localhost/?{}", std::str::from_utf8(body).ok()?)).ok()?;
        let payload = form.query_pairs().find(|(name, _)| name == "payload").map(|(_, value)| value.into_owned())?;
        let payload: Payload = serde_json::from_str(&payload).ok()?;
        let action = payload.actions.first()?;
        let id = ApprovalId::parse(action.value.as_deref()?).ok()?;
        let answer = match action.action_id.as_str() {
            APPROVE => Answer::Approve(None),
            // Without a reason it does not count, and the answer says so.
            DENY => Answer::Deny(reason(&payload.state)),
            _ => return None,
        };
        let person = self.people.get(&payload.user.id)?.clone();
        Some(Pressed { id, person, answer, reply: payload.response_url.and_then(|url| self.reply(&url)) })
    }

    /// The address of a reply, when it is Slack's: where the messages go to.
    fn reply(&self, url: &str) -> Option<Url> {
        Url::parse(url).ok().filter(|url| url.origin() == self.slack.origin())
    }

    /// Says in Slack what came of a press. `settled`: the message is replaced, so that nobody presses again.
    pub(in crate::approve) async fn say(&self, pressed: &Pressed, text: &str, settled: bool) {
        let Some(reply) = pressed.reply.clone() else { return };
        let body = match settled {
            true => json!({ "replace_original": true, "text": text }),
            false => json!({ "replace_original": false, "response_type": "ephemeral", "text": text }),
        };
        let sent = self.client.post(reply).header("content-type", "application/json").body(body.to_string()).send();
        if let Err(error) = sent.await.and_then(reqwest::Response::error_for_status) {
            tracing::warn!(error = with_causes(&error.without_url()), "say in Slack what came of an answer");
        }
    }
}

/// What stands in the field beside the buttons.
fn reason(state: &Value) -> String {
    let mut values = state.get("values").and_then(Value::as_object).into_iter().flatten();
    let found = values.find_map(|(_, block)| block.get(REASON)?.get("value")?.as_str());
    found.unwrap_or_default().to_owned()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if digits.len() != 64 || !text.is_ascii() {
        return None;
    }
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}

/// The parts of a message that answer: what will run, a field for the reason, and the buttons. Nothing where what will
/// run cannot be shown word for word.
pub(super) fn blocks(notice: &Notice) -> Vec<Value> {
    let Some(arguments) = &notice.arguments else { return Vec::new() };
    let button = |text: &str, action: &str, style: &str| {
        json!({
            "type": "button", "style": style, "action_id": action, "value": notice.id.as_str(),
            "text": { "type": "plain_text", "text": text },
        })
    };
    let shown = json!({ "type": "text", "text": &**arguments });
    vec![
        json!({ "type": "rich_text", "elements": [{ "type": "rich_text_preformatted", "elements": [shown] }] }),
        json!({
            "type": "input", "optional": true, "block_id": REASON,
            "label": { "type": "plain_text", "text": "Reason (a no needs one)" },
            "element": { "type": "plain_text_input", "action_id": REASON, "max_length": 900 },
        }),
        json!({ "type": "actions", "elements": [button("Approve", APPROVE, "primary"), button("Deny", DENY, "danger")] }),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_have_64_digits() {
        assert_eq!(unhex(&"0f".repeat(32)), Some(vec![15; 32]));
        for wrong in ["", "0", &"0g".repeat(32), &"0f".repeat(31), &"é".repeat(32)] {
            assert_eq!(unhex(wrong), None, "{wrong}");
        }
    }
}
