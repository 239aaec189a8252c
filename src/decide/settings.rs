//! What the operator sets around the policies.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::model::{Digest, PartsPerMillion};

/// The `policy:` section of the configuration: this stage's `Config`.
///
/// All but `files` are inputs of a decision and so are part of the digest of the policy set.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Policy files, and folders of them. Read by the configuration, never here.
    #[serde(skip_serializing)]
    pub files: Vec<PathBuf>,
    /// What happens when no rule matches (AARM ).
    pub default: DefaultPosture,
    /// What happens when nobody could be verified (AARM ).
    pub identity: UnverifiedIdentity,
    /// Whether only agents of the `agents:` inventory may act. An agent that the inventory is known not to list, or
    /// not for the server, is refused in any case; this refuses callers without an agent id too. Set by the
    /// configuration when there is an inventory.
    pub listed_agents_only: bool,
    /// What is done with arguments that do not fit the tool's own schema.
    pub schema: SchemaCheck,
    /// What happens when the tool's schema is not known.
    pub unknown_schema: UnknownSchema,
    /// AARM R3(a) by the letter: anything unknown in any rule that is about this action defers it, even where it
    /// could not change the outcome (resolution G-7). Forbidden actions are refused all the same.
    pub strict_defer: bool,
    /// Whether there is anybody to ask: without, STEP_UP and DEFER refuse with the reason code `no_approver`. Set by
    /// the configuration; what is decided is the same either way.
    #[serde(skip)]
    pub approvers: bool,
    /// The digest of the table that distances are measured with, so that the digest of the set stands for it. Set by the
    /// configuration.
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    pub distance_table: Option<Digest>,
    /// Domains of the organisation. Each stands for itself and everything below it. `external` means: none of them.
    pub internal_domains: Vec<String>,
    /// Words for what tools do: names with `*` and `?` over the operation and `tool.operation`. One of these takes the
    /// place of the shipped category of the same name.
    pub categories: BTreeMap<String, Vec<String>>,
    /// Roles and scopes from the least to the most powerful, for `max_privilege` and `identity.privilege`.
    pub privileges: Vec<String>,
    /// Least confidence, 0 to 1, with which a rule must have been evaluated, where the rule has no `threshold` of its
    /// own. Below it the action is suspended (AARM A-3.7c). 0: every evaluation is good enough.
    #[serde(deserialize_with = "fraction")]
    pub confidence_min: PartsPerMillion,
    /// The most risk, 0 to 1, that rules with a `risk` may add up to: AARM's rho. Above it the action is
    /// refused.
    #[serde(deserialize_with = "fraction")]
    pub rho: PartsPerMillion,
}

impl Settings {
    /// The rung of a role or scope, from 0; `None` when it is on no rung.
    pub(super) fn privilege(&self, name: &str) -> Option<i128> {
        let rung = self.privileges.iter().position(|rung| rung == name)?;
        i128::try_from(rung).ok()
    }
}

/// Reads a number from 0 to 1.
fn fraction<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<PartsPerMillion, D::Error> {
    let value = f64::deserialize(deserializer)?;
    parts_per_million(value).ok_or_else(|| serde::de::Error::custom("write a number from 0 to 1"))
}

/// A fraction from 0 to 1 in millionths.
pub(super) fn parts_per_million(value: f64) -> Option<PartsPerMillion> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 1,000,000")]
    (0.0..=1.0).contains(&value).then(|| PartsPerMillion((value * 1e6).round() as u32))
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            files: Vec::new(),
            default: DefaultPosture::Deny,
            identity: UnverifiedIdentity::Deny,
            listed_agents_only: false,
            schema: SchemaCheck::Enforce,
            unknown_schema: UnknownSchema::Deny,
            strict_defer: false,
            approvers: false,
            distance_table: None,
            internal_domains: Vec::new(),
            categories: BTreeMap::new(),
            privileges: ["viewer", "contributor", "maintainer", "admin", "owner"].map(str::to_owned).to_vec(),
            confidence_min: PartsPerMillion(0),
            rho: PartsPerMillion(900_000),
        }
    }
}

/// The decision when no rule matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum DefaultPosture {
    /// Forward. Never the default of this product (resolution G-8).
    Allow,
    /// Refuse.
    Deny,
}

/// What an identity that nobody vouches for means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum UnverifiedIdentity {
    /// Refuse.
    Deny,
    /// Go on to the rules. They see `identity.verified: false`; every other part of the identity is unknown to them.
    Flag,
}

/// What is done with arguments that do not fit the tool's schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SchemaCheck {
    /// Refuse them.
    Enforce,
    /// Not looked at.
    Off,
    /// Go on; the decision lists the check among what matched, as a shadow.
    Record,
}

/// What happens when a tool's schema is not known: never listed, or listed in a form that cannot be used.
///
/// The default refuses. The product lists a server's tools itself before the first call reaches it, so a tool without
/// a schema is one that the server does not offer: there is nothing to wait for, and forwarding would let arguments
/// through unseen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum UnknownSchema {
    /// Go on to the rules.
    Allow,
    /// Suspend.
    Defer,
    /// Refuse.
    Deny,
}
