//! The exporter: a receiver that is down for many events, what that costs in memory and at the log, how fast the backlog
//! drains when it returns, and how late events are at a healthy one.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use countersign::export::{Config as Telemetry, Exporter, Monitor};
use countersign::model::Clock;
use countersign::net::SystemClock;
use countersign::record::disk::RealDisk;
use countersign::record::{Appended, Config, Log, Recorder};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::Value;

use super::Fallible;
use super::histogram::Histogram;
use super::timing::{now, ns_between};

/// Events of an outage.
const OUTAGE_EVENTS: u64 = 100_000;
/// Events whose way is timed, at a pace that a busy agent has.
const TIMED_EVENTS: u64 = 2_000;
const PACE: Duration = Duration::from_millis(2);
/// Appends that are timed with and without an exporter, in turns.
const APPENDS: u64 = 2_000;
/// Times that the backlog is sent to Kafka.
const KAFKA_ROUNDS: u32 = 4;
/// Longest time for a backlog.
const DRAIN_MAX: Duration = Duration::from_mins(5);

/// A line of the report.
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) measured: String,
    pub(crate) target: &'static str,
}

/// Measures everything in a folder of the disk that logs are on.
///
/// # Errors
/// What could not be set up.
pub(crate) fn run(directory: &Path) -> Fallible<Vec<Line>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut lines = runtime.block_on(hec(&directory.join("drain-hec")))?;
    lines.extend(runtime.block_on(kafka(&directory.join("drain-kafka")))?);
    Ok(lines)
}

struct Bench {
    recorder: Recorder,
    clock: Arc<dyn Clock>,
    /// The payloads of entries, with places for what differs from one to the next.
    ordinary: String,
    urgent: String,
}

impl Bench {
    fn open(folder: &Path) -> Fallible<Self> {
        let config = Config { data_dir: folder.to_owned(), ..Config::default() };
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let (log, opened) = Log::open(&config, Arc::new(RealDisk), Arc::clone(&clock))?;
        let (recorder, _) = Recorder::start(log, &opened, Arc::clone(&clock))?;
        Ok(Self { recorder, clock, ordinary: sample("action-allowed")?, urgent: sample("action-denied")? })
    }

    /// Hands over the outcome of an action.
    async fn hand_over(&self, number: u64, urgent: bool) -> Fallible<Appended> {
        let payload = if urgent { &self.urgent } else { &self.ordinary };
        let payload = payload.replace(NUMBER, &format!("{number:012x}"));
        let payload = payload.replace(AGENT, &format!("agent-{:02}", number * 7 % AGENTS));
        let payload = payload.replace(TIME, &self.clock.now().to_string());
        let entry = Bytes::from(format!("{{\"payload\":\"{}\"}}", BASE64_STANDARD.encode(payload)));
        let log = self.recorder.log();
        Ok(log.append(log.reserve().await?, entry))
    }

    /// As [`Self::hand_over`], and waits: its place in the log.
    async fn append(&self, number: u64, urgent: bool) -> Fallible<u64> {
        Ok(self.hand_over(number, urgent).await?.durable().await?)
    }

    /// Appends many, each thousand durable before the next.
    async fn fill(&self, from: u64, count: u64) -> Fallible<()> {
        for begin in (from..from + count).step_by(1_000) {
            let mut waiting = Vec::new();
            for number in begin..begin + 1_000 {
                waiting.push(self.hand_over(number, false).await?);
            }
            for appended in waiting {
                appended.durable().await?;
            }
        }
        Ok(())
    }

    fn export(&self, folder: &Path, exporter: &str) -> Fallible<Exporter> {
        let text = format!("telemetry: {{ checkpoint_interval_s: 0, exporters: [ {exporter} ] }}");
        let config: Telemetry = countersign::config::parse(&text, &folder.join("bench.yaml"))?.telemetry;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        Ok(Exporter::start(&config, &self.recorder, folder, clock)?)
    }
}

/// How long single appends take until they are durable, to one log and to another in turns: whatever else the machine and
/// its disk do, both have alike.
async fn appends(one: &Bench, other: &Bench, from: u64) -> Fallible<(Histogram, Histogram)> {
    let (mut first, mut second) = (Histogram::new(), Histogram::new());
    for number in 0..APPENDS {
        for (bench, seen) in [(one, &mut first), (other, &mut second)] {
            let start = now();
            bench.append(from + number, false).await?;
            seen.record(ns_between(start, now()));
        }
    }
    Ok((first, second))
}

/// `p50 and p99 with ... of those without`.
fn beside((without, with): &(Histogram, Histogram)) -> String {
    let ratio = |share| match (without.quantile_ns(share), with.quantile_ns(share)) {
        (Some(without), Some(with)) => format!("{:.2}", with as f64 / without.max(1) as f64),
        _ => "-".into(),
    };
    format!(
        "p50 {} p99 {}, without {} {}: ratios {} {}",
        milliseconds(with, 5_000),
        milliseconds(with, 9_900),
        milliseconds(without, 5_000),
        milliseconds(without, 9_900),
        ratio(5_000),
        ratio(9_900)
    )
}

