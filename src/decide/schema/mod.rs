//! The text of a policy to typed rules.
//!
//! Strict on purpose: a key that is not known, a field that nobody fills in, or an operator that makes no sense for a
//! field does not load. Everything that is wrong in a file is reported at once, each with its line and what to do.
//! Grammar: the manual's page on policies. The spellings of AARM's own pages load as aliases (resolution G-15).

mod annotation;
mod boundary;
mod error;
mod exception;
mod extent;
mod matching;
mod modification;
mod operator;
mod output;
mod rule;
mod scenario;
mod section;
mod signal;
mod surroundings;
mod value;
mod yaml;

use std::sync::Arc;

use super::condition::Condition;
use super::exception::Exception;
use super::limit::Limit;
use super::names::Scope;
use super::number::Number;
use super::path::Path;
use super::results::Treatment;
use super::settings::Settings;
use crate::model::{Classification, ContextEffect, Digest, PartsPerMillion, PolicyReference, Severity, Verdict};
pub(super) use error::Problems;
#[cfg(feature = "cel")]
pub(super) use error::advise;
pub use error::{PolicyError, PolicyErrors};
pub(super) use scenario::{Expectation, Test};
use section::Section;

/// One policy file: its name for messages, and its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicySource {
    /// The file's name, as people should see it in errors.
    pub name: String,
    /// The YAML.
    pub text: String,
}

/// Most rules in one file. With the index, rules that are about other tools cost nothing, so this bounds memory.
const RULES_MAX: usize = 50_000;

/// A policy that was read.
#[derive(Debug)]
pub(super) struct Policy {
    pub(super) reference: PolicyReference,
    pub(super) description: Option<Arc<str>>,
    pub(super) file: Arc<str>,
    pub(super) line: u64,
    pub(super) mode: Mode,
    pub(super) rules: Vec<Rule>,
    pub(super) exceptions: Vec<Exception>,
    /// How many tests the file has.
    pub(super) tests: usize,
}

/// A rule that was read. Its policy is known by index once the set is put together.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) id: Arc<str>,
    pub(super) line: u64,
    pub(super) action: Verdict,
    pub(super) classification: Classification,
    /// Whether the author wrote the classification, which then gives the rule its level.
    pub(super) classified: bool,
    pub(super) priority: Option<i64>,
    pub(super) mode: Mode,
    pub(super) severity: Option<Severity>,
    pub(super) reason: Option<Arc<str>>,
    pub(super) approvers: Vec<Arc<str>>,
    pub(super) scope: Scope,
    pub(super) condition: Condition,
    pub(super) changes: Vec<Change>,
    pub(super) phase: Phase,
    /// Whether it has an action. One without only labels data, or weighs in with its risk.
    pub(super) decides: bool,
    pub(super) limit: Option<Limit>,
    pub(super) effect: ContextEffect,
    pub(super) risk: PartsPerMillion,
    /// Least confidence with which it may match.
    pub(super) threshold: Option<PartsPerMillion>,
    pub(super) tags: Vec<Arc<str>>,
    /// What happens to a result, in rules about results.
    pub(super) treatment: Option<Treatment>,
}

/// What a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// An action, before it runs.
    Action,
    /// What the tool returned, before the agent sees it.
    Result,
}

impl Phase {
    pub(super) const WORDS: &'static [(&'static str, Self)] = &[("action", Self::Action), ("result", Self::Result)];
}

/// Whether a policy or rule counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Enforce,
    Shadow,
}

impl Mode {
    pub(super) const WORDS: &'static [(&'static str, Self)] = &[("enforce", Self::Enforce), ("shadow", Self::Shadow)];
}

/// What a MODIFY does to the parameters.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Change {
    /// Lower a number to this bound; put the bound where there is no number.
    Cap(Path, Number, Arc<str>),
    /// Put a marker in the place of what stands there.
    Redact(Path),
    /// Take the member out.
    Remove(Path),
    /// Put this JSON text there.
    Set(Path, Arc<str>),
}

const TOP: &[&str] = &["policy", "rules", "exceptions", "intent_boundaries", "re_validation", "tests"];

/// Keys of AARM's pages that stand beside `rules`.
const TOP_LATER: &[(&str, &str)] = &[
    ("backends", "this is a gateway's configuration, not a policy: servers are configured under `servers:`"),
    ("match", "`match` stands inside a rule: `rules: [{id: ..., match: {...}, action: DENY}]`"),
    ("server", "this is a gateway's configuration, not a policy: the listener is configured under `listen:`"),
];

/// Reads one file. Problems are appended to `errors`; the policy is there when there were none.
pub(super) fn read(source: &PolicySource, settings: &Settings, errors: &mut Vec<PolicyError>) -> Option<Policy> {
    let mut problems = Problems::with(&source.name, settings);
    let policy = read_policy(source, &mut problems);
    let found = problems.into_errors();
    let clean = found.is_empty();
    errors.extend(found);
    policy.filter(|_| clean)
}

