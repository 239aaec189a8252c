//! The policies that ship inside the binary, so that a start without any configuration is not a start without policy.

use super::PolicySource;

/// For agents and servers that nothing is known about.
const BASELINE: &str = include_str!("../../policies/baseline.yaml");

/// For sessions whose user is known to have asked for something.
const DRIFT: &str = include_str!("../../policies/drift.yaml");

/// For the demonstration.
const DEMO: &str = include_str!("../../policies/demo.yaml");

/// A shipped policy by its name: `baseline`, `demo` or `drift`.
#[must_use]
pub fn shipped(name: &str) -> Option<PolicySource> {
    let text = match name {
        "baseline" => BASELINE,
        "demo" => DEMO,
        "drift" => DRIFT,
        _ => return None,
    };
    Some(PolicySource { name: format!("{name}.yaml"), text: text.to_owned() })
}

/// The policies of whoever names none: `baseline`, and `drift` above it wherever the user's request is known.
#[must_use]
pub fn shipped_default() -> Vec<PolicySource> {
    [("baseline (shipped)", BASELINE), ("drift (shipped)", DRIFT)]
        .map(|(name, text)| PolicySource { name: name.to_owned(), text: text.to_owned() })
        .to_vec()
}
