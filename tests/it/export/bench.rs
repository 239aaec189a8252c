//! A log in memory or on a disk, a folder for cursors, and receivers that follow a script.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use countersign::export::{
    Batch, Config, Confirmation, Confirming, DecodedEntry, Delivery, Destination, EventFailure, Exporter,
    ExporterConfig, FailedEvent, Limits, SendError, Sending, events_of,
};
use countersign::model::{Clock, EventType, ManualClock, Timestamp};
use countersign::record::disk::{Disk, FaultyDisk, RealDisk};
use countersign::record::entry::{ControlBlock, ScopeBlock};
use countersign::record::{ControlFact, Log, Recorder};

use crate::harness::Folder;

/// A small generator, so that a run can be repeated from its seed.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    /// splitmix64.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }
}

/// A log; cursors and dead letters lie in a real folder.
pub(super) struct Bench {
    pub(super) recorder: Recorder,
    pub(super) clock: Arc<ManualClock>,
    pub(super) folder: Folder,
}

/// One event of the log.
pub(super) struct Known {
    pub(super) id: String,
    pub(super) index: u64,
    pub(super) counted: bool,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self::on(Arc::new(FaultyDisk::new()))
    }

    /// A log on a real disk, beside the cursors.
    pub(super) fn real() -> Self {
        Self::on(Arc::new(RealDisk))
    }

    fn on(disk: Arc<dyn Disk>) -> Self {
        let folder = Folder::new();
        let clock = Arc::new(ManualClock::at(Timestamp::from_secs(1_795_209_298)));
        let config = countersign::record::Config {
            data_dir: folder.0.clone(),
            segment_bytes: 1 << 20,
            first_segment_bytes: 1 << 20,
            reserved_bytes: 0,
            ..countersign::record::Config::default()
        };
        let shared: Arc<dyn Clock> = Arc::clone(&clock) as _;
        let (log, opened) = Log::open(&config, disk, Arc::clone(&shared)).unwrap();
        let (recorder, _) = Recorder::start(log, &opened, shared).unwrap();
        Self { recorder, clock, folder }
    }

    pub(super) fn data(&self) -> PathBuf {
        self.folder.0.clone()
    }

    /// Records so many controls; one of eight is CRITICAL.
    pub(super) async fn write(&self, from: u64, count: u64) {
        let entries = (from..from + count).map(|number| {
            let recorder = self.recorder.clone();
            tokio::spawn(async move { recorder.control(control(number)).await.unwrap() })
        });
        for entry in entries.collect::<Vec<_>>() {
            entry.await.unwrap();
        }
    }

    /// Delivers to one destination that is there already.
    pub(super) fn deliver_one(&self, config: &Config, destination: Box<dyn Destination>) -> Exporter {
        let clock: Arc<dyn Clock> = Arc::clone(&self.clock) as _;
        let destinations = vec![(&config.exporters[0], destination)];
        Exporter::deliver(config, destinations, &self.recorder, &self.data(), clock).unwrap()
    }

    pub(super) fn deliver(&self, config: &Config, destinations: Vec<Scripted>) -> Exporter {
        let destinations = destinations.into_iter().map(|destination| {
            let exporter = config.exporters.iter().find(|exporter| exporter.name() == destination.name).unwrap();
            (exporter, Box::new(destination) as Box<dyn Destination>)
        });
        let clock: Arc<dyn Clock> = Arc::clone(&self.clock) as _;
        Exporter::deliver(config, destinations.collect(), &self.recorder, &self.data(), clock).unwrap()
    }

    /// Starts the destinations that a configuration names.
    pub(super) fn start(&self, config: &Config) -> Exporter {
        let clock: Arc<dyn Clock> = Arc::clone(&self.clock) as _;
        Exporter::start(config, &self.recorder, &self.data(), clock).unwrap()
    }

    /// Every event of the log.
    pub(super) fn events(&self) -> Vec<Known> {
        let (mut known, log) = (Vec::new(), self.recorder.log());
        let mut next = 0;
        loop {
            let entries = log.read(next, 1_000, usize::MAX).unwrap();
            let Some(last) = entries.last() else { return known };
            next = last.index + 1;
            for entry in &entries {
                let entry = Arc::new(DecodedEntry::open(entry).unwrap());
                known.extend(events_of(&entry).into_iter().map(|event| Known {
                    id: event.id,
                    index: entry.index,
                    counted: event.event_type != EventType::Checkpoint,
                }));
            }
        }
    }

    /// The ranges that signed entries name as left out for a destination.
    pub(super) fn gaps(&self, destination: &str) -> Vec<(u64, u64)> {
        gaps(self.recorder.log(), destination)
    }
}

