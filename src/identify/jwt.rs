//! Signed tokens (RFC 7519, with the precautions of RFC 8725). The configuration says which algorithms an issuer may
//! use, the type of the issuer's key says which it can, and the token's own opinion only selects among those.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::claims::{ClaimNames, Lifetime};
use super::jwks::SigningAlgorithm;
use super::key_source::{Freshness, KeySource, Origin};
use super::rejection::{Rejection, shown};
use super::token::{Token, text, time};
use super::{IdentifyError, one_or_many};
use crate::model::json::{Kind, View};
use crate::model::{Clock, Digest, Identity, Timestamp};
use crate::net::HttpClient;

/// Largest `leeway_s`: clocks that disagree by more than a minute are broken.
const LEEWAY_S_MAX: u64 = 60;

/// How often a key set's file is looked at: a look costs one system call.
const FILE_REFRESH_NS: u64 = 5_000_000_000;

/// Longest time for fetching a key set, milliseconds: a token may be waiting.
const FETCH_MS_MAX: u64 = 5_000;

const SECOND_NS: u64 = 1_000_000_000;

/// An issuer whose tokens count.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JwtIssuer {
    /// What `iss` must be, to the letter.
    pub issuer: String,
    /// What `aud` must hold one of: this proxy's own address as the issuer knows it (RFC 8707).
    #[serde(deserialize_with = "one_or_many")]
    pub audience: Vec<String>,
    /// The algorithms the issuer signs with. All others are refused.
    pub algorithms: Vec<SigningAlgorithm>,
    /// Its keys, in a file that is read again when it changes.
    #[serde(default)]
    pub jwks_file: Option<PathBuf>,
    /// Its keys, at an address: https, or http on loopback.
    #[serde(default)]
    pub jwks_url: Option<String>,
    /// Seconds after which the keys are fetched again.
    #[serde(default = "default_refresh_s")]
    pub jwks_refresh_s: u64,
    /// Seconds after which keys that could not be fetched or read again count no more.
    #[serde(default = "default_stale_s_max")]
    pub jwks_stale_s_max: u64,
    /// How the address is reached.
    #[serde(default)]
    pub http: HttpClient,
    /// Seconds by which the issuer's clock may differ. At most 60.
    #[serde(default = "default_leeway_s")]
    pub leeway_s: u64,
    /// What `typ` may be, when a token has one; upper or lower case alike, with or without `application/`.
    #[serde(default = "default_token_types", deserialize_with = "one_or_many")]
    pub token_types: Vec<String>,
    /// Claims that must be there besides `iss`, `aud`, `exp`, and one of `nbf` and `iat`.
    #[serde(default, deserialize_with = "one_or_many")]
    pub required_claims: Vec<String>,
    /// Values of `jti` that count no more.
    #[serde(default, deserialize_with = "one_or_many")]
    pub revoked_token_ids: Vec<String>,
    /// Which claim says what.
    #[serde(default)]
    pub claims: ClaimNames,
}

const fn default_refresh_s() -> u64 {
    300
}

const fn default_stale_s_max() -> u64 {
    3_600
}

const fn default_leeway_s() -> u64 {
    30
}

fn default_token_types() -> Vec<String> {
    vec!["JWT".into(), "at+jwt".into()]
}

/// The configured issuers.
#[derive(Debug)]
pub(super) struct JwtVerifier(Vec<Issuer>);

/// One issuer and its keys.
#[derive(Debug)]
pub(super) struct Issuer {
    config: JwtIssuer,
    keys: Arc<KeySource>,
}

impl JwtVerifier {
    pub(super) fn new(issuers: &[JwtIssuer], clock: &Arc<dyn Clock>) -> Result<Self, IdentifyError> {
        let mut all: Vec<Issuer> = Vec::with_capacity(issuers.len());
        for config in issuers {
            if all.iter().any(|other| other.config.issuer == config.issuer) {
                return Err(IdentifyError::Duplicate(config.issuer.clone(), "jwt"));
            }
            all.push(Issuer::new(config, clock)?);
        }
        Ok(Self(all))
    }

