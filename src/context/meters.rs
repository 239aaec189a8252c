//! What agents have used of the limits that rules count with (resolution G-16).
//!
//! One store for all sessions of an agent: a limit on a session would be lifted by opening another one. A decision is
//! made while its agent's meters are held, so that two calls at once cannot both be the last that fits. Counts are kept
//! in slices of a window, so memory does not grow with traffic; an action counts for at most one slice longer than the
//! window is. What waits holds its place, and gives it back when it is decided again: an action counts once.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use dashmap::DashMap;

use crate::model::{ActionId, Claim, Identity, Meter, Metered, Timestamp, Usage, Verdict, Verification};

/// Slices of a window: what limits how exactly it slides.
const SLICES: u64 = 60;

/// Agents with meters at once. One more whose meters are new gets none, and rules that count with them suspend its
/// actions: forgetting somebody's usage would lift their limits.
const AGENTS_MAX: usize = 20_000;

/// Meters of one agent: more rules with limits about one agent than anybody writes.
const METERS_MAX: usize = 256;

/// Waiting actions of one agent whose places are remembered: as many as may wait in one instance. One that is forgotten
/// counts twice when it is decided again.
const WAITING_MAX: usize = 1_000;

/// The meters of every agent.
#[derive(Debug, Default)]
pub struct Meters {
    agents: DashMap<Arc<str>, Arc<Mutex<Agent>>>,
}

#[derive(Debug, Default)]
struct Agent {
    series: HashMap<Arc<str>, Series>,
    waiting: VecDeque<Waiting>,
}

/// What an action that waits has put on meters.
#[derive(Debug)]
struct Waiting {
    action: ActionId,
    places: Vec<(Metered, u64)>,
}

/// What stood on one meter, slice by slice.
#[derive(Debug)]
struct Series {
    window_s: u32,
    slices: VecDeque<Slice>,
}

#[derive(Debug)]
struct Slice {
    number: u64,
    count: u64,
    sum_milli: u64,
}

impl Meters {
    /// Decides about `action` while the meters of `who` are held: `decide` sees what stands on those that are `wanted`,
    /// without what the same action put there when it began to wait, and returns what was decided and what the action
    /// puts on them.
    pub fn hold<R>(
        &self,
        who: &str,
        wanted: &[Meter],
        (action, now): (&ActionId, Timestamp),
        decide: impl FnOnce(&[Usage]) -> (R, Verdict, Vec<Metered>),
    ) -> R {
        let Some(agent) = (!wanted.is_empty()).then(|| self.agent(who, now)).flatten() else {
            return decide(&[]).0;
        };
        let mut agent = agent.lock().unwrap_or_else(PoisonError::into_inner);
        agent.give_back(action);
        let usage: Vec<Usage> = wanted.iter().filter_map(|meter| agent.read(meter, now)).collect();
        let (decided, verdict, metered) = decide(&usage);
        agent.put(action, verdict, now, metered);
        decided
    }

    /// Puts back what a decision of an earlier run of the process had counted, in the order of the log.
    pub fn restore(
        &self,
        who: &str,
        (action, verdict): (&ActionId, Verdict),
        at: Timestamp,
        parts: Vec<(&Meter, u64)>,
    ) {
        let Some(agent) = self.agent(who, at) else { return };
        let mut agent = agent.lock().unwrap_or_else(PoisonError::into_inner);
        agent.give_back(action);
        let kept = parts.into_iter().filter(|(meter, _)| agent.read(meter, at).is_some());
        let metered = kept.map(|(meter, amount_milli)| Metered { amount_milli, meter: Arc::clone(&meter.name) });
        let metered: Vec<Metered> = metered.collect();
        agent.put(action, verdict, at, metered);
    }

    fn agent(&self, who: &str, now: Timestamp) -> Option<Arc<Mutex<Agent>>> {
        if let Some(agent) = self.agents.get(who) {
            return Some(Arc::clone(&agent));
        }
        if self.agents.len() >= AGENTS_MAX {
            self.agents.retain(|_, agent| Arc::strong_count(agent) > 1 || !is_over(agent, now));
        }
        if self.agents.len() >= AGENTS_MAX {
            return None;
        }
        Some(Arc::clone(&self.agents.entry(who.into()).or_default()))
    }
}

/// Whether nothing of an agent counts any more.
fn is_over(agent: &Mutex<Agent>, now: Timestamp) -> bool {
    let mut agent = agent.lock().unwrap_or_else(PoisonError::into_inner);
    agent.series.values_mut().all(|series| series.total(now) == (0, 0))
}

