//! Signed entries that say how far every destination has come. A SIEM that counts its events up to `through` and compares
//! proves that none is missing.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::monitor::{Meter, Monitor};
use crate::model::with_causes;
use crate::record::entry::{DestinationCount, ExportCheckpointBlock};
use crate::record::{ControlFact, Recorder};

/// Destinations that one entry lists: what fits beside everything else that an entry says.
const DESTINATIONS_MAX: usize = 64;

/// Starts writing checkpoints, unless there is nothing to say or nobody wants to hear it.
pub(super) fn start(
    interval_s: u64,
    monitor: &Monitor,
    recorder: &Recorder,
    stop: &watch::Receiver<bool>,
) -> Option<JoinHandle<()>> {
    let interval = Duration::from_secs(interval_s);
    let wanted = interval_s > 0 && monitor.meters.iter().any(|meter| meter.counts);
    wanted.then(|| tokio::spawn(run(monitor.clone(), recorder.clone(), interval, stop.clone())))
}

/// Writes a checkpoint every `interval`, while counts change.
async fn run(monitor: Monitor, recorder: Recorder, interval: Duration, mut stop: watch::Receiver<bool>) {
    let mut written = None;
    loop {
        tokio::select! {
            () = tokio::time::sleep(interval) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        // Compared by counts alone: an entry of this kind moves `through`, and must not be the reason for the next one.
        let counts: Vec<_> = counting(&monitor).map(|meter| meter.numbers().counts).collect();
        if written.as_ref() == Some(&counts) {
            continue;
        }
        match recorder.control(ControlFact::export_checkpoint(block(&monitor))).await {
            Ok(_) => written = Some(counts),
            Err(error) => tracing::error!(error = with_causes(&error), "record how far destinations have come"),
        }
    }
}

/// The destinations that get events. An archive's progress must not be the reason for an entry, which it would copy.
fn counting(monitor: &Monitor) -> impl Iterator<Item = &Arc<Meter>> {
    monitor.meters.iter().filter(|meter| meter.counts)
}

fn block(monitor: &Monitor) -> ExportCheckpointBlock<'static> {
    let destinations = counting(monitor).take(DESTINATIONS_MAX).map(|meter| {
        let numbers = meter.numbers();
        DestinationCount {
            dead: numbers.counts.dead,
            delivered: numbers.counts.delivered,
            destination: meter.name.clone().into(),
            filtered: numbers.counts.filtered,
            skipped: numbers.counts.skipped,
            through: numbers.next,
        }
    });
    let checkpoint = monitor.log.watch_checkpoint().borrow().clone();
    let (size, root) = checkpoint.map_or((0, None), |checkpoint| (checkpoint.size, Some(checkpoint.root)));
    ExportCheckpointBlock { destinations: destinations.collect(), root, size }
}
