//! What the demo found out, before anybody says whether that is good: plain data, filled by doing and by reading files.

use serde_json::Value;

use super::agent::Step;
use super::office::Effects;
use super::person::Waited;

/// One run of the agent's task.
#[derive(Clone, Debug)]
pub(super) struct Played {
    /// Its calls.
    pub(super) steps: Vec<Step>,
    /// What they did to the office.
    pub(super) effects: Effects,
}

/// One decision, as the log holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decided {
    /// The entry's place in the log.
    pub(super) index: u64,
    /// The action.
    pub(super) action_id: String,
    /// The receipt that the agent was told about.
    pub(super) receipt_id: String,
    /// `server.tool`.
    pub(super) name: String,
    /// ALLOW, DENY, MODIFY, STEP_UP or DEFER.
    pub(super) verdict: String,
    /// The policy that decided.
    pub(super) policy: String,
    /// Why.
    pub(super) reason: String,
}

/// The proxy, killed and started again.
#[derive(Clone, Debug)]
pub(super) struct Restart {
    /// Entries that the SIEM had been told about before the kill: place in the log and leaf hash.
    pub(super) known: Vec<(u64, String)>,
    /// How many of them the log holds, unchanged, after the start.
    pub(super) recovered: usize,
    /// From the kill until it was ready again, milliseconds.
    pub(super) ready_ms: u64,
}

/// What the verifier says about a log.
#[derive(Clone, Debug, Default)]
pub(super) struct Verified {
    /// It found no fault and nothing missing.
    pub(super) holds: bool,
    /// How many entries it checked.
    pub(super) entries: u64,
    /// Its statements: name, how it stands (`holds`, `FAILS`, `open`), and its sentence.
    pub(super) statements: Vec<(String, String, String)>,
    /// The first entry that it names as bad.
    pub(super) named: Option<u64>,
    /// What it says is wrong there; empty when nothing is.
    pub(super) fault: String,
}

/// A copy of the log with one byte flipped.
#[derive(Clone, Debug)]
pub(super) struct Tampered {
    /// The entry that the byte is part of.
    pub(super) index: u64,
    /// What the verifier says about the copy.
    pub(super) verified: Verified,
}

/// The files of the openssl check.
#[derive(Clone, Debug)]
pub(super) struct Check {
    /// The entry.
    pub(super) index: u64,
    /// What to paste.
    pub(super) command: String,
    /// The files hold a valid signature of the entry, as far as this program can tell.
    pub(super) holds: bool,
}

/// Everything.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    /// Without the proxy.
    pub(super) without: Played,
    /// With it.
    pub(super) with: Played,
    /// What waited for a person, with it.
    pub(super) waited: Waited,
    /// Every decision about a tool call, in the order of the log.
    pub(super) decisions: Vec<Decided>,
    /// Killed and started again.
    pub(super) restart: Restart,
    /// The log.
    pub(super) verified: Verified,
    /// The copy.
    pub(super) tampered: Tampered,
    /// The openssl check.
    pub(super) check: Check,
    /// What the SIEM got for the mail that was refused.
    pub(super) event: Value,
    /// The same as OCSF.
    pub(super) ocsf: Value,
    /// The same as CEF.
    pub(super) cef: String,
    /// How long it all took, milliseconds.
    pub(super) took_ms: u64,
}
