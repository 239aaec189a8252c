//! Messages by HTTP POST: incoming webhooks of Slack and Teams, and a signed one of our own form.

use std::sync::Arc;

use aws_lc_rs::hmac;
use serde_json::{Value, json};

use super::Notice;
use crate::model::{Clock, with_causes};
use crate::net::Secret;

/// One address and the form it takes.
pub(super) struct Webhook {
    url: Secret,
    form: Form,
    client: reqwest::Client,
    clock: Arc<dyn Clock>,
}

enum Form {
    Signed(Box<hmac::Key>),
    Slack { buttons: bool },
    Teams,
}

impl Webhook {
    pub(super) const fn slack(url: Secret, buttons: bool, client: reqwest::Client, clock: Arc<dyn Clock>) -> Self {
        Self { url, form: Form::Slack { buttons }, client, clock }
    }

    pub(super) const fn teams(url: Secret, client: reqwest::Client, clock: Arc<dyn Clock>) -> Self {
        Self { url, form: Form::Teams, client, clock }
    }

    pub(super) fn signed(url: Secret, key: &Secret, client: reqwest::Client, clock: Arc<dyn Clock>) -> Self {
        let form = Form::Signed(Box::new(hmac::Key::new(hmac::HMAC_SHA256, key.expose().as_bytes())));
        Self { url, form, client, clock }
    }

    /// Sends one message. The error never holds the address: it is a secret.
    pub(super) async fn send(&self, notice: &Notice) -> Result<(), String> {
        let body = match &self.form {
            Form::Signed(_) => notice.json(),
            Form::Slack { buttons } => slack(notice, *buttons),
            Form::Teams => teams(notice),
        };
        let body = body.to_string();
        let mut request = self.client.post(self.url.expose()).header("content-type", "application/json");
        if let Form::Signed(key) = &self.form {
            let seconds = self.clock.now().as_secs();
            let tag = hmac::sign(key, format!("{seconds}.{body}").as_bytes());
            let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
            request = request.header("x-countersign-signature", format!("t={seconds},v1={hex}"));
        }
        let response = request.body(body).send().await.map_err(|error| with_causes(&error.without_url()))?;
        let status = response.status();
        if status.is_success() { Ok(()) } else { Err(format!("HTTP {}", status.as_u16())) }
    }
}

fn slack(notice: &Notice, buttons: bool) -> Value {
    let mut text = format!("*{}*", notice.title());
    for line in notice.lines() {
        text.push('\n');
        text.push_str(&line);
    }
    let mut blocks = vec![json!({ "type": "section", "text": { "type": "mrkdwn", "text": text } })];
    if buttons {
        blocks.extend(super::buttons::blocks(notice));
    }
    json!({ "text": notice.title(), "blocks": blocks })
}

/// An Adaptive Card, as workflows of Teams take it.
fn teams(notice: &Notice) -> Value {
    let mut body = vec![json!({ "type": "TextBlock", "text": notice.title(), "weight": "Bolder", "wrap": true })];
    body.extend(notice.lines().into_iter().map(|line| json!({ "type": "TextBlock", "text": line, "wrap": true })));
    let actions: Vec<Value> =
        notice.url.iter().map(|url| json!({ "type": "Action.OpenUrl", "title": "Decide", "url": &**url })).collect();
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard", "version": "1.4", "body": body, "actions": actions,
            },
        }],
    })
}