/// The tests of a file that loads.
pub(super) fn tests(source: &PolicySource, settings: &Settings) -> Vec<Test> {
    let mut problems = Problems::with(&source.name, settings);
    let root = yaml::read(&source.text, &mut problems);
    let section = root.as_ref().and_then(|root| Section::open(root, "the file", &mut problems));
    let node = section.and_then(|mut section| section.take("tests"));
    node.map(|node| scenario::tests(node, &mut problems)).unwrap_or_default()
}

/// Reads an action with everything around it, as `tests:` writes them, from YAML or JSON.
///
/// # Errors
/// What is wrong in it.
pub(super) fn scenario(source: &PolicySource, settings: &Settings) -> Result<super::scenario::Scenario, PolicyErrors> {
    let mut problems = Problems::with(&source.name, settings);
    let scenario = yaml::read(&source.text, &mut problems).and_then(|root| scenario::one(&root, &mut problems));
    let errors = problems.into_errors();
    match scenario {
        Some(scenario) if errors.is_empty() => Ok(scenario),
        _ => Err(PolicyErrors::new(errors)),
    }
}

fn read_policy(source: &PolicySource, problems: &mut Problems<'_>) -> Option<Policy> {
    let root = yaml::read(&source.text, problems)?;
    let mut top = Section::open(&root, "the file", problems)?;
    let header = header(&mut top, &root, source, problems)?;
    let (rules, boundaries) = (top.take("rules"), top.take("intent_boundaries"));
    let (validation, exceptions) = (top.take("re_validation"), top.take("exceptions"));
    let tests = top.take("tests");
    top.close(TOP, TOP_LATER, problems);

    let mut read: Vec<Rule> = Vec::new();
    match rules {
        Some(node) if matches!(node.value, yaml::Yaml::List(_)) && node.elements().len() <= RULES_MAX => {
            read.extend(node.elements().iter().filter_map(|node| rule::read(node, problems)));
        }
        Some(node) => {
            problems.add(node.line, "`rules` is not a list", format!("write a list of at most {RULES_MAX} rules"));
            return None;
        }
        None if boundaries.is_none() && validation.is_none() => {
            problems.add(root.line, "no `rules`", "a policy has a `policy` header and a list of `rules`");
            return None;
        }
        None => {}
    }
    if let Some(node) = boundaries {
        boundary::intents(node, problems, &mut read);
    }
    if let Some(node) = validation {
        boundary::validation(node, problems, &mut read);
    }
    no_duplicates(&read, problems);
    let exceptions = exceptions.map(|node| exception::read(node, &read, problems)).unwrap_or_default();
    let tests = tests.map(|node| scenario::tests(node, problems).len()).unwrap_or_default();
    Some(Policy { rules: read, exceptions, tests, ..header })
}

/// The policy without anything in it. AARM's examples leave the header out: the file's name stands for the id then.
fn header(
    top: &mut Section<'_>,
    root: &yaml::Node,
    source: &PolicySource,
    problems: &mut Problems<'_>,
) -> Option<Policy> {
    let stem = source.name.rsplit(['/', '\\']).next().unwrap_or_default();
    let stem = stem.strip_suffix(".yaml").or_else(|| stem.strip_suffix(".yml")).unwrap_or(stem);
    let (mut id, mut version): (Arc<str>, Arc<str>) = (stem.into(), "unversioned".into());
    let (mut description, mut mode, mut line) = (None, Mode::Enforce, root.line);
    if let Some(node) = top.take("policy")
        && let Some(mut header) = Section::open(node, "policy", problems)
    {
        line = node.line;
        match header.take("id") {
            Some(node) => id = rule::identifier(node, "policy.id", problems)?,
            None => problems.add(node.line, "`policy` has no `id`", "give the policy an id that no other one has"),
        }
        if let Some(text) = header.take("version").and_then(|node| section::text(node, "policy.version", problems)) {
            version = text.into();
        }
        description = header.take("description").and_then(|node| section::text(node, "policy.description", problems));
        if let Some(node) = header.take("mode") {
            mode = section::word(node, "policy.mode", Mode::WORDS, problems).unwrap_or(Mode::Enforce);
        }
        header.close(&["id", "version", "description", "mode"], &[], problems);
    }
    Some(Policy {
        reference: PolicyReference { hash: Digest::of(source.text.as_bytes()), policy_id: id, rule_id: None, version },
        description: description.map(Arc::from),
        file: source.name.as_str().into(),
        line,
        mode,
        rules: Vec::new(),
        exceptions: Vec::new(),
        tests: 0,
    })
}

fn no_duplicates(rules: &[Rule], problems: &mut Problems<'_>) {
    let mut seen = std::collections::HashMap::new();
    for rule in rules {
        if let Some(first) = seen.insert(&rule.id, rule.line) {
            let what = format!("rule `{}` stands twice, first in line {first}", rule.id);
            problems.add(rule.line, what, "give every rule an id of its own: receipts name it");
        }
    }
}
