//! The authenticator: one credential, one way to verify it, one answer.

use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::api_key::{ApiKeys, is_api_key};
use super::cache::{CredentialCache, Moment};
use super::inventory::{Agent, Inventory};
use super::jwt::JwtVerifier;
use super::rejection::Rejection;
use super::{Authenticator, Config, IdentifyError, Unverified, operating_system, trusted_proxy};
use crate::model::{Clock, Credentials, Digest, Identity, Peer, Timestamp, Verification};
use crate::net::AddressRange;

/// Longest credential that is looked at, bytes. Tokens with many roles reach 8 KiB.
const CREDENTIAL_BYTES_MAX: usize = 16 << 10;

/// Largest `cache_s`: a revoked key or token must not outlive a coffee.
const CACHE_S_MAX: u64 = 600;

/// Verifies API keys, signed tokens, operating-system users and the word of trusted proxies. What it knows can be
/// replaced while it works.
pub struct CredentialAuthenticator {
    plan: ArcSwap<Plan>,
    cache: CredentialCache,
    clock: Arc<dyn Clock>,
}

/// A configuration, ready for use.
struct Plan {
    configured: bool,
    api_keys: ApiKeys,
    tokens: JwtVerifier,
    proxies: Vec<AddressRange>,
    revoked: HashSet<Digest>,
    unverified: Option<Unverified>,
    inventory: Option<Inventory>,
    cache_ns: u64,
}

impl CredentialAuthenticator {
    /// Makes it. `agents` is the inventory; `None` means that there is none.
    ///
    /// # Errors
    /// [`IdentifyError`]: the configuration contradicts itself, or a file it names cannot be used.
    pub fn new(config: &Config, agents: Option<&[Agent]>, clock: Arc<dyn Clock>) -> Result<Self, IdentifyError> {
        let plan = ArcSwap::from_pointee(Plan::new(config, agents, &clock)?);
        Ok(Self { plan, cache: CredentialCache::new(), clock })
    }

    /// Replaces the configuration. Calls that are being identified finish under the old one and leave nothing behind.
    ///
    /// # Errors
    /// [`IdentifyError`]; the old configuration then stays.
    pub fn reload(&self, config: &Config, agents: Option<&[Agent]>) -> Result<(), IdentifyError> {
        self.plan.store(Arc::new(Plan::new(config, agents, &self.clock)?));
        self.cache.forget();
        Ok(())
    }

    /// Forgets every verified credential, so that each is verified again when it is next shown.
    pub fn forget(&self) {
        self.cache.forget();
    }

    async fn authenticate(&self, credentials: &Credentials, peer: &Peer) -> Identity {
        // Before the plan: an answer under a plan that is then replaced is not kept.
        let generation = self.cache.generation();
        let plan = self.plan.load_full();
        let now = Moment { wall: self.clock.now(), monotonic_ns: self.clock.monotonic_ns() };
        let shown = Shown::new(credentials);
        let verified = match peer {
            Peer::Process(_) => operating_system::identity(credentials.operating_system_user.as_ref(), now.wall),
            Peer::Address(_) if !plan.configured => Err(Rejection::NotConfigured),
            Peer::Address(_) => match &shown {
                Ok(Some(shown)) => match self.cache.find(shown.key, now) {
                    Some(known) => known,
                    None => {
                        let answer = plan.verify(shown, credentials, now.wall).await;
                        self.cache.keep(shown.key, &answer, (generation, now), plan.cache_ns);
                        answer
                    }
                },
                Ok(None) => plan.proxy_identity(credentials, peer, now.wall),
                Err(rejection) => Err(rejection.clone()),
            },
        };
        let mut identity = match verified.and_then(|identity| plan.complete(identity, credentials, peer)) {
            Ok(identity) => identity,
            Err(rejection) => {
                let evidence = shown.ok().flatten().and_then(|shown| shown.evidence());
                plan.nobody(&rejection, evidence, peer)
            }
        };
        if let Some(inventory) = &plan.inventory {
            inventory.complete(&mut identity);
        }
        identity
    }

    #[cfg(test)]
    pub(super) async fn settled(&self) {
        self.plan.load_full().tokens.settled().await;
    }
}

impl Authenticator for CredentialAuthenticator {
    fn identify<'a>(
        &'a self,
        credentials: &'a Credentials,
        peer: &'a Peer,
    ) -> Pin<Box<dyn Future<Output = Identity> + Send + 'a>> {
        Box::pin(self.authenticate(credentials, peer))
    }
}

/// A bearer credential and its digests.
struct Shown<'a> {
    bearer: &'a str,
    digest: Digest,
    /// Under which the answer is kept: with the client certificate, because a token may be bound to it.
    key: Digest,
}

