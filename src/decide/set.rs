//! The compiled policy set: immutable, shared, swapped whole.

use std::collections::HashMap;
use std::sync::Arc;

use super::checks;
use super::combine::Level;
use super::destination;
use super::domain::DomainSet;
use super::evaluate::VALUES_MAX;
use super::exception::Exception;
use super::index::Index;
use super::input::Input;
use super::modify;
use super::names::ActionNames;
use super::permit::{Gate, Permit};
use super::ruling::{BUILT_IN, DEFAULT, Ruling, built_in_policy};
use super::schema::{self, Mode, Phase, Policy, PolicyError, PolicyErrors, PolicySource, Rule};
use super::settings::{SchemaCheck, Settings};
use super::verify;
use super::weigh::Weighing;
use crate::model::{
    Action, Decision, Destination, Digest, Enforcement, MatchedRule, Meter, PolicyReference, ReasonCode, Verdict,
};

/// Most rules in a set: bounds the memory, and so the time, of a load.
const RULES_MAX: u32 = 100_000;

/// A compiled policy set.
#[derive(Debug)]
pub struct PolicySet {
    pub(super) settings: Settings,
    pub(super) internal: DomainSet,
    hash: Digest,
    policies: Vec<PolicySummary>,
    pub(super) rules: Vec<SetRule>,
    pub(super) index: Index,
    /// Rules about what tools return.
    pub(super) results: Vec<SetRule>,
    /// Of all policies; rules name theirs by place.
    pub(super) exceptions: Vec<Exception>,
    /// Whether any rule has a limit.
    has_limits: bool,
    /// Values that one decision may look at. One field, so that tests can spend it early.
    pub(super) values_max: u32,
}

/// What is known about one policy of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicySummary {
    /// Id, version and digest; no rule.
    pub reference: PolicyReference,
    /// The file it came from.
    pub file: Arc<str>,
    /// The author's description.
    pub description: Option<Arc<str>>,
    /// How many rules it has.
    pub rules: usize,
    /// How many of them are in shadow.
    pub shadow_rules: usize,
    /// How many tests the file has.
    pub tests: usize,
}

/// A rule in its place.
#[derive(Debug)]
pub(super) struct SetRule {
    pub(super) rule: Rule,
    pub(super) reference: PolicyReference,
    /// Whether the rule, or its whole policy, is only recorded.
    pub(super) shadow: bool,
    pub(super) level: Level,
    /// The meter of the rule's limit.
    pub(super) meter: Option<Meter>,
    /// Places in [`PolicySet::exceptions`].
    pub(super) exceptions: Vec<usize>,
}

impl PolicySet {
    /// Compiles policies and settings. The order of the sources makes no difference.
    ///
    /// # Errors
    /// Everything that is wrong in any of them. Nothing is compiled then.
    pub fn compile(sources: &[PolicySource], settings: &Settings) -> Result<Self, PolicyErrors> {
        let mut errors = Vec::new();
        let set = Self::build(sources, settings, &mut errors);
        // The tests inside the files, each file by itself: what another one says must not make them pass.
        if errors.is_empty() {
            for source in sources {
                errors.extend(verify::failures(source, settings));
            }
        }
        if errors.is_empty() { Ok(set) } else { Err(PolicyErrors::new(errors)) }
    }

    /// As [`Self::compile`], without running the tests inside.
    pub(super) fn build(sources: &[PolicySource], settings: &Settings, errors: &mut Vec<PolicyError>) -> Self {
        let mut sorted: Vec<&PolicySource> = sources.iter().collect();
        sorted.sort_by_key(|source| (&source.name, &source.text));
        let policies: Vec<Policy> = sorted.iter().filter_map(|source| schema::read(source, settings, errors)).collect();
        distinct(&policies, errors);
        let internal = DomainSet::new(settings.internal_domains.iter().map(String::as_str)).unwrap_or_else(|text| {
            let what = format!("`{text}` in `internal_domains` is not a domain");
            errors.push(problem("configuration", 0, what, "write a domain like `corp.example`"));
            DomainSet::default()
        });
        let mut set = Self {
            settings: settings.clone(),
            internal,
            hash: digest(&sorted, settings),
            policies: Vec::new(),
            rules: Vec::new(),
            index: Index::default(),
            results: Vec::new(),
            exceptions: Vec::new(),
            has_limits: false,
            values_max: VALUES_MAX,
        };
        for policy in policies {
            set.add(policy, errors);
        }
        set
    }

