//! From every rule that matched, or might, to the one outcome (AARM, resolution G-7).
//!
//! 1. The highest level wins: see [`Level`].
//! 2. Within a level, the highest explicit priority; a rule without one stands below all that have one.
//! 3. Within that, the most restrictive action.
//!
//! Two rules of one level with the same explicit priority that say opposite things, forward and refuse, are a conflict:
//! DEFER (A-3.7b). A rule that is unknown defers if its match would change the outcome, and only then (A-3.7a); with
//! `strict_defer`, always. A rule in shadow is recorded and otherwise takes no part.

use super::exception::Exception;
use super::set::SetRule;
use super::truth::Truth;
use crate::model::{Classification, PartsPerMillion, Verdict};

/// The levels of AARM's precedence, lowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// Rules about the action alone.
    Baseline,
    /// Denied by the baseline, confirmed by the context. Only for rules whose author says so.
    ContextAllow,
    /// Allowed by the baseline, refused because of the context.
    ContextDeny,
    /// Suspended because of the context.
    Uncertainty,
    /// Refused because of what it would make of what came before.
    Compositional,
    /// Never, whatever the context.
    Forbidden,
}

impl Level {
    /// `classified`: whether the author wrote the class. A rule that was only given one by what it tests must not
    /// rise over a denial by it.
    pub(super) const fn of(
        classification: Classification,
        classified: bool,
        by_context: bool,
        by_sequence: bool,
    ) -> Self {
        match classification {
            Classification::ContextDependentDeny if by_sequence => Self::Compositional,
            Classification::Forbidden => Self::Forbidden,
            Classification::ContextDependentDeny => Self::ContextDeny,
            Classification::ContextDependentDefer if classified || by_context => Self::Uncertainty,
            Classification::ContextDependentAllow if classified => Self::ContextAllow,
            _ => Self::Baseline,
        }
    }
}

/// A rule that matched or might.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer<'s> {
    pub(super) rule: &'s SetRule,
    /// True or unknown; with `strict_defer` also false, if something in the rule was unknown.
    pub(super) truth: Truth,
    /// What was unknown in it.
    pub(super) unknown: Option<&'s str>,
    /// Whether it matched on what is known too badly (AARM A-3.7c).
    pub(super) doubtful: bool,
    /// The exception that takes it out.
    pub(super) exception: Option<&'s Exception>,
}

impl Answer<'_> {
    /// Whether the rule takes part in the decision.
    pub(super) const fn counts(&self) -> bool {
        !self.rule.shadow && self.exception.is_none() && self.rule.rule.decides
    }

    /// Whether the rule matched, and nothing is wrong with that.
    pub(super) fn holds(&self) -> bool {
        self.truth == Truth::True && !self.doubtful
    }
}

/// Why a rule that might change the outcome did not.
#[derive(Clone, Copy, Debug)]
pub(super) enum Doubt<'s> {
    /// This field is not known (AARM A-3.7a).
    Unknown(&'s str),
    /// What it matched on is known too badly (AARM A-3.7c).
    LowConfidence,
}

/// What was found.
#[derive(Clone, Copy, Debug)]
pub(super) enum Outcome<'s> {
    /// These two disagree.
    Conflict(&'s SetRule, &'s SetRule),
    /// No rule.
    Default,
    /// This rule decides.
    Rule(&'s SetRule),
    /// The risks of several rules are too much together; this one's is the largest.
    Risk(&'s SetRule),
    /// This rule might change the outcome, but it is not known whether it applies.
    Uncertain(&'s SetRule, Doubt<'s>),
}

/// Puts the answers together. `default` is the verdict when no rule matches.
///
/// `rho`: the most risk that rules may add up to.
pub(super) fn combine<'s>(answers: &[Answer<'s>], default: Verdict, strict: bool, rho: PartsPerMillion) -> Outcome<'s> {
    let counting = || answers.iter().filter(|answer| answer.counts());
    let matched: Vec<&'s SetRule> = counting().filter(|answer| answer.holds()).map(|answer| answer.rule).collect();
    let winner = matched.iter().copied().reduce(higher);
    let below = winner.is_none_or(|winner| winner.level < Level::Compositional);
    let certain = |answer: &Answer<'_>| answer.holds();
    if below && let Some(riskiest) = too_risky(answers, rho, certain) {
        return Outcome::Risk(riskiest);
    }
    let conflict = winner.and_then(|winner| Some((winner, opponent(winner, &matched)?)));
    let settled = winner.is_some_and(|winner| winner.level >= Level::Compositional) && conflict.is_none();
    let refuses = winner.map_or(default, |winner| winner.rule.action) == Verdict::Deny && conflict.is_none();
    let changes = |answer: &Answer<'s>| {
        let with = |other: &Answer<'s>| other.holds() || std::ptr::eq(other.rule, answer.rule);
        if below && answer.rule.level < Level::Compositional && too_risky(answers, rho, with).is_some() {
            return !refuses;
        }
        matters(answer.rule, winner, conflict.is_some(), &matched, default)
    };
    let uncertain = counting()
        .filter_map(|answer| Some((answer, doubt(answer)?)))
        .filter(|(answer, _)| match strict {
            true => !settled,
            false => !answer.holds() && answer.truth != Truth::False && changes(answer),
        })
        .reduce(
            |first, second| {
                if std::ptr::eq(higher(first.0.rule, second.0.rule), first.0.rule) { first } else { second }
            },
        );
    // Rules that only weigh ask for nothing, and all that might match together may yet be too much.
    let possible = |answer: &Answer<'s>| answer.truth != Truth::False;
    let uncertain = uncertain.or_else(|| {
        let risks = below && !refuses && too_risky(answers, rho, possible).is_some();
        let mut doubtful =
            answers.iter().filter(|answer| risks && weighs(answer) && !answer.holds() && possible(answer));
        doubtful.find_map(|answer| Some((answer, doubt(answer)?)))
    });
    match (uncertain, conflict, winner) {
        (Some((answer, doubt)), _, _) => Outcome::Uncertain(answer.rule, doubt),
        (None, Some((first, second)), _) => Outcome::Conflict(first, second),
        (None, None, Some(winner)) => Outcome::Rule(winner),
        (None, None, None) => Outcome::Default,
    }
}

