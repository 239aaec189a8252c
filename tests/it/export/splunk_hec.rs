//! Splunk HTTP Event Collector, by its own documentation (S0-9).

use std::collections::HashMap;
use std::sync::Mutex;

use countersign::export::{Confirmation, SendError};
use countersign::net::Body;
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::bench::Bench;
use super::compliance::{CANARY, Class, batch, build, comply, conserve, settle, token};
use super::stub::{Fault, Protocol, Stub, text};
use crate::harness::{Folder, Received, respond};

/// A collector. With acknowledgements an event is taken when the indexer says so: at the second question.
#[derive(Default)]
pub(super) struct Hec {
    acknowledges: bool,
    /// Numbers batches from 1, tells of each once and forgets it, and its first word is lost on the way: what the
    /// receiver of the OpenTelemetry collector does, by its source (`splunkhecreceiver` with `ackextension`).
    tells_once: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next: u64,
    asked: HashMap<u64, u32>,
}

fn path(request: &Received) -> &str {
    request.headers["x-path"].to_str().unwrap()
}

fn events(request: &Received) -> Vec<Value> {
    serde_json::Deserializer::from_str(&text(request)).into_iter().collect::<Result<_, _>>().unwrap()
}

impl Protocol for Hec {
    fn is_delivery(&self, request: &Received) -> bool {
        path(request) == "/services/collector/event"
    }

