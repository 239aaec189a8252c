//! Named API keys. A key is 256 random bits, so its plain SHA-256 is what is kept: slow hashes protect secrets that can
//! be guessed, and this one cannot. The digest is the look-up key, so how long a look-up takes says nothing about the
//! secret.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::rejection::{Rejection, is_name};
use super::{IdentifyError, one_or_many};
use crate::model::{AgentIdentity, Claim, Digest, Identity, Timestamp, Verification};
use crate::net::{RandomError, Secret, random_bytes};

/// What every key starts with, so that scanners for leaked secrets can know one.
const PREFIX: &str = "csk_";

/// Base64url characters of 256 bits.
const ENCODED_CHARS: usize = 43;

/// A key as the configuration lists it. It stands for at least one of human, service and agent.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKey {
    /// Its name: what entries show as the issuer.
    pub name: String,
    /// `sha256:` and the digest of the whole key, as `mint` and the command line print it.
    pub hash: Digest,
    /// The person it stands for.
    #[serde(default)]
    pub human: Option<String>,
    /// The service it stands for.
    #[serde(default)]
    pub service: Option<String>,
    /// The agent it stands for: an id of the inventory.
    #[serde(default)]
    pub agent: Option<String>,
    /// The role.
    #[serde(default)]
    pub role: Option<String>,
    /// What it permits: a list, or one text with spaces.
    #[serde(default, deserialize_with = "one_or_many")]
    pub scope: Vec<String>,
    /// From when on it counts no more, RFC 3339 in UTC.
    #[serde(default)]
    pub expires: Option<Timestamp>,
}

/// A new key: the secret, to be shown once, and the digest for the configuration.
///
/// # Errors
/// [`RandomError`] when the operating system has no randomness to give.
pub fn mint() -> Result<(Secret, Digest), RandomError> {
    let secret = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random_bytes::<32>()?));
    let hash = Digest::of(secret.as_bytes());
    Ok((Secret::new(&secret), hash))
}

/// Whether a credential has the form of a key.
pub(super) fn is_api_key(credential: &str) -> bool {
    credential.strip_prefix(PREFIX).is_some_and(|encoded| {
        encoded.len() == ENCODED_CHARS && encoded.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    })
}

/// The configured keys by digest.
#[derive(Debug)]
pub(super) struct ApiKeys(HashMap<Digest, Identity>);

impl ApiKeys {
    pub(super) fn new(keys: &[ApiKey]) -> Result<Self, IdentifyError> {
        let (mut names, mut by_digest) = (HashSet::new(), HashMap::new());
        for key in keys {
            let identity = key.identity()?;
            if !names.insert(&key.name) || by_digest.insert(key.hash, identity).is_some() {
                return Err(IdentifyError::Duplicate(key.name.clone(), "api_keys"));
            }
        }
        Ok(Self(by_digest))
    }

    /// Who the key with this digest stands for.
    pub(super) fn verify(&self, digest: Digest, now: Timestamp) -> Result<Identity, Rejection> {
        let identity = self.0.get(&digest).ok_or(Rejection::UnknownApiKey)?;
        match identity.expires {
            Some(expires) if expires <= now => Err(Rejection::Expired(expires)),
            _ => Ok(Identity { verified_at: Some(now), ..identity.clone() }),
        }
    }
}