impl Agent {
    fn read(&mut self, meter: &Meter, now: Timestamp) -> Option<Usage> {
        if !self.series.contains_key(&meter.name) && self.series.len() >= METERS_MAX {
            self.series.retain(|_, series| series.total(now) != (0, 0));
            if self.series.len() >= METERS_MAX {
                return None;
            }
        }
        let series = self.series.entry(Arc::clone(&meter.name)).or_insert_with(|| Series::new(meter.window_s));
        series.fit(meter.window_s);
        let (count, sum_milli) = series.total(now);
        Some(Usage { meter: Arc::clone(&meter.name), count, sum_milli })
    }

    fn put(&mut self, action: &ActionId, verdict: Verdict, now: Timestamp, metered: Vec<Metered>) {
        let mut places = Vec::new();
        for part in metered {
            if let Some(series) = self.series.get_mut(&part.meter) {
                let slice = series.add(now, part.amount_milli);
                places.push((part, slice));
            }
        }
        if places.is_empty() || !matches!(verdict, Verdict::Defer | Verdict::StepUp) {
            return;
        }
        if self.waiting.len() == WAITING_MAX {
            self.waiting.pop_front();
        }
        self.waiting.push_back(Waiting { action: action.clone(), places });
    }

    /// Takes off the meters what this action put there when it began to wait.
    fn give_back(&mut self, action: &ActionId) {
        let found = self.waiting.iter().position(|waiting| waiting.action == *action);
        let Some(waiting) = found.and_then(|at| self.waiting.remove(at)) else { return };
        for (part, slice) in waiting.places {
            if let Some(series) = self.series.get_mut(&part.meter) {
                series.take_off(slice, part.amount_milli);
            }
        }
    }
}

impl Series {
    const fn new(window_s: u32) -> Self {
        Self { window_s, slices: VecDeque::new() }
    }

    fn slice_us(window_s: u32) -> u64 {
        (u64::from(window_s).saturating_mul(1_000_000) / SLICES).max(1)
    }

    /// A policy with another window: what is kept counts on, in the new slices.
    fn fit(&mut self, window_s: u32) {
        if self.window_s == window_s {
            return;
        }
        let (old, new) = (Self::slice_us(self.window_s), Self::slice_us(window_s));
        for slice in &mut self.slices {
            // The end of the old slice: nothing counts for a shorter time than it should.
            slice.number = slice.number.saturating_add(1).saturating_mul(old).saturating_sub(1) / new;
        }
        self.window_s = window_s;
    }

    /// Returns the slice that it is counted in.
    fn add(&mut self, now: Timestamp, amount_milli: u64) -> u64 {
        let number = now.as_micros() / Self::slice_us(self.window_s);
        match self.slices.back_mut() {
            // Clocks do not go back within a process; what seems to is counted with the latest.
            Some(last) if last.number >= number => {
                last.count = last.count.saturating_add(1);
                last.sum_milli = last.sum_milli.saturating_add(amount_milli);
                last.number
            }
            _ => {
                self.slices.push_back(Slice { number, count: 1, sum_milli: amount_milli });
                number
            }
        }
    }

    /// The opposite of [`Self::add`]. Nothing, when the slice is over or was renumbered.
    fn take_off(&mut self, number: u64, amount_milli: u64) {
        if let Some(slice) = self.slices.iter_mut().find(|slice| slice.number == number) {
            slice.count = slice.count.saturating_sub(1);
            slice.sum_milli = slice.sum_milli.saturating_sub(amount_milli);
        }
    }

    /// Forgets what is over, and adds up the rest.
    fn total(&mut self, now: Timestamp) -> (u64, u64) {
        let oldest = (now.as_micros() / Self::slice_us(self.window_s)).saturating_sub(SLICES);
        while self.slices.front().is_some_and(|slice| slice.number < oldest) {
            self.slices.pop_front();
        }
        self.slices.iter().fold((0, 0), |(count, sum), slice| {
            (count.saturating_add(slice.count), sum.saturating_add(slice.sum_milli))
        })
    }
}

/// Whose limits an action counts against.
#[must_use]
pub fn metered_as(identity: &Identity) -> String {
    let part = |claim: Option<&Claim>| claim.map(|claim| (claim.value.to_string(), claim.verification));
    metered_by(
        part(identity.agent.as_ref().map(|agent| &agent.id)),
        part(identity.service.as_ref()),
        part(identity.human.as_ref()),
    )
}

