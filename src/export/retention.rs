//! Retention: what is older than entries have to be kept leaves the log, once every required destination has it.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::monitor::Monitor;
use crate::model::{Timestamp, with_causes};
use crate::record::{ControlFact, Recorder};

/// Looks at the log in one time of retention.
const LOOKS: u64 = 100;

/// Longest time between two looks: how much longer than asked for an entry may stay.
const INTERVAL_MAX_S: u64 = 3_600;

/// Starts removing entries, where the log has a retention.
pub(super) fn start(monitor: &Monitor, recorder: &Recorder, stop: &watch::Receiver<bool>) -> Option<JoinHandle<()>> {
    let retention_s = recorder.log().retention_s()?;
    Some(tokio::spawn(run(monitor.clone(), recorder.clone(), retention_s, stop.clone())))
}

/// Removes entries that are older than `retention_s`, at once and then from time to time.
async fn run(monitor: Monitor, recorder: Recorder, retention_s: u64, mut stop: watch::Receiver<bool>) {
    let interval = Duration::from_secs((retention_s / LOOKS).clamp(1, INTERVAL_MAX_S));
    loop {
        let pause = match remove(&monitor, &recorder, retention_s).await {
            Ok(true) => Duration::ZERO,
            Ok(false) => interval,
            Err(problem) => {
                tracing::error!(problem, "remove entries that need not be kept any longer");
                interval
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// Removes a stretch of entries, if there is one. True when there may be another.
async fn remove(monitor: &Monitor, recorder: &Recorder, retention_s: u64) -> Result<bool, String> {
    let (log, needed_from) = (recorder.log().clone(), monitor.required_from());
    let age_us = retention_s.saturating_mul(1_000_000);
    let before = Timestamp::from_micros(monitor.clock.now().as_micros().saturating_sub(age_us));
    let kept_from = log.kept_from();
    let looking = log.clone();
    let looked = tokio::task::spawn_blocking(move || looking.expired(before, needed_from)).await;
    let to = looked.map_err(|error| error.to_string())?.map_err(|error| with_causes(&error))?;
    if to <= kept_from {
        return Ok(false);
    }
    // COMMIT POINT of a removal: what is gone after this, a signed entry says why.
    recorder.control(ControlFact::retention(to, retention_s)).await.map_err(|error| with_causes(&error))?;
    let forgotten = tokio::task::spawn_blocking(move || log.forget(to)).await.map_err(|error| error.to_string())?;
    let removed = forgotten.map_err(|error| with_causes(&error))?;
    tracing::info!(removed, kept_from = to, "entries were removed that need not be kept any longer");
    Ok(true)
}
