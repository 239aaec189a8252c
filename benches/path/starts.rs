//! How long a path takes from its start to its first answered call, and how much memory it holds with nothing to do and
//! with many sessions.

use super::Fallible;
use super::connection::Connection;
use super::lab::{Kind, Lab, Started};
use super::machine;
use super::rounds::settle;

/// Starts of each path; the last one stays.
const STARTS: usize = 3;
/// Sessions that are alive at once, each with its connection.
const SESSIONS: usize = 1_000;
/// The same in a quick run.
const SESSIONS_QUICK: usize = 100;

/// What starting a path gave.
#[derive(Clone, Debug)]
pub(crate) struct Start {
    pub(crate) path: &'static str,
    /// From start to first answered call, in milliseconds, ascending.
    pub(crate) first_call_ms: Vec<f64>,
    /// Resident memory after the first call.
    pub(crate) idle_mib: f64,
    /// Live sessions.
    pub(crate) sessions: usize,
    /// Resident memory with them.
    pub(crate) sessions_mib: f64,
}

/// Starts `kind` several times, measures, and leaves it running. There is nothing to measure for the direct path.
///
/// # Errors
/// Why it cannot be measured.
pub(crate) fn measure(lab: &Lab, kind: Kind, quick: bool) -> Fallible<(Started, Option<Start>)> {
    let mut running = lab.start(kind)?;
    let Some(process) = running.process.as_ref().map(super::child::Process::id) else { return Ok((running, None)) };
    eprintln!("starts and memory: {}", kind.name());
    settle(process);
    let idle_mib = machine::tree_resident_mib(process);
    let sessions = if quick { SESSIONS_QUICK } else { SESSIONS };
    let mut connections = Vec::new();
    for _ in 0..sessions {
        let mut connection = Connection::open(&running.target)?;
        connection.call()?;
        connections.push(connection);
    }
    let sessions_mib = machine::tree_resident_mib(process);
    drop(connections);
    let mut first_call_ms = vec![running.first_call_ns as f64 / 1e6];
    for _ in 1..STARTS {
        drop(running);
        running = lab.start(kind)?;
        first_call_ms.push(running.first_call_ns as f64 / 1e6);
    }
    first_call_ms.sort_by(f64::total_cmp);
    Ok((running, Some(Start { path: kind.name(), first_call_ms, idle_mib, sessions, sessions_mib })))
}
