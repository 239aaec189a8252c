//! Where the provider is, and what its tokens say: configured, or discovered when somebody logs in first.

use std::sync::Arc;

use reqwest::Url;
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::sync::Mutex;

use super::ANSWER_BYTES_MAX;
use super::config::{OidcConfig, OidcError};
use crate::identify::{ClaimNames, IdTokenVerifier, JwtIssuer};
use crate::model::{Clock, Timestamp, with_causes};
use crate::net::read_body;

/// How long what was discovered holds, microseconds. Keys are asked for more often, by the verifier.
const DISCOVERED_US: u64 = 3_600_000_000;
const DISCOVERY: &str = "/.well-known/openid-configuration";

/// The provider's addresses, and what checks its tokens.
pub(super) struct Endpoints {
    pub(super) authorization: Url,
    pub(super) token: Url,
    verifier: IdTokenVerifier,
}

/// One provider.
pub(super) struct Provider {
    config: OidcConfig,
    clock: Arc<dyn Clock>,
    pub(super) http: reqwest::Client,
    /// Locked while it is asked: many log-ins at once ask once.
    found: Mutex<Option<(Arc<Endpoints>, Option<Timestamp>)>>,
}

/// What is read of the provider's metadata (OpenID Connect Discovery 1.0, §3; RFC 8414).
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    #[serde(default)]
    code_challenge_methods_supported: Option<Vec<String>>,
}

impl Provider {
    /// Checks the addresses that are configured. Asks the provider nothing.
    ///
    /// # Errors
    /// [`OidcError`] names the key.
    pub(super) fn new(config: &OidcConfig, clock: &Arc<dyn Clock>) -> Result<Self, OidcError> {
        let this = Self {
            config: config.clone(),
            clock: Arc::clone(clock),
            http: config.http.build()?,
            found: Mutex::default(),
        };
        let address = |text: &Option<String>, name| match text {
            Some(text) => private(text).map(Some).ok_or(OidcError::Address(name)),
            None => Ok(None),
        };
        let authorization = address(&config.authorization_url, "authorization_url")?;
        let token = address(&config.token_url, "token_url")?;
        let jwks = address(&config.jwks_url, "jwks_url")?;
        let complete = match (authorization, token, jwks) {
            (Some(authorization), Some(token), Some(jwks)) => Some((authorization, token, jwks)),
            // The provider is asked at its issuer's address.
            _ => private(&config.issuer).map(|_| None).ok_or(OidcError::Address("issuer"))?,
        };
        // The verifier is made here too, so that a wrong algorithm or claim shows when the configuration loads.
        let verifier = this.verifier(complete.as_ref().map_or(config.issuer.as_str(), |(_, _, jwks)| jwks.as_str()))?;
        if let Some((authorization, token, _)) = complete {
            let endpoints = Arc::new(Endpoints { authorization, token, verifier });
            return Ok(Self { found: Mutex::new(Some((endpoints, None))), ..this });
        }
        Ok(this)
    }

    /// Its addresses. An error is a sentence for the operator.
    pub(super) async fn endpoints(&self) -> Result<Arc<Endpoints>, String> {
        let now = self.clock.now();
        let mut found = self.found.lock().await;
        let holds = |since: Option<Timestamp>| since.is_none_or(|since| now.micros_since(since) < DISCOVERED_US);
        if let Some((endpoints, _)) = found.as_ref().filter(|(_, since)| holds(*since)) {
            return Ok(Arc::clone(endpoints));
        }
        let discovered = Arc::new(self.discover().await?);
        *found = Some((Arc::clone(&discovered), Some(now)));
        Ok(discovered)
    }

    async fn discover(&self) -> Result<Endpoints, String> {
        let url = format!("{}{DISCOVERY}", self.config.issuer.trim_end_matches('/'));
        let failed = |problem: String| format!("ask `{url}` where the provider is: {problem}");
        let answer = self.http.get(&url).send().await.map_err(|error| failed(with_causes(&error)))?;
        if !answer.status().is_success() {
            return Err(failed(format!("HTTP {}", answer.status().as_u16())));
        }
        let body = read_body(answer, ANSWER_BYTES_MAX).await.map_err(|error| failed(with_causes(&error)))?;
        let metadata: Metadata = serde_json::from_slice(&body).map_err(|error| failed(error.to_string()))?;
        // Discovery §4.3: to the letter, or another provider speaks in its name.
        if metadata.issuer != self.config.issuer {
            return Err(failed(format!("it says that the issuer is `{}`", metadata.issuer)));
        }
        let methods = metadata.code_challenge_methods_supported;
        if methods.is_some_and(|methods| methods.iter().all(|method| method != "S256")) {
            return Err(failed("it does not take PKCE with S256".into()));
        }
        let chosen = |configured: &Option<String>, said: String| configured.clone().unwrap_or(said);
        let address = |text: &str| private(text).ok_or_else(|| failed(format!("`{text}` is no https address")));
        let jwks = address(&chosen(&self.config.jwks_url, metadata.jwks_uri))?;
        Ok(Endpoints {
            authorization: address(&chosen(&self.config.authorization_url, metadata.authorization_endpoint))?,
            token: address(&chosen(&self.config.token_url, metadata.token_endpoint))?,
            verifier: self.verifier(jwks.as_str()).map_err(|error| failed(with_causes(&error)))?,
        })
    }

    fn verifier(&self, jwks_url: &str) -> Result<IdTokenVerifier, crate::identify::IdentifyError> {
        let config = &self.config;
        let issuer = JwtIssuer {
            issuer: config.issuer.clone(),
            audience: vec![config.client_id.clone()],
            algorithms: config.algorithms.clone(),
            jwks_file: None,
            jwks_url: Some(jwks_url.to_owned()),
            jwks_refresh_s: 300,
            jwks_stale_s_max: 3_600,
            http: config.http.clone(),
            leeway_s: 30,
            token_types: vec!["JWT".into()],
            required_claims: vec!["sub".into(), config.name_claim.clone()],
            revoked_token_ids: Vec::new(),
            claims: ClaimNames::default(),
        };
        IdTokenVerifier::new(&issuer, &self.clock)
    }
}

impl Endpoints {
    /// The claims of a token that was asked for with `nonce`.
    pub(super) async fn verify(&self, token: &str, nonce: &str, now: Timestamp) -> Result<Map<String, Value>, String> {
        self.verifier.verify(token, nonce, now).await
    }
}

/// An address whose traffic nobody on the way can read or change.
fn private(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let loopback = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    (url.scheme() == "https" || (url.scheme() == "http" && loopback)).then_some(url)
}
