//! Load: many connections at once, each on a thread of its own, in one of two ways.
//!
//! *Closed*: each connection calls again as soon as it has its reply; that finds the throughput. *Open*: calls are due at
//! random moments that nobody can delay (Poisson arrivals), and latency counts from when a call was *due*, so a path
//! that stalls is charged for every call that had to wait for it (no coordinated omission).

use std::sync::{Barrier, OnceLock};
use std::time::{Duration, Instant};

use super::Fallible;
use super::connection::Connection;
use super::histogram::Histogram;
use super::timing::{now, ns_between, sleep_until, wake_precisely};
use super::wire::{Target, Verdict};

/// How long after its end an open loop still waits for calls that were due before. What is not sent by then is counted
/// as unsent: the path cannot carry the rate.
const GRACE: Duration = Duration::from_secs(2);
/// Threads hold a connection and two kilobytes of text; 64 of them should not show up in memory.
const STACK_BYTES: usize = 256 * 1_024;

/// What load to put on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) connections: usize,
    /// Calls per second over all connections; `None` for a closed loop.
    pub(crate) rate: Option<u32>,
    /// Time in which nothing is recorded.
    pub(crate) warm_up: Duration,
    /// Time in which everything is.
    pub(crate) length: Duration,
    /// Makes the arrivals of an open loop repeatable, and different from round to round.
    pub(crate) seed: u64,
}

/// What came of it.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    /// Calls that were recorded, from the due time (open) or from sending (closed).
    pub(crate) latency: Histogram,
    /// Calls answered, those of the warm-up included: as many must have arrived at the tool.
    pub(crate) answered: u64,
    /// Replies with the right value in other bytes.
    pub(crate) reshaped: u64,
    /// Replies that were not what the tool said.
    pub(crate) wrong: u64,
    /// Connections that broke.
    pub(crate) broken: u64,
    /// Calls that were due and never sent.
    pub(crate) unsent: u64,
    /// The first thing that went wrong.
    pub(crate) problem: Option<String>,
}

impl Tally {
    fn new() -> Self {
        Self { latency: Histogram::new(), answered: 0, reshaped: 0, wrong: 0, broken: 0, unsent: 0, problem: None }
    }

    fn add(&mut self, other: Self) {
        self.latency.add(&other.latency);
        self.answered += other.answered;
        self.reshaped += other.reshaped;
        self.wrong += other.wrong;
        self.broken += other.broken;
        self.unsent += other.unsent;
        self.problem = self.problem.take().or(other.problem);
    }

    /// Calls that did not end as they should.
    pub(crate) const fn failed(&self) -> u64 {
        self.wrong + self.broken + self.unsent
    }
}

/// When a run records.
#[derive(Clone, Copy)]
struct Window {
    start: Instant,
    recorded: Instant,
    end: Instant,
}

/// Puts `load` on `target`. `at_start` and `at_end` run when recording starts and ends, beside the load.
///
/// # Errors
/// A connection cannot be opened. What goes wrong later is counted.
pub(crate) fn run<A, B>(
    target: &Target,
    load: Load,
    at_start: impl FnOnce() -> A,
    at_end: impl FnOnce() -> B,
) -> Fallible<(Tally, A, B)> {
    let mut connections = Vec::new();
    for _ in 0..load.connections {
        connections.push(Connection::open(target)?);
    }
    let (ready, window) = (Barrier::new(load.connections + 1), OnceLock::new());
    std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for (number, connection) in connections.into_iter().enumerate() {
            let (ready, window) = (&ready, &window);
            let client = move || {
                wake_precisely();
                ready.wait();
                let window = *window.wait();
                match load.rate {
                    None => closed(connection, window),
                    Some(rate) => open(connection, window, Arrivals::new(rate, load.connections, load.seed, number)),
                }
            };
            threads.push(std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, client)?);
        }
        ready.wait();
        let start = now() + Duration::from_millis(1);
        let recorded = start + load.warm_up;
        let times = *window.get_or_init(|| Window { start, recorded, end: recorded + load.length });
        sleep_until(times.recorded);
        let first = at_start();
        sleep_until(times.end);
        let last = at_end();
        let mut tally = Tally::new();
        for thread in threads {
            tally.add(thread.join().map_err(|_| "a thread of the client failed")?);
        }
        Ok((tally, first, last))
    })
}

fn closed(mut connection: Connection, window: Window) -> Tally {
    let mut tally = Tally::new();
    let mut sent = now();
    while sent < window.end {
        let Some(good) = call(&mut connection, &mut tally) else { break };
        let replied = now();
        if good && sent >= window.recorded && replied <= window.end {
            tally.latency.record(ns_between(sent, replied));
        }
        sent = replied;
    }
    tally
}

fn open(mut connection: Connection, window: Window, mut arrivals: Arrivals) -> Tally {
    let mut tally = Tally::new();
    let mut due = window.start + arrivals.next_gap();
    while due < window.end {
        sleep_until(due);
        if now() > window.end + GRACE {
            tally.unsent += 1;
        } else {
            let Some(good) = call(&mut connection, &mut tally) else { break };
            if good && due >= window.recorded {
                tally.latency.record(ns_between(due, now()));
            }
        }
        due += arrivals.next_gap();
    }
    tally
}

/// One call: whether its reply was right. `None` when the connection is of no use any more.
fn call(connection: &mut Connection, tally: &mut Tally) -> Option<bool> {
    match connection.call() {
        Ok(verdict) => {
            tally.answered += 1;
            match verdict {
                Verdict::Exact => return Some(true),
                Verdict::Reshaped => tally.reshaped += 1,
                Verdict::Wrong(what) => {
                    tally.wrong += 1;
                    tally.problem.get_or_insert(what);
                    return Some(false);
                }
            }
            Some(true)
        }
        Err(error) => {
            tally.broken += 1;
            tally.problem.get_or_insert_with(|| error.to_string());
            None
        }
    }
}

/// Random gaps between calls with a given mean, exponentially distributed.
struct Arrivals {
    state: u64,
    mean_s: f64,
}

impl Arrivals {
    fn new(rate: u32, connections: usize, seed: u64, number: usize) -> Self {
        let share = u32::try_from(connections.max(1)).unwrap_or(u32::MAX);
        let mixed =
            (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (number as u64 + 1).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        Self { state: mixed | 1, mean_s: f64::from(share) / f64::from(rate) }
    }

    fn next_gap(&mut self) -> Duration {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        // 53 random bits as a number in (0, 1].
        let uniform = ((self.state >> 11) + 1) as f64 / (1_u64 << 53) as f64;
        Duration::from_secs_f64(-uniform.ln() * self.mean_s)
    }
}

/// Checks that arrivals come at the rate that was asked for and are as irregular as they should be.
///
/// # Errors
/// Mean or spread of the gaps is off by more than 3 %.
pub(crate) fn check() -> Result<(), String> {
    let mut arrivals = Arrivals::new(4_000, 64, 7, 3);
    let gaps: Vec<f64> = (0..100_000).map(|_| arrivals.next_gap().as_secs_f64()).collect();
    let mean = gaps.iter().sum::<f64>() / 100_000.0;
    let spread = (gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / 100_000.0).sqrt();
    let off = |value: f64| (value / 0.016 - 1.0).abs() > 0.03;
    if off(mean) || off(spread) { Err(format!("load: gaps of {mean} s, spread {spread} s")) } else { Ok(()) }
}
