//! Every type of destination at once, each as it is built from a configuration and behind its own protocol: whatever goes
//! wrong on the way and wherever the process dies, each event is in each receiver or in a dead letter, and each is in a
//! Parquet file and its entry in the archive.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use countersign::export::{Config, Exporter, dead_letters};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use super::bench::{Bench, Dice};
use super::compliance::CANARY;
use super::connection::everywhere;
use super::copies::{self, Obstacle, is_copy};
use super::lake_streams;
use super::stub::{Fault, Stub};
use super::sumologic;
use crate::harness::{Folder, PATIENCE};

/// Seeds at once.
const THREADS: usize = 4;

/// Lives of the exporter: in all but the last it is killed.
const LIVES: u64 = 3;

/// Parts of what is written in a life, each in files of its own.
const CHUNKS: u64 = 3;

/// What goes wrong with any receiver that speaks HTTP.
const FAULTS: [Fault; 9] = [
    Fault::Answer(503, &[("retry-after", "0")], "busy"),
    Fault::Answer(502, &[], "<html>a proxy's page</html>"),
    Fault::Answer(429, &[("retry-after", "0")], ""),
    Fault::Answer(413, &[], ""),
    Fault::Answer(401, &[], ""),
    Fault::Answer(403, &[], ""),
    Fault::Answer(400, &[], ""),
    Fault::Reset,
    Fault::TakeAndReset,
];

/// Where events arrive.
enum Receiver {
    Http(Stub),
    /// Lines of text by syslog: the ids in them.
    Lines(Arc<Mutex<Vec<String>>>),
}

impl Receiver {
    fn taken(&self) -> Vec<String> {
        match self {
            Self::Http(stub) => stub.taken(),
            Self::Lines(ids) => ids.lock().unwrap().clone(),
        }
    }
}

/// All receivers, by the names of their destinations, and the configuration that leads to them.
struct World {
    _runtime: Runtime,
    receivers: Vec<(&'static str, Receiver)>,
    config: Config,
    _folder: Folder,
}

/// The id in a message: of JSON, or of CEF.
fn id(line: &str) -> String {
    let part = |mark: &str, end: char| Some(line.split_once(mark)?.1.split(end).next().unwrap().to_owned());
    part("\"event_id\":\"", '"').or_else(|| part("externalId=", ' ')).unwrap_or_else(|| panic!("no id in {line}"))
}

async fn lines() -> (std::net::SocketAddr, Receiver) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, ids) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
    let known = Arc::clone(&ids);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let known = Arc::clone(&known);
            tokio::spawn(async move {
                let mut lines = BufReader::new(stream).lines();
                while let Ok(Some(line)) = lines.next_line().await {
                    known.lock().unwrap().push(id(&line));
                }
            });
        }
    });
    (address, Receiver::Lines(ids))
}

impl World {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let folder = Folder::new();
        let (mut receivers, mut exporters) = (Vec::new(), Vec::new());
        runtime.block_on(async {
            for (name, stub, exporter) in everywhere(&folder, 3).await {
                receivers.push((name, Receiver::Http(stub)));
                exporters.push(exporter);
            }
            let stub = Stub::start(sumologic::Source).await;
            // The address is a secret: in a file of its own.
            let own = Folder::new();
            let exporter = sumologic::exporter(&stub, &own, ", host: localhost/test");
            let path = folder.0.join("source");
            std::fs::copy(own.0.join("token"), &path).unwrap();
            exporters.push(exporter.replace(&own.0.join("token").display().to_string(), &path.display().to_string()));
            receivers.push(("sumologic", Receiver::Http(stub)));
            let stub = Stub::start(lake_streams::Streams::new(lake_streams::ALL)).await;
            exporters.push(lake_streams::exporter(&stub, &folder));
            receivers.push(("security_lake", Receiver::Http(stub)));
            let delivery = "delivery: { linger_ms: 1, batch_events: 9, retry_base_ms: 2, retry_cap_ms: 5, confirm_interval_ms: 5 }";
            for (name, more) in [("syslog", ""), ("trend_vision_one", ", schema: cef")] {
                let (address, receiver) = lines().await;
                receivers.push((name, receiver));
                exporters.push(format!(
                    "{{ type: {name}, address: '{address}', transport: tcp, framing: newline{more}, {delivery} }}"
                ));
            }
        });
        exporters.push("{ type: file, path: events.jsonl, delivery: { linger_ms: 1 } }".into());
        exporters.push(copies::ARCHIVE_EXPORTER.into());
        let text = format!(
            "servers: {{}}\ntelemetry: {{ checkpoint_interval_s: 1, {}, exporters: [ {} ] }}\n",
            copies::BATCH_EXPORT,
            exporters.join(", ")
        );
        let config = countersign::config::parse(&text, &folder.0.join("countersign.yaml")).unwrap().telemetry;
        Self { _runtime: runtime, receivers, config, _folder: folder }
    }
}

#[derive(Debug, Default)]
struct Tally {
    seeds: u64,
    events: u64,
    arrivals: u64,
    repeats: u64,
    dead: u64,
    /// Attempts of the files and the archive that failed.
    copies_failed: u64,
    files: u64,
    rows: u64,
    archived: u64,
}

