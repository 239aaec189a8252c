//! Reads from the log what an earlier run left open.
//!
//! A file beside the log says from which entry on: everything before is settled. It is a hint that may be too low and
//! never too high; without it the whole log is read.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::deferral::{Deferrals, Suspensions, Unfinished};
use super::queue::State;
use super::request::Origin;
use super::standing::Standing;
use super::{Config, Control, ControlState, Grant, Request, Source, Status};
use crate::model::{ApprovalId, ApprovalResult, ReceiptId, Timestamp};
use crate::record::entry::{ApprovalBlock, ControlBlock, GrantBlock, Kind, Predicate};
use crate::record::{RecordError, Recorder};

/// Entries that a hint may lie behind the log: written more often it would cost more than it saves.
const BEHIND: u64 = 1_000;

/// Parts of payloads that say something about what is open.
const WANTED: [&str; 7] = [
    "\"approval\":{",
    "\"control_id\":\"",
    "\"deferral\":{",
    "\"grant_id\":\"",
    "\"kind\":\"grant\"",
    "\"result\":\"DEFER\"",
    "\"result\":\"STEP_UP\"",
];

/// What an earlier run left open.
pub(super) struct Replayed {
    pub(super) state: State,
    pub(super) standing: Standing,
    /// What is suspended and nobody waits for any more.
    pub(super) unfinished: Vec<Unfinished>,
}

/// Reads what is open `now` from the entry `from` on; what is suspended takes its place among `deferrals`.
pub(super) fn read(
    recorder: &Recorder,
    config: &Config,
    (from, now): (u64, Timestamp),
    deferrals: &Arc<Deferrals>,
) -> Result<Replayed, RecordError> {
    let mut found = Replay {
        state: State::default(),
        standing: Standing::default(),
        asked: HashMap::new(),
        suspensions: Suspensions::default(),
        config,
    };
    let wanted = |payload: &str| WANTED.iter().any(|part| payload.contains(part));
    recorder.replay(from, wanted, |index, entry| found.take(index, &entry))?;
    let Replay { mut state, mut standing, suspensions, .. } = found;
    standing.grants.retain(|grant| grant.is_open(now));
    // An answer that nobody used in time is none.
    for request in state.requests.values().filter(|request| now >= request.expires) {
        request.status.send_if_modified(|status| {
            let late = *status == Status::Approved;
            if late {
                *status = Status::Expired;
            }
            late
        });
    }
    let unfinished = suspensions.settle(&mut state, deferrals);
    let gone: Vec<ApprovalId> =
        state.requests.values().filter(|request| !request.may_run()).map(|request| request.id.clone()).collect();
    for id in gone {
        state.remove(&id);
    }
    Ok(Replayed { state, standing, unfinished })
}

struct Replay<'a> {
    state: State,
    standing: Standing,
    /// Decisions that ask, by their action.
    asked: HashMap<String, (u64, String)>,
    suspensions: Suspensions,
    config: &'a Config,
}