    fn answer(&self, request: &Received) -> (Response<Body>, Vec<String>) {
        if request.method == http::Method::GET {
            return (respond(StatusCode::OK, r#"{"text":"HEC is healthy","code":17}"#), Vec::new());
        }
        if request.headers["authorization"] != format!("Splunk {CANARY}") {
            return (respond(StatusCode::FORBIDDEN, r#"{"text":"Invalid token","code":4}"#), Vec::new());
        }
        let channel = request.headers["x-splunk-request-channel"].to_str().unwrap();
        assert_eq!(channel.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        let mut state = self.state.lock().unwrap();
        if path(request) == "/services/collector/ack" {
            let asked: Value = serde_json::from_str(&text(request)).unwrap();
            let lost = self.tells_once && state.asked.is_empty();
            let acks: serde_json::Map<String, Value> = asked["acks"]
                .as_array()
                .unwrap()
                .iter()
                .map(|id| {
                    let times = state.asked.entry(id.as_u64().unwrap()).or_default();
                    *times += 1;
                    (id.to_string(), json!(if self.tells_once { *times == 1 } else { *times > 1 }))
                })
                .collect();
            if lost {
                return (respond(StatusCode::BAD_GATEWAY, ""), Vec::new());
            }
            return (respond(StatusCode::OK, &json!({ "acks": acks }).to_string()), Vec::new());
        }
        assert_eq!(path(request), "/services/collector/event");
        let ids =
            events(request).iter().map(|event| event["fields"]["event_id"].as_str().unwrap().to_owned()).collect();
        let mut reply = json!({ "text": "Success", "code": 0 });
        if self.acknowledges {
            reply["ackId"] = json!(state.next + u64::from(self.tells_once));
            state.next += 1;
        }
        (respond(StatusCode::OK, &reply.to_string()), ids)
    }
}

const FAULTS: &[(Fault, Class)] = &[
    (Fault::Answer(503, &[], r#"{"text":"Server is busy","code":9}"#), Class::Later),
    (Fault::Answer(500, &[], r#"{"text":"Internal server error","code":8}"#), Class::Later),
    (Fault::Answer(429, &[], ""), Class::Later),
    // What counts is the code.
    (Fault::Answer(200, &[], r#"{"text":"Server is busy","code":9}"#), Class::Later),
    (Fault::Answer(200, &[], "<html>welcome</html>"), Class::Later),
    // The OpenTelemetry collector's receiver answers some failures with a bare string.
    (Fault::Answer(500, &[], r#""Internal Server Error""#), Class::Later),
    (Fault::Answer(415, &[], r#""\"Content-Encoding\" must be \"gzip\" or empty""#), Class::Refused),
    (Fault::Answer(400, &[], r#""Failed to unmarshal message body""#), Class::Rejected),
    (Fault::Answer(400, &[], r#"{"text": "Invalid data channel", "code": 11}"#), Class::Refused),
    (Fault::Answer(403, &[], r#"{"text":"Invalid token","code":4}"#), Class::Refused),
    (Fault::Answer(401, &[], r#"{"text":"Invalid authorization","code":3}"#), Class::Refused),
    (Fault::Answer(400, &[], r#"{"text":"Incorrect index","code":7}"#), Class::Refused),
    (Fault::Answer(400, &[], r#"{"text":"Data channel is missing","code":10}"#), Class::Refused),
    (Fault::Answer(400, &[], r#"{"text":"Invalid data format","code":6,"invalid-event-number":1}"#), Class::Rejected),
    (Fault::Answer(400, &[], r#"{"text":"Event field is required","code":12}"#), Class::Rejected),
];

pub(super) fn exporter(stub: &Stub, folder: &Folder, more: &str) -> String {
    let token = token(folder, CANARY);
    format!(
        "{{ type: splunk_hec, url: 'http://{}', token: {{ file: '{token}' }}, index: aarm_events, \
         http: {{ timeout_ms: 400 }}, delivery: {{ linger_ms: 1, batch_events: 9, retry_base_ms: 2, retry_cap_ms: 5, \
         probe_interval_ms: 4, confirm_interval_ms: 5 }}{more} }}",
        stub.address
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s0_9_splunk_hec_complies() {
    for acknowledges in [false, true] {
        let (stub, folder) = (Stub::start(Hec { acknowledges, ..Hec::default() }).await, Folder::new());
        let exporter = exporter(&stub, &folder, "");
        comply(&stub, &*build(&folder, &exporter).unwrap(), FAULTS).await;
        conserve(&stub, &folder, &exporter, FAULTS).await;
    }
}

#[tokio::test]
async fn s0_9_envelopes_are_those_of_the_collector() {
    let (stub, folder) = (Stub::start(Hec::default()).await, Folder::new());
    let destination = build(&folder, &exporter(&stub, &folder, ", compression: gzip, source: proxy")).unwrap();
    assert_eq!(destination.check().await.unwrap().unwrap(), r#"HTTP 200: {"text":"HEC is healthy","code":17}"#);
    destination.send(&batch(7..8)).await.unwrap();
    let request = stub.requests().pop().unwrap();
    assert_eq!(request.headers["content-encoding"], "gzip");
    let event = events(&request).pop().unwrap();
    assert_eq!(
        event,
        json!({
            "time": "1795209298.000000", "host": "localhost/test", "source": "proxy", "sourcetype": "aarm:decision",
            "fields": { "event_id": "0007:aarm.decision", "log_index": "7" }, "index": "aarm_events",
            "event": { "event_id": "0007:aarm.decision", "number": 7 },
        })
    );
}

#[tokio::test]
async fn s0_9_a_restarted_indexer_confirms_nothing() {
    let hec = Hec { acknowledges: true, ..Hec::default() };
    hec.state.lock().unwrap().next = 5;
    let (stub, folder) = (Stub::start(hec).await, Folder::new());
    let destination = build(&folder, &exporter(&stub, &folder, "")).unwrap();
    let first = destination.send(&batch(0..1)).await.unwrap().ticket.unwrap();
    assert_eq!(destination.confirm(&[first]).await.unwrap(), [Confirmation::Pending]);
    // The next answer has a number that was given out before: whoever gave it knows nothing of the first batch.
    stub.fail(Fault::Answer(200, &[], r#"{"text":"Success","code":0,"ackId":0}"#));
    let second = destination.send(&batch(1..2)).await.unwrap().ticket.unwrap();
    let answers = destination.confirm(&[first, second]).await.unwrap();
    assert!(matches!(answers[..], [Confirmation::Lost(_), Confirmation::Pending]), "{answers:?}");
    assert_eq!(destination.confirm(&[second]).await.unwrap(), [Confirmation::Arrived]);
}

/// One delivery at a time and no other fault: the number of a batch is its place among the deliveries.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s0_9_a_confirmation_lost_on_the_way_is_made_up_for_by_sending_again() {
    let hec = Hec { acknowledges: true, tells_once: true, ..Hec::default() };
    let (stub, folder, bench) = (Stub::start(hec).await, Folder::new(), Bench::new());
    let wait = "confirm_interval_ms: 5, confirm_timeout_ms: 60";
    let exporter = exporter(&stub, &folder, "").replace("confirm_interval_ms: 5", wait);
    let yaml = format!("servers: {{}}\ntelemetry: {{ exporters: [ {exporter} ] }}\n");
    let config = countersign::config::parse(&yaml, &folder.0.join("countersign.yaml")).unwrap().telemetry;
    let exporter = bench.start(&config);
    bench.write(0, 20).await;
    settle(&exporter, &bench).await;
    exporter.stop().await;

    let requests = stub.requests();
    let question = requests.iter().position(|request| path(request) == "/services/collector/ack").unwrap();
    let lost: Value = serde_json::from_str(&text(&requests[question])).unwrap();
    let deliveries = |requests: &[Received]| -> Vec<Vec<Value>> {
        let deliveries = requests.iter().filter(|request| path(request) == "/services/collector/event");
        deliveries
            .map(|request| events(request).into_iter().map(|mut event| event["fields"].take()).collect())
            .collect()
    };
    let (before, after) = (deliveries(&requests[..question]), deliveries(&requests[question..]).concat());
    let lost: Vec<u64> = lost["acks"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap()).collect();
    assert_eq!(lost.first(), Some(&1));
    for id in lost {
        for event in &before[usize::try_from(id).unwrap() - 1] {
            assert!(after.contains(event), "batch {id} was counted without a word from the collector: {event}");
        }
    }
    for event in bench.events() {
        assert!(stub.taken().contains(&event.id), "entry {} never arrived", event.index);
    }
}

#[tokio::test]
async fn s0_9_a_token_that_confirms_no_more_refuses_us_where_confirmation_is_required() {
    for (acknowledges, setting, is_taken) in
        [(false, "required", false), (false, "true", true), (false, "false", true), (true, "required", true)]
    {
        let (stub, folder) = (Stub::start(Hec { acknowledges, ..Hec::default() }).await, Folder::new());
        let exporter = exporter(&stub, &folder, &format!(", acknowledgement: {setting}"));
        match build(&folder, &exporter).unwrap().send(&batch(0..1)).await {
            Ok(delivery) => assert!(is_taken && delivery.ticket.is_some() == acknowledges, "{setting} {delivery:?}"),
            Err(SendError::Refused(problem)) => assert!(!is_taken && problem.contains("required"), "{problem}"),
            Err(problem) => panic!("{setting}: {problem}"),
        }
    }
    let (stub, folder) = (Stub::start(Hec::default()).await, Folder::new());
    let problem = build(&folder, &exporter(&stub, &folder, ", acknowledgement: maybe")).err().unwrap();
    assert!(problem.contains("`acknowledgement` is true, false or required, not \"maybe\""), "{problem}");
}

#[tokio::test]
async fn a_rotated_token_is_taken_from_its_file() {
    let (stub, folder) = (Stub::start(Hec::default()).await, Folder::new());
    let exporter = exporter(&stub, &folder, "");
    token(&folder, "the-old-token");
    let destination = build(&folder, &exporter).unwrap();
    let refused = destination.send(&batch(0..1)).await.unwrap_err();
    assert!(!refused.to_string().contains("the-old-token"), "{refused}");
    token(&folder, CANARY);
    destination.send(&batch(0..1)).await.unwrap();
}
