//! A destination that is down for long: it costs no memory beyond its window, what is urgent overtakes when it returns,
//! and everything arrives.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use countersign::export::{Batch, Delivery, Destination, Limits, SendError, Sending};

use super::bench::{Bench, config};
use crate::harness::PATIENCE;

/// A receiver that can be switched on.
#[derive(Default)]
struct Switched {
    up: AtomicBool,
    /// Index and urgency, in the order of arrival.
    taken: Mutex<Vec<(u64, bool)>>,
}

struct Outage(Arc<Switched>);

const LIMITS: Limits = Limits {
    events_max: 100,
    bytes_max: 200_000,
    event_bytes_max: 100_000,
    overhead: 0,
    linger: Duration::from_millis(1),
};

impl Destination for Outage {
    fn name(&self) -> &str {
        "outage"
    }

    fn limits(&self) -> Limits {
        LIMITS
    }

    fn send<'a>(&'a self, batch: &'a Batch) -> Sending<'a> {
        Box::pin(async move {
            if !self.0.up.load(Ordering::SeqCst) {
                return Err(SendError::later("down"));
            }
            let mut taken = self.0.taken.lock().unwrap();
            taken.extend(batch.items.iter().map(|item| (item.index, item.is_urgent())));
            Ok(Delivery::default())
        })
    }
}

fn metric(text: &str, name: &str) -> u64 {
    let line = text.lines().find(|line| line.starts_with(&format!("{name}{{destination=\"outage\""))).unwrap();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_outage_costs_a_window_and_urgent_events_overtake() {
    let entries: u64 = if std::env::var_os("COUNTERSIGN_TEST_FULL").is_some() { 100_000 } else { 10_000 };
    let (bench, config, receiver) = (Bench::new(), config(&[("outage", "")]), Arc::new(Switched::default()));
    let exporter = bench.deliver_one(&config, Box::new(Outage(Arc::clone(&receiver))));
    let monitor = exporter.monitor();
    let (mut written, mut most) = (0, (0, 0));
    while written < entries {
        bench.write(written, 1_000).await;
        written += 1_000;
        let text = monitor.render();
        let held = (metric(&text, "aarm_telemetry_window_events"), metric(&text, "aarm_telemetry_window_bytes"));
        most = (most.0.max(held.0), most.1.max(held.1));
    }
    assert!(metric(&monitor.render(), "aarm_telemetry_buffer_size") >= entries, "nothing arrived, and nothing is lost");
    // The window, one read of the log beyond it, and what is urgent.
    assert!(most.0 <= 500 + 512 + 512 && most.1 <= 4_000_000, "{most:?}");
    receiver.up.store(true, Ordering::SeqCst);
    let settled = async {
        while monitor.needed_from() < bench.recorder.size() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let begun = tokio::time::Instant::now();
    tokio::time::timeout(PATIENCE * 6, settled).await.expect("never drained");
    let took = begun.elapsed();
    println!("{entries} entries in {took:?}; most in memory: {} events, {} bytes", most.0, most.1);
    exporter.stop().await;
    let taken = receiver.taken.lock().unwrap().clone();
    let mut indexes: Vec<u64> = taken.iter().map(|(index, _)| *index).collect();
    let urgent: Vec<usize> = taken.iter().enumerate().filter(|(_, (_, urgent))| *urgent).map(|(at, _)| at).collect();
    assert!(urgent[200] < 1_000, "the two hundredth urgent event came as number {}", urgent[200]);
    indexes.sort_unstable();
    indexes.dedup();
    assert_eq!(indexes.len() as u64, bench.events().len() as u64, "every event once at least");
}