/// What stands for the number of an entry in a payload, as long as what it is replaced with.
const NUMBER: &str = "a-number-00a";
/// The same for an agent.
const AGENT: &str = "an-agent";
/// The same for the time.
const TIME: &str = "the-time";
/// Agents that act in turns.
const AGENTS: u64 = 24;
/// What is another value in every entry: ids, digests, arguments.
const OF_ENTRY: [&str; 10] = [
    "/action/action_id",
    "/action/parameters/hash",
    "/action/parameters/text",
    "/action/step/id",
    "/action/trace/span_id",
    "/action/trace/trace_id",
    "/outcome/ref",
    "/outcome/result/hash",
    "/receipt_id",
    "/session/prev",
];
/// What is another value for every agent.
const OF_AGENT: [&str; 6] = [
    "/action/tool",
    "/identity/agent/id/value",
    "/identity/agent/instance",
    "/identity/human/value",
    "/identity/owner",
    "/session/id",
];

/// The payload of a sample entry, with places for what differs.
fn sample(name: &str) -> Fallible<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/it/golden/events/entries/{name}.json"));
    let mut predicate: Value = serde_json::from_slice(&std::fs::read(path)?)?;
    let places = OF_ENTRY.map(|path| (path, NUMBER)).into_iter().chain(OF_AGENT.map(|path| (path, AGENT)));
    for (path, place) in places {
        // A refusal has no outcome.
        if let Some(Value::String(text)) = predicate.pointer_mut(path) {
            // Before what closes the JSON of arguments.
            let end = text.len() - text.chars().rev().take_while(|last| !last.is_alphanumeric()).count();
            text.replace_range(end.saturating_sub(place.len())..end, place);
        }
    }
    for path in ["/outcome/completed", "/time/wall"] {
        if let Some(time) = predicate.pointer_mut(path) {
            *time = TIME.into();
        }
    }
    if predicate.pointer("/action/action_id").is_none() {
        return Err("a sample without an action".into());
    }
    Ok(serde_json::json!({ "predicate": predicate }).to_string())
}

/// What of an event says which entry it comes from.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    fields: Fields<'a>,
}

#[derive(Deserialize)]
struct Fields<'a> {
    log_index: &'a str,
}

/// A collector that can be down, and notes when each entry arrived.
#[derive(Default)]
struct Collector {
    up: AtomicBool,
    bodies: Mutex<Vec<(Instant, Bytes)>>,
}

impl Collector {
    async fn start() -> Fallible<(std::net::SocketAddr, Arc<Self>)> {
        let (listener, collector) = (tokio::net::TcpListener::bind("127.0.0.1:0").await?, Arc::new(Self::default()));
        let (address, shared) = (listener.local_addr()?, Arc::clone(&collector));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&shared);
                let service = service_fn(move |request| Arc::clone(&shared).answer(request));
                let serving =
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                tokio::spawn(serving);
            }
        });
        Ok((address, collector))
    }

    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
        let body = request.into_body().collect().await?.to_bytes();
        let mut response = Response::new(Full::from(r#"{"text":"Success","code":0}"#));
        if self.up.load(Ordering::SeqCst) {
            self.bodies.lock().unwrap_or_else(PoisonError::into_inner).push((now(), body));
        } else {
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        }
        Ok(response)
    }

    /// When each entry came first. Unpacked only now: a collector does that on a machine of its own.
    fn arrivals(&self) -> Fallible<HashMap<u64, Instant>> {
        let mut found = HashMap::new();
        for (at, body) in self.bodies.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let mut text = Vec::new();
            std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&**body), &mut text)?;
            for event in serde_json::Deserializer::from_slice(&text).into_iter::<Envelope<'_>>() {
                found.entry(event?.fields.log_index.parse()?).or_insert(*at);
            }
        }
        Ok(found)
    }
}

/// Resident memory, bytes.
fn memory() -> Fallible<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}

/// Time on processors so far, of all threads of this process: the receiver is among them.
fn cpu() -> Duration {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(used.tv_sec.unsigned_abs(), u32::try_from(used.tv_nsec).unwrap_or_default())
}