    fn add(&mut self, policy: Policy, errors: &mut Vec<PolicyError>) {
        let whole = policy.mode == Mode::Shadow;
        let shadow_rules = policy.rules.iter().filter(|rule| whole || rule.mode == Mode::Shadow).count();
        self.policies.push(PolicySummary {
            reference: policy.reference.clone(),
            file: Arc::clone(&policy.file),
            description: policy.description,
            rules: policy.rules.len(),
            tests: policy.tests,
            shadow_rules,
        });
        let excepted = |rule: &Rule, first: usize| {
            let theirs = policy.exceptions.iter().enumerate();
            theirs.filter(|(_, exception)| exception.rules.contains(&rule.id)).map(|(at, _)| first + at).collect()
        };
        let first = self.exceptions.len();
        let mut rules = Vec::with_capacity(policy.rules.len());
        for rule in policy.rules {
            let by = (rule.condition.is_by_context(), rule.condition.is_by_sequence());
            let reference = PolicyReference { rule_id: Some(Arc::clone(&rule.id)), ..policy.reference.clone() };
            let level = Level::of(rule.classification, rule.classified, by.0, by.1);
            let shadow = whole || rule.mode == Mode::Shadow;
            let meter = rule.limit.as_ref().map(|limit| Meter {
                name: format!("{}/{}", policy.reference.policy_id, rule.id).into(),
                window_s: limit.window_s,
            });
            let exceptions = excepted(&rule, first);
            rules.push(SetRule { rule, reference, shadow, level, meter, exceptions });
        }
        self.exceptions.extend(policy.exceptions);
        for rule in rules {
            let number = u32::try_from(self.rules.len() + self.results.len()).unwrap_or(u32::MAX);
            if number >= RULES_MAX {
                let what = format!("more than {RULES_MAX} rules in all policies together");
                errors.push(problem(&policy.file, rule.rule.line, what, "take some out"));
                return;
            }
            self.has_limits |= rule.meter.is_some();
            if rule.rule.phase == Phase::Result {
                self.results.push(rule);
                continue;
            }
            self.index.insert(&rule.rule.scope, u32::try_from(self.rules.len()).unwrap_or(u32::MAX));
            self.rules.push(rule);
        }
    }

    /// The meters that decisions about this action count with. What stands on them belongs into the input.
    #[must_use]
    pub fn meters(&self, action: &Action) -> Vec<Meter> {
        if !self.has_limits {
            return Vec::new();
        }
        let names = ActionNames::of(action);
        let tools = names.tools();
        let numbers = self.index.find(&names, &tools).into_iter().filter_map(|number| usize::try_from(number).ok());
        let rules = numbers.filter_map(|number| self.rules.get(number));
        rules.filter(|rule| rule.rule.scope.matches(&names, &tools)).filter_map(|rule| rule.meter.clone()).collect()
    }

    /// The file that a rule stands in.
    pub(super) fn file_of(&self, rule: &SetRule) -> &str {
        let policy = self.policies.iter().find(|policy| policy.reference.policy_id == rule.reference.policy_id);
        policy.map_or("", |policy| &policy.file)
    }

    /// Every meter that there can be: what of the log must be counted again after a restart.
    pub fn all_meters(&self) -> impl Iterator<Item = &Meter> {
        self.rules.iter().filter_map(|rule| rule.meter.as_ref())
    }

    /// The settings around the policies.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Digest of everything that can change a decision: all policies and the settings. In every receipt.
    #[must_use]
    pub const fn hash(&self) -> Digest {
        self.hash
    }

    /// The policies, by file name.
    pub fn policies(&self) -> impl Iterator<Item = &PolicySummary> {
        self.policies.iter()
    }

    /// Where the effect of an action goes, as far as its parameters tell, by the `internal_domains` of this set. The
    /// caller puts it into [`Action::destination`] before it asks for a decision.
    #[must_use]
    pub fn destination(&self, action: &Action) -> Option<Destination> {
        destination::find(action, &self.internal)
    }

