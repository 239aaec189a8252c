//! Rows of the table of requirements that fall to delivery and are no single destination's: batches, isolation, alarms,
//! metrics, secrets by name, what is given up first.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use countersign::export::{Batch, Config, Delivery, Destination, Exporter, Item, Limits, SendError, Sending};
use countersign::net::HttpClient;
use serde_json::Value;

use super::bench::{Bench, config};
use super::compliance::{CANARY, build, token};
use super::stub::Stub;
use super::webhook::Endpoint;
use crate::harness::{Folder, PATIENCE};

/// How a receiver behaves at the moment.
#[derive(Default)]
struct Switch {
    up: AtomicBool,
    batches: Mutex<Vec<Vec<Arc<Item>>>>,
}

impl Switch {
    fn new(up: bool) -> Arc<Self> {
        Arc::new(Self { up: AtomicBool::new(up), ..Self::default() })
    }

    fn ids(&self) -> HashSet<String> {
        self.batches.lock().unwrap().iter().flatten().map(|item| item.id.clone()).collect()
    }
}

/// Takes everything while it is up, and keeps it.
struct Receiver(&'static str, Arc<Switch>);

impl Destination for Receiver {
    fn name(&self) -> &str {
        self.0
    }

    fn limits(&self) -> Limits {
        Limits { linger: Duration::from_millis(1), ..Limits::default() }
    }

    fn send<'a>(&'a self, batch: &'a Batch) -> Sending<'a> {
        Box::pin(async {
            if !self.1.up.load(Ordering::SeqCst) {
                return Err(SendError::later("down"));
            }
            self.1.batches.lock().unwrap().push(batch.items.clone());
            Ok(Delivery::default())
        })
    }
}

/// Never answers.
struct Silent;

impl Destination for Silent {
    fn name(&self) -> &str {
        "silent"
    }

    fn send<'a>(&'a self, _batch: &'a Batch) -> Sending<'a> {
        Box::pin(std::future::pending())
    }
}

fn deliver(bench: &Bench, config: &Config, destinations: Vec<Box<dyn Destination>>) -> Exporter {
    let pairs = config.exporters.iter().zip(destinations).collect();
    Exporter::deliver(config, pairs, &bench.recorder, &bench.data(), Arc::clone(&bench.clock) as _).unwrap()
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
}

fn has_all(bench: &Bench, switch: &Switch) -> bool {
    let ids = switch.ids();
    bench.events().iter().all(|event| ids.contains(&event.id))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s0_12_a_batch_leaves_when_it_is_full_or_when_something_is_urgent() {
    let (bench, receiver) = (Bench::new(), Switch::new(true));
    let mut config = config(&[("siem", ", batch_events: 10")]);
    config.checkpoint_interval_s = 0;
    config.exporters[0].delivery.linger_ms = Some(3_600_000);
    let exporter = deliver(&bench, &config, vec![Box::new(Receiver("siem", Arc::clone(&receiver)))]);
    // Numbers that eight divides are CRITICAL: these are not.
    for from in [1, 9, 17, 25] {
        bench.write(from, 7).await;
    }
    until("two full batches", || receiver.batches.lock().unwrap().len() >= 2).await;
    bench.write(8, 1).await;
    let is_urgent = |batch: &Vec<Arc<Item>>| batch.iter().any(|item| item.is_urgent());
    until("the urgent event", || receiver.batches.lock().unwrap().iter().any(is_urgent)).await;
    let batches = receiver.batches.lock().unwrap().clone();
    let early = batches.iter().filter(|batch| batch.len() < 10).collect::<Vec<_>>();
    assert!(early.iter().all(|batch| is_urgent(batch)), "{:?}", batches.iter().map(Vec::len).collect::<Vec<_>>());
    exporter.stop().await;
    assert!(has_all(&bench, &receiver), "a stop leaves nothing behind");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s0_14_and_s3_10_one_that_fails_and_one_that_hangs_hold_up_nobody() {
    let (bench, kind, down) = (Bench::new(), Switch::new(true), Switch::new(false));
    let config = config(&[("kind", ""), ("down", ""), ("silent", "")]);
    let receivers: Vec<Box<dyn Destination>> = vec![
        Box::new(Receiver("kind", Arc::clone(&kind))),
        Box::new(Receiver("down", Arc::clone(&down))),
        Box::new(Silent),
    ];
    let exporter = deliver(&bench, &config, receivers);
    // Recording waits for no destination: every write below returns once it is durable.
    bench.write(1, 500).await;
    until("everything", || has_all(&bench, &kind)).await;
    assert!(down.ids().is_empty());
    assert_eq!(exporter.monitor().needed_from(), 0, "the log keeps what the others have yet to get");
    exporter.stop().await;
}

/// The events of controls that say this.
fn controls(switch: &Switch, event: &str) -> Vec<Value> {
    let batches = switch.batches.lock().unwrap();
    let events = batches.iter().flatten().map(|item| serde_json::from_str::<Value>(&item.rendered).unwrap());
    events.filter(|told| told["detail"]["event"] == event).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s0_15_more_than_three_failures_are_told_to_the_others_and_everything_comes_when_it_is_back() {
    let (bench, other, down) = (Bench::new(), Switch::new(true), Switch::new(false));
    let config = config(&[("other", ""), ("down", "")]);
    let receivers: Vec<Box<dyn Destination>> =
        vec![Box::new(Receiver("other", Arc::clone(&other))), Box::new(Receiver("down", Arc::clone(&down)))];
    let exporter = deliver(&bench, &config, receivers);
    bench.write(1, 100).await;
    until("an alarm", || !controls(&other, "export_degraded").is_empty()).await;
    let alarm = controls(&other, "export_degraded").remove(0);
    assert_eq!((&alarm["severity"], &alarm["detail"]["scope"]["value"]), (&"HIGH".into(), &"down".into()));
    assert!(alarm["detail"]["count"].as_u64().unwrap() > 3, "{alarm}");
    assert!(exporter.monitor().render().contains("destination=\"down\",state=\"degraded\"} 1"));
    down.up.store(true, Ordering::SeqCst);
    until("the end of the alarm", || !controls(&other, "export_recovered").is_empty()).await;
    until("everything", || has_all(&bench, &down) && has_all(&bench, &other)).await;
    exporter.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s0_18_metrics_have_the_names_of_the_page_and_those_of_the_convention() {
    let (bench, receiver) = (Bench::new(), Switch::new(true));
    let mut config = config(&[("siem", "")]);
    config.seed_metric_names = true;
    let exporter = deliver(&bench, &config, vec![Box::new(Receiver("siem", Arc::clone(&receiver)))]);
    bench.write(1, 10).await;
    until("everything", || has_all(&bench, &receiver)).await;
    let monitor = exporter.monitor();
    exporter.stop().await;
    let text = monitor.render();
    for name in ["events_emitted", "export_failures", "dropped_events", "export_latency_ms", "buffer_size"] {
        assert!(text.contains(&format!("\naarm_telemetry_{name}{{destination=\"siem\"}} ")), "{name}: {text}");
    }
    for name in ["events_emitted_total", "bytes_total", "export_latency_seconds_count", "oldest_unacked_age_seconds"] {
        assert!(text.contains(&format!("\naarm_telemetry_{name}{{destination=\"siem\"}} ")), "{name}: {text}");
    }
    let line = text.lines().find(|line| line.starts_with("aarm_telemetry_events_emitted_total")).unwrap();
    assert!(line.rsplit(' ').next().unwrap().parse::<usize>().unwrap() >= receiver.ids().len());
}

#[tokio::test]
async fn s0_20_secrets_are_named_and_never_written() {
    let folder = Folder::new();
    let path = token(&folder, CANARY);
    for written in [
        format!("{{ type: splunk_hec, url: 'https://127.0.0.1:1', token: {CANARY} }}"),
        format!("{{ type: webhook, url: 'https://user:{CANARY}@127.0.0.1:1' }}"),
        format!("{{ type: webhook, url: 'https://127.0.0.1:1', auth: {{ type: bearer, token: {CANARY} }} }}"),
    ] {
        let problem = build(&folder, &written).err().expect(&written);
        assert!(!problem.contains(CANARY), "{problem}");
    }
    let text = format!(
        "telemetry: {{ exporters: [ {{ type: splunk_hec, url: 'https://127.0.0.1:1', token: {{ file: '{path}' }} }} ] }}"
    );
    let config = countersign::config::parse(&text, &folder.0.join("countersign.yaml")).unwrap();
    config.telemetry.exporters[0].open(&config.telemetry, &folder.0).unwrap();
    assert!(!format!("{config:?}").contains(CANARY));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s2_3_and_s2_4_a_stream_and_an_archive_get_the_same_events() {
    let (bench, stub) = (Bench::new(), Stub::start(Endpoint).await);
    let text = format!(
        "telemetry: {{ exporters: [ {{ type: file, path: archive.jsonl }}, {{ type: webhook, url: 'http://{}/events', \
         delivery: {{ linger_ms: 1 }} }} ] }}",
        stub.address
    );
    let config = countersign::config::parse(&text, &bench.data().join("countersign.yaml")).unwrap().telemetry;
    let exporter = bench.start(&config);
    bench.write(1, 100).await;
    let monitor = exporter.monitor();
    until("everything", || monitor.needed_from() == bench.recorder.size()).await;
    exporter.stop().await;
    let archive = std::fs::read_to_string(bench.data().join("archive.jsonl")).unwrap();
    let archived = archive.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["event_id"].clone());
    let archived: HashSet<String> = archived.map(|id| id.as_str().unwrap().to_owned()).collect();
    let streamed: HashSet<String> = stub.taken().into_iter().collect();
    let recorded: HashSet<String> = bench.events().into_iter().map(|event| event.id).collect();
    assert!(archived == recorded && streamed == recorded, "{} {} {}", archived.len(), streamed.len(), recorded.len());
}

#[tokio::test]
async fn s3_5_defaults_are_within_those_of_the_batch_processor() {
    let destination = build(&Folder::new(), "{ type: otlp, url: 'http://127.0.0.1:1' }").unwrap();
    let limits = destination.limits();
    assert!(limits.linger <= Duration::from_millis(5_000) && limits.events_max <= 2_048, "{limits:?}");
    assert_eq!(HttpClient::default().timeout_ms, 30_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_7_what_has_to_go_is_the_oldest_and_a_signed_gap_says_so() {
    let (bench, receiver) = (Bench::new(), Switch::new(false));
    let config = config(&[("optional", ", required: false, lag_entries_max: 60")]);
    let exporter = deliver(&bench, &config, vec![Box::new(Receiver("optional", Arc::clone(&receiver)))]);
    bench.write(1, 300).await;
    until("a gap", || !bench.gaps("optional").is_empty()).await;
    receiver.up.store(true, Ordering::SeqCst);
    let monitor = exporter.monitor();
    until("the rest", || monitor.needed_from() == bench.recorder.size()).await;
    let reached = monitor.needed_from();
    assert!(reached > 300, "all that was written: {reached}");
    exporter.stop().await;
    let (gaps, ids) = (bench.gaps("optional"), receiver.ids());
    assert_eq!(gaps[0].0, 0, "the oldest first: {gaps:?}");
    // The exporter's own entries may come after that, that it is well again and how far it has come: they are the next start's.
    for event in bench.events().into_iter().filter(|event| event.index < reached) {
        let left_out = gaps.iter().any(|(from, to)| (*from..=*to).contains(&event.index));
        assert!(left_out || ids.contains(&event.id), "entry {} neither arrived nor is it named", event.index);
    }
}

#[test]
fn s3_13_the_data_collection_rule_declares_every_column() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: std::path::PathBuf| serde_json::from_slice::<Value>(&std::fs::read(path).unwrap()).unwrap();
    let rule = read(root.join("examples/sentinel-dcr.json"));
    let columns = rule.pointer("/resources/0/properties/streamDeclarations/Custom-Aarm/columns").unwrap();
    let columns: HashSet<&str> =
        columns.as_array().unwrap().iter().map(|column| column["name"].as_str().unwrap()).collect();
    assert!(columns.contains("TimeGenerated") && columns.contains("EventId"));
    let mut seen = 0;
    for file in std::fs::read_dir(root.join("tests/it/golden/events/aarm")).unwrap() {
        for event in read(file.unwrap().path()).as_object().unwrap().values() {
            for name in event.as_object().unwrap().keys() {
                assert!(columns.contains(name.as_str()), "no column for {name}");
                seen += 1;
            }
        }
    }
    assert!(seen > 100, "only {seen} members were looked at");
}
