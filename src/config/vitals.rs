//! What somebody on call watches of the machine: room on the disk and how fast it goes, and how long entries wait for a
//! checkpoint.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::growth::{Growth, Looks};
use crate::metrics::{Counter, value};
use crate::model::Clock;
use crate::record::Log;

/// How often the checkpoint is compared with the log.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Time to the second look at the disk; each further one comes twice as late, up to [`MEASURE_INTERVAL_MAX`]: walking
/// through the tree of a large log costs a second of one core.
const MEASURE_INTERVAL: Duration = Duration::from_secs(15);

/// Longest time between looks at the disk.
const MEASURE_INTERVAL_MAX: Duration = Duration::from_mins(15);

/// The write-ahead log is made ahead of its use and used again: its size says nothing about growth.
const NOT_GROWTH: &str = "wal";

#[derive(Debug)]
struct State {
    looks: Looks,
    free: Option<u64>,
    /// A size of the log, and when it was that: age counts until a checkpoint covers it.
    mark: (u64, Instant),
}

/// Looks at the disk and the checkpoint while it is [`Vitals::watch`]ed.
pub(super) struct Vitals {
    log: Log,
    data_dir: PathBuf,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

impl Vitals {
    /// Goes on with the looks of the run before. Reads a file.
    pub(super) fn new(log: Log, data_dir: PathBuf, clock: Arc<dyn Clock>) -> Arc<Self> {
        let looks = Looks::read(&data_dir, value(Counter::Actions));
        let state = State { looks, free: None, mark: (log.durable_size(), Instant::now()) };
        Arc::new(Self { log, data_dir, clock, state: Mutex::new(state) })
    }

    /// Looks again and again until `stop`.
    pub(super) async fn watch(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let (mut pause, mut measure_at) = (MEASURE_INTERVAL, Instant::now());
        loop {
            self.look();
            if measure_at <= Instant::now() {
                let this = Arc::clone(&self);
                // A look that fails is missing from the metrics, and the rule for that says so.
                let looked = tokio::task::spawn_blocking(move || {
                    let (stored, free) = measure(&this.data_dir);
                    this.keep(stored, free);
                });
                drop(looked.await);
                measure_at = Instant::now() + pause;
                pause = (pause * 2).min(MEASURE_INTERVAL_MAX);
            }
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep(LOOK_INTERVAL) => {}
            }
        }
    }

    fn look(&self) {
        let (covered, size) = (self.covered(), self.log.durable_size());
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if covered >= state.mark.0 {
            state.mark = (size, Instant::now());
        }
    }

    fn covered(&self) -> u64 {
        self.log.watch_checkpoint().borrow().as_ref().map_or(0, |checkpoint| checkpoint.size)
    }

    fn keep(&self, stored: Option<u64>, free: Option<u64>) {
        let (now, actions) = (self.clock.now(), value(Counter::Actions));
        let looks = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.free = free;
            state.looks.add(now, stored, actions);
            state.looks.clone()
        };
        looks.write(&self.data_dir);
    }

    /// In the text format of Prometheus. What has not been measured yet is missing, not 0.
    pub(super) fn render(&self) -> String {
        let (covered, size) = (self.covered(), self.log.durable_size());
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = if covered >= size { 0 } else { state.mark.1.elapsed().as_secs() };
        let growth = state.looks.growth();
        let left = growth.zip(state.free).map(|(growth, free)| growth.seconds_until(free));
        let gauges = [
            (
                "countersign_log_healthy",
                "1 while the log takes entries",
                Some(u64::from(self.log.is_healthy()).to_string()),
            ),
            (
                "countersign_checkpoint_age_seconds",
                "Time that entries wait for a checkpoint",
                Some(waiting.to_string()),
            ),
            ("countersign_disk_free_bytes", "Room for the data directory", state.free.map(|free| free.to_string())),
            (
                "countersign_disk_stored_bytes",
                "What the data directory holds, the write-ahead log left out",
                state.looks.stored().map(|stored| stored.to_string()),
            ),
            (
                "countersign_disk_bytes_per_action",
                "Growth for each action, measured over at most a day",
                growth.and_then(Growth::per_action).map(|bytes| format!("{bytes:.1}")),
            ),
            (
                "countersign_disk_time_until_full_seconds",
                "Time until there is no room, at the growth measured over at most a day",
                left.map(|left| if left.is_finite() { format!("{left:.0}") } else { "+Inf".into() }),
            ),
        ];
        let mut out = String::new();
        for (name, help, number) in gauges {
            if let Some(number) = number {
                out.push_str(&format!("# HELP {name} {help}\n# TYPE {name} gauge\n{name} {number}\n"));
            }
        }
        out
    }
}

/// Bytes below the data directory, and room for more. `None` where that cannot be found out.
fn measure(data_dir: &Path) -> (Option<u64>, Option<u64>) {
    let room = rustix::fs::statvfs(data_dir).ok();
    let stored = std::fs::read_dir(data_dir).ok().map(|entries| {
        let parts = entries.flatten().filter(|entry| entry.file_name() != NOT_GROWTH);
        parts.map(|entry| used(&entry.path())).sum()
    });
    (stored, room.map(|room| room.f_bavail.saturating_mul(room.f_frsize)))
}

/// Bytes on the disk: what is made ahead and not written takes none. Files that go away meanwhile count for nothing.
fn used(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(about) = std::fs::symlink_metadata(path) else { return 0 };
    let inside = if about.is_dir() { std::fs::read_dir(path).ok() } else { None };
    let inside: u64 = inside.into_iter().flatten().flatten().map(|entry| used(&entry.path())).sum();
    about.blocks().saturating_mul(512).saturating_add(inside)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::scratch::Scratch;

    #[test]
    fn the_write_ahead_log_is_no_growth() {
        let folder = Scratch::new();
        let (before, free) = measure(&folder.path(""));
        assert!(free.unwrap() > 0);
        std::fs::create_dir_all(folder.path("wal")).unwrap();
        std::fs::create_dir_all(folder.path("log/tile")).unwrap();
        folder.write("wal/0", vec![1; 1 << 20]);
        assert!(measure(&folder.path("")).0.unwrap() < before.unwrap() + (1 << 19));
        folder.write("log/tile/0", vec![1; 1 << 20]);
        assert!(measure(&folder.path("")).0.unwrap() >= before.unwrap() + (1 << 20));
        assert_eq!(measure(&folder.path("nowhere")), (None, None));
    }
}
