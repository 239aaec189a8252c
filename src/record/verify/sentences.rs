//! Puts the findings into six statements that a person can quote. None of them says more than was checked.

use super::CLOCK_TOLERANCE_US;
use super::assertion::{Aspect, Assertion, Standing};
use super::findings::Findings;
use super::outside::Outside;
use super::trust::other_signatures;
use crate::record::Checkpoint;

/// What the sentences speak about.
pub(super) struct Facts<'a> {
    pub(super) size: u64,
    pub(super) tail: u64,
    /// Entries that retention removed, and the entry that says so.
    pub(super) removed: u64,
    pub(super) removed_by: u64,
    pub(super) chains: u64,
    /// `gap` and `redaction` entries.
    pub(super) gaps: u64,
    pub(super) incomplete_total: u64,
    pub(super) findings: &'a Findings,
}

impl Facts<'_> {
    pub(super) fn integrity(&self, root_id: &str, pinned: bool) -> Assertion {
        let whose = if pinned {
            format!("the pinned root key {root_id}")
        } else {
            format!("root key {root_id}, which only the log itself names")
        };
        let entries = self.size + self.tail - self.removed;
        let removed = match self.removed {
            0 => String::new(),
            removed => format!(
                "; {removed} older ones were removed, as entry {} says: their hashes are there",
                self.removed_by
            ),
        };
        let tree = if self.size > 0 { "; together they give the signed root" } else { "" };
        self.stand(
            Aspect::Integrity,
            format!("all {entries} entries are as they were signed, by keys that lead to {whose}{tree}{removed}"),
        )
    }

    pub(super) fn order(&self) -> Assertion {
        let tolerance_s = CLOCK_TOLERANCE_US / 1_000_000;
        let sentence = format!("runs and entries follow one another; no clock went back by more than {tolerance_s} s");
        self.stand(Aspect::Order, sentence)
    }

    pub(super) fn sessions(&self) -> Assertion {
        let chains = match self.chains {
            1 => "1 session chain is".to_owned(),
            chains => format!("{chains} session chains are"),
        };
        let chains = if self.removed > 0 { format!("as far as entries were kept, {chains}") } else { chains };
        let mut said = self.stand(
            Aspect::Sessions,
            format!("{chains} without gaps; every outcome has its decision, every permission its outcome"),
        );
        if said.standing == Standing::Holds && self.incomplete_total > 0 {
            said.standing = Standing::Open;
            said.sentence = format!(
                "{chains} without gaps; {} permitted actions have no outcome yet, or lost it",
                self.incomplete_total
            );
        }
        said
    }

    /// What outsiders knew and was found, as words; `None` when nothing was given, or nothing of it was met.
    pub(super) fn anchored(&self, outside: &Outside) -> Option<String> {
        let checkpoints = outside.checkpoints_met;
        let leaves = outside.leaves_met;
        match (checkpoints, leaves) {
            (0, 0) => None,
            (0, leaves) => Some(format!("{leaves} exported entries")),
            (1, 0) => Some("the checkpoint from outside".to_owned()),
            (checkpoints, 0) => Some(format!("{checkpoints} checkpoints from outside")),
            (checkpoints, leaves) => {
                Some(format!("{checkpoints} checkpoints from outside and {leaves} exported entries"))
            }
        }
    }

    pub(super) fn log(&self, outside: &Outside) -> Assertion {
        let mut behind = match self.tail {
            0 => String::new(),
            tail => format!("; {tail} entries lie behind the checkpoint, and more of those could be missing unseen"),
        };
        if self.gaps > 0 {
            behind.push_str(&format!("; {} entries name gaps and removals", self.gaps));
        }
        let Some(known) = self.anchored(outside) else {
            let sentence = format!("not protected against truncation: no outside anchor was given{behind}");
            let mut said = self.stand(Aspect::Log, sentence);
            if said.standing == Standing::Holds {
                said.standing = Standing::Open;
            }
            return said;
        };
        self.stand(
            Aspect::Log,
            format!("{known}: all of it is in this log, so nothing up to there was cut off{behind}"),
        )
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

pub(super) fn freshness(newest: Option<String>, anchored: Option<String>) -> Assertion {
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

pub(super) fn witnessing(checkpoint: Option<&Checkpoint>, anchors: usize) -> Assertion {
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
