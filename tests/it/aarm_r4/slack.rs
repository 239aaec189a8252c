//! Buttons in Slack: a press counts when Slack signed it just now and the operator knows the user.

use aws_lc_rs::hmac;
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};

use super::{People, STEP_UP};
use crate::harness::{Folder, PATIENCE, Received, Server, decisions, ordinary, respond};

const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";

struct Slack {
    people: People,
    /// Where messages and replies arrive.
    slack: Server,
    _secrets: Folder,
}

impl Slack {
    async fn start() -> Self {
        let slack = Server::start(|_| respond(StatusCode::OK, "{}")).await;
        let secrets = Folder::new();
        let file = |name: &str, text: &str| {
            std::fs::write(secrets.0.join(name), text).unwrap();
            secrets.0.join(name).display().to_string()
        };
        let approve = format!(
            "approve: {{ legacy_hold_ms: 50, notifiers: [{{ type: slack, url: {{ file: '{}' }}, interactive: {{ \
             signing_secret: {{ file: '{}' }}, people: {{ U1: {{ name: ann }}, U2: {{ name: alice@example.com }} }} }} }}] }}",
            file("url", &format!("http://{}/hook", slack.address)),
            file("secret", SECRET),
        );
        let people = People::with(STEP_UP, &approve, Server::start(ordinary).await, Folder::new()).await;
        Self { people, slack, _secrets: secrets }
    }

    /// A payment that waits, and the message about it.
    async fn asked(&self, arguments: Value) -> (String, Value) {
        let before = self.slack.received().len();
        self.people.stand.call("pay", arguments).await;
        let id = self.people.first_waiting().await;
        (id, self.arrived(before).await.json())
    }