#[test]
fn every_event_reaches_every_type_of_destination_under_faults_and_a_crash() {
    let given = std::env::var("COUNTERSIGN_TEST_SEED").ok().and_then(|text| text.parse().ok());
    let seeds = if std::env::var_os("COUNTERSIGN_TEST_FULL").is_some() { 100 } else { 24 };
    let seeds: Vec<u64> = given.map_or_else(|| (0..seeds).collect(), |seed| vec![seed]);
    let total = Mutex::new(Tally::default());
    std::thread::scope(|scope| {
        for part in seeds.chunks(seeds.len().div_ceil(THREADS)) {
            let total = &total;
            scope.spawn(move || {
                let world = World::new();
                part.iter().for_each(|seed| one(*seed, &world, total));
            });
        }
    });
    let total = total.into_inner().unwrap();
    println!("{total:?}");
    // The script must have bitten, or the test proves nothing.
    if total.seeds > 10 {
        assert!(total.repeats > 0 && total.dead > 0 && total.copies_failed > 0, "{total:?}");
    }
}

fn one(seed: u64, world: &World, total: &Mutex<Tally>) {
    let (mut dice, bench) = (Dice(seed), Bench::real());
    let before: Vec<usize> = world.receivers.iter().map(|(_, receiver)| receiver.taken().len()).collect();
    let (mut written, mut copies_failed) = (0, 0);
    for life in 0..LIVES {
        for (_, receiver) in &world.receivers {
            let Receiver::Http(stub) = receiver else { continue };
            for _ in 0..1 + dice.below(4) {
                stub.fail(FAULTS[usize::try_from(dice.below(FAULTS.len() as u64)).unwrap()].clone());
            }
        }
        let last = life + 1 == LIVES;
        let obstacle = if last { None } else { Obstacle::put(&bench.data(), &mut dice) };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let alive = runtime.block_on(async {
            let exporter = bench.start(&world.config);
            for _ in 0..CHUNKS {
                let more = 3 + dice.below(8);
                bench.write(written, more).await;
                written += more;
                // The next ones are in other files.
                bench.clock.advance_micros(1_500_000);
            }
            bench.recorder.log().checkpoint_now().await.unwrap();
            if !last {
                tokio::time::sleep(Duration::from_millis(dice.below(60))).await;
                return Some(exporter);
            }
            settle(seed, &bench, exporter).await;
            copies::complete(seed, &bench, &world.config).await;
            None
        });
        // Tasks end where they stand, as they would if the process were killed.
        runtime.shutdown_timeout(PATIENCE);
        copies_failed += alive.as_ref().map_or(0, copies::failures);
        drop(alive);
        obstacle.into_iter().for_each(Obstacle::remove);
    }
    let mut tally = total.lock().unwrap();
    account(seed, &bench, world, &before, &mut tally);
    let found = copies::account(seed, &bench);
    tally.copies_failed += copies_failed;
    (tally.files, tally.rows) = (tally.files + found.files, tally.rows + found.rows);
    tally.archived += found.archived;
}

/// Until every receiver has everything; the copies wait for time to pass.
async fn settle(seed: u64, bench: &Bench, exporter: Exporter) {
    let monitor = exporter.monitor();
    let behind = || {
        let size = bench.recorder.size();
        monitor.destinations().iter().any(|status| !is_copy(&status.name) && status.next < size)
    };
    let settled = async {
        while behind() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let settled = tokio::time::timeout(PATIENCE, settled).await;
    assert!(settled.is_ok(), "seed {seed}: not settled: {}", monitor.render());
    exporter.stop().await;
}

fn account(seed: u64, bench: &Bench, world: &World, before: &[usize], tally: &mut Tally) {
    let events = bench.events();
    let needed: Vec<_> = events.iter().filter(|event| event.counted).collect();
    let file = std::fs::read_to_string(bench.data().join("events.jsonl")).unwrap();
    let file = Receiver::Lines(Arc::new(Mutex::new(file.lines().map(id).collect())));
    let all = world.receivers.iter().map(|(name, receiver)| (*name, receiver)).chain([("file", &file)]);
    tally.seeds += 1;
    tally.events += needed.len() as u64;
    for ((name, receiver), skip) in all.zip(before.iter().chain([&0])) {
        let letters = dead_letters(&bench.data().join("export"), name).unwrap();
        let dead: HashSet<String> = letters.into_iter().map(|letter| letter.event_id).collect();
        let missing = |taken: &[String]| {
            let distinct: HashSet<&String> = taken.iter().collect();
            needed
                .iter()
                .find(|event| !distinct.contains(&event.id) && !dead.contains(&event.id))
                .map(|event| event.index)
        };
        // What a syslog receiver's machine has acknowledged, the receiver may have yet to read.
        let pause = Duration::from_millis(5);
        let mut waited = Duration::ZERO;
        let mut taken = receiver.taken().split_off(*skip);
        while let Some(index) = missing(&taken) {
            let waits = matches!(receiver, Receiver::Lines(_)) && waited < PATIENCE;
            assert!(waits, "seed {seed}: {name} never got an event of entry {index}");
            std::thread::sleep(pause);
            waited += pause;
            taken = receiver.taken().split_off(*skip);
        }
        let distinct: HashSet<&String> = taken.iter().collect();
        tally.arrivals += distinct.len() as u64;
        tally.repeats += (taken.len() - distinct.len()) as u64;
        tally.dead += dead.len() as u64;
    }
    assert!(!format!("{:?}", world.config).contains(CANARY));
}