impl ApiKey {
    fn identity(&self) -> Result<Identity, IdentifyError> {
        // The key proves which entry of the configuration is meant; the operator says who that is.
        let claim = |key, value: &Option<String>| match value {
            Some(text) if !is_name(text) => Err(self.invalid(key)),
            Some(text) => Ok(Some(Claim { value: text.as_str().into(), verification: Verification::Inventory })),
            None => Ok(None),
        };
        if !is_name(&self.name) {
            return Err(self.invalid("name"));
        }
        let agent = claim("agent", &self.agent)?;
        let identity = Identity {
            human: claim("human", &self.human)?,
            service: claim("service", &self.service)?,
            agent: agent.map(|id| AgentIdentity { id, instance: None, version: None, listed: None }),
            role: claim("role", &self.role)?,
            scope: self.scope.iter().flat_map(|scope| scope.split_whitespace()).map(Arc::from).collect(),
            verification: Verification::ApiKey,
            credential: Some(self.hash),
            issuer: Some(self.name.as_str().into()),
            expires: self.expires,
            ..Identity::default()
        };
        if identity.human.is_none() && identity.service.is_none() && identity.agent.is_none() {
            return Err(IdentifyError::NamesNobody(self.name.clone()));
        }
        Ok(identity)
    }

    fn invalid(&self, key: &'static str) -> IdentifyError {
        let problem = "1 to 256 bytes without control characters";
        IdentifyError::Value { key, subject: self.name.clone(), problem }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(yaml: &str) -> Result<ApiKeys, IdentifyError> {
        ApiKeys::new(&serde_saphyr::from_str::<Vec<ApiKey>>(yaml).unwrap())
    }

    #[test]
    fn a_minted_key_has_256_random_bits_and_its_digest() {
        let (secret, hash) = mint().unwrap();
        assert!(is_api_key(secret.expose()), "{}", secret.expose());
        assert_eq!(hash, Digest::of(secret.expose().as_bytes()));
        assert_eq!(URL_SAFE_NO_PAD.decode(secret.expose().strip_prefix(PREFIX).unwrap()).unwrap().len(), 32);
        assert_ne!(mint().unwrap().1, hash);
    }

    #[test]
    fn a_key_stands_for_what_its_entry_says_until_it_expires() {
        let hash = Digest::of(b"csk_x");
        let keys = listed(&format!(
            "[{{name: ci, hash: '{hash}', human: alice, agent: builder, role: dev, scope: read write, \
             expires: '2027-01-01T00:00:00Z'}}]"
        ));
        let expires = Timestamp::parse("2027-01-01T00:00:00Z").unwrap();
        let identity = keys.as_ref().unwrap().verify(hash, Timestamp::from_secs(5)).unwrap();
        assert_eq!(identity.verification, Verification::ApiKey);
        let human = identity.human.unwrap();
        assert_eq!((&*human.value, human.verification), ("alice", Verification::Inventory));
        assert_eq!(&*identity.agent.unwrap().id.value, "builder");
        assert_eq!(identity.scope, [Arc::from("read"), Arc::from("write")]);
        assert_eq!(identity.issuer.as_deref(), Some("ci"));
        assert_eq!(identity.verified_at, Some(Timestamp::from_secs(5)));
        assert_eq!(keys.as_ref().unwrap().verify(hash, expires), Err(Rejection::Expired(expires)));
        assert_eq!(keys.unwrap().verify(Digest::of(b"csk_y"), expires), Err(Rejection::UnknownApiKey));
    }

    #[test]
    fn entries_that_say_two_things_or_nothing_are_refused() {
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        let twice = format!("[{{name: x, hash: '{a}', human: h}}, {{name: x, hash: '{b}', human: h}}]");
        assert!(matches!(listed(&twice), Err(IdentifyError::Duplicate(name, _)) if name == "x"));
        let same = format!("[{{name: x, hash: '{a}', human: h}}, {{name: y, hash: '{a}', human: h}}]");
        assert!(matches!(listed(&same), Err(IdentifyError::Duplicate(name, _)) if name == "y"));
        assert!(matches!(listed(&format!("[{{name: x, hash: '{a}'}}]")), Err(IdentifyError::NamesNobody(_))));
        let control = format!("[{{name: x, hash: '{a}', human: \"a\\nb\"}}]");
        assert!(matches!(listed(&control), Err(IdentifyError::Value { key: "human", .. })));
        assert!(serde_saphyr::from_str::<Vec<ApiKey>>("[{name: x, hash: 'csk_plain', human: h}]").is_err());
    }
}