    /// Verifies a token. `certificate` is the one the connection showed.
    pub(super) async fn verify(
        &self,
        token: &str,
        certificate: Option<&[u8]>,
        now: Timestamp,
    ) -> Result<Identity, Rejection> {
        let token = Token::read(token)?;
        let (header, claims) = (token.header(), token.claims());
        // The issuer's name selects the keys. It is believed only because the signature then verifies with them.
        let name = text(claims, "iss")?.ok_or_else(|| Rejection::MissingClaim("iss".into()))?;
        let known = self.0.iter().find(|issuer| issuer.config.issuer == name);
        let issuer = known.ok_or_else(|| Rejection::UnknownIssuer(shown(&name)))?;
        issuer.verify_signature(header, &token).await?;
        let lifetime = issuer.config.check_claims(claims, certificate, now)?;
        let identity = issuer.config.claims.identity(claims, lifetime)?;
        Ok(Identity { issuer: Some(issuer.config.issuer.as_str().into()), verified_at: Some(now), ..identity })
    }

    #[cfg(test)]
    pub(super) async fn settled(&self) {
        for issuer in &self.0 {
            issuer.keys.settled().await;
        }
    }
}

impl Issuer {
    pub(super) fn new(config: &JwtIssuer, clock: &Arc<dyn Clock>) -> Result<Self, IdentifyError> {
        config.check()?;
        Ok(Self { keys: Arc::new(config.key_source(clock)?), config: config.clone() })
    }

    /// Everything about a token but what its claims stand for.
    pub(super) async fn verify(&self, token: &Token<'_>, now: Timestamp) -> Result<(), Rejection> {
        let name = text(token.claims(), "iss")?.unwrap_or_default();
        if name != self.config.issuer {
            return Err(Rejection::UnknownIssuer(shown(&name)));
        }
        self.verify_signature(token.header(), token).await?;
        self.config.check_claims(token.claims(), None, now).map(drop)
    }

    /// Whether a token of this audience is ours.
    pub(super) fn is_for(&self, audience: &str) -> bool {
        self.config.audience.iter().any(|ours| ours == audience)
    }

    async fn verify_signature(&self, header: View<'_>, token: &Token<'_>) -> Result<(), Rejection> {
        let name = text(header, "alg")?.ok_or(Rejection::Malformed("no `alg`"))?;
        let algorithm = SigningAlgorithm::parse(&name).filter(|known| self.config.algorithms.contains(known));
        let algorithm = algorithm.ok_or_else(|| Rejection::Algorithm(shown(&name)))?;
        // RFC 7515 §4.1.11: none is understood here, so none may be demanded.
        if header.get("crit").is_some() {
            return Err(Rejection::Critical);
        }
        if let Some(token_type) = text(header, "typ")?
            && !self.config.accepts_type(&token_type)
        {
            return Err(Rejection::TokenType(shown(&token_type)));
        }
        // `jwk`, `jku`, `x5c` and `x5u` are never looked at: a token does not bring its own key.
        let id = text(header, "kid")?;
        let keys = self.keys.keys(id.as_deref(), algorithm).await;
        let keys = keys.ok_or_else(|| Rejection::KeysUnavailable(self.config.issuer.clone()))?;
        let candidates = keys.find(id.as_deref(), algorithm);
        if candidates.is_empty() {
            return Err(Rejection::UnknownKey(shown(id.as_deref().unwrap_or_default())));
        }
        let verifies = |key| {
            let implementation = algorithm.implementation();
            jsonwebtoken::crypto::verify(token.signature, token.signed.as_bytes(), key, implementation).unwrap_or(false)
        };
        if candidates.into_iter().any(verifies) { Ok(()) } else { Err(Rejection::Signature) }
    }
}

impl JwtIssuer {
    fn check(&self) -> Result<(), IdentifyError> {
        let wrong = |key, problem| Err(IdentifyError::Value { key, subject: self.issuer.clone(), problem });
        match self {
            Self { issuer, .. } if issuer.is_empty() => wrong("issuer", "empty"),
            Self { audience, .. } if audience.iter().any(String::is_empty) => wrong("audience", "empty"),
            Self { audience, .. } if audience.is_empty() => wrong("audience", "at least one is needed"),
            Self { algorithms, .. } if algorithms.is_empty() => wrong("algorithms", "at least one is needed"),
            Self { leeway_s, .. } if *leeway_s > LEEWAY_S_MAX => wrong("leeway_s", "more than 60 seconds"),
            Self { jwks_refresh_s, .. } if *jwks_refresh_s == 0 => wrong("jwks_refresh_s", "must be at least 1"),
            _ if self.jwks_stale_s_max < self.jwks_refresh_s => {
                wrong("jwks_stale_s_max", "must not be less than `jwks_refresh_s`")
            }
            _ => Ok(()),
        }
    }

