//! What a rule says beside its condition and its action: labels it sets, risk, confidence, tags.

use std::sync::Arc;

use super::error::{Problems, advise};
use super::section::{self, Section};
use super::value::level;
use super::yaml::{Node, Yaml};
use crate::decide::settings::parts_per_million;
use crate::model::{ContextEffect, PartsPerMillion};

/// Longest label and tag, bytes.
const WORD_BYTES_MAX: usize = 64;

/// `effect: {set_context: {data_classification: [PII, CONFIDENTIAL]}}`: labels and a level in one list, as AARM writes
/// them.
pub(super) fn effect(node: &Node, problems: &mut Problems<'_>) -> ContextEffect {
    let mut effect = ContextEffect::default();
    let Some(mut outer) = Section::open(node, "effect", problems) else { return effect };
    let inner = outer.take("set_context");
    outer.close(&["set_context"], &[], problems);
    let Some(mut section) = inner.and_then(|node| Section::open(node, "set_context", problems)) else {
        problems.add(node.line, "`effect` sets nothing", "write `effect: {set_context: {data_classification: PII}}`");
        return effect;
    };
    let keys = ["data_classification", "data_classifications", "labels", "level", "data_level"];
    for key in keys {
        let Some(node) = section.take(key) else { continue };
        for text in section::texts(node, key, problems) {
            match level(text) {
                Some(level) => effect.level = effect.level.max(Some(level)),
                None if key.ends_with("level") => {
                    problems.add(
                        node.line,
                        format!("`{text}` is no level"),
                        "write PUBLIC, INTERNAL, CONFIDENTIAL or RESTRICTED",
                    );
                }
                None if text.len() > WORD_BYTES_MAX => {
                    problems.add(node.line, "the label is too long", format!("at most {WORD_BYTES_MAX} bytes"));
                }
                None => effect.labels.push(text.into()),
            }
        }
    }
    section.close(&keys, &[], problems);
    effect
}

/// A number from 0 to 1.
pub(super) fn fraction(node: &Node, what: &str, problems: &mut Problems<'_>) -> Option<PartsPerMillion> {
    let value = match node.value {
        Yaml::Integer(0) => Some(0.0),
        Yaml::Integer(1) => Some(1.0),
        Yaml::Float(number) => Some(number),
        _ => None,
    };
    let found = value.and_then(parts_per_million);
    if found.is_none() {
        problems.add(node.line, format!("`{what}` is not between 0 and 1"), "write a number from 0 to 1");
    }
    found
}

/// Prefixes of tags that name their catalogue.
const CATALOGUES: &[&str] =
    &["aarm", "eu_ai_act", "maestro", "mitre_atlas", "nist_ai_rmf", "owasp_agentic", "owasp_llm", "soc2", "x"];

/// Tags as events carry them: `ASI01` becomes `owasp_agentic:ASI01`, `AML.T0051` `mitre_atlas:AML.T0051`.
pub(super) fn tags(node: &Node, problems: &mut Problems<'_>) -> Vec<Arc<str>> {
    let mut tags = Vec::new();
    for text in section::texts(node, "tags", problems) {
        match tag(text) {
            Some(tag) => tags.push(tag.into()),
            None => {
                let prefix = text.split(':').next().unwrap_or_default();
                let advice = format!(
                    "write ASI01 to ASI10, LLM01 to LLM10, AML.T0051 and the like, or `x:{}` for a tag of your own; {}",
                    text.rsplit(':').next().unwrap_or_default(),
                    advise(prefix, CATALOGUES)
                );
                problems.add(node.line, format!("`{text}` is no tag of a catalogue that is known here"), advice);
            }
        }
    }
    tags
}

fn tag(text: &str) -> Option<String> {
    if text.len() > WORD_BYTES_MAX || text.chars().any(char::is_control) {
        return None;
    }
    let (catalogue, id) = text.split_once(':').map_or((None, text), |(catalogue, id)| (Some(catalogue), id));
    let numbered = |prefix: &str, max: u32| {
        let digits = id.strip_prefix(prefix)?;
        (digits.len() == 2).then(|| digits.parse::<u32>().ok()).flatten().filter(|number| (1..=max).contains(number))
    };
    match catalogue {
        // `LLM01:2025`: the catalogue's own spelling.
        Some(catalogue) if catalogue.starts_with("LLM") => tag(catalogue),
        None | Some("owasp_agentic") if numbered("ASI", 10).is_some() => Some(format!("owasp_agentic:{id}")),
        None | Some("owasp_llm") if numbered("LLM", 10).is_some() => Some(format!("owasp_llm:{id}")),
        None | Some("mitre_atlas") if atlas(id) => Some(format!("mitre_atlas:{id}")),
        Some("owasp_agentic" | "owasp_llm" | "mitre_atlas") | None => None,
        Some(other) => (CATALOGUES.contains(&other) && !id.is_empty()).then(|| text.to_owned()),
    }
}

/// `AML.T0051`, `AML.T0010.005`, `AML.TA0002`.
fn atlas(id: &str) -> bool {
    let Some(rest) = id.strip_prefix("AML.TA").or_else(|| id.strip_prefix("AML.T")) else { return false };
    let digits = |text: &str, length| text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
    match rest.split_once('.') {
        Some((technique, part)) => digits(technique, 4) && digits(part, 3),
        None => digits(rest, 4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_name_their_catalogue() {
        for (text, expected) in [
            ("ASI01", Some("owasp_agentic:ASI01")),
            ("owasp_agentic:ASI10", Some("owasp_agentic:ASI10")),
            ("LLM06", Some("owasp_llm:LLM06")),
            ("LLM06:2025", Some("owasp_llm:LLM06")),
            ("AML.T0010.005", Some("mitre_atlas:AML.T0010.005")),
            ("AML.TA0002", Some("mitre_atlas:AML.TA0002")),
            ("x:finance", Some("x:finance")),
            ("maestro:L6", Some("maestro:L6")),
            ("ASI11", None),
            ("mitre_atlas:T0051", None),
            ("finance", None),
            ("y:z", None),
        ] {
            assert_eq!(tag(text).as_deref(), expected, "{text}");
        }
    }
}
