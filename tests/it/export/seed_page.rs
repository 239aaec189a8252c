//! The examples of AARM's telemetry page against receivers that speak their protocols: the full one, and the one of
//! streams. Only addresses and places of secrets are changed, and what needs a receiver that is not here is left out by
//! name.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use countersign::export::{Config, Cursor, DestinationConfig, ExportError};
use countersign::net::SecretSource;

use super::aws_streams::{KEY_ID, Kind, Stream};
use super::bench::Bench;
use super::compliance::{CANARY, token};
use super::s3::Store;
use super::splunk_hec::Hec;
use super::stub::Stub;
use super::webhook::Endpoint;
use crate::harness::{Folder, PATIENCE};

/// A block of the page, as its own text; `None` where the page is not here.
fn block(name: &str) -> Option<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/aarm/telemetry").join(name);
    let text = std::fs::read_to_string(path).ok();
    if text.is_none() {
        eprintln!("../shared is not here: the page's own examples are left out");
    }
    text
}

/// The section of a block. What this version lacks is taken out, and named.
fn read(text: &str, folder: &Folder) -> Config {
    let parsed = countersign::config::parse(text, &folder.0.join("countersign.yaml")).unwrap();
    let mut telemetry = parsed.telemetry;
    while let Err(error) = telemetry.check() {
        match error {
            ExportError::Enrichment { lookup, problem } => {
                println!("left out: the lookup {lookup}: {problem}");
                telemetry.enrichment.clear();
            }
            ExportError::Feature { kind, .. } => {
                println!("left out: {kind}, whose broker tests/stand/exporters.sh has");
                telemetry.exporters.retain(|exporter| exporter.destination.kind() != kind);
            }
            other => panic!("{other}"),
        }
    }
    // No LDAP server is here: what completes events has tests of its own.
    telemetry.enrichment.clear();
    telemetry
}

/// Leads every destination to its receiver.
fn lead(config: &mut Config, folder: &Folder, address: impl Fn(&str) -> String) {
    let secret = SecretSource::File(PathBuf::from(token(folder, CANARY)));
    let id = folder.0.join("key-id");
    std::fs::write(&id, KEY_ID).unwrap();
    let (id, key) = (Some(SecretSource::File(id)), Some(secret.clone()));
    for exporter in &mut config.exporters {
        let url = address(exporter.destination.kind());
        match &mut exporter.destination {
            DestinationConfig::SplunkHec(hec) => {
                assert_eq!(hec.token_env.take().as_deref(), Some("SPLUNK_HEC_TOKEN"));
                (hec.url, hec.token) = (Some(url), Some(secret.clone()));
            }
            DestinationConfig::S3(s3) => {
                s3.endpoint = Some(url);
                (s3.credentials.access_key_id, s3.credentials.secret_access_key) = (id.clone(), key.clone());
            }
            DestinationConfig::AwsKinesis(kinesis) => {
                kinesis.endpoint = Some(url);
                (kinesis.credentials.access_key_id, kinesis.credentials.secret_access_key) = (id.clone(), key.clone());
            }
            DestinationConfig::Webhook(webhook) => {
                webhook.url = url;
                let auth = webhook.auth.as_mut().unwrap();
                assert_eq!(auth.token_env.take().as_deref(), Some("SIEM_TOKEN"));
                auth.token = Some(secret.clone());
            }
            other => panic!("no receiver for {}", other.kind()),
        }
    }
}

/// Runs a configuration over a log, and accounts for each of its events.
async fn account(config: &Config, receivers: &[(&str, Stub)]) {
    let bench = Bench::new();
    let exporter = bench.start(config);
    bench.write(0, 200).await;
    // What is not urgent gathers for as long as the page says; a stop waits for nothing.
    tokio::time::timeout(PATIENCE, exporter.stop()).await.expect("a stop delivers what is there");
    let events = bench.events();
    for (name, stub) in receivers {
        let place = Cursor::read(&bench.data().join("export"), name).unwrap().place;
        let passed: Vec<_> = events.iter().filter(|event| event.index < place.next && event.counted).collect();
        assert!(passed.len() >= 200, "{name}: {} of {}", passed.len(), events.len());
        let counts = place.counts;
        assert_eq!((counts.dead, counts.skipped), (0, 0), "{name}");
        assert_eq!(counts.delivered + counts.filtered, passed.len() as u64, "{name}: {counts:?}");
        let taken: HashSet<String> = stub.taken().into_iter().collect();
        let arrived = passed.iter().filter(|event| taken.contains(&event.id)).count();
        assert_eq!(arrived as u64, counts.delivered, "{name}: {counts:?}");
        println!("{name}: {} events, {} delivered, {} filtered", passed.len(), counts.delivered, counts.filtered);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s0_19_the_full_example_runs_and_every_event_is_accounted_for() {
    let Some(text) = block("13.yaml") else { return };
    let folder = Folder::new();
    let receivers = [("splunk_hec", Stub::start(Hec::default()).await), ("s3", Stub::start(Store::default()).await)];
    let mut config = read(&text, &folder);
    lead(&mut config, &folder, |kind| {
        format!("http://{}", receivers.iter().find(|(name, _)| *name == kind).unwrap().1.address)
    });
    account(&config, &receivers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s0_8_the_example_of_streams_runs_and_every_event_is_accounted_for() {
    let Some(text) = block("08.yaml") else { return };
    let folder = Folder::new();
    let kinesis = Stub::start(Stream::new(Kind::Kinesis, 0)).await;
    let receivers = [("webhook", Stub::start(Endpoint).await), ("aws_kinesis", kinesis)];
    let mut config = read(&text, &folder);
    config.exporters.retain(|exporter| exporter.destination.kind() != "kafka");
    lead(&mut config, &folder, |kind| {
        format!("http://{}", receivers.iter().find(|(name, _)| *name == kind).unwrap().1.address)
    });
    account(&config, &receivers).await;
}