    fn key_source(&self, clock: &Arc<dyn Clock>) -> Result<KeySource, IdentifyError> {
        let stale_ns_max = self.jwks_stale_s_max.saturating_mul(SECOND_NS);
        let (origin, refresh_ns) = match (&self.jwks_file, &self.jwks_url) {
            (Some(path), None) => (Origin::File(path.clone()), FILE_REFRESH_NS),
            (None, Some(url)) => {
                let unfit = || IdentifyError::KeySetUrl(self.issuer.clone());
                let url = reqwest::Url::parse(url).ok().filter(may_serve_keys).ok_or_else(unfit)?;
                let failed =
                    |source| IdentifyError::KeySetClient { issuer: self.issuer.clone(), source: Box::new(source) };
                let timeout_ms = self.http.timeout_ms.min(FETCH_MS_MAX);
                let client = HttpClient { timeout_ms, ..self.http.clone() }.build().map_err(failed)?;
                (Origin::Url { url, client }, self.jwks_refresh_s.saturating_mul(SECOND_NS))
            }
            _ => return Err(IdentifyError::OneKeySource(self.issuer.clone())),
        };
        let freshness = Freshness { refresh_ns, stale_ns_max };
        KeySource::new(origin, freshness, Arc::clone(clock))
            .map_err(|source| IdentifyError::KeySetFile { path: self.jwks_file.clone().unwrap_or_default(), source })
    }

    fn accepts_type(&self, token_type: &str) -> bool {
        let plain = |text: &str| {
            let lower = text.to_ascii_lowercase();
            lower.strip_prefix("application/").map_or_else(|| lower.clone(), str::to_owned)
        };
        self.token_types.iter().any(|accepted| plain(accepted) == plain(token_type))
    }

    /// AARM: audience, freshness and revocation.
    fn check_claims(
        &self,
        claims: View<'_>,
        certificate: Option<&[u8]>,
        now: Timestamp,
    ) -> Result<Lifetime, Rejection> {
        let missing = |name: &str| Rejection::MissingClaim(name.to_owned());
        let leeway_us = self.leeway_s.saturating_mul(1_000_000);
        let expires = time(claims, "exp")?.ok_or_else(|| missing("exp"))?;
        if expires.plus_micros(leeway_us) <= now {
            return Err(Rejection::Expired(expires));
        }
        let issued_at = time(claims, "iat")?;
        // Not every issuer writes `nbf` (RFC 9068 asks for `iat` instead): a token must say from when on it counts.
        let not_before = time(claims, "nbf")?.or(issued_at).ok_or_else(|| missing("nbf"))?;
        if not_before > now.plus_micros(leeway_us) {
            return Err(Rejection::NotYetValid(not_before));
        }
        self.check_audience(claims)?;
        if let Some(name) = self.required_claims.iter().find(|name| claims.get(name).is_none()) {
            return Err(missing(name));
        }
        if let Some(id) = text(claims, "jti")?
            && self.revoked_token_ids.contains(&id)
        {
            return Err(Rejection::Revoked);
        }
        check_binding(claims, certificate)?;
        Ok(Lifetime { issued_at, expires })
    }

    fn check_audience(&self, claims: View<'_>) -> Result<(), Rejection> {
        let stated = claims.get("aud").ok_or_else(|| Rejection::MissingClaim("aud".into()))?;
        let ours = |audience: View<'_>| audience.as_str().is_some_and(|name| self.audience.iter().any(|a| *a == name));
        let found = match stated.kind() {
            Kind::Array => stated.children().any(ours),
            _ => ours(stated),
        };
        if found { Ok(()) } else { Err(Rejection::Audience) }
    }
}

/// A token that its issuer bound to a key (RFC 7800) is worth nothing without it. Certificates (RFC 8705) can be
/// checked; proof of possession by other means cannot yet, and is then not assumed.
fn check_binding(claims: View<'_>, certificate: Option<&[u8]>) -> Result<(), Rejection> {
    let Some(binding) = claims.get("cnf") else { return Ok(()) };
    let only = binding.members().count() == 1;
    let stated = binding.get("x5t#S256").and_then(|thumbprint| thumbprint.as_str());
    let shown = certificate.map(|certificate| URL_SAFE_NO_PAD.encode(Digest::of(certificate).0));
    match (stated, shown) {
        (Some(stated), Some(shown)) if only && stated == shown => Ok(()),
        _ => Err(Rejection::Bound),
    }
}

/// Keys that arrive over a connection anybody on the way can change are no keys.
fn may_serve_keys(url: &reqwest::Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let loopback = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    let plain = url.username().is_empty() && url.password().is_none();
    plain && (url.scheme() == "https" || (url.scheme() == "http" && loopback))
}