    /// Decides about one call (AARM ): pure, total, the same for the same input.
    ///
    /// `evaluation_us` of the decision is 0: there is no clock here, the caller measures.
    #[must_use]
    pub fn decide(&self, input: &Input<'_>) -> (Decision, Gate) {
        let ruling = self.rule_on(input);
        let shadow = input.enforcement == Enforcement::Shadow;
        let call = input.call;
        if ruling.verdict != Verdict::Modify {
            let gate = match ruling.verdict {
                _ if shadow => Gate::Open(Permit::shadow(call)),
                Verdict::Allow => Gate::Open(Permit::unchanged(call)),
                Verdict::Defer | Verdict::Deny | Verdict::Modify | Verdict::StepUp => Gate::Closed,
            };
            let ruling = if self.settings.approvers { ruling } else { unanswered(ruling) };
            return (ruling.into_decision(input.enforcement, self.hash), gate);
        }
        let changes = ruling.modifiers.iter().flat_map(|rule| &rule.rule.changes);
        match modify::modify(changes, input, &self.settings) {
            Ok(modified) => {
                let mut decision = ruling.into_decision(input.enforcement, self.hash);
                decision.edits = modified.edits;
                let permit = if shadow {
                    Permit::shadow(call)
                } else {
                    Permit::modified(call, modified.outbound, modified.arguments)
                };
                (decision, Gate::Open(permit))
            }
            Err(problem) => {
                let gate = if shadow { Gate::Open(Permit::shadow(call)) } else { Gate::Closed };
                (ruling.unmodifiable(&problem).into_decision(input.enforcement, self.hash), gate)
            }
        }
    }

    pub(super) fn rule_on(&self, input: &Input<'_>) -> Ruling<'_> {
        if let Some(ruling) = checks::refuse(input, &self.settings, self.hash) {
            return ruling;
        }
        let names = ActionNames::of(&input.call.action);
        let tools = names.tools();
        let candidates = self.index.find(&names, &tools);
        let weighing = Weighing { input, names: &names, tools: &tools, result: None };
        let mut ruling = self.weigh(&candidates, weighing);
        if self.settings.schema == SchemaCheck::Record
            && checks::has_schema(input)
            && input.tool.and_then(|tool| checks::problem(tool, &input.call.action.arguments.value)).is_some()
        {
            let check = built_in_policy(ReasonCode::ArgumentsInvalid.as_str(), self.hash);
            let (policy_id, rule_id) = (check.policy_id, check.rule_id.unwrap_or_default());
            ruling.matched.push(MatchedRule { action: Verdict::Deny, policy_id, rule_id, shadow: true });
        }
        ruling
    }
}

/// STEP_UP and DEFER while there is nobody to ask: the verdict stands, and the action does not run.
fn unanswered(ruling: Ruling<'_>) -> Ruling<'_> {
    match ruling.verdict {
        Verdict::Defer | Verdict::StepUp => {
            let reason = format!("{}; no approver configured", ruling.reason);
            Ruling { reason, code: ReasonCode::NoApprover, ..ruling }
        }
        Verdict::Allow | Verdict::Deny | Verdict::Modify => ruling,
    }
}

/// Policies are told apart by their ids, in receipts and by operators.
fn distinct(policies: &[Policy], errors: &mut Vec<PolicyError>) {
    let mut seen: HashMap<&str, &Policy> = HashMap::new();
    for policy in policies {
        let id = &*policy.reference.policy_id;
        if matches!(id, BUILT_IN | DEFAULT) {
            let what = format!("the policy id `{id}` is this product's own");
            errors.push(problem(&policy.file, policy.line, what, "choose another one"));
        }
        if let Some(first) = seen.insert(id, policy) {
            let what = format!("the policy id `{id}` is taken by {}:{}", first.file, first.line);
            errors.push(problem(&policy.file, policy.line, what, "give every policy an id of its own"));
        }
    }
}

fn problem(file: &str, line: u64, what: String, advice: &str) -> PolicyError {
    PolicyError { file: file.to_owned(), line, what, advice: advice.to_owned() }
}

/// Each part behind its length, so that no two sets share a text.
fn digest(sources: &[&PolicySource], settings: &Settings) -> Digest {
    let settings = serde_json::to_vec(settings).unwrap_or_default();
    let mut parts: Vec<Vec<u8>> = vec![settings];
    for source in sources {
        parts.push(source.name.clone().into_bytes());
        parts.push(source.text.clone().into_bytes());
    }
    let lengths: Vec<[u8; 16]> = parts.iter().map(|part| (part.len() as u128).to_be_bytes()).collect();
    let all: Vec<&[u8]> = lengths.iter().zip(&parts).flat_map(|(length, part)| [length.as_slice(), part]).collect();
    Digest::of_parts(&all)
}
