//! All paths at all points, interleaved: A B C, A B C, and in the reverse order each second round, so that nothing that
//! drifts while the machine warms up or tires falls on one path alone.

use std::time::Duration;

use super::Fallible;
use super::arguments::Arguments;
use super::histogram::Histogram;
use super::lab::{Kind, Lab, Started};
use super::load::{self, Load, Tally};
use super::machine::{self, Cpu};
use super::starts::{self, Start};
use super::timing::{now, ns_between};
use super::{disk, subject};

/// Sessions of the open loop.
const OPEN_CONNECTIONS: usize = 64;
/// A path is quiet when it used at most one hundredth of a second in each of two windows.
const QUIET_WINDOW: Duration = Duration::from_millis(100);
/// How long a path may go on working after its load has ended before the next one is measured regardless.
const SETTLE_MAX: Duration = Duration::from_secs(15);
/// A patient run takes this share for a disturbance. A path that writes has up to half of it for the disk's own threads.
const DISTURBED_PERCENT: f64 = 20.0;
/// Attempts of a patient run at one point; the last one counts, disturbed or not.
const ATTEMPTS_MAX: usize = 3;
/// How long a patient run waits before each attempt.
const QUIET_WAIT_MAX: Duration = Duration::from_secs(30);

/// How much load at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Point {
    /// So many connections, each calling as fast as it can.
    Closed(usize),
    /// So many calls a second, whatever happens.
    Open(u32),
}

impl Point {
    /// How it is called in tables.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Closed(1) => "1 connection, closed loop".into(),
            Self::Closed(connections) => format!("{connections} connections, closed loop"),
            Self::Open(rate) => format!("{rate} calls/s over {OPEN_CONNECTIONS} connections, open loop"),
        }
    }

    fn load(self, arguments: &Arguments, seed: u64) -> Load {
        let (connections, rate) = match self {
            Self::Closed(connections) => (connections, None),
            Self::Open(rate) => (OPEN_CONNECTIONS, Some(rate)),
        };
        Load { connections, rate, warm_up: arguments.warm_up, length: arguments.length, seed }
    }
}

/// One path at one point in one round.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    pub(crate) path: &'static str,
    pub(crate) point: Point,
    pub(crate) round: usize,
    pub(crate) tally: Tally,
    /// Length of the recording, in seconds.
    pub(crate) length_s: f64,
    /// Processor time of the path from before the first connection until it was quiet again, in seconds: what it puts
    /// off until later counts as well.
    pub(crate) subject_s: f64,
    /// Processor time while recording.
    pub(crate) recording: Cpu,
    /// How long the path went on working after the load had ended, in seconds.
    pub(crate) settle_s: f64,
    /// Resident memory at the end of the load.
    pub(crate) resident_mib: f64,
    /// One fdatasync of an entry, measured just before: only at one connection, where it is most of the latency.
    pub(crate) commit: Option<Histogram>,
    /// Calls that arrived at the server, less the calls that the client had replies to.
    pub(crate) unaccounted: i64,
}

impl Measured {
    /// Calls a second.
    pub(crate) fn rate(&self) -> f64 {
        self.tally.latency.count() as f64 / self.length_s
    }

    /// The median of one fdatasync just before, in microseconds.
    pub(crate) fn commit_us(&self) -> Option<f64> {
        self.commit.as_ref()?.quantile_ns(5_000).map(|ns| ns as f64 / 1_000.0)
    }

    /// A quantile of the latency, in microseconds.
    pub(crate) fn quantile_us(&self, per_ten_thousand: u64) -> Option<f64> {
        self.tally.latency.quantile_ns(per_ten_thousand).map(|ns| ns as f64 / 1_000.0)
    }

    /// Processor time of the path for 1,000 calls, in milliseconds.
    pub(crate) fn cpu_ms(&self) -> f64 {
        self.subject_s * 1_000_000.0 / (self.tally.answered.max(1) as f64)
    }

    /// Share of the machine that went to others while recording, in percent.
    pub(crate) fn foreign_percent(&self) -> f64 {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        self.recording.foreign_s() * 100.0 / (self.length_s * cores as f64)
    }
}

/// Everything that one run gave.
pub(crate) struct Run {
    pub(crate) measured: Vec<Measured>,
    /// Paths that are not there, and why.
    pub(crate) left_out: Vec<(String, String)>,
    pub(crate) starts: Vec<Start>,
    pub(crate) points: Vec<Point>,
    pub(crate) facts: Vec<String>,
}

