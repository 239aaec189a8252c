//! What the operator sets around the policies.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

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
    /// Domains of the organisation. Each stands for itself and everything below it. `external` means: none of them.
    pub internal_domains: Vec<String>,
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
            internal_domains: Vec::new(),
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
