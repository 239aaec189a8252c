//! What every destination that speaks HTTP has to do, whatever its protocol: one function that each of their tests calls.

use std::sync::Arc;
use std::time::Duration;

use countersign::export::{Batch, Destination, Exporter, Item, SendError};
use countersign::model::{EventType, Severity, Timestamp};

use super::bench::Bench;
use super::stub::{Fault, Stub};
use crate::harness::{Folder, PATIENCE};

/// Stands where a secret stands, so that it is noticed wherever it should not be.
pub(super) const CANARY: &str = "canary-7f3e9c1d5b8a4260";

/// The class of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Later,
    Refused,
    Rejected,
    TooLarge,
}

pub(super) fn class(error: &SendError) -> Class {
    match error {
        SendError::Later { .. } => Class::Later,
        SendError::Refused(_) => Class::Refused,
        SendError::Rejected { .. } => Class::Rejected,
        SendError::TooLarge(_) => Class::TooLarge,
    }
}

/// Events of a test, by number.
pub(super) fn batch(numbers: std::ops::Range<u64>) -> Batch {
    let item = |number: u64| Item {
        id: format!("{number:04}:aarm.decision"),
        event_type: EventType::Decision,
        severity: Severity::Medium,
        time: Timestamp::from_secs(1_795_209_298),
        session: Some("ses_1".into()),
        index: number,
        ordinal: 0,
        origin: "localhost/test".into(),
        rendered: format!(r#"{{"event_id":"{number:04}:aarm.decision","number":{number}}}"#),
        unfit: None,
    };
    Batch { items: numbers.map(|number| Arc::new(item(number))).collect() }
}

fn ids(batch: &Batch) -> Vec<String> {
    batch.items.iter().map(|item| item.id.clone()).collect()
}

/// Builds the one destination of a configuration.
pub(super) fn build(folder: &Folder, exporter: &str) -> Result<Box<dyn Destination>, String> {
    let text = format!("servers: {{}}\ntelemetry: {{ exporters: [ {exporter} ] }}\n");
    let config = countersign::config::parse(&text, &folder.0.join("countersign.yaml"));
    let config = config.map_err(|error| countersign::model::with_causes(&error))?;
    config.telemetry.exporters[0]
        .open(&config.telemetry, &folder.0)
        .map_err(|error| countersign::model::with_causes(&error))
}

/// The token of a configuration, in a file.
pub(super) fn token(folder: &Folder, text: &str) -> String {
    let path = folder.0.join("token");
    std::fs::write(&path, format!("{text}\n")).unwrap();
    path.display().to_string()
}

/// A destination alone: order, classes of failures, time limits, and no secret in any error. `exporter` must set
/// `http: { timeout_ms: 400 }`.
pub(super) async fn comply(stub: &Stub, destination: &dyn Destination, faults: &[(Fault, Class)]) {
    let limits = destination.limits();
    assert!(limits.events_max > 0 && limits.event_bytes_max <= limits.bytes_max, "{limits:?}");
    let first = batch(0..3);
    let delivery = destination.send(&first).await.unwrap();
    assert!(delivery.failed.is_empty() && delivery.unnamed.is_none(), "{delivery:?}");
    confirm(destination, delivery.ticket).await;
    assert_eq!(stub.taken(), ids(&first), "in order, each once");
    let everywhere = [
        (Fault::Answer(503, &[("retry-after", "7")], "busy"), Class::Later),
        (Fault::Answer(502, &[], "<html>a proxy's page</html>"), Class::Later),
        (Fault::Answer(413, &[], ""), Class::TooLarge),
        (Fault::Answer(302, &[("location", "http://127.0.0.1:1/")], ""), Class::Refused),
        (Fault::Reset, Class::Later),
        (Fault::Stall, Class::Later),
    ];
    let (before, second) = (stub.taken().len(), batch(3..6));
    for (fault, wanted) in everywhere.iter().chain(faults) {
        stub.fail(fault.clone());
        let error = destination.send(&second).await.err().unwrap_or_else(|| panic!("{fault:?} went unnoticed"));
        assert_eq!(class(&error), *wanted, "{fault:?}: {error}");
        assert!(!error.to_string().contains(CANARY), "a secret in an error: {error}");
        if let Fault::Answer(_, [("retry-after", _)], _) = fault {
            let SendError::Later { retry_after, .. } = &error else { panic!("{error}") };
            assert_eq!(*retry_after, Some(Duration::from_secs(7)));
        }
    }
    assert_eq!(stub.taken().len(), before, "a failure that took something");
    let delivery = destination.send(&second).await.unwrap();
    confirm(destination, delivery.ticket).await;
    assert_eq!(stub.taken()[before..], ids(&second), "the same ids, whatever went wrong before");
}

async fn confirm(destination: &dyn Destination, ticket: Option<u64>) {
    let Some(ticket) = ticket else { return };
    let asking = async {
        while destination.confirm(&[ticket]).await.unwrap() != [countersign::export::Confirmation::Arrived] {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.expect("never confirmed");
}

/// A destination behind the engine, with every fault of its protocol on the way: each event of the log arrives.
pub(super) async fn conserve(stub: &Stub, folder: &Folder, exporter: &str, faults: &[(Fault, Class)]) {
    let bench = Bench::new();
    let text = format!("servers: {{}}\ntelemetry: {{ exporters: [ {exporter} ] }}\n");
    let config = countersign::config::parse(&text, &folder.0.join("countersign.yaml")).unwrap().telemetry;
    let before = stub.taken().len();
    for (fault, class) in faults {
        // What would give events up is left out: here all of them have to arrive.
        if *class == Class::Later || *class == Class::Refused {
            stub.fail(fault.clone());
        }
    }
    stub.fail(Fault::TakeAndReset);
    stub.fail(Fault::Answer(413, &[], ""));
    let exporter = bench.start(&config);
    bench.write(0, 60).await;
    settle(&exporter, &bench).await;
    exporter.stop().await;
    let taken = stub.taken().split_off(before);
    for event in bench.events() {
        assert!(taken.contains(&event.id), "entry {} never arrived", event.index);
    }
}

/// Waits until nothing in the log is needed for a delivery any more.
pub(super) async fn settle(exporter: &Exporter, bench: &Bench) {
    let settled = async {
        while exporter.monitor().needed_from() < bench.recorder.size() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let settled = tokio::time::timeout(PATIENCE, settled).await;
    assert!(settled.is_ok(), "not settled: {}", exporter.monitor().render());
}