/// The agent, else the service, else the human, each with how it was verified. Everybody whom nobody vouches for shares
/// one.
#[must_use]
pub fn metered_by(
    agent: Option<(String, Verification)>,
    service: Option<(String, Verification)>,
    human: Option<(String, Verification)>,
) -> String {
    [("agent", agent), ("service", service), ("human", human)]
        .into_iter()
        .find_map(|(kind, part)| part.filter(|part| part.1.is_verified()).map(|(name, _)| format!("{kind}:{name}")))
        .unwrap_or_else(|| "nobody".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meter(window_s: u32) -> Meter {
        Meter { name: "p/r".into(), window_s }
    }

    fn action(name: &str) -> ActionId {
        ActionId::parse(&format!("act_{name}")).unwrap()
    }

    fn put(meters: &Meters, who: &str, at_s: u64, amount_milli: u64) -> (u64, u64) {
        put_as(meters, (who, "any", Verdict::Allow), at_s, amount_milli)
    }

    fn put_as(
        meters: &Meters,
        (who, name, verdict): (&str, &str, Verdict),
        at_s: u64,
        amount_milli: u64,
    ) -> (u64, u64) {
        meters.hold(who, &[meter(60)], (&action(name), Timestamp::from_secs(at_s)), |usage| {
            let seen = (usage[0].count, usage[0].sum_milli);
            (seen, verdict, vec![Metered { amount_milli, meter: "p/r".into() }])
        })
    }

    #[test]
    fn what_waits_holds_its_place_and_counts_once_when_it_runs() {
        let meters = Meters::default();
        assert_eq!(put_as(&meters, ("a", "waits", Verdict::StepUp), 1_000, 70), (0, 0));
        assert_eq!(put(&meters, "a", 1_010, 5), (1, 70), "its place is held");
        assert_eq!(put_as(&meters, ("a", "waits", Verdict::Allow), 1_020, 70), (1, 5), "by nobody else than itself");
        assert_eq!(
            put_as(&meters, ("a", "waits", Verdict::Allow), 1_021, 1),
            (2, 75),
            "it has run: nothing is given back"
        );
        // The same after a restart, from the log.
        let (again, meter) = (Meters::default(), meter(60));
        for (name, verdict) in [("waits", Verdict::StepUp), ("other", Verdict::Allow), ("waits", Verdict::Deny)] {
            let parts = if verdict == Verdict::Deny { Vec::new() } else { vec![(&meter, 7)] };
            again.restore("a", (&action(name), verdict), Timestamp::from_secs(1_000), parts);
        }
        assert_eq!(put(&again, "a", 1_001, 1), (1, 7), "what was refused in the end uses nothing up");
    }

    #[test]
    fn a_window_slides() {
        let meters = Meters::default();
        assert_eq!(put(&meters, "a", 1_000, 5), (0, 0));
        assert_eq!(put(&meters, "a", 1_030, 7), (1, 5));
        assert_eq!(put(&meters, "b", 1_030, 1), (0, 0), "each agent by itself");
        assert_eq!(put(&meters, "a", 1_059, 1), (2, 12));
        assert_eq!(put(&meters, "a", 1_062, 1), (2, 8), "the first is over");
        assert_eq!(put(&meters, "a", 2_000, 1), (0, 0));
    }

    #[test]
    fn memory_does_not_grow_with_traffic() {
        let meters = Meters::default();
        for second in 0..10_000 {
            put(&meters, "a", 1_000 + second / 10, 1);
        }
        let agent = meters.agent("a", Timestamp::from_secs(2_000)).unwrap();
        assert!(agent.lock().unwrap().series["p/r"].slices.len() <= 62);
    }

    #[test]
    fn a_meter_that_cannot_be_kept_is_unknown_and_not_zero() {
        let meters = Meters::default();
        let many: Vec<Meter> = (0..=METERS_MAX).map(|n| Meter { name: n.to_string().into(), window_s: 60 }).collect();
        let all = |usage: &[Usage]| {
            let put = usage.iter().map(|usage| Metered { amount_milli: 0, meter: Arc::clone(&usage.meter) });
            (usage.len(), Verdict::Allow, put.collect())
        };
        let at = |seconds| (action("any"), Timestamp::from_secs(seconds));
        let hold = |wanted: &[Meter], seconds| {
            let (action, now) = at(seconds);
            meters.hold("a", wanted, (&action, now), all)
        };
        hold(many.get(..METERS_MAX).unwrap(), 1);
        let last = many.get(METERS_MAX..).unwrap();
        assert_eq!(hold(last, 1), 0);
        assert_eq!(hold(last, 9_999), 1, "room again once the others are over");
    }

    #[test]
    fn another_window_forgets_nothing_that_counts() {
        let meters = Meters::default();
        put(&meters, "a", 1_000, 5);
        let longer = Meter { name: "p/r".into(), window_s: 3_600 };
        let at = (&action("any"), Timestamp::from_secs(1_050));
        let seen = meters.hold("a", &[longer], at, |usage| (usage[0].count, Verdict::Deny, Vec::new()));
        assert_eq!(seen, 1);
    }
}
