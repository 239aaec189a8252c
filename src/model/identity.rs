//! Who acts, on whose behalf, and how we know (AARM R6).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Digest, Enforcement, Timestamp};

/// The identity of a caller: AARM's five parts, each with how it was verified, and what the inventory adds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The person on whose behalf the agent acts.
    pub human: Option<Claim>,
    /// The service the agent runs in.
    pub service: Option<Claim>,
    /// The agent.
    pub agent: Option<AgentIdentity>,
    /// The session the credential itself names (a signed session claim), if any.
    pub session: Option<Claim>,
    /// What the credential permits.
    pub scope: Vec<Arc<str>>,
    /// The role the credential names.
    pub role: Option<Claim>,
    /// Who delegated to whom, outermost first.
    pub delegation: Vec<Delegation>,
    /// How the credential as a whole was verified.
    pub verification: Verification,
    /// Why nobody could be verified, when nobody was: shown to operators and recorded, never sent to the caller.
    pub problem: Option<Arc<str>>,
    /// Whether policies decide although nobody was verified, because the configuration says so (AARM A-6.4, "denied or
    /// flagged"). Without it, nobody verified means DENY.
    pub flagged: bool,
    /// Digest of the credential, so that its uses can be found without keeping it.
    pub credential: Option<Digest>,
    /// The issuer or the name of the API key.
    pub issuer: Option<Arc<str>>,
    /// When the credential expires.
    pub expires: Option<Timestamp>,
    /// When the credential was last checked against its source.
    pub verified_at: Option<Timestamp>,
    /// The accountable person, from the `agents:` inventory.
    pub owner: Option<Arc<str>>,
    /// The team, from the inventory.
    pub team: Option<Arc<str>>,
    /// The tenant, from the inventory.
    pub tenant: Option<Arc<str>>,
    /// The servers the inventory lets this agent reach; `None`: all. Empty, when there is an inventory and this caller
    /// is no agent in it.
    pub servers: Option<Arc<[Arc<str>]>>,
    /// The mode the inventory gives this agent; `None`: the one that holds for everybody.
    pub mode: Option<Enforcement>,
}

/// One part of an identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The name.
    pub value: Arc<str>,
    /// How this part was verified.
    pub verification: Verification,
}

/// The agent's part of an identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentIdentity {
    /// The agent's id: the key of the inventory.
    pub id: Claim,
    /// The running instance, when it says.
    pub instance: Option<Arc<str>>,
    /// Its version, when it says.
    pub version: Option<Arc<str>>,
    /// Whether the inventory lists it; `None` without an inventory.
    pub listed: Option<bool>,
}

/// One step of a delegation chain (AARM receipt: `delegation_chain[]`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delegation {
    /// Who received the authority.
    pub delegatee: Arc<str>,
    /// Who gave it.
    pub delegator: Arc<str>,
    /// Until when.
    pub expires_at: Option<Timestamp>,
    /// When.
    pub issued_at: Option<Timestamp>,
    /// What was delegated.
    pub scope: Arc<str>,
}

/// How a statement about a caller was verified, weakest last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verification {
    /// A client certificate.
    Mtls,
    /// A signed token.
    Jwt,
    /// A named API key of this product.
    ApiKey,
    /// The user the operating system runs the client as (`wrap`).
    OperatingSystem,
    /// Said by a proxy that the configuration trusts.
    TrustedProxy,
    /// Listed in the operator's configuration for this credential.
    Inventory,
    /// Said by the caller and checked by nobody.
    Asserted,
    /// Nothing was said.
    #[default]
    None,
}

impl Verification {
    /// Whether someone other than the caller vouches for the statement.
    #[must_use]
    pub const fn is_verified(self) -> bool {
        !matches!(self, Self::Asserted | Self::None)
    }

    /// The word that configuration, entries and events use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mtls => "mtls",
            Self::Jwt => "jwt",
            Self::ApiKey => "api_key",
            Self::OperatingSystem => "operating_system",
            Self::TrustedProxy => "trusted_proxy",
            Self::Inventory => "inventory",
            Self::Asserted => "asserted",
            Self::None => "none",
        }
    }
}
