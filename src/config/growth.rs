//! How fast the data directory grows: looks at it within a day, kept over a restart in a small file beside the log.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{Timestamp, with_causes};
use crate::record::{Publisher, RealDisk};

/// How far back growth is measured: a day has a shape.
const WINDOW: Duration = Duration::from_hours(24);

/// Looks that are kept: those of a day take a hundred, and each start adds seven that lie close together.
const LOOKS_MAX: usize = 256;

/// The file in the data directory. It may be deleted at any time: then growth is measured anew.
const FILE: &str = "growth.json";

/// Bytes that the file has at most.
const FILE_BYTES_MAX: u64 = 64 << 10;

const SECOND_US: f64 = 1e6;

/// One look at the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Look {
    /// By the clock of the machine, since it has to outlive the process.
    at: Timestamp,
    /// Bytes on the disk below the data directory, the write-ahead log left out.
    stored: u64,
    /// Actions of this run and those before it.
    actions: u64,
}

/// Looks at the disk, ascending in time, within a day.
#[derive(Clone, Debug, Default)]
pub(super) struct Looks {
    looks: Vec<Look>,
    /// Actions of earlier runs, less those that the counter had before this one.
    before: u64,
}

impl Looks {
    /// What the run before has left; nothing where there is no such file, or one that cannot be read. `actions` is where
    /// the counter of this run stands.
    pub(super) fn read(data_dir: &Path, actions: u64) -> Self {
        let path = data_dir.join(FILE);
        let looks = match read(&path) {
            Ok(looks) => looks,
            Err(problem) => {
                tracing::warn!(path = %path.display(), problem, "growth of the disk is measured anew");
                Vec::new()
            }
        };
        let before = looks.last().map_or(0, |look| look.actions).saturating_sub(actions);
        Self { looks, before }
    }

    /// Writes the file, whole or not at all. Where that fails the next start measures anew: a full disk has other alarms.
    pub(super) fn write(&self, data_dir: &Path) {
        let written = serde_json::to_vec(&self.looks).map_err(|error| error.to_string()).and_then(|text| {
            let published = Publisher::new(Arc::new(RealDisk), data_dir).publish(&data_dir.join(FILE), &text, 0o600);
            published.map_err(|error| with_causes(&error))
        });
        if let Err(problem) = written {
            tracing::debug!(problem, "keep how fast the disk fills");
        }
    }

    /// Adds a look; one that failed only lets old ones go. A clock that was set back begins anew.
    pub(super) fn add(&mut self, at: Timestamp, stored: Option<u64>, actions: u64) {
        let window = WINDOW.as_micros();
        self.looks.retain(|look| look.at <= at && u128::from(at.micros_since(look.at)) <= window);
        if self.looks.len() >= LOOKS_MAX {
            // Every other one: how far back they reach stays.
            let mut place = 0;
            self.looks.retain(|_| {
                place += 1;
                place % 2 == 1
            });
        }
        self.looks.extend(stored.map(|stored| Look { at, stored, actions: self.before + actions }));
    }

    /// What the last look found.
    pub(super) fn stored(&self) -> Option<u64> {
        self.looks.last().map(|look| look.stored)
    }

    /// What came between the first look and the last; `None` while there are no two.
    pub(super) fn growth(&self) -> Option<Growth> {
        let (first, last) = (self.looks.first()?, self.looks.last()?);
        let seconds = last.at.micros_since(first.at) as f64 / SECOND_US;
        (seconds > 0.0).then(|| Growth {
            bytes: last.stored.saturating_sub(first.stored) as f64,
            actions: last.actions.saturating_sub(first.actions) as f64,
            seconds,
        })
    }
}

fn read(path: &PathBuf) -> Result<Vec<Look>, String> {
    match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error.to_string()),
        Ok(about) if about.len() > FILE_BYTES_MAX => return Err("it is too large".into()),
        Ok(_) => {}
    }
    let text = std::fs::read(path).map_err(|error| error.to_string())?;
    let looks: Vec<Look> = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    if looks.is_sorted_by_key(|look| look.at) { Ok(looks) } else { Err("its looks are in no order".into()) }
}

/// What came to the disk between two looks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Growth {
    bytes: f64,
    actions: f64,
    seconds: f64,
}

