//! The text of a policy to typed rules.
//!
//! Strict on purpose: a key that is not known, a field that nobody fills in, or an operator that makes no sense for a
//! field does not load. Everything that is wrong in a file is reported at once, each with its line and what to do.
//! Grammar: the manual's page on policies. The spellings of AARM's own pages load as aliases (resolution G-15).

mod error;
mod matching;
mod modification;
mod operator;
mod rule;
mod section;
mod value;
mod yaml;

use std::sync::Arc;

use super::condition::Condition;
use super::names::Scope;
use super::number::Number;
use super::path::Path;
use crate::model::{Classification, Digest, PolicyReference, Severity, Verdict};
use error::Problems;
pub use error::{PolicyError, PolicyErrors};
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

const TOP: &[&str] = &["policy", "rules"];

/// Keys of AARM's pages that stand beside `rules`.
const TOP_LATER: &[(&str, &str)] = &[
    ("backends", "this is a gateway's configuration, not a policy: servers are configured under `servers:`"),
    ("exceptions", "exceptions are not part of this version; narrow the rule with `not:` instead"),
    ("intent_boundaries", "write one rule for each boundary, with `match` on `tool` and `context.intent`"),
    ("match", "`match` stands inside a rule: `rules: [{id: ..., match: {...}, action: DENY}]`"),
    ("re_validation", "write a rule on `context.action_count` instead"),
    ("tests", "tests inside the file are not part of this version"),
];

/// Reads one file. Problems are appended to `errors`; the policy is there when there were none.
pub(super) fn read(source: &PolicySource, errors: &mut Vec<PolicyError>) -> Option<Policy> {
    let mut problems = Problems::of(&source.name);
    let policy = read_policy(source, &mut problems);
    let found = problems.into_errors();
    let clean = found.is_empty();
    errors.extend(found);
    policy.filter(|_| clean)
}

fn read_policy(source: &PolicySource, problems: &mut Problems<'_>) -> Option<Policy> {
    let root = yaml::read(&source.text, problems)?;
    let mut top = Section::open(&root, "the file", problems)?;
    let header = top.take("policy").map(|node| (node, Section::open(node, "policy", problems)));
    let rules = top.take("rules");
    top.close(TOP, TOP_LATER, problems);

    // AARM's examples leave the header out: the file's name stands for the id then.
    let stem = source.name.rsplit(['/', '\\']).next().unwrap_or_default();
    let stem = stem.strip_suffix(".yaml").or_else(|| stem.strip_suffix(".yml")).unwrap_or(stem);
    let (mut id, mut version): (Arc<str>, Arc<str>) = (stem.into(), "unversioned".into());
    let (mut description, mut mode, mut line) = (None, Mode::Enforce, root.line);
    if let Some((node, Some(mut header))) = header {
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
    let Some(rules) = rules else {
        problems.add(root.line, "no `rules`", "a policy has a `policy` header and a list of `rules`");
        return None;
    };
    if !matches!(rules.value, yaml::Yaml::List(_)) || rules.elements().len() > RULES_MAX {
        problems.add(rules.line, "`rules` is not a list", format!("write a list of at most {RULES_MAX} rules"));
        return None;
    }
    let rules = rules.elements().iter().filter_map(|node| rule::read(node, problems)).collect();
    let reference = PolicyReference { hash: Digest::of(source.text.as_bytes()), policy_id: id, rule_id: None, version };
    let description = description.map(Arc::from);
    let policy = Policy { reference, description, file: source.name.as_str().into(), line, mode, rules };
    no_duplicates(&policy.rules, problems);
    Some(policy)
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