/// The ranges that signed entries of a log name as left out for a destination.
pub(super) fn gaps(log: &Log, destination: &str) -> Vec<(u64, u64)> {
    let (mut gaps, mut next) = (Vec::new(), 0);
    while let Some(entry) = log.read(next, 1, 1).unwrap().pop() {
        next = entry.index + 1;
        let decoded = DecodedEntry::open(&entry).unwrap();
        let Some(gap) = decoded.predicate().and_then(|predicate| predicate.get("export_gap")) else { continue };
        if gap.get("destination").and_then(|name| name.as_str()).as_deref() == Some(destination) {
            let number = |name: &str| gap.get(name).unwrap().text().parse().unwrap();
            gaps.push((number("from"), number("to")));
        }
    }
    gaps
}

pub(super) fn control(number: u64) -> ControlFact {
    let event = if number.is_multiple_of(8) { "break_glass" } else { "exception" };
    ControlFact::control(ControlBlock {
        event: event.into(),
        reason: Some(format!("number {number}").into()),
        scope: Some(ScopeBlock { kind: "all".into(), value: None }),
        ..ControlBlock::default()
    })
}

/// What a receiver remembers, across lives of the exporter.
#[derive(Default)]
pub(super) struct Memory {
    /// How often each event was taken for good.
    pub(super) taken: HashMap<String, u64>,
    /// Where the events stand that were taken, in the order of their arrival in this life: index, urgent.
    pub(super) order: Vec<(u64, bool)>,
    /// Taken but not confirmed yet, by ticket.
    pending: HashMap<u64, Vec<String>>,
    tickets: u64,
    /// Ids that the receiver will never take.
    pub(super) refused: HashSet<String>,
    pub(super) most_bytes: usize,
}

/// How a receiver treats us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// Takes everything.
    Kind,
    /// Fails in every way that a script can think of; so many faults in a hundred.
    Moody(u64),
    /// Takes batches, loses some, confirms others late and some never.
    Forgetful(u64),
    /// Takes nothing.
    Dead,
}

/// A receiver in memory.
pub(super) struct Scripted {
    pub(super) name: String,
    pub(super) manner: Manner,
    pub(super) memory: Arc<Mutex<Memory>>,
    pub(super) dice: Mutex<Dice>,
    pub(super) limits: Limits,
}

impl Scripted {
    fn take(&self, memory: &mut Memory, batch: &Batch, skip: &[usize]) {
        for (position, item) in batch.items.iter().enumerate() {
            if !skip.contains(&position) {
                *memory.taken.entry(item.id.clone()).or_default() += 1;
                memory.order.push((item.index, item.is_urgent()));
            }
        }
    }

