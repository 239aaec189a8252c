//! The plainest possible decision, and the real one: they agree on random policies and contexts.

use proptest::prelude::*;

use crate::decide::Settings;
use crate::decide::fixture::{Case, prior, set_with};
use crate::model::{Origin, PartsPerMillion, Provenance, Usage, Verdict};

/// A rule as the model sees it.
#[derive(Clone, Debug)]
struct Rule {
    condition: usize,
    action: usize,
    class: usize,
    priority: Option<i64>,
    risky: bool,
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
    ("{provenance: {to: {origin: [prose, synthesised]}}}", |world| {
        world.origin.map(|origin| origin > Origin::NamedSource)
    }),
    ("{}, constraints: {rate: {max: 2, window: 60}}", |world| world.used.map(|used| used >= 2)),
    ("{sequence: [db.query]}", |world| Some(world.queried)),
];
/// What only restricting rules can say.
const LIMIT: usize = 7;
/// What makes a denial a compositional one.
const SEQUENCE: usize = 8;
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
    origin: Option<Origin>,
    used: Option<u64>,
    queried: bool,
}

/// Level, priority, restrictiveness.
fn rank(rule: &Rule) -> (u8, Option<i64>, usize) {
    let by_context = rule.condition >= 3;
    let level = match (CLASSES[rule.class].0, ACTIONS[rule.action]) {
        (None | Some("context_dependent_deny"), Verdict::Deny) if rule.condition == SEQUENCE => 4,
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

/// Three risks of 0.6 are 0.936 together, and more than 0.9 is too much.
fn too_risky(matched: &[&Rule]) -> bool {
    matched.iter().filter(|rule| rule.risky).count() >= 3
}

/// What is decided when these rules match.
fn outcome(matched: &[&Rule]) -> Verdict {
    let Some(top) = matched.iter().max_by_key(|rule| rank(rule)) else { return Verdict::Deny };
    if rank(top).0 < 4 && too_risky(matched) {
        return Verdict::Deny;
    }
    let standing = |rule: &Rule| (rank(rule).0, rank(rule).1);
    let conflict = |other: &&&Rule| standing(other) == standing(top) && opposite(top, other);
    if top.priority.is_some() && matched.iter().any(|other| conflict(&other)) {
        Verdict::Defer
    } else {
        ACTIONS[top.action]
    }
}

/// An unknown rule suspends if the outcome would be another one had it matched; risks that are unknown, if all of them
/// together would be too much.
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
    let possible: Vec<&Rule> = rules.iter().filter(|rule| answer(rule) != Some(false)).collect();
    if now != Verdict::Deny && too_risky(&possible) { Verdict::Defer } else { now }
}

fn rule() -> impl Strategy<Value = Rule> {
    let class = 0..CLASSES.len();
    let risky = prop::bool::weighted(0.4);
    (0..CONDITIONS.len(), class, 0..4_usize, prop::option::of(1..3_i64), risky).prop_map(
        |(condition, class, pick, priority, risky)| {
            let fitting = CLASSES[class].1;
            let action = fitting[pick % fitting.len()];
            let condition = if condition == LIMIT && ACTIONS[action] == Verdict::Allow { 0 } else { condition };
            Rule { condition, action, class, priority, risky }
        },
    )
}

fn world() -> impl Strategy<Value = World> {
    let origin = prop::sample::select(vec![Origin::Intent, Origin::Structured, Origin::Synthesised, Origin::Prose]);
    let unknown = (prop::option::of(0..1_000_000_u32), prop::option::of(origin), prop::option::of(0..4_u64));
    (any::<bool>(), 0..10_i64, any::<bool>(), any::<bool>(), unknown).prop_map(
        |(mail, n, pii, queried, (distance, origin, used))| World { mail, n, pii, distance, origin, used, queried },
    )
}

fn case(world: &World, rules: usize) -> Case {
    let arguments = format!(r#"{{"n":{},"to":"x"}}"#, world.n);
    let mut case = Case::new(if world.mail { "mail" } else { "files" }, "send", &arguments);
    case.context.labels = if world.pii { ["PII".into()].into() } else { [].into() };
    case.context.signals.semantic_distance = world.distance.map(PartsPerMillion);
    let to = |origin| Provenance { pointer: "/to".into(), origin, sink: true, witness: None };
    case.context.signals.provenance = world.origin.map(to).into_iter().collect();
    case.context.history = if world.queried { [prior("db", "query", 5)].into() } else { [].into() };
    case.context.action_count = u64::from(world.queried);
    let usage = |count| (0..rules).map(move |n| Usage { meter: format!("test/r{n}").into(), count, sum_milli: 0 });
    case.usage = world.used.map(usage).into_iter().flatten().collect();
    case
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_reference_model_agrees(rules in prop::collection::vec(rule(), 0..7), world in world()) {
        let mut text = String::from("rules:");
        for (number, rule) in rules.iter().enumerate() {
            let class = CLASSES[rule.class].0.map(|class| format!(", classification: {class}")).unwrap_or_default();
            let priority = rule.priority.map(|priority| format!(", priority: {priority}")).unwrap_or_default();
            let risk = if rule.risky { ", risk: 0.6" } else { "" };
            let (asks, does) = (CONDITIONS[rule.condition].0, ACTIONS[rule.action].as_str());
            text += &format!("\n  - {{id: r{number}, match: {asks}, action: {does}{class}{priority}{risk}}}");
        }
        if rules.is_empty() {
            text += " []";
        }
        let decision = case(&world, rules.len()).decide(&set_with(&text, &Settings::default())).0;
        prop_assert_eq!(decision.verdict, model(&rules, &world), "{}\n{:?}\n{}", text, world, decision.reason);
    }
}