async fn settle(monitor: &Monitor, recorder: &Recorder) -> Fallible<Duration> {
    let begun = now();
    while monitor.needed_from() < recorder.size() {
        if begun.elapsed() > DRAIN_MAX {
            return Err("the backlog did not drain".into());
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(begun.elapsed())
}

fn line(name: impl Into<String>, measured: String, target: &'static str) -> Line {
    Line { name: name.into(), measured, target }
}

/// What was reached beside everything else that the machine does, and what one event costs whatever that is.
fn rate(events: u64, took: Duration, used: Duration) -> String {
    let per_second = u128::from(events) * 1_000_000 / took.as_micros().max(1);
    let each = used.as_nanos() / u128::from(events.max(1));
    let processors = used.as_secs_f64() / took.as_secs_f64();
    format!(
        "{per_second} events/s ({events} in {took:.2?}), {:.1} us of processor each, on {processors:.2} processors",
        each as f64 / 1e3
    )
}

fn milliseconds(seen: &Histogram, share: u64) -> String {
    seen.quantile_ns(share).map_or_else(|| "-".into(), |ns| format!("{:.1?}", Duration::from_nanos(ns)))
}

async fn hec(folder: &Path) -> Fallible<Vec<Line>> {
    std::fs::create_dir_all(folder)?;
    let (bench, (address, collector)) = (Bench::open(folder)?, Collector::start().await?);
    std::fs::create_dir_all(folder.join("without"))?;
    let alone = Bench::open(&folder.join("without"))?;
    bench.fill(0, 20_000).await?;
    alone.fill(0, 20_000).await?;
    let token = folder.join("token");
    std::fs::write(&token, "not-a-token")?;
    let exporter = bench.export(folder, &format!(
        "{{ type: splunk_hec, url: 'http://{address}', token: {{ file: '{}' }}, delivery: {{ retry_cap_ms: 500 }} }}",
        token.display()
    ))?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = memory()?;
    bench.fill(100_000, OUTAGE_EVENTS / 2).await?;
    let half = memory()?;
    bench.fill(100_000 + OUTAGE_EVENTS / 2, OUTAGE_EVENTS / 2).await?;
    let after = memory()?;
    let beside_down = appends(&alone, &bench, 2_000_000).await?;
    let (monitor, events) = (exporter.monitor(), bench.recorder.size());
    collector.up.store(true, Ordering::SeqCst);
    let used = cpu();
    let took = settle(&monitor, &bench.recorder).await?;
    let used = cpu() - used;
    let (arrived, size) = (collector.arrivals()?.len(), bench.recorder.size());
    let beside_healthy = appends(&alone, &bench, 3_000_000).await?;
    let mut lines = vec![
        line(
            "resident memory beside a receiver that is down: before, after 50,000 and after 100,000 events",
            format!("{}, {} and {} MiB", before >> 20, half >> 20, after >> 20),
            "no growth beyond the window (8 MiB)",
        ),
        line("append until durable beside a receiver that is down", beside(&beside_down), "as without"),
        line("append until durable beside a healthy receiver", beside(&beside_healthy), "as without"),
        line("backlog to a local HEC stub, gzip", rate(events, took, used), ">= 20,000 events/s"),
        line("events of the log that arrived", format!("{arrived} entries of {size}"), "all"),
    ];
    for (urgent, target) in [(false, "p99 <= 2 s"), (true, "p99 <= 200 ms")] {
        let mut sent = Vec::new();
        for number in 0..TIMED_EVENTS {
            let index = bench.append(5_000_000 + u64::from(urgent) * 1_000_000 + number, urgent).await?;
            sent.push((index, now()));
            tokio::time::sleep(PACE).await;
        }
        settle(&monitor, &bench.recorder).await?;
        let arrivals = collector.arrivals()?;
        let mut late = Histogram::new();
        for (index, at) in sent {
            let arrival = arrivals.get(&index).ok_or("an event that was settled never came")?;
            late.record(u64::try_from(arrival.saturating_duration_since(at).as_nanos())?);
        }
        let name = if urgent { "HIGH" } else { "an ordinary event" };
        let measured = format!("p50 {}, p99 {}", milliseconds(&late, 5_000), milliseconds(&late, 9_900));
        lines.push(line(format!("{name}: from durable to a healthy receiver, defaults"), measured, target));
    }
    exporter.stop().await;
    Ok(lines)
}

/// With `COUNTERSIGN_BENCH_KAFKA=HOST:PORT/TOPIC`, a broker that is there.
async fn kafka(folder: &Path) -> Fallible<Vec<Line>> {
    const NAME: &str = "backlog to Kafka, acks=all, idempotent, lz4";
    const TARGET: &str = ">= 30,000 events/s";
    let Ok(target) = std::env::var("COUNTERSIGN_BENCH_KAFKA") else {
        return Ok(vec![line(NAME, "not measured: COUNTERSIGN_BENCH_KAFKA is not set".into(), TARGET)]);
    };
    let (broker, topic) = target.split_once('/').ok_or("COUNTERSIGN_BENCH_KAFKA is HOST:PORT/TOPIC")?;
    std::fs::create_dir_all(folder)?;
    let bench = Bench::open(folder)?;
    bench.fill(0, OUTAGE_EVENTS).await?;
    let mut lines = Vec::new();
    // The broker's own code gets faster while it works: its first minute is no rule, and is told.
    for round in 1..=KAFKA_ROUNDS {
        let exporter = format!("{{ type: kafka, name: round-{round}, brokers: ['{broker}'], topic: {topic} }}");
        let exporter = match bench.export(folder, &exporter) {
            Ok(exporter) => exporter,
            Err(problem) => return Ok(vec![line(NAME, format!("not measured: {problem}"), TARGET)]),
        };
        let used = cpu();
        let took = settle(&exporter.monitor(), &bench.recorder).await?;
        let used = cpu() - used;
        exporter.stop().await;
        let name = format!("{NAME}, time {round} of {KAFKA_ROUNDS}");
        lines.push(line(name, rate(bench.recorder.size(), took, used), TARGET));
    }
    Ok(lines)
}
