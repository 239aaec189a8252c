//! The policies that ship inside the binary, so that a start without any configuration is not a start without policy.

use super::PolicySource;

/// For agents and servers that nothing is known about.
const BASELINE: &str = include_str!("../../policies/baseline.yaml");

/// For the demonstration.
const DEMO: &str = include_str!("../../policies/demo.yaml");

/// A shipped policy by its name: `baseline` or `demo`.
#[must_use]
pub fn shipped(name: &str) -> Option<PolicySource> {
    let text = match name {
        "baseline" => BASELINE,
        "demo" => DEMO,
        _ => return None,
    };
    Some(PolicySource { name: format!("{name}.yaml"), text: text.to_owned() })
}