impl Replay<'_> {
    fn take(&mut self, index: u64, entry: &Predicate<'static>) {
        if let Some(control) = &entry.control {
            return self.control(control, index);
        }
        if let Some(grant) = &entry.grant {
            return self.grant(grant, index);
        }
        let granted = entry.decision.as_ref().and_then(|decision| decision.grant_id.as_deref());
        if let (Some(Kind::Decision), Some(id)) = (entry.kind(), granted) {
            self.standing.grants.iter().filter(|grant| grant.id.as_str() == id).for_each(|grant| grant.use_once());
        }
        let Some(action) = entry.action.as_ref().map(|action| action.action_id.to_string()) else { return };
        self.suspensions.decision(entry);
        match (entry.kind(), &entry.approval) {
            (Some(Kind::Deferral), _) => {
                let decided = self.asked.get(&action).map(|(index, _)| *index);
                self.suspensions.deferral(decided, entry);
            }
            // A decision that carries an answer used it up.
            (Some(Kind::Decision), Some(approval)) => self.used(approval),
            (Some(Kind::Decision), None) => {
                self.asked.insert(action, (index, entry.receipt_id.to_string()));
            }
            (Some(Kind::Approval), Some(approval)) => self.approval(index, &action, entry, approval),
            _ => {}
        }
    }

    fn control(&mut self, block: &ControlBlock<'_>, index: u64) {
        let same = |control: &Arc<Control>| Some(control.id.as_str()) == block.control_id.as_deref();
        if let Some(control) = Control::of_block(block, index) {
            // What was asked for, confirmed now.
            self.standing.controls.retain(|control| !same(control));
            self.standing.controls.push(Arc::new(control));
        } else if block.event == "break_glass_reviewed" {
            self.standing.controls.retain(|control| !same(control));
        } else if block.event == "resume" {
            for control in self.standing.controls.iter_mut().filter(|control| same(control)) {
                *control = Arc::new(Control::clone(control).over());
            }
            self.standing.controls.retain(|control| control.state != ControlState::Ended);
        }
    }

    fn grant(&mut self, block: &GrantBlock<'_>, index: u64) {
        match (&*block.event, Grant::of_block(block, index)) {
            ("given", Some(grant)) => self.standing.grants.push(Arc::new(grant)),
            ("ended", Some(ended)) => self.standing.grants.retain(|grant| grant.id != ended.id),
            _ => {}
        }
    }

    fn used(&self, approval: &ApprovalBlock<'_>) {
        let id = ApprovalId::parse(&approval.request_id).ok();
        if let Some(request) = id.and_then(|id| self.state.requests.get(&id)) {
            request.status.send_replace(Status::Used);
        }
    }

    fn approval(&mut self, index: u64, action: &str, entry: &Predicate<'_>, approval: &ApprovalBlock<'_>) {
        let Ok(id) = ApprovalId::parse(&approval.request_id) else { return };
        if !self.state.requests.contains_key(&id) {
            let Some(asked) = self.asked.remove(action) else { return };
            let Some(request) = restore(asked, entry, approval, &id, self.config) else { return };
            self.state.insert(request);
        }
        let Some(request) = self.state.requests.get_mut(&id) else { return };
        request.entries.push(index);
        let approver = approval.approver.as_deref();
        if let (ApprovalResult::Approved | ApprovalResult::Pending, Some(approver)) = (approval.status, approver) {
            request.yes.push(approver.into());
            request.verification = approval.approver_verification.unwrap_or_default();
        }
        let next = match approval.status {
            ApprovalResult::Approved => Status::Approved,
            ApprovalResult::Denied => Status::Denied {
                by: approver.unwrap_or_default().into(),
                reason: approval.reason.as_deref().unwrap_or_default().into(),
            },
            ApprovalResult::Escalated => {
                request.escalated = approval.escalated_to.iter().map(|name| Arc::from(&**name)).collect();
                request.escalates = None;
                return;
            }
            ApprovalResult::Pending => return,
            ApprovalResult::Timeout => Status::Expired,
        };
        request.status.send_replace(next);
    }
}

/// A request out of its first entry. Without its binding nothing could run on it, so there is none.
fn restore(
    (decision_index, decision): (u64, String),
    entry: &Predicate<'_>,
    approval: &ApprovalBlock<'_>,
    id: &ApprovalId,
    config: &Config,
) -> Option<Request> {
    let source = if approval.source == "defer_escalation" { Source::DeferEscalation } else { Source::StepUp };
    let origin = Origin {
        id: id.clone(),
        pickup: approval.binding?,
        source,
        decision_index,
        requested: approval.requested,
        expires: approval.expires?,
    };
    let mut request = Request::of(entry, origin)?;
    request.decision = ReceiptId::parse(&decision).ok()?;
    request.approvers = approval.approvers.iter().map(|name| Arc::from(&**name)).collect();
    request.shown = approval.shown_hash;
    request.route(config);
    Some(request)
}

/// From which entry on a start has to read.
#[derive(Debug)]
pub(super) struct Hint {
    path: PathBuf,
    written: u64,
    /// The size of the log at the last look: what was decided before has its request by now.
    seen: u64,
}

impl Hint {
    /// The hint of an earlier run; 0 without. `size`: how many entries there are, all of which are read now.
    pub(super) fn read(data_dir: &Path, size: u64) -> (Self, u64) {
        let path = data_dir.join("approve.from");
        let from = std::fs::read_to_string(&path).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
        (Self { path, written: from, seen: size }, from)
    }

    /// Takes a look: `open` is the first entry that something open needs, `size` how many there are. The place to
    /// write when the hint lies far behind.
    pub(super) fn look(&mut self, open: Option<u64>, size: u64) -> Option<(PathBuf, u64)> {
        let settled = open.map_or(self.seen, |open| open.min(self.seen));
        self.seen = size;
        if settled < self.written.saturating_add(BEHIND) {
            return None;
        }
        self.written = settled;
        Some((self.path.clone(), settled))
    }
}

/// Writes a hint. Nothing depends on it but the time of the next start.
pub(super) fn write_hint(path: &Path, from: u64) {
    let temporary = path.with_extension("from.new");
    let write = || {
        let mut file = std::fs::File::create(&temporary)?;
        writeln!(file, "{from}")?;
        std::fs::rename(&temporary, path)
    };
    if let Err(error) = write() {
        tracing::warn!(%error, path = %path.display(), "keep the place from which requests are read at the next start");
    }
}
