//! One map of conditions.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::SeqAccessDeserializer;
use serde::de::{IntoDeserializer as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::export::{DecodedEntry, Event};
use crate::model::{Classification, EventType, Severity, Verdict};

/// Conditions of which all must hold. Each takes one value or a list; texts may hold `*` for any characters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Conditions {
    /// `aarm.action`, `aarm.decision`, ...; `action` is enough.
    #[serde(deserialize_with = "words", alias = "event_types")]
    event_type: Option<Vec<Word<EventType>>>,
    /// The least severity.
    min_severity: Option<Severity>,
    /// `forbidden`, `context_dependent_deny`, ...
    #[serde(deserialize_with = "one_or_many", alias = "classification")]
    classifications: Option<Vec<Classification>>,
    /// `ALLOW`, `DENY`, `MODIFY`, `STEP_UP`, `DEFER`.
    #[serde(deserialize_with = "one_or_many", alias = "decisions")]
    decision: Option<Vec<Verdict>>,
    /// The tool, or `tool.operation`.
    #[serde(deserialize_with = "one_or_many", alias = "tools")]
    tool: Option<Vec<String>>,
    /// The human, service or agent, or the owner of the agent.
    #[serde(deserialize_with = "one_or_many", alias = "identities")]
    identity: Option<Vec<String>>,
    /// The agent.
    #[serde(deserialize_with = "one_or_many", alias = "agents")]
    agent: Option<Vec<String>>,
    /// The team of the agent.
    #[serde(deserialize_with = "one_or_many", alias = "teams")]
    team: Option<Vec<String>>,
    /// The tenant.
    #[serde(deserialize_with = "one_or_many", alias = "tenants")]
    tenant: Option<Vec<String>>,
    /// Whether the decision was carried out; false is shadow.
    enforced: Option<bool>,
}

/// A word that is read leniently, so that a configuration may leave out `aarm.`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Word<T>(T);

impl<'de> Deserialize<'de> for Word<EventType> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        EventType::parse(&text).map(Self).ok_or_else(|| {
            let known = EventType::ALL.map(EventType::as_str).join(", ");
            serde::de::Error::custom(format!("unknown event type `{text}`, expected one of {known}"))
        })
    }
}

/// One value or a list of them. By hand, so that an error says which word is not known.
fn one_or_many<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<Vec<T>>, D::Error> {
    struct OneOrMany<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOrMany<T> {
        type Value = Vec<T>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a word or a list of words")
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Vec<T>, E> {
            T::deserialize(text.into_deserializer()).map(|one| vec![one])
        }

        fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Vec<T>, A::Error> {
            Vec::deserialize(SeqAccessDeserializer::new(list))
        }
    }

    deserializer.deserialize_any(OneOrMany(PhantomData)).map(Some)
}

fn words<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<Word<EventType>>>, D::Error> {
    one_or_many(deserializer)
}

impl Conditions {
    /// Whether all conditions hold for an event.
    pub(super) fn hold(&self, event: &Event) -> bool {
        let entry = &event.entry;
        let text = |wanted: &Option<Vec<String>>, paths: &[&str]| {
            wanted.as_ref().is_none_or(|patterns| said(entry, paths).any(|text| any_matches(patterns, &text)))
        };
        let word = |path: &str| entry.text(path);
        self.event_type.as_ref().is_none_or(|types| types.iter().any(|one| one.0 == event.event_type))
            && self.min_severity.is_none_or(|least| event.severity >= least)
            && self
                .classifications
                .as_ref()
                .is_none_or(|classes| classes.iter().any(|class| class.as_str() == word("decision.classification")))
            && self
                .decision
                .as_ref()
                .is_none_or(|verdicts| verdicts.iter().any(|verdict| verdict.as_str() == word("decision.result")))
            && self.tool.as_ref().is_none_or(|patterns| {
                let (tool, operation) = (word("action.tool"), word("action.operation"));
                !tool.is_empty()
                    && (any_matches(patterns, &tool) || any_matches(patterns, &format!("{tool}.{operation}")))
            })
            && text(&self.identity, &IDENTITIES)
            && text(&self.agent, &["identity.agent.id.value", "observed.agent"])
            && text(&self.team, &["identity.team"])
            && text(&self.tenant, &["identity.tenant"])
            && self.enforced.is_none_or(|wanted| {
                entry.at("decision.enforced").and_then(|enforced| enforced.as_bool()) == Some(wanted)
            })
    }
}

const IDENTITIES: [&str; 6] = [
    "identity.human.value",
    "identity.service.value",
    "identity.agent.id.value",
    "identity.owner",
    "observed.human",
    "observed.agent",
];

/// What the entry says at these paths.
fn said<'a>(entry: &'a DecodedEntry, paths: &'a [&'a str]) -> impl Iterator<Item = std::borrow::Cow<'a, str>> {
    paths.iter().filter_map(|path| entry.at(path)?.as_str())
}

fn any_matches(patterns: &[String], text: &str) -> bool {
    patterns.iter().any(|pattern| matches(pattern, text))
}

/// Whether `text` is `pattern`, in which `*` stands for any characters. Linear: each part is looked for once.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        match text.split_once(part) {
            Some((_, behind)) => text = behind,
            None => return false,
        }
    }
    text.ends_with(last)
}

#[cfg(test)]
mod pattern_tests {
    use super::matches;

    #[test]
    fn stars_stand_for_any_characters() {
        for (pattern, text, expected) in [
            ("crm", "crm", true),
            ("crm", "crm.query", false),
            ("crm*", "crm.query", true),
            ("*@acme.example", "ann@acme.example", true),
            ("*@acme.example", "ann@acme.example.org", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "acb", false),
            ("*", "", true),
            ("a*a", "a", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
