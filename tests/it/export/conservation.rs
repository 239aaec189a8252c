//! Every durable entry reaches every destination, or its dead letter, or a signed gap.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use countersign::export::{Cursor, Limits, dead_letters};

use super::bench::{Bench, Dice, Manner, Memory, Scripted, config, names};
use crate::harness::PATIENCE;

/// Lives of the exporter that end in the middle of something, before the last one.
const CRASHES: u64 = 3;

/// Seeds at once.
const THREADS: usize = 6;

/// Events of a window: what a crash may repeat at most.
const WINDOW: u64 = 40;

const LIMITS: Limits = Limits {
    events_max: 16,
    bytes_max: 16_000,
    event_bytes_max: 16_000,
    overhead: 0,
    linger: Duration::from_millis(1),
};

#[test]
fn every_entry_arrives_or_is_accounted_for_under_faults_and_crashes() {
    let seeds = if std::env::var_os("COUNTERSIGN_TEST_FULL").is_some() { 1_000 } else { 100 };
    let given = std::env::var("COUNTERSIGN_TEST_SEED").ok().and_then(|text| text.parse().ok());
    let seeds: Vec<u64> = given.map_or_else(|| (0..seeds).collect(), |seed| vec![seed]);
    // Mostly they wait for the disk: several at once.
    let total = Mutex::new(Tally::default());
    std::thread::scope(|scope| {
        for part in seeds.chunks(seeds.len().div_ceil(THREADS)) {
            let total = &total;
            scope.spawn(move || part.iter().for_each(|seed| add(total, &one(*seed))));
        }
    });
    let total = total.into_inner().unwrap();
    println!("{total:?}");
    // The script must have bitten, or the test proves nothing.
    if total.seeds > 10 {
        assert!(total.dead > 0 && total.gaps > 0 && total.repeats > 0, "{total:?}");
    }
}

fn add(total: &Mutex<Tally>, tally: &Tally) {
    total.lock().unwrap().add(tally);
}

#[derive(Debug, Default)]
struct Tally {
    seeds: u64,
    events: u64,
    repeats: u64,
    dead: u64,
    gaps: u64,
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.events += other.events;
        self.repeats += other.repeats;
        self.dead += other.dead;
        self.gaps += other.gaps;
    }
}

fn one(seed: u64) -> Tally {
    let mut dice = Dice(seed);
    let bench = Bench::new();
    let config = config(&[
        ("kind", ""),
        ("moody", ""),
        ("forgetful", ""),
        ("wide", ", concurrency: 3"),
        ("optional", ", required: false, lag_entries_max: 60"),
    ]);
    let memories: Vec<Arc<Mutex<Memory>>> = names(&config).iter().map(|_| Arc::default()).collect();
    let mut written = 0;
    for life in 0..=CRASHES {
        let last = life == CRASHES;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let faults = if last { 0 } else { 30 + dice.below(40) };
        let manner = |name: &str| match name {
            "kind" => Manner::Kind,
            "forgetful" => Manner::Forgetful(faults),
            "optional" if !last => Manner::Dead,
            _ => Manner::Moody(faults),
        };
        let scripted = names(&config).into_iter().zip(&memories).map(|(name, memory)| Scripted {
            name: name.into(),
            manner: manner(name),
            memory: Arc::clone(memory),
            dice: Mutex::new(Dice(seed ^ (life << 8) ^ name.len() as u64)),
            limits: LIMITS,
        });
        memories.iter().for_each(|memory| memory.lock().unwrap().order.clear());
        let exporter = {
            let _inside = runtime.enter();
            bench.deliver(&config, scripted.collect())
        };
        runtime.block_on(async {
            let more = 20 + dice.below(40);
            bench.write(written, more).await;
            written += more;
            // Some events are poison to two of the receivers.
            for event in bench.events().iter().filter(|event| event.index % 37 == 5) {
                for place in [1, 3] {
                    memories[place].lock().unwrap().refused.insert(event.id.clone());
                }
            }
            if last {
                let settled = async {
                    while exporter.monitor().needed_from() < bench.recorder.size() {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                };
                let settled = tokio::time::timeout(PATIENCE, settled).await;
                assert!(settled.is_ok(), "seed {seed}: not settled: {}", exporter.monitor().render());
                exporter.stop().await;
            } else {
                tokio::time::sleep(Duration::from_millis(dice.below(60))).await;
            }
        });
        // Tasks end where they stand, as they would if the process were killed; what the disk does is finished.
        runtime.shutdown_timeout(PATIENCE);
        in_order(seed, &memories[0].lock().unwrap());
    }
    let mut tally = Tally { seeds: 1, ..Tally::default() };
    for (name, memory) in names(&config).into_iter().zip(&memories) {
        account(seed, &bench, name, &memory.lock().unwrap(), &mut tally);
    }
    tally
}

/// A receiver that takes everything gets what is not urgent in the order of the log.
fn in_order(seed: u64, memory: &Memory) {
    let ordinary: Vec<u64> = memory.order.iter().filter(|(_, urgent)| !urgent).map(|(index, _)| *index).collect();
    assert!(ordinary.is_sorted(), "seed {seed}: out of order: {ordinary:?}");
}

fn account(seed: u64, bench: &Bench, name: &str, memory: &Memory, tally: &mut Tally) {
    let folder = bench.data().join("export");
    let dead: HashSet<String> =
        dead_letters(&folder, name).unwrap().into_iter().map(|letter| letter.event_id).collect();
    let gaps = bench.gaps(name);
    let place = Cursor::read(&folder, name).unwrap().place;
    let (mut counted, mut skipped, mut given_up) = (0, 0, 0);
    for event in bench.events().iter().filter(|event| event.index < place.next) {
        let taken = memory.taken.get(&event.id).copied().unwrap_or_default();
        let left_out = gaps.iter().any(|(from, to)| (*from..=*to).contains(&event.index));
        assert!(
            taken > 0 || dead.contains(&event.id) || left_out,
            "seed {seed}: {name} never got entry {}: {}",
            event.index,
            event.id
        );
        counted += u64::from(event.counted);
        given_up += u64::from(event.counted && dead.contains(&event.id));
        skipped += u64::from(event.counted && left_out);
        tally.repeats += taken.saturating_sub(1);
        if name == "kind" {
            assert!(taken <= 1 + CRASHES, "seed {seed}: {} came {taken} times", event.id);
        }
    }
    let repeats: u64 = memory.taken.values().map(|times| times - 1).sum();
    if name == "kind" {
        assert!(repeats <= CRASHES * WINDOW, "seed {seed}: {repeats} repeats");
    }
    let counts = place.counts;
    assert_eq!(
        counts.delivered + counts.dead + counts.filtered + counts.skipped,
        counted,
        "seed {seed}: {name}: {place:?}"
    );
    if gaps.is_empty() {
        assert_eq!(counts.skipped, 0, "seed {seed}: {name}");
        assert_eq!(counts.dead, given_up, "seed {seed}: {name}");
    }
    assert!(counts.skipped <= skipped, "seed {seed}: {name}: {counts:?} but {skipped} lie in gaps");
    let limit = LIMITS.bytes_max;
    assert!(memory.most_bytes <= limit, "seed {seed}: a batch of {} bytes", memory.most_bytes);
    tally.events += counted;
    tally.dead += dead.len() as u64;
    tally.gaps += gaps.len() as u64;
}
