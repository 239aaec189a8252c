//! Credentials to identity: who acts, on whose behalf, and how we know (AARM R6).
//!
//! Total: whatever is shown, the answer is an [`Identity`]; one that could not be verified says so and why, and the
//! policy decides. Must never invent a person, never pass a credential on, never log one.
//!
//! ```text
//! Authorization: Bearer csk_...      ─► API keys, by digest ──┐
//! Authorization: Bearer eyJ...       ─► signed token ─────────┼─► what a trusted proxy adds ─► inventory ─► Identity
//! standard input and output (wrap)   ─► operating-system user ┘
//! ```

mod api_key;
mod authenticator;
mod cache;
mod claims;
mod id_token;
mod inventory;
mod jwks;
mod jwt;
mod key_source;
mod operating_system;
mod rejection;
mod token;
mod trusted_proxy;

#[cfg(test)]
mod tests;

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, de};

use crate::model::{Clock, Credentials, Digest, Identity, Peer};
use crate::net::{AddressRange, HttpClientError};

pub use api_key::{ApiKey, mint};
pub use authenticator::CredentialAuthenticator;
pub use claims::ClaimNames;
pub use id_token::IdTokenVerifier;
pub use inventory::Agent;
pub use jwks::{KeySetError, SigningAlgorithm};
pub use jwt::JwtIssuer;
pub use operating_system::current_user;

/// Tells who a caller is.
///
/// On return the identity is complete and will not change during the action. May be called at once from many tasks.
/// Retries are the implementation's own affair. There are no errors: what cannot be verified is an identity with
/// `verification: None` and a `problem`.
pub trait Authenticator: Send + Sync {
    /// Verifies `credentials`.
    fn identify<'a>(
        &'a self,
        credentials: &'a Credentials,
        peer: &'a Peer,
    ) -> Pin<Box<dyn Future<Output = Identity> + Send + 'a>>;
}

/// Makes the authenticator that `config` describes. `agents` is the inventory; `None` means that there is none.
///
/// # Errors
/// [`IdentifyError`]: the configuration contradicts itself, or a file it names cannot be used.
pub fn build(
    config: &Config,
    agents: Option<&[Agent]>,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn Authenticator>, IdentifyError> {
    Ok(Arc::new(CredentialAuthenticator::new(config, agents, clock)?))
}

/// Whose word counts. Nothing configured: nobody is verified, and only callers on loopback are let through to the
/// policies, flagged.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Named API keys, by digest.
    pub api_keys: Vec<ApiKey>,
    /// Issuers of signed tokens.
    pub jwt: Vec<JwtIssuer>,
    /// Addresses whose identity headers (`X-User-Id` and its kin) are believed.
    pub trusted_proxies: Vec<AddressRange>,
    /// What becomes of a caller whom nobody could verify. Not set: `deny`, but `flag` on loopback as long as no
    /// credentials are configured.
    pub unverified: Option<Unverified>,
    /// Digests of credentials that count no more, as receipts show them.
    pub revoked_credentials: Vec<Digest>,
    /// Seconds for which a verified credential is not verified again; also how long a withdrawn signing key goes on
    /// counting for credentials already seen. At most 600.
    pub cache_s: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            api_keys: Vec::new(),
            jwt: Vec::new(),
            trusted_proxies: Vec::new(),
            unverified: None,
            revoked_credentials: Vec::new(),
            cache_s: 60,
        }
    }
}

impl Config {
    /// Whether callers can be told apart at all: without it, listening beyond loopback is refused at start (design
    /// §10).
    #[must_use]
    pub const fn authenticates(&self) -> bool {
        !(self.api_keys.is_empty() && self.jwt.is_empty() && self.trusted_proxies.is_empty())
    }
}

/// What becomes of a caller whom nobody could verify (AARM A-6.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unverified {
    /// DENY, whatever the policies say.
    Deny,
    /// The policies decide; the identity says `flagged`. Never for a revoked credential.
    Flag,
}

/// Why identities cannot be established as configured.
#[derive(Debug, thiserror::Error)]
pub enum IdentifyError {
    /// Two entries of a list stand for the same thing.
    #[error("`{0}` stands more than once under `{1}`")]
    Duplicate(String, &'static str),
    /// A key set in a file cannot be used.
    #[error("load the key set `{path}`")]
    KeySetFile {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: KeySetError,
    },
    /// The client for key sets cannot be made.
    #[error("set up the HTTP client for the keys of `{issuer}`")]
    KeySetClient {
        /// The issuer.
        issuer: String,
        /// Why.
        #[source]
        source: Box<HttpClientError>,
    },
    /// The key set's address is not one that keys may come from.
    #[error("`jwks_url` of `{0}` is neither https nor http on loopback")]
    KeySetUrl(String),
    /// A key or token that would stand for nobody.
    #[error("`{0}` names no human, no service and no agent")]
    NamesNobody(String),
    /// Neither or both of two settings, one of which is needed.
    #[error("`{0}` needs exactly one of `jwks_file` and `jwks_url`")]
    OneKeySource(String),
    /// The operating system does not say who runs this process.
    #[error("find out which user runs this process: {0}")]
    OperatingSystemUser(String),
    /// A value outside its bounds.
    #[error("`{key}` of `{subject}` is not valid: {problem}")]
    Value {
        /// The setting.
        key: &'static str,
        /// Whose.
        subject: String,
        /// What is wrong with it.
        problem: &'static str,
    },
}

/// One text or a list of texts.
fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct Visitor;
    impl<'de> de::Visitor<'de> for Visitor {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a text or a list of texts")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
            Ok(vec![text.to_owned()])
        }

        fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let mut texts = Vec::new();
            while let Some(text) = list.next_element()? {
                texts.push(text);
            }
            Ok(texts)
        }
    }
    deserializer.deserialize_any(Visitor)
}