const fn doubt<'s>(answer: &Answer<'s>) -> Option<Doubt<'s>> {
    match answer.unknown {
        Some(unknown) => Some(Doubt::Unknown(unknown)),
        None if answer.doubtful => Some(Doubt::LowConfidence),
        None => None,
    }
}

fn weighs(answer: &Answer<'_>) -> bool {
    !answer.rule.shadow && answer.exception.is_none() && answer.rule.rule.risk.0 > 0
}

/// The riskiest rule, when the risks of all that `count` are more than `rho` together. Risks are taken as independent:
/// what is left of the certainty that nothing is wrong is the product of what each leaves.
fn too_risky<'s>(
    answers: &[Answer<'s>],
    rho: PartsPerMillion,
    count: impl Fn(&Answer<'s>) -> bool,
) -> Option<&'s SetRule> {
    let rules = answers.iter().filter(|answer| weighs(answer) && count(answer));
    let (mut safe_ppm, mut riskiest): (u64, Option<&'s SetRule>) = (1_000_000, None);
    for answer in rules {
        let risk = answer.rule.rule.risk.0;
        // Rounded down: together never less risky than they are.
        safe_ppm = safe_ppm * u64::from(1_000_000_u32.saturating_sub(risk)) / 1_000_000;
        if riskiest.is_none_or(|other| (other.rule.risk.0, &answer.rule.rule.id) < (risk, &other.rule.id)) {
            riskiest = Some(answer.rule);
        }
    }
    riskiest.filter(|_| 1_000_000 - safe_ppm > u64::from(rho.0))
}

/// Where a rule stands: the pair within which rules can conflict.
fn standing(rule: &SetRule) -> (Level, Option<i64>) {
    (rule.level, rule.rule.priority)
}

/// The one of two that decides. Ties go to the first name, so that the order of files does not matter.
pub(super) fn higher<'s>(left: &'s SetRule, right: &'s SetRule) -> &'s SetRule {
    let rank = |rule: &SetRule| (standing(rule), rule.rule.action.restrictiveness());
    let name = |rule: &'s SetRule| (&rule.reference.policy_id, &rule.rule.id);
    match rank(left).cmp(&rank(right)).then_with(|| name(right).cmp(&name(left))) {
        std::cmp::Ordering::Less => right,
        std::cmp::Ordering::Equal | std::cmp::Ordering::Greater => left,
    }
}

/// Whether one forwards and the other refuses.
const fn opposite(left: Verdict, right: Verdict) -> bool {
    matches!(
        (left, right),
        (Verdict::Deny, Verdict::Allow | Verdict::Modify) | (Verdict::Allow | Verdict::Modify, Verdict::Deny)
    )
}

/// A rule of the same standing, with an explicit priority, that says the opposite. The winner is the most restrictive
/// of its standing, so only its own opponents matter.
fn opponent<'s>(rule: &SetRule, others: &[&'s SetRule]) -> Option<&'s SetRule> {
    rule.rule.priority?;
    let opposed = others
        .iter()
        .copied()
        .filter(|other| standing(other) == standing(rule) && opposite(rule.rule.action, other.rule.action));
    opposed.reduce(higher)
}

/// Whether the match of an unknown rule would change what happens.
fn matters(rule: &SetRule, winner: Option<&SetRule>, conflict: bool, matched: &[&SetRule], default: Verdict) -> bool {
    let Some(winner) = winner else { return rule.rule.action != default };
    let (action, decided) = (rule.rule.action, winner.rule.action);
    if conflict {
        // A DEFER already, unless the rule stands above both sides.
        return standing(rule) > standing(winner) && action != Verdict::Defer;
    }
    let above = std::ptr::eq(higher(rule, winner), rule) && action != decided;
    let adds_changes = action == Verdict::Modify && decided == Verdict::Modify;
    let would_conflict = standing(rule) == standing(winner) && opponent(rule, matched).is_some();
    above || adds_changes || would_conflict
}
