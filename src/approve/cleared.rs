//! What lets a call go on, and what came of waiting.

use super::deferral::Hold;
use crate::decide::Evidence;
use crate::model::{Action, Decision, Facts, Identity, ReasonCode, Refusal};
use crate::record::{After, Decided};

/// What lets a call go on.
#[derive(Debug)]
pub struct Cleared {
    /// What is said about it.
    pub evidence: Evidence,
    /// What its next decision follows.
    pub after: After,
    /// Whether people may still be asked: resolvers were, and the policies may want more.
    may_escalate: bool,
    /// Keeps those that depend on it waiting until it has run.
    hold: Option<Hold>,
}

/// What a call turned out to be when it came.
#[derive(Debug)]
pub enum Came {
    /// It ends here: it waits, or it was answered with no.
    Ends(Box<Refusal>),
    /// It goes on to be decided; with evidence when it waited.
    Goes(Option<Box<Cleared>>),
}

/// What is asked about.
#[derive(Debug)]
pub struct About<'a> {
    /// Who calls.
    pub identity: &'a Identity,
    /// What was decided.
    pub decision: &'a Decision,
    /// What the call waited for before.
    pub waited: Option<Box<Cleared>>,
}

/// What came of asking.
#[derive(Debug)]
pub enum Asked {
    /// It goes on, to be decided again.
    Cleared(Box<Cleared>),
    /// It ends here for now.
    Ends(Box<Refusal>),
}

impl Cleared {
    pub(super) const fn of(evidence: Evidence, after: After) -> Self {
        Self { evidence, after, may_escalate: false, hold: None }
    }

    pub(super) const fn resolved(evidence: Evidence, after: After, hold: Hold) -> Self {
        Self { evidence, after, may_escalate: true, hold: Some(hold) }
    }

    /// What a person approved; with its place, when it was suspended before.
    pub(super) const fn approved(evidence: Evidence, after: After, hold: Option<Hold>) -> Self {
        Self { evidence, after, may_escalate: false, hold }
    }

    /// What resolvers found out.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        match &self.evidence {
            Evidence::Resolved(facts) => facts,
            _ => Facts::NONE,
        }
    }

    /// Whether people may still be asked: resolvers were, and the policies want more.
    #[must_use]
    pub const fn may_escalate(&self) -> bool {
        self.may_escalate
    }

    /// Its place, for as long as it waits for something else.
    pub(super) fn into_hold(self: Box<Self>) -> Option<Hold> {
        self.hold
    }

    pub(super) fn stale(why: &str) -> Self {
        Self::of(Evidence::Stale(why.into()), After::default())
    }
}

impl Cleared {
    /// The one of two that counts.
    #[must_use]
    pub fn stronger<'a>(waited: Option<&'a Self>, standing: Option<&'a Self>) -> Option<&'a Self> {
        match standing {
            Some(Self { evidence: Evidence::Suspended(_), .. }) => standing,
            _ => waited.or(standing),
        }
    }

    /// The same, for a call that was decided before: the next decision takes that one's place.
    #[must_use]
    pub fn instead_of(mut self: Box<Self>, decided: &Decided, action: &Action) -> Box<Self> {
        if *decided.action() == action.id {
            self.after.supersedes.get_or_insert_with(|| decided.receipt().clone());
        }
        self
    }

    /// What the decision says it follows: nothing that it did not need, and always the decision that it replaces.
    #[must_use]
    pub fn followed_by(&self, decision: &Decision, waited: Option<&Self>) -> After {
        let needed = match &self.evidence {
            Evidence::Approved(_) | Evidence::Resolved(_) => true,
            Evidence::BreakGlass(_) => decision.reason_code == ReasonCode::BreakGlass,
            Evidence::Granted(_) => decision.reason_code == ReasonCode::Granted,
            Evidence::DependsOn(_) | Evidence::Stale(_) | Evidence::Suspended(_) => false,
        };
        let mut after = if needed { self.after.clone() } else { After::default() };
        let replaced = self.after.supersedes.as_ref().or_else(|| waited?.after.supersedes.as_ref());
        after.supersedes = replaced.cloned();
        after
    }
}
