//! Puts the findings into six statements that a person can quote. None of them says more than was checked.

use super::findings::Findings;
use super::ledger::Ledger;
use super::outside::Outside;
use super::report::{Aspect, Assertion, Report, Standing};
use super::trust::{other_signatures, short};
use super::{CLOCK_TOLERANCE_US, VerifyOptions};
use crate::record::Checkpoint;

/// The report of a verified log.
pub(super) fn report(
    origin: String,
    checkpoint: Option<Checkpoint>,
    tail: u64,
    ledger: Ledger,
    outside: &Outside,
    options: &VerifyOptions,
    findings: Findings,
) -> Report {
    let size = checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.size);
    let root_id = short(ledger.keys.root_id());
    let newest = ledger.clock.newest();
    let chains = ledger.chains.total;
    let (incomplete, incomplete_total) = ledger.actions.incomplete();
    let facts = Facts { size, tail, chains, incomplete_total, findings: &findings };
    let assertions = (
        facts.integrity(&root_id, options.root_key.is_some()),
        facts.order(),
        facts.sessions(),
        facts.log(outside),
        freshness(newest.map(|newest| newest.to_string()), facts.anchored(outside)),
        witnessing(checkpoint.as_ref(), ledger.anchors.len()),
    );
    let (integrity, order, session_completeness, log_completeness, freshness, witnessing) = assertions;
    let (problems, problems_total) = findings.into_problems();
    Report {
        origin,
        size,
        root: checkpoint.map(|checkpoint| checkpoint.root),
        tail,
        integrity,
        order,
        session_completeness,
        log_completeness,
        freshness,
        witnessing,
        problems,
        problems_total,
        incomplete,
        incomplete_total,
        kinds: ledger.kinds,
        unknown_kinds: ledger.unknown_kinds,
        unknown_members: ledger.unknown_members,
        payloads: ledger.payloads,
    }
}

struct Facts<'a> {
    size: u64,
    tail: u64,
    chains: u64,
    incomplete_total: u64,
    findings: &'a Findings,
}

impl Facts<'_> {
    fn integrity(&self, root_id: &str, pinned: bool) -> Assertion {
        let whose = if pinned {
            format!("the pinned root key {root_id}")
        } else {
            format!("root key {root_id}, which only the log itself names")
        };
        let entries = self.size + self.tail;
        let tree = if self.size > 0 { "; together they give the signed root" } else { "" };
        self.stand(
            Aspect::Integrity,
            format!("all {entries} entries are as they were signed, by keys that lead to {whose}{tree}"),
        )
    }

    fn order(&self) -> Assertion {
        let tolerance_s = CLOCK_TOLERANCE_US / 1_000_000;
        let sentence = format!("runs and entries follow one another; no clock went back by more than {tolerance_s} s");
        self.stand(Aspect::Order, sentence)
    }

    fn sessions(&self) -> Assertion {
        let chains = self.chains;
        let mut said = self.stand(
            Aspect::Sessions,
            format!(
                "{chains} session chains are without gaps; every outcome has its decision, every permission its outcome"
            ),
        );
        if said.standing == Standing::Holds && self.incomplete_total > 0 {
            said.standing = Standing::Open;
            said.sentence = format!(
                "{chains} session chains are without gaps; {} permitted actions have no outcome yet, or lost it",
                self.incomplete_total
            );
        }
        said
    }

    /// What outsiders knew and was found, as words; `None` when nothing was given, or nothing of it was met.
    fn anchored(&self, outside: &Outside) -> Option<String> {
        let checkpoints = outside.checkpoints_met;
        let leaves = outside.leaves_met;
        match (checkpoints, leaves) {
            (0, 0) => None,
            (0, leaves) => Some(format!("{leaves} exported entries")),
            (checkpoints, 0) => Some(format!("{checkpoints} checkpoints from outside")),
            (checkpoints, leaves) => {
                Some(format!("{checkpoints} checkpoints from outside and {leaves} exported entries"))
            }
        }
    }

    fn log(&self, outside: &Outside) -> Assertion {
        let behind = match self.tail {
            0 => String::new(),
            tail => format!("; {tail} entries lie behind the checkpoint, and more of those could be missing unseen"),
        };
        let Some(known) = self.anchored(outside) else {
            let sentence = format!("not protected against truncation: no outside anchor was given{behind}");
            let mut said = self.stand(Aspect::Log, sentence);
            if said.standing == Standing::Holds {
                said.standing = Standing::Open;
            }
            return said;
        };
        self.stand(Aspect::Log, format!("{known} are all in this log, so nothing up to them was cut off{behind}"))
    }

    fn stand(&self, aspect: Aspect, sentence: String) -> Assertion {
        if !self.findings.breaks(aspect) {
            return Assertion { standing: Standing::Holds, sentence };
        }
        let sentence = match self.findings.count(aspect) {
            1 => "1 fault".to_owned(),
            count => format!("{count} faults"),
        };
        Assertion { standing: Standing::Fails, sentence }
    }
}

fn freshness(newest: Option<String>, anchored: Option<String>) -> Assertion {
    let Some(newest) = newest else {
        return Assertion { standing: Standing::Open, sentence: "there is no entry that could be dated".to_owned() };
    };
    let outside = match anchored {
        Some(known) => format!("not older than {known}"),
        None => "nothing from outside says that there were no later ones".to_owned(),
    };
    let sentence = format!("the newest entry is of {newest}, by the clock of the machine that wrote it; {outside}");
    Assertion { standing: Standing::Open, sentence }
}

fn witnessing(checkpoint: Option<&Checkpoint>, anchors: usize) -> Assertion {
    let sentence = match (checkpoint.map_or(0, other_signatures), anchors) {
        (0, 0) => "no witness has signed this checkpoint".to_owned(),
        (0, anchors) => format!(
            "no witness has signed this checkpoint; {anchors} anchor entries fit, their tokens were not checked"
        ),
        (others, _) => {
            format!("{others} other signatures stand under the checkpoint; without their keys they were not checked")
        }
    };
    Assertion { standing: Standing::Open, sentence }
}
