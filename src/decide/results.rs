//! Rules about what tools return (`phase: result`): whether the agent may see it, and which pieces of it.
//!
//! Read wider than rules about actions: the action has run, so there is nobody to ask and nothing to wait for. A rule
//! that withholds or redacts does so also when it is not known whether it applies, and for a result that is too large to
//! be looked at.

use std::borrow::Cow;
use std::sync::Arc;

use regex::Regex;
use serde_json::Value;

use super::combine::higher;
use super::field::{Field, ResultField};
use super::input::Input;
use super::names::ActionNames;
use super::set::{PolicySet, SetRule};
use super::truth::Truth;
use super::weigh::Weighing;
use crate::model::{Action, DataLevel, PolicyReference, Verdict};

/// What is known about a result.
#[derive(Clone, Copy, Debug)]
pub struct ResultFacts<'a> {
    /// Its texts: every string in it, without JSON's escapes.
    pub texts: &'a [&'a str],
    /// Its size.
    pub bytes: u64,
    /// Whether the tool says that it failed.
    pub is_error: bool,
    /// The level of its data; `None` is unknown.
    pub level: Option<DataLevel>,
    /// The labels of its data; `None` is unknown.
    pub labels: Option<&'a [Arc<str>]>,
    /// Whether there is text in it that reads like an instruction to the agent; `None` is unknown.
    pub instruction_like: Option<bool>,
}

/// What a rule does with a result.
#[derive(Clone, Debug)]
pub(super) enum Treatment {
    Pass,
    /// What these patterns find is replaced by a marker.
    Redact(Vec<Regex>),
    Withhold,
}

/// What is to happen to a result.
#[derive(Clone, Debug)]
pub enum ResultRuling {
    /// The agent gets it as it came.
    Pass,
    /// The agent gets it without some pieces.
    Redact(Redaction),
    /// The agent gets a refusal.
    Withhold(Withheld),
}

/// Pieces to be taken out.
#[derive(Clone, Debug)]
pub struct Redaction {
    patterns: Vec<Regex>,
    /// The rules that ask for it, as `policy/rule`.
    pub rules: Vec<String>,
}

/// Why a result is withheld.
#[derive(Clone, Debug)]
pub struct Withheld {
    /// The policy and rule.
    pub policy: PolicyReference,
    /// One sentence for people.
    pub reason: Arc<str>,
}

/// What stands in the place of what is taken out.
pub const REDACTED: &str = "[REDACTED]";

impl PolicySet {
    /// Whether any rule about results can be about what this action returns: it must be held whole then.
    #[must_use]
    pub fn inspects_results(&self, action: &Action) -> bool {
        if self.results.is_empty() {
            return false;
        }
        let names = ActionNames::of(action);
        let tools = names.tools();
        self.results.iter().any(|rule| !rule.shadow && rule.rule.scope.matches(&names, &tools))
    }

    /// Whether a rule about what this action returns asks for `instruction_like`.
    #[must_use]
    pub fn asks_for_wording(&self, action: &Action) -> bool {
        let names = ActionNames::of(action);
        let tools = names.tools();
        let wording = Field::Result(ResultField::InstructionLike);
        let mut rules = self.results.iter().filter(|rule| rule.rule.condition.looks_at(&wording));
        rules.any(|rule| rule.rule.scope.matches(&names, &tools))
    }

    /// What is to happen to a result. `facts` is `None` for one that is too large to be looked at.
    #[must_use]
    pub fn decide_result(&self, input: &Input<'_>, facts: Option<&ResultFacts<'_>>) -> ResultRuling {
        let names = ActionNames::of(&input.call.action);
        let tools = names.tools();
        let weighing = Weighing { input, names: &names, tools: &tools, result: facts };
        let mut budget = self.values_max;
        let mut found: Vec<&SetRule> = Vec::new();
        for rule in self.results.iter().filter(|rule| !rule.shadow && rule.rule.scope.matches(&names, &tools)) {
            let truth = match facts {
                // A spent budget is as good as not knowing.
                Some(_) => self.answer(rule, weighing, &mut budget).map_or(Truth::Unknown, |answer| answer.truth),
                None => Truth::Unknown,
            };
            let restricts = rule.rule.action != Verdict::Allow;
            if truth == Truth::True || restricts && truth == Truth::Unknown {
                found.push(rule);
            }
        }
        let Some(winner) = found.iter().copied().reduce(higher) else { return ResultRuling::Pass };
        match (&winner.rule.treatment, facts) {
            (Some(Treatment::Pass), _) => ResultRuling::Pass,
            (Some(Treatment::Redact(_)), Some(_)) => {
                let all = found.iter().filter_map(|rule| match &rule.rule.treatment {
                    Some(Treatment::Redact(patterns)) => Some((rule, patterns)),
                    _ => None,
                });
                let (rules, patterns): (Vec<String>, Vec<&Vec<Regex>>) =
                    all.map(|(rule, found)| (name(rule), found)).unzip();
                ResultRuling::Redact(Redaction { patterns: patterns.into_iter().flatten().cloned().collect(), rules })
            }
            // What cannot be looked at cannot be redacted.
            (Some(Treatment::Withhold | Treatment::Redact(_)) | None, _) => ResultRuling::Withhold(Withheld {
                policy: winner.reference.clone(),
                reason: match &winner.rule.reason {
                    Some(reason) => Arc::clone(reason),
                    None => format!("rule `{}` withholds what this tool returned", winner.rule.id).into(),
                },
            }),
        }
    }
}

fn name(rule: &SetRule) -> String {
    format!("{}/{}", rule.reference.policy_id, rule.rule.id)
}

impl Redaction {
    /// The text without what the patterns find, and how many pieces were taken out.
    #[must_use]
    pub fn apply<'t>(&self, text: &'t str) -> (Cow<'t, str>, u64) {
        let mut out = Cow::Borrowed(text);
        let mut pieces = 0;
        for pattern in &self.patterns {
            let found =
                u64::try_from(pattern.find_iter(&out).filter(|found| !found.is_empty()).count()).unwrap_or(u64::MAX);
            if found > 0 {
                out = Cow::Owned(pattern.replace_all(&out, regex::NoExpand(REDACTED)).into_owned());
                pieces += found;
            }
        }
        (out, pieces)
    }

    /// The same in every string of a JSON value, names of members left alone: they are the tool's own.
    pub fn apply_to(&self, value: &mut Value) -> u64 {
        match value {
            Value::Array(elements) => elements.iter_mut().map(|element| self.apply_to(element)).sum(),
            Value::Object(members) => members.values_mut().map(|member| self.apply_to(member)).sum(),
            Value::String(text) => {
                let (clean, pieces) = self.apply(text);
                if let Cow::Owned(clean) = clean {
                    *text = clean;
                }
                pieces
            }
            // A number is what a number pattern means as well.
            Value::Number(number) => {
                let text = number.to_string();
                let (clean, pieces) = self.apply(&text);
                if let Cow::Owned(clean) = clean {
                    *value = Value::String(clean);
                }
                pieces
            }
            Value::Bool(_) | Value::Null => 0,
        }
    }
}