/// Measures everything that was asked for.
///
/// # Errors
/// The server, the client or the disk fails. A path that fails is left out, with its reason.
pub(crate) fn run(arguments: &Arguments) -> Fallible<Run> {
    let lab = Lab::set_up(arguments.era)?;
    let mut run = Run {
        measured: Vec::new(),
        left_out: Vec::new(),
        starts: Vec::new(),
        points: vec![Point::Closed(1), Point::Closed(16), Point::Closed(64), Point::Open(arguments.rate)],
        facts: facts(arguments, &lab),
    };
    let mut paths = Vec::new();
    for name in &arguments.paths {
        let kind = Kind::read(name)?;
        match starts::measure(&lab, kind, arguments.quick) {
            Ok((started, start)) => {
                run.starts.extend(start);
                paths.push(started);
            }
            Err(error) => run.left_out.push((name.clone(), error.to_string())),
        }
    }
    for round in 0..arguments.rounds {
        for point in run.points.clone() {
            for position in 0..paths.len() {
                let position = if round % 2 == 0 { position } else { paths.len() - 1 - position };
                let Some(path) = paths.get(position) else { continue };
                eprintln!("round {} of {}: {}, {}", round + 1, arguments.rounds, point.name(), path.kind.name());
                run.measured.push(measure_quietly(&lab, path, point, round, arguments)?);
            }
        }
    }
    Ok(run)
}

/// One path at one point, again and again while somebody else is using the machine, if that was asked for.
fn measure_quietly(lab: &Lab, path: &Started, point: Point, round: usize, arguments: &Arguments) -> Fallible<Measured> {
    let mut left = if arguments.patient { ATTEMPTS_MAX } else { 1 };
    loop {
        if arguments.patient {
            wait_until_quiet();
        }
        let measured = measure(lab, path, point, round, arguments)?;
        left -= 1;
        if left == 0 || measured.foreign_percent() <= DISTURBED_PERCENT {
            return Ok(measured);
        }
        eprintln!("  disturbed: {:.0} % of the machine went to others", measured.foreign_percent());
    }
}

/// Waits until nothing else runs.
fn wait_until_quiet() {
    let start = now();
    while now().saturating_duration_since(start) < QUIET_WAIT_MAX {
        let before = Cpu::read(None, std::process::id()).machine_s;
        std::thread::sleep(5 * QUIET_WINDOW);
        if Cpu::read(None, std::process::id()).machine_s - before < 0.05 {
            return;
        }
    }
}

/// One path at one point.
///
/// # Errors
/// The server or the client fails, or no connection can be opened.
pub(crate) fn measure(
    lab: &Lab,
    path: &Started,
    point: Point,
    round: usize,
    arguments: &Arguments,
) -> Fallible<Measured> {
    let subject = path.process.as_ref().map(super::child::Process::id);
    let read = || Cpu::read(subject, lab.server());
    let commit = if point == Point::Closed(1) { Some(disk::probe(&lab.directory)?) } else { None };
    let (before, arrived) = (read(), lab.arrived()?);
    let at_end = || (read(), subject.map_or(0.0, machine::tree_resident_mib));
    let (tally, first, (last, resident_mib)) =
        load::run(&path.target, point.load(arguments, round as u64), read, at_end)
            .map_err(|error| format!("{}: {error}", path.kind.name()))?;
    let settle_s = subject.map_or(0.0, settle);
    let arrived = i64::try_from(lab.arrived()? - arrived)?;
    Ok(Measured {
        path: path.kind.name(),
        point,
        round,
        length_s: arguments.length.as_secs_f64(),
        subject_s: read().since(&before).subject_s,
        recording: last.since(&first),
        settle_s,
        resident_mib,
        commit,
        unaccounted: arrived - i64::try_from(tally.answered)?,
        tally,
    })
}

/// Waits until the path does nothing any more. Returns for how long it did something, in seconds.
pub(crate) fn settle(subject: u32) -> f64 {
    let start = now();
    let (mut worked_until, mut quiet) = (start, 0);
    let mut used = machine::tree_s(subject);
    while quiet < 2 && now().saturating_duration_since(start) < SETTLE_MAX {
        std::thread::sleep(QUIET_WINDOW);
        let used_now = machine::tree_s(subject);
        if used_now - used <= 0.011 {
            quiet += 1;
        } else {
            (quiet, worked_until) = (0, now());
        }
        used = used_now;
    }
    ns_between(start, worked_until) as f64 / 1e9
}

fn facts(arguments: &Arguments, lab: &Lab) -> Vec<String> {
    let binary = subject::find().map_or_else(|error| error.to_string(), |file| file.display().to_string());
    vec![
        machine::describe(),
        format!("logs on {} in {}", machine::file_system(&lab.directory), lab.directory.display()),
        format!(
            "{} rounds, {} s a point after {} s of warm-up, MCP {}",
            arguments.rounds,
            arguments.length.as_secs_f64(),
            arguments.warm_up.as_secs_f64(),
            arguments.era.version()
        ),
        format!("binary under test: {binary}"),
    ]
}
