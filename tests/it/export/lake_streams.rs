//! Security Lake by Firehose (S1-3, S1-5, S1-9): a delivery stream for each class, and only what a stream did not take
//! again.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use countersign::export::{Batch, Cursor, SendError};
use countersign::net::Body;
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::aws_streams::{KEY_ID, keys};
use super::bench::Bench;
use super::compliance::{self, CANARY, build};
use super::sigv4::is_signed;
use super::stub::{Fault, Protocol, Stub};
use crate::harness::{Folder, PATIENCE, Received, respond};

/// The streams that there are, each of one class. Every third call finds every other record too much.
pub(super) struct Streams {
    there: &'static [&'static str],
    calls: AtomicU64,
}

impl Streams {
    pub(super) fn new(there: &'static [&'static str]) -> Self {
        Self { there, calls: AtomicU64::new(0) }
    }
}

impl Protocol for Streams {
    fn answer(&self, request: &Received) -> (Response<Body>, Vec<String>) {
        assert!(is_signed(request, KEY_ID, CANARY, "firehose"));
        assert_eq!(request.headers["x-amz-target"], "Firehose_20150804.PutRecordBatch");
        let sent: Value = serde_json::from_slice(&request.body).unwrap();
        let stream = sent["DeliveryStreamName"].as_str().unwrap();
        if !self.there.contains(&stream) {
            let problem = r#"{"__type":"ResourceNotFoundException","message":"Firehose not found"}"#;
            return (respond(StatusCode::BAD_REQUEST, problem), Vec::new());
        }
        let busy = self.calls.fetch_add(1, Ordering::SeqCst).is_multiple_of(3);
        let (mut answers, mut taken) = (Vec::new(), Vec::new());
        for (position, record) in sent["Records"].as_array().unwrap().iter().enumerate() {
            let data = BASE64_STANDARD.decode(record["Data"].as_str().unwrap()).unwrap();
            assert!(data.ends_with(b"\n"));
            let event: Value = serde_json::from_slice(&data).unwrap();
            assert_eq!(format!("lake-AARM-{}", event["class_uid"]), stream, "one class a stream");
            assert!(event["unmapped"].is_string() && event["time"].is_i64() && event["metadata"].is_object());
            if busy && position % 2 == 1 {
                answers.push(json!({ "ErrorCode": "ServiceUnavailableException", "ErrorMessage": "Slow down." }));
            } else {
                answers.push(json!({ "RecordId": "1" }));
                taken.push(event["metadata"]["uid"].as_str().unwrap().to_owned());
            }
        }
        let failed = answers.len() - taken.len();
        let reply = json!({ "FailedPutCount": failed, "RequestResponses": answers });
        (respond(StatusCode::OK, &reply.to_string()), taken)
    }
}

pub(super) const ALL: &[&str] =
    &["lake-AARM-6003", "lake-AARM-2004", "lake-AARM-3003", "lake-AARM-3004", "lake-AARM-6002"];

pub(super) fn exporter(stub: &Stub, folder: &Folder) -> String {
    format!(
        "{{ type: security_lake, approach: firehose, stream: lake-AARM, firehose: {{ region: eu-central-1, \
         endpoint: 'http://{}', credentials: {{ {} }}, http: {{ timeout_ms: 400 }} }}, delivery: {{ linger_ms: 1, \
         batch_events: 9, retry_base_ms: 2, retry_cap_ms: 5, probe_interval_ms: 4 }} }}",
        stub.address,
        keys(folder, CANARY)
    )
}

const FAULTS: [Fault; 6] = [
    Fault::Answer(400, &[], r#"{"__type":"ServiceUnavailableException"}"#),
    Fault::Answer(500, &[], r#"{"__type":"InternalFailure"}"#),
    Fault::Answer(200, &[], "<html>welcome</html>"),
    Fault::Answer(403, &[], r#"{"__type":"AccessDeniedException"}"#),
    Fault::Reset,
    Fault::TakeAndReset,
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s1_3_and_s1_9_a_lake_by_firehose_gets_every_event_in_the_stream_of_its_class() {
    let (stub, folder) = (Stub::start(Streams::new(ALL)).await, Folder::new());
    FAULTS.into_iter().for_each(|fault| stub.fail(fault));
    let text = format!("servers: {{}}\ntelemetry: {{ exporters: [ {} ] }}\n", exporter(&stub, &folder));
    let config = countersign::config::parse(&text, &folder.0.join("countersign.yaml")).unwrap().telemetry;
    let bench = Bench::new();
    let exporter = bench.start(&config);
    bench.write(0, 100).await;
    let settled = async {
        while exporter.monitor().needed_from() < bench.recorder.size() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, settled).await.expect("never settled");
    exporter.stop().await;
    let place = Cursor::read(&bench.data().join("export"), "security_lake").unwrap().place;
    let taken: HashSet<String> = stub.taken().into_iter().collect();
    let events = bench.events();
    let settled: Vec<_> = events.iter().filter(|event| event.index < place.next).collect();
    assert!(settled.len() > 100 && settled.iter().all(|event| taken.contains(&event.id)));
    assert_eq!((place.counts.dead, place.counts.skipped, place.counts.filtered), (0, 0, 0));
}

#[tokio::test]
async fn s1_3_a_stream_that_is_not_there_holds_up_its_class_alone() {
    let (stub, folder) = (Stub::start(Streams::new(&["lake-AARM-6002"])).await, Folder::new());
    let destination = build(&folder, &exporter(&stub, &folder)).unwrap();
    let item = |id: &str, class: u64| {
        let mut item = compliance::batch(0..1).items[0].as_ref().clone();
        let event = json!({ "class_uid": class, "time": 5, "metadata": { "uid": id }, "unmapped": { "a": "\"b\"" } });
        item.rendered = event.to_string();
        Arc::new(item)
    };
    let batch = Batch { items: vec![item("a", 2004), item("b", 6002), item("c", 2004)] };
    let failed = destination.send(&batch).await.unwrap().failed;
    assert_eq!(failed.iter().map(|event| event.position).collect::<Vec<_>>(), [0, 2]);
    assert_eq!(stub.taken(), ["b"]);
    // What is left is of that class alone: now the lake is parked, and an operator told.
    let left = Batch { items: vec![item("a", 2004)] };
    let refused = destination.send(&left).await.unwrap_err();
    assert!(matches!(&refused, SendError::Refused(text) if text.contains("ResourceNotFound")), "{refused}");
}
