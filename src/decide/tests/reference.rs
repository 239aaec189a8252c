//! The plainest possible decision, and the real one: they agree on random policies and contexts.

use proptest::prelude::*;

use crate::decide::Settings;
use crate::decide::fixture::{Case, set_with};
use crate::model::{PartsPerMillion, Verdict};

/// A rule as the model sees it.
#[derive(Clone, Debug)]
struct Rule {
    condition: usize,
    action: usize,
    class: usize,
    priority: Option<i64>,
}

/// What a rule asks, and how the model answers: `None` is unknown.
type Asked = (&'static str, fn(&World) -> Option<bool>);
const CONDITIONS: &[Asked] = &[
    ("{}", |_| Some(true)),
    ("{tool: mail}", |world| Some(world.mail)),
    ("{parameters: {n: {gt: 5}}}", |world| Some(world.n > 5)),
    ("{context: {data_classification: PII}}", |world| Some(world.pii)),
    ("{risk_signals: {semantic_distance: {gt: 0.5}}}", |world| world.distance.map(|distance| distance > 500_000)),
    ("{not: {risk_signals: {semantic_distance: {gt: 0.5}}}}", |world| {
        world.distance.map(|distance| distance <= 500_000)
    }),
];
const ACTIONS: &[Verdict] = &[Verdict::Allow, Verdict::StepUp, Verdict::Defer, Verdict::Deny];
/// Class, the actions that fit it, its level; `None`: derived.
type Class = (Option<&'static str>, &'static [usize], u8);
const CLASSES: &[Class] = &[
    (None, &[0, 1, 2, 3], 0),
    (Some("context_dependent_allow"), &[0, 1], 1),
    (Some("context_dependent_deny"), &[3], 2),
    (Some("context_dependent_defer"), &[2], 3),
    (Some("forbidden"), &[3], 5),
];

#[derive(Clone, Copy, Debug)]
struct World {
    mail: bool,
    n: i64,
    pii: bool,
    distance: Option<u32>,
}

/// Level, priority, restrictiveness.
fn rank(rule: &Rule) -> (u8, Option<i64>, usize) {
    let by_context = rule.condition >= 3;
    let level = match (CLASSES[rule.class].0, ACTIONS[rule.action]) {
        (None, Verdict::Deny) if by_context => 2,
        (None, Verdict::Defer) if by_context => 3,
        (None, _) => 0,
        (Some(_), _) => CLASSES[rule.class].2,
    };
    (level, rule.priority, rule.action)
}

fn opposite(a: &Rule, b: &Rule) -> bool {
    matches!((ACTIONS[a.action], ACTIONS[b.action]), (Verdict::Allow, Verdict::Deny) | (Verdict::Deny, Verdict::Allow))
}

/// What is decided when these rules match.
fn outcome(matched: &[&Rule]) -> Verdict {
    let Some(top) = matched.iter().max_by_key(|rule| rank(rule)) else { return Verdict::Deny };
    let standing = |rule: &Rule| (rank(rule).0, rank(rule).1);
    let conflict = |other: &&&Rule| standing(other) == standing(top) && opposite(top, other);
    if top.priority.is_some() && matched.iter().any(|other| conflict(&other)) {
        Verdict::Defer
    } else {
        ACTIONS[top.action]
    }
}

/// An unknown rule suspends if the outcome would be another one had it matched.
fn model(rules: &[Rule], world: &World) -> Verdict {
    // A permission for a label is one for data with no other label, and for no data.
    let permits = |rule: &Rule| rule.action == 0 || rule.class == 1;
    let answer = |rule: &&Rule| match rule.condition {
        3 if permits(rule) => Some(true),
        condition => CONDITIONS[condition].1(world),
    };
    let matched: Vec<&Rule> = rules.iter().filter(|rule| answer(rule) == Some(true)).collect();
    let now = outcome(&matched);
    let forbidden = matched.iter().any(|rule| rank(rule).0 == 5);
    for rule in rules.iter().filter(|rule| answer(rule).is_none()) {
        let with: Vec<&Rule> = matched.iter().copied().chain([rule]).collect();
        if outcome(&with) != now && !forbidden {
            return Verdict::Defer;
        }
    }
    now
}

fn rule() -> impl Strategy<Value = Rule> {
    let class = 0..CLASSES.len();
    (0..CONDITIONS.len(), class, 0..4_usize, prop::option::of(1..3_i64)).prop_map(
        |(condition, class, pick, priority)| {
            let fitting = CLASSES[class].1;
            Rule { condition, action: fitting[pick % fitting.len()], class, priority }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_reference_model_agrees(
        rules in prop::collection::vec(rule(), 0..7), mail: bool, n in 0..10_i64, pii: bool,
        distance in prop::option::of(0..1_000_000_u32),
    ) {
        let world = World { mail, n, pii, distance };
        let mut text = String::from("rules:");
        for (number, rule) in rules.iter().enumerate() {
            let class = CLASSES[rule.class].0.map(|class| format!(", classification: {class}")).unwrap_or_default();
            let priority = rule.priority.map(|priority| format!(", priority: {priority}")).unwrap_or_default();
            let (asks, does) = (CONDITIONS[rule.condition].0, ACTIONS[rule.action].as_str());
            text += &format!("\n  - {{id: r{number}, match: {asks}, action: {does}{class}{priority}}}");
        }
        if rules.is_empty() {
            text += " []";
        }
        let mut case = Case::new(if mail { "mail" } else { "files" }, "send", &format!(r#"{{"n":{n}}}"#));
        case.context.labels = if pii { ["PII".into()].into() } else { [].into() };
        case.context.signals.semantic_distance = distance.map(PartsPerMillion);
        let decision = case.decide(&set_with(&text, &Settings::default())).0;
        prop_assert_eq!(decision.verdict, model(&rules, &world), "{}\n{:?}\n{}", text, world, decision.reason);
    }
}