    fn answer(&self, batch: &Batch) -> Result<Delivery, SendError> {
        let (mut memory, mut dice) = (self.memory.lock().unwrap(), self.dice.lock().unwrap());
        memory.most_bytes = memory.most_bytes.max(batch.bytes());
        assert!(!batch.items.is_empty() && batch.items.len() <= self.limits.events_max, "{}", batch.items.len());
        let faults = match self.manner {
            Manner::Kind => 0,
            Manner::Moody(percent) | Manner::Forgetful(percent) => percent,
            Manner::Dead => return Err(SendError::later("connection refused")),
        };
        if let Some(position) = batch.items.iter().position(|item| memory.refused.contains(&item.id)) {
            let named = (dice.below(2) == 0).then_some(position);
            return Err(SendError::Rejected { problem: "invalid event".into(), position: named });
        }
        if dice.below(100) < faults {
            match dice.below(6) {
                0 => return Err(SendError::later("503")),
                1 => {
                    // The worst of all: it took the batch, and the answer was lost.
                    self.take(&mut memory, batch, &[]);
                    return Err(SendError::later("connection reset"));
                }
                2 if batch.items.len() > 1 => return Err(SendError::TooLarge("413".into())),
                3 => return Err(SendError::Refused("401".into())),
                4 => {
                    let wait = std::time::Duration::from_millis(dice.below(5));
                    return Err(SendError::Later { problem: "429".into(), retry_after: Some(wait) });
                }
                _ => {
                    let some: Vec<usize> = (0..batch.items.len()).filter(|_| dice.below(2) == 0).collect();
                    self.take(&mut memory, batch, &some);
                    let failed = |position| FailedEvent { position, failure: EventFailure::Later("busy".into()) };
                    return Ok(Delivery { failed: some.into_iter().map(failed).collect(), ..Delivery::default() });
                }
            }
        }
        if matches!(self.manner, Manner::Forgetful(_)) {
            memory.tickets += 1;
            let ticket = memory.tickets;
            memory.pending.insert(ticket, batch.items.iter().map(|item| item.id.clone()).collect());
            return Ok(Delivery { ticket: Some(ticket), ..Delivery::default() });
        }
        self.take(&mut memory, batch, &[]);
        Ok(Delivery::default())
    }

    fn confirmation(&self, ticket: u64) -> Confirmation {
        let (mut memory, mut dice) = (self.memory.lock().unwrap(), self.dice.lock().unwrap());
        let Manner::Forgetful(percent) = self.manner else { return Confirmation::Arrived };
        if dice.below(100) < percent {
            return match dice.below(3) {
                0 => Confirmation::Lost("the indexer restarted".into()),
                _ => Confirmation::Pending,
            };
        }
        for id in memory.pending.remove(&ticket).unwrap_or_default() {
            *memory.taken.entry(id).or_default() += 1;
        }
        Confirmation::Arrived
    }
}

impl Destination for Scripted {
    fn name(&self) -> &str {
        &self.name
    }

    fn limits(&self) -> Limits {
        self.limits
    }

    fn send<'a>(&'a self, batch: &'a Batch) -> Sending<'a> {
        let stall = self.manner != Manner::Kind && self.dice.lock().unwrap().below(8) == 0;
        Box::pin(async move {
            if stall {
                tokio::time::sleep(std::time::Duration::from_millis(3)).await;
            }
            self.answer(batch)
        })
    }

    fn confirm<'a>(&'a self, tickets: &'a [u64]) -> Confirming<'a> {
        Box::pin(async move { Ok(tickets.iter().map(|ticket| self.confirmation(*ticket)).collect()) })
    }
}

/// A configuration with destinations of these names, and settings under which nothing waits for long.
pub(super) fn config(exporters: &[(&str, &str)]) -> Config {
    let mut text = String::from("checkpoint_interval_s: 1\nexporters:\n");
    for (name, more) in exporters {
        text.push_str(&format!(
            "  - {{ type: stdout, name: {name}, delivery: {{ linger_ms: 1, retry_base_ms: 2, retry_cap_ms: 5, \
             probe_interval_ms: 4, confirm_interval_ms: 2, confirm_timeout_ms: 30, window_events: 40{more} }} }}\n"
        ));
    }
    let text =
        format!("servers: {{}}\ntelemetry:\n{}", text.lines().map(|line| format!("  {line}\n")).collect::<String>());
    countersign::config::parse(&text, std::path::Path::new("countersign.yaml")).unwrap().telemetry
}

/// Keeps the compiler honest about what a destination's configuration is.
pub(super) fn names(config: &Config) -> Vec<&str> {
    config.exporters.iter().map(ExporterConfig::name).collect()
}
