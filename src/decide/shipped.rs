//! The policies that ship inside the binary, so that a start without any configuration is not a start without policy.

use super::PolicySource;

/// Name and text of each.
const SHIPPED: &[(&str, &str)] = &[
    ("baseline", include_str!("../../policies/baseline.yaml")),
    ("credentials", include_str!("../../policies/credentials.yaml")),
    ("demo", include_str!("../../policies/demo.yaml")),
    ("destructive", include_str!("../../policies/destructive.yaml")),
    ("drift", include_str!("../../policies/drift.yaml")),
    ("exfiltration", include_str!("../../policies/exfiltration.yaml")),
    ("off-hours", include_str!("../../policies/off-hours.yaml")),
    ("payments", include_str!("../../policies/payments.yaml")),
];

/// A shipped policy by its name.
#[must_use]
pub fn shipped(name: &str) -> Option<PolicySource> {
    let (name, text) = SHIPPED.iter().find(|(known, _)| *known == name)?;
    Some(PolicySource { name: format!("{name}.yaml"), text: (*text).to_owned() })
}

/// The policies of whoever names none: `baseline`, and `drift` above it wherever the user's request is known.
#[must_use]
pub fn shipped_default() -> Vec<PolicySource> {
    let named = ["baseline", "drift"].into_iter().filter_map(shipped);
    named.map(|source| PolicySource { name: source.name.replace(".yaml", " (shipped)"), ..source }).collect()
}