impl<'a> Shown<'a> {
    fn new(credentials: &'a Credentials) -> Result<Option<Self>, Rejection> {
        if credentials.ambiguous {
            return Err(Rejection::Ambiguous);
        }
        let Some(authorization) = credentials.authorization.as_deref() else { return Ok(None) };
        if authorization.len() > CREDENTIAL_BYTES_MAX {
            return Err(Rejection::TooLong(CREDENTIAL_BYTES_MAX));
        }
        // RFC 9110 §11.1: the scheme is not case-sensitive.
        let (scheme, bearer) = authorization.split_once(' ').ok_or(Rejection::Scheme)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(Rejection::Scheme);
        }
        let bearer = bearer.trim_start_matches(' ');
        let digest = Digest::of(bearer.as_bytes());
        let key = match &credentials.certificate {
            None => digest,
            Some(certificate) => Digest::of_parts(&[&digest.0, certificate]),
        };
        Ok(Some(Self { bearer, digest, key }))
    }

    fn is_token(&self) -> bool {
        self.bearer.bytes().filter(|byte| *byte == b'.').count() == 2
    }

    /// The digest for the record. Not of something else that was shown by mistake: a password could be guessed from it.
    fn evidence(&self) -> Option<Digest> {
        (is_api_key(self.bearer) || self.is_token()).then_some(self.digest)
    }
}

impl Plan {
    fn new(config: &Config, agents: Option<&[Agent]>, clock: &Arc<dyn Clock>) -> Result<Self, IdentifyError> {
        if config.cache_s > CACHE_S_MAX {
            let problem = "more than 600 seconds";
            return Err(IdentifyError::Value { key: "cache_s", subject: "identity".into(), problem });
        }
        Ok(Self {
            configured: config.authenticates(),
            api_keys: ApiKeys::new(&config.api_keys)?,
            tokens: JwtVerifier::new(&config.jwt, clock)?,
            proxies: config.trusted_proxies.clone(),
            revoked: config.revoked_credentials.iter().copied().collect(),
            unverified: config.unverified,
            inventory: agents.map(Inventory::new).transpose()?,
            cache_ns: config.cache_s.saturating_mul(1_000_000_000),
        })
    }

    async fn verify(
        &self,
        shown: &Shown<'_>,
        credentials: &Credentials,
        now: Timestamp,
    ) -> Result<Identity, Rejection> {
        // AARM: before anything else is asked.
        if self.revoked.contains(&shown.digest) {
            return Err(Rejection::Revoked);
        }
        let identity = if is_api_key(shown.bearer) {
            self.api_keys.verify(shown.digest, now)?
        } else if shown.is_token() {
            self.tokens.verify(shown.bearer, credentials.certificate.as_deref(), now).await?
        } else {
            return Err(Rejection::UnknownKind);
        };
        Ok(Identity { credential: Some(shown.digest), ..identity })
    }

    fn proxy_identity(&self, credentials: &Credentials, peer: &Peer, now: Timestamp) -> Result<Identity, Rejection> {
        let headers = &credentials.proxy_headers;
        if trusted_proxy::is_trusted(&self.proxies, peer) && trusted_proxy::names_somebody(headers) {
            return trusted_proxy::identity(headers, now);
        }
        Err(Rejection::Missing)
    }

    fn complete(&self, mut identity: Identity, credentials: &Credentials, peer: &Peer) -> Result<Identity, Rejection> {
        if trusted_proxy::is_trusted(&self.proxies, peer) {
            trusted_proxy::complete(&mut identity, &credentials.proxy_headers)?;
        }
        Ok(identity)
    }

    /// The identity of somebody who could not be verified (AARM ).
    fn nobody(&self, rejection: &Rejection, credential: Option<Digest>, peer: &Peer) -> Identity {
        let flagged = match (self.unverified, rejection) {
            (_, Rejection::Revoked) | (Some(Unverified::Deny), _) => false,
            (Some(Unverified::Flag), _) => true,
            // Design §14.5: without any credentials configured, whoever is on this machine may try things out.
            (None, Rejection::NotConfigured) => is_loopback(peer),
            (None, _) => false,
        };
        Identity {
            verification: Verification::None,
            problem: Some(rejection.to_string().into()),
            flagged,
            credential,
            ..Identity::default()
        }
    }
}

fn is_loopback(peer: &Peer) -> bool {
    matches!(peer, Peer::Address(address) if address.ip().to_canonical().is_loopback())
}

impl std::fmt::Debug for CredentialAuthenticator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CredentialAuthenticator").finish_non_exhaustive()
    }
}
