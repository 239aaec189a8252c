//! What a rule about results does with one: passes it, takes pieces out, or withholds it.

use super::error::Problems;
use super::section::{self, Section};
use super::value::pattern;
use super::yaml::Node;
use crate::decide::results::Treatment;
use crate::model::Verdict;

/// Reads action and `modifications` of a rule with `phase: result`.
pub(super) fn treatment(
    section: &mut Section<'_>,
    rule: &Node,
    action: Option<Verdict>,
    problems: &mut Problems<'_>,
) -> Option<Treatment> {
    let node = section.take_one(&["modifications", "modification"], problems);
    match (action?, node) {
        (Verdict::Allow, None) => Some(Treatment::Pass),
        (Verdict::Deny, None) => Some(Treatment::Withhold),
        (Verdict::Modify, Some(node)) => redactions(node, problems),
        (Verdict::Modify, None) => {
            problems.add(rule.line, "a MODIFY rule has no `modifications`", ADVICE);
            None
        }
        (Verdict::StepUp | Verdict::Defer, _) => {
            let advice = "the action has run: ALLOW, DENY (withhold what it returned) or MODIFY (redact it)";
            problems.add(rule.line, "a rule about results cannot wait", advice);
            None
        }
        (_, Some(node)) => {
            problems.add(node.line, "only a MODIFY rule has `modifications`", "change the action, or take them out");
            None
        }
    }
}

const ADVICE: &str =
    "write `modifications: {redact: ['\\b\\d{3}-\\d{2}-\\d{4}\\b']}`: patterns in the texts of the result";

fn redactions(node: &Node, problems: &mut Problems<'_>) -> Option<Treatment> {
    let mut section = Section::open(node, "modifications", problems)?;
    let patterns = section.take("redact").map(|node| {
        let texts = section::texts(node, "redact", problems);
        texts.iter().filter_map(|text| pattern(text, node, problems)).collect::<Vec<_>>()
    });
    section.close(&["redact"], &[], problems);
    match patterns {
        Some(patterns) if !patterns.is_empty() => Some(Treatment::Redact(patterns)),
        _ => {
            problems.add(node.line, "`modifications` changes nothing", ADVICE);
            None
        }
    }
}