impl Growth {
    /// Seconds until `free` bytes are gone; infinite when nothing grows.
    pub(super) fn seconds_until(self, free: u64) -> f64 {
        // Whole bytes below 2^53 are exact, and more than that is no disk.
        let free = free as f64;
        if self.bytes <= 0.0 { f64::INFINITY } else { free / (self.bytes / self.seconds) }
    }

    pub(super) fn per_action(self) -> Option<f64> {
        (self.actions > 0.0 && self.bytes > 0.0).then(|| self.bytes / self.actions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::scratch::Scratch;

    const HOUR_S: u64 = 3_600;

    fn at(hours: u64) -> Timestamp {
        Timestamp::from_secs(1_795_209_298 + hours * HOUR_S)
    }

    fn looks(all: &[(u64, u64, u64)]) -> Looks {
        let mut looks = Looks::default();
        all.iter().for_each(|(hours, stored, actions)| looks.add(at(*hours), Some(*stored), *actions));
        looks
    }

    #[test]
    fn growth_is_what_was_measured_and_nothing_before_that() {
        assert_eq!(looks(&[]).growth(), None);
        assert_eq!(looks(&[(0, 5, 5)]).growth(), None);
        let day = looks(&[(0, 1_000, 10), (3, 9_999, 11), (12, 501_000, 110)]).growth().unwrap();
        assert!((day.per_action().unwrap() - 5_000.0).abs() < 1e-6);
        assert!((day.seconds_until(10_000_000) - 864_000.0).abs() < 1e-3, "{}", day.seconds_until(10_000_000));
        let shrunk = looks(&[(0, 1_000, 10), (1, 10, 20)]).growth().unwrap();
        assert!(shrunk.seconds_until(1).is_infinite() && shrunk.per_action().is_none());
        let (late, only) = (looks(&[(0, 1, 1), (30, 2, 2), (31, 3, 3)]), looks(&[(30, 2, 2), (31, 3, 3)]));
        assert_eq!(late.growth(), only.growth(), "a day ago is too long");
    }

    #[test]
    fn a_restart_goes_on_with_what_was_measured() {
        let folder = Scratch::new();
        assert_eq!(Looks::read(&folder.path(""), 0).growth(), None);
        let before = looks(&[(0, 1_000, 10), (3, 9_999, 40)]);
        before.write(&folder.path(""));
        // The counter begins with 0 again, and there is an estimate before the second look.
        let mut after = Looks::read(&folder.path(""), 0);
        assert_eq!((after.growth(), after.stored()), (before.growth(), Some(9_999)));
        after.add(at(12), Some(501_000), 70);
        assert_eq!(after.growth(), looks(&[(0, 1_000, 10), (12, 501_000, 110)]).growth());
        // In one process, as tests start it, the counter goes on.
        let mut same = Looks::read(&folder.path(""), 40);
        same.add(at(12), Some(501_000), 110);
        assert_eq!(same.growth(), after.growth());
        // A stop of days measures nothing, and a clock that was set back neither.
        after.add(at(100), Some(600_000), 71);
        assert_eq!((after.growth(), after.stored()), (None, Some(600_000)));
        let mut back = Looks::read(&folder.path(""), 0);
        back.add(at(1), Some(2_000), 1);
        assert_eq!(back.looks.len(), 2, "only the look before that time is left");
    }

    #[test]
    fn a_file_that_is_none_is_not_believed_and_none_grows_for_ever() {
        let folder = Scratch::new();
        for text in ["", "[1]", r#"[{"at":"2026-11-20T21:14:58.000001Z"}]"#] {
            folder.write(FILE, text.as_bytes());
            assert_eq!(Looks::read(&folder.path(""), 0).stored(), None, "{text}");
        }
        folder.write(FILE, vec![b' '; 65 << 10]);
        assert_eq!(Looks::read(&folder.path(""), 0).stored(), None);
        let mut many = Looks::default();
        for second in 0..2_000 {
            many.add(Timestamp::from_secs(1_795_209_298 + second), Some(second), second);
        }
        assert!(many.looks.len() <= LOOKS_MAX);
        assert!((many.growth().unwrap().seconds - 1_999.0).abs() < 1e-6, "it reaches as far back as before");
        many.write(&folder.path(""));
        assert_eq!(Looks::read(&folder.path(""), 0).growth(), many.growth());
    }
}
