//! Composition: what came before this action, in which order (AARM's composition rules).

use super::names::{Names, Scope};
use super::truth::Truth;
use crate::model::{DataLevel, PriorAction, SessionContext};

/// Actions of the session that came before this one, in this order, others between them allowed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sequence {
    pub(super) steps: Vec<Step>,
    /// Among so many latest actions; `None`: all that are remembered.
    pub(super) actions: Option<u32>,
    /// Not longer ago than so many seconds.
    pub(super) seconds: Option<u32>,
}

/// One of them. Only what was forwarded counts: what was refused has read and changed nothing.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Step {
    pub(super) scope: Scope,
    /// It brought data of this level or higher.
    pub(super) level: Option<DataLevel>,
}

/// Most steps: longer stories are several rules.
pub(super) const STEPS_MAX: usize = 8;

impl Sequence {
    /// Linear in the history.
    pub(super) fn holds(&self, context: &SessionContext) -> Truth {
        let kept = context.history.len();
        let wanted = self.actions.and_then(|actions| usize::try_from(actions).ok()).unwrap_or(usize::MAX);
        let since = self.seconds.map(|seconds| context.now.as_micros().saturating_sub(u64::from(seconds) * 1_000_000));
        let recent = || {
            let latest = context.history.iter().skip(kept.saturating_sub(wanted));
            latest.filter(|prior| prior.forwarded && since.is_none_or(|since| prior.at.as_micros() >= since))
        };
        // Earliest first: if the steps can be found at all, they are found this way.
        let found = |least: Truth| {
            let mut steps = self.steps.iter().peekable();
            for prior in recent() {
                if steps.peek().is_some_and(|step| step.is(prior) >= least) {
                    steps.next();
                }
            }
            steps.peek().is_none()
        };
        if found(Truth::True) {
            return Truth::True;
        }
        // Forgotten actions may have been part of it.
        let forgotten = context.action_count > u64::try_from(kept).unwrap_or(u64::MAX);
        let oldest_is_recent =
            context.history.first().is_none_or(|oldest| since.is_none_or(|since| oldest.at.as_micros() >= since));
        if found(Truth::Unknown) || forgotten && wanted > kept && oldest_is_recent {
            return Truth::Unknown;
        }
        Truth::False
    }
}

impl Step {
    fn is(&self, prior: &PriorAction) -> Truth {
        let dotted = format!("{}.{}", prior.tool, prior.operation);
        let names = [&*prior.tool, &*prior.operation, &*dotted];
        let deeds = [&*prior.operation, &*dotted];
        let given = |names: &Names, what: &[&str]| !names.given || names.matches(what);
        let named = given(&self.scope.tool, &names)
            && given(&self.scope.server, &[&prior.tool])
            && given(&self.scope.operation, &[&prior.operation])
            && given(&self.scope.category, &deeds);
        let level = match (self.level, prior.level) {
            (None, _) => Truth::True,
            (Some(wanted), Some(level)) => (level >= wanted).into(),
            // Not answered yet: nobody knows what it will bring.
            (Some(_), None) => {
                if prior.success.is_none() {
                    Truth::Unknown
                } else {
                    Truth::False
                }
            }
        };
        Truth::from(named).and(level)
    }
}
