//! Datadog's Logs API (S0-9): its limits on size, count and age, and what it takes for its own.

use std::sync::Arc;

use countersign::export::{Batch, Item};
use countersign::model::{Clock as _, Severity, Timestamp};
use countersign::net::{Body, SystemClock};
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::compliance::{CANARY, Class, batch, build, comply, conserve, token};
use super::stub::{Fault, Protocol, Stub, text};
use crate::harness::{Folder, Received, respond};

/// Members that the service reads a date from.
const DATES: [&str; 8] =
    ["@timestamp", "timestamp", "_timestamp", "Timestamp", "eventTime", "date", "published_date", "syslog.timestamp"];

/// The intake. Behind a 202 it drops what is too old, as the service does.
pub(super) struct Intake;

impl Protocol for Intake {
    fn answer(&self, request: &Received) -> (Response<Body>, Vec<String>) {
        assert_eq!(request.headers["x-path"], "/api/v2/logs");
        if request.headers["dd-api-key"] != CANARY {
            return (
                respond(StatusCode::FORBIDDEN, r#"{"errors":[{"status":"403","title":"Forbidden"}]}"#),
                Vec::new(),
            );
        }
        let body = text(request);
        let logs: Vec<Value> = serde_json::from_str(&body).unwrap();
        if body.len() > 5_000_000 || logs.len() > 1_000 {
            return (respond(StatusCode::PAYLOAD_TOO_LARGE, ""), Vec::new());
        }
        let now = SystemClock::new().now();
        let kept = logs.iter().filter(|log| {
            let dates = DATES.iter().filter_map(|name| log.get(name)?.as_u64());
            log.to_string().len() <= 1_000_000
                && dates
                    .map(|ms| Timestamp::from_micros(ms * 1_000))
                    .all(|date| now.micros_since(date) < 18 * 3_600_000_000)
        });
        let ids = kept.map(|log| {
            assert!(log["event"]["event_id"] == log["event_id"] || log["event"].is_null(), "{log}");
            log["event_id"].as_str().unwrap().to_owned()
        });
        (respond(StatusCode::ACCEPTED, "{}"), ids.collect())
    }
}

const FAULTS: &[(Fault, Class)] = &[
    (Fault::Answer(408, &[], ""), Class::Later),
    (Fault::Answer(429, &[], ""), Class::Later),
    (Fault::Answer(500, &[], ""), Class::Later),
    (Fault::Answer(401, &[], ""), Class::Refused),
    (Fault::Answer(403, &[], r#"{"errors":["Forbidden"]}"#), Class::Refused),
    (Fault::Answer(400, &[], r#"{"errors":["Bad request"]}"#), Class::Rejected),
];

pub(super) fn exporter(stub: &Stub, folder: &Folder, more: &str) -> String {
    let token = token(folder, CANARY);
    format!(
        "{{ type: datadog, url: 'http://{}', api_key: {{ file: '{token}' }}, tags: ['env:test', 'team:soc'], \
         http: {{ timeout_ms: 400 }}, delivery: {{ linger_ms: 1, batch_events: 9, retry_base_ms: 2, retry_cap_ms: 5, \
         probe_interval_ms: 4 }}{more} }}",
        stub.address
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s0_9_datadog_complies() {
    let (stub, folder) = (Stub::start(Intake).await, Folder::new());
    let exporter = exporter(&stub, &folder, "");
    comply(&stub, &*build(&folder, &exporter).unwrap(), FAULTS).await;
    conserve(&stub, &folder, &exporter, FAULTS).await;
}

fn at(time: Timestamp, rendered: &str) -> Batch {
    let first = batch(7..8).items.remove(0);
    let item = Item { time, severity: Severity::High, rendered: rendered.into(), ..(*first).clone() };
    Batch { items: vec![Arc::new(item)] }
}

#[tokio::test]
async fn s0_9_datadog_gets_a_date_only_while_it_would_take_it() {
    let (stub, folder) = (Stub::start(Intake).await, Folder::new());
    let destination = build(&folder, &exporter(&stub, &folder, "")).unwrap();
    let now = Timestamp::from_micros(SystemClock::new().now().as_millis() * 1_000);
    let event = r#"{"event_id":"0007:aarm.decision","timestamp":"2001-01-01T00:00:00Z","status":"x","message":"why"}"#;
    destination.send(&at(now, event)).await.unwrap();
    let old = Timestamp::from_micros(now.as_micros() - 20 * 3_600_000_000);
    destination.send(&at(old, event)).await.unwrap();
    assert_eq!(stub.taken().len(), 2, "one that is too old arrives as well");
    let logs: Vec<Value> =
        stub.requests().iter().map(|request| serde_json::from_str(&text(request)).unwrap()).collect();
    let mut expected = json!([{
        "ddsource": "countersign", "ddtags": "env:test,team:soc", "hostname": "localhost/test", "service": "countersign",
        "status": "error", "message": "why", "event_id": "0007:aarm.decision", "event_type": "aarm.decision",
        "event_time": now.to_rfc3339_millis(), "log_index": 7, "timestamp": now.as_millis(),
        "event": serde_json::from_str::<Value>(event).unwrap(),
    }]);
    assert_eq!(logs[0], expected);
    expected[0].as_object_mut().unwrap().remove("timestamp");
    expected[0]["event_time"] = old.to_rfc3339_millis().into();
    assert_eq!(logs[1], expected);
    // What is no object is told as it is.
    destination.send(&at(now, "CEF:0|Countersign|x")).await.unwrap();
    let log: Value = serde_json::from_str(&text(&stub.requests()[2])).unwrap();
    assert_eq!((&log[0]["message"], &log[0]["event"]), (&"CEF:0|Countersign|x".into(), &Value::Null));
}

#[tokio::test]
async fn s0_9_the_largest_batch_is_one_that_datadog_takes() {
    let (stub, folder) = (Stub::start(Intake).await, Folder::new());
    let destination = {
        let exporter = exporter(&stub, &folder, ", compression: none");
        // Slow builds take their time over megabytes.
        build(&folder, &exporter.replace("timeout_ms: 400", "timeout_ms: 60000")).unwrap()
    };
    let limits = destination.limits();
    // The worst that a rendered event can be: its sentence stands in the log twice, and every character is escaped.
    let rendered = |id: &str, bytes: usize| {
        let head = format!(r#"{{"event_id":"{id}","message":""#);
        let rest = bytes - head.len() - 2;
        format!("{head}{}\"}}", "\\n".repeat(rest / 2))
    };
    let largest = at(SystemClock::new().now(), &rendered("0007:aarm.decision", limits.event_bytes_max));
    destination.send(&largest).await.unwrap();
    assert_eq!(stub.taken().len(), 1, "no log of more than 1 MB");
    let mut full = batch(0..limits.events_max as u64);
    let each = limits.bytes_max / limits.events_max - limits.overhead;
    for item in &mut full.items {
        let rendered = format!(r#"{{"event_id":"{}","x":"{}"}}"#, item.id, "x".repeat(each - 40));
        *item = Arc::new(Item { rendered, time: SystemClock::new().now(), ..(**item).clone() });
    }
    assert!(full.bytes() + full.items.len() * limits.overhead <= limits.bytes_max);
    destination.send(&full).await.unwrap();
    assert_eq!(stub.taken().len(), 1 + full.items.len());
}