    /// The message at Slack with this number, as soon as it is there.
    async fn arrived(&self, number: usize) -> Received {
        let look = async {
            loop {
                if let Some(message) = self.slack.received().get(number) {
                    return message.clone();
                }
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, look).await.expect("Slack hears of it")
    }

    fn payload(&self, user: &str, action: &str, id: &str, reason: Option<&str>) -> Value {
        json!({
            "type": "block_actions", "user": { "id": user, "username": "whoever" },
            "actions": [{ "type": "button", "action_id": action, "value": id }],
            "state": { "values": { "countersign_reason": { "countersign_reason": { "type": "plain_text_input", "value": reason } } } },
            "response_url": format!("http://{}/reply", self.slack.address),
        })
    }

    /// Presses as Slack tells of it, signed with `secret` so many seconds ago.
    async fn press(&self, payload: &Value, secret: &str, age_s: u64) -> StatusCode {
        let form: String = reqwest::Url::parse_with_params("http://x/", [("payload", payload.to_string())])
            .unwrap()
            .query()
            .unwrap()
            .into();
        let now = std::fs::metadata("/proc/self").unwrap().modified().unwrap();
        let seconds = now.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() - age_s;
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let tag = hmac::sign(&key, format!("v0:{seconds}:{form}").as_bytes());
        let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let request = Request::post("/hooks/slack")
            .header("host", "localhost")
            .header("content-type", "application/x-www-form-urlencoded")
            .header("x-slack-request-timestamp", seconds.to_string())
            .header("x-slack-signature", format!("v0={hex}"));
        let request = request.body(Full::new(Bytes::from(form))).unwrap();
        self.people.stand.send_to(self.people.stand.admin, request).await.0
    }
}

#[tokio::test]
async fn a_press_that_slack_signed_is_an_answer() {
    let slack = Slack::start().await;
    let (id, message) = slack.asked(json!({ "amount": 5, "to": "<@U1>" })).await;
    let text = message["blocks"].to_string();
    assert!(text.contains("countersign_approve") && text.contains(&id), "{message}");
    // Whoever presses sees what will run, word for word.
    assert_eq!(
        message.pointer("/blocks/1/elements/0/elements/0/text"),
        Some(&json!("{\"amount\":5,\"to\":\"<@U1>\"}"))
    );
    let press = slack.payload("U1", "countersign_approve", &id, None);
    assert_eq!(slack.press(&press, SECRET, 0).await, StatusCode::OK);
    assert_eq!(slack.people.paid(), 0, "a yes runs nothing by itself");
    let reply = slack.arrived(1).await.json();
    assert_eq!((&reply["replace_original"], &reply["text"]), (&json!(true), &json!(format!("{id}: approved by ann"))));
    // Again, it is late.
    assert_eq!(slack.press(&press, SECRET, 0).await, StatusCode::OK);
    assert!(slack.arrived(2).await.json()["text"].as_str().unwrap().contains("not pending any more"));
    slack.people.stand.call("pay", json!({ "amount": 5, "to": "<@U1>" })).await;
    assert_eq!(slack.people.paid(), 1);
    let (entries, _folder) = slack.people.stand.stop().await;
    let said =
        entries.iter().map(|entry| &entry["predicate"]["approval"]).find(|said| said["status"] == "APPROVED").unwrap();
    assert_eq!(
        (&said["approver"], &said["channel"], &said["approver_verification"]),
        (&json!("ann"), &json!("slack"), &json!("trusted_proxy"))
    );
    assert_eq!(decisions(&entries)[1]["approval"]["approver"], "ann");
}

#[tokio::test]
async fn a_press_that_slack_did_not_sign_is_nothing() {
    let slack = Slack::start().await;
    let (id, _) = slack.asked(json!({ "amount": 5 })).await;
    let good = slack.payload("U1", "countersign_approve", &id, None);
    let stranger = slack.payload("U9", "countersign_approve", &id, None);
    for (payload, secret, age_s) in [(&good, "another secret", 0), (&good, SECRET, 301), (&stranger, SECRET, 0)] {
        assert_eq!(slack.press(payload, secret, age_s).await, StatusCode::UNAUTHORIZED);
    }
    let bare = Request::post("/hooks/slack").header("host", "localhost");
    let bare = bare.body(Full::new(Bytes::from(format!("payload={good}")))).unwrap();
    assert_eq!(slack.people.stand.send_to(slack.people.stand.admin, bare).await.0, StatusCode::UNAUTHORIZED);
    let get = Request::get("/hooks/slack").header("host", "localhost").body(Full::default()).unwrap();
    assert_eq!(slack.people.stand.send_to(slack.people.stand.admin, get).await.0, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!((slack.people.waiting().await, slack.people.paid()), (vec![id], 0));
    assert_eq!(slack.slack.received().len(), 1, "and nobody is told what came of it");
    slack.people.stand.stop().await;
}

#[tokio::test]
async fn slack_answers_under_the_rules_of_every_answer() {
    let slack = Slack::start().await;
    let (id, _) = slack.asked(json!({ "amount": 5 })).await;
    let own = slack.payload("U2", "countersign_approve", &id, None);
    assert_eq!(slack.press(&own, SECRET, 0).await, StatusCode::OK);
    assert!(slack.arrived(1).await.json()["text"].as_str().unwrap().contains("somebody else has to approve"));
    let silent = slack.payload("U1", "countersign_deny", &id, None);
    assert_eq!(slack.press(&silent, SECRET, 0).await, StatusCode::OK);
    let told = slack.arrived(2).await.json();
    assert_eq!(told["response_type"], "ephemeral");
    assert!(told["text"].as_str().unwrap().contains("say why"), "{told}");
    assert_eq!(slack.people.waiting().await, [&*id]);
    // What came of it is said at Slack alone.
    let mut elsewhere = slack.payload("U1", "countersign_deny", &id, Some("not this week"));
    elsewhere["response_url"] = json!("http://127.0.0.1:9/reply");
    assert_eq!(slack.press(&elsewhere, SECRET, 0).await, StatusCode::OK);
    let told = slack.people.stand.call("pay", json!({ "amount": 5 })).await;
    assert!(told.to_string().contains("ann denied it: not this week"), "{told}");
    assert_eq!((slack.people.paid(), slack.slack.received().len()), (0, 3));
    // What could look like something else has no buttons.
    let (_, message) = slack.asked(json!({ "to": "\u{430}cme" })).await;
    assert_eq!(message["blocks"].as_array().unwrap().len(), 1, "{message}");
    slack.people.stand.stop().await;
}
