//! Tokens of Google: for the key of a service account (RFC 7523), or from the metadata server of the machine or pod.

use std::sync::Arc;

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use reqwest::{RequestBuilder, Url};
use serde::{Deserialize, Serialize};

use super::super::SendError;
use super::super::environment::variable;
use super::super::http::{Answer, RotatingSecret, address, client, offload};
use super::super::oauth::{Token, TokenCache, form};
use crate::export::ExportError;
use crate::model::{Clock, Timestamp};
use crate::net::{HttpClient, SecretSource, SystemClock};

/// The metadata server, by the name that Google gives it on every machine and pod.
const METADATA: &str = "http://metadata.google.internal";

/// What tokens are for.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// How long an assertion may be used, seconds: the longest that Google takes.
const ASSERTION_S: u64 = 3_600;

/// How we say who we are.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoogleConfig {
    /// How.
    #[serde(rename = "type")]
    pub kind: GoogleKind,
    /// `service_account`: where its key is, the JSON that Google gives out; read again for every token. The file that
    /// `GOOGLE_APPLICATION_CREDENTIALS` names by default.
    pub key: Option<SecretSource>,
    /// `metadata_server`: the service account to use, where there are several.
    pub account: Option<String>,
    /// `metadata_server`: another address.
    pub url: Option<String>,
}

/// How.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GoogleKind {
    /// The identity of the machine or pod.
    MetadataServer,
    /// A service account and its key.
    ServiceAccount,
}

/// Where tokens come from, and the one in use.
pub(super) struct Google {
    source: Source,
    client: reqwest::Client,
    tokens: TokenCache,
    clock: Arc<dyn Clock>,
}

enum Source {
    Account(Arc<RotatingSecret>),
    Metadata(Url),
}

/// The key of a service account, as Google writes it.
#[derive(Deserialize)]
struct Key {
    client_email: String,
    private_key: String,
    private_key_id: Option<String>,
    token_uri: String,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    scope: &'static str,
    aud: &'a str,
    iat: u64,
    exp: u64,
}

impl Google {
    /// # Errors
    /// [`ExportError`]: a key is missing or none.
    pub(super) fn open(
        name: &str,
        config: &GoogleConfig,
        http: &HttpClient,
        usual: reqwest::Client,
    ) -> Result<Self, ExportError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let (source, client) = match config.kind {
            GoogleKind::ServiceAccount => {
                let file = || variable("GOOGLE_APPLICATION_CREDENTIALS").map(|path| SecretSource::File(path.into()));
                let Some(key) = config.key.clone().or_else(file) else {
                    let problem = "`service_account` needs `key`: where the JSON of its key is";
                    return Err(ExportError::setting(name, problem));
                };
                let key = RotatingSecret::open(name, &key)?;
                // A key that cannot sign is found at the start, not with the first event.
                let trial = Key::read(key.load().expose()).and_then(|key| key.assertion(clock.now()).map(|_| key));
                let key_read = trial.map_err(|problem| ExportError::setting(name, problem))?;
                address(name, &key_read.token_uri)?;
                (Source::Account(key.into()), usual)
            }
            GoogleKind::MetadataServer => {
                let mut url = address(name, config.url.as_deref().unwrap_or(METADATA))?;
                let account = config.account.as_deref().unwrap_or("default");
                url.set_path(&format!("computeMetadata/v1/instance/service-accounts/{account}/token"));
                url.query_pairs_mut().append_pair("scopes", SCOPE);
                (Source::Metadata(url), client(name, &HttpClient { proxy: None, ..http.clone() })?)
            }
        };
        Ok(Self { source, client, tokens: TokenCache::default(), clock })
    }

    /// The token of this moment.
    ///
    /// # Errors
    /// As [`TokenCache::token`].
    pub(super) async fn token(&self) -> Result<Token, SendError> {
        self.tokens.token(self.request()).await
    }

    /// The token was refused.
    pub(super) async fn refused(&self, token: &Token, answer: &Answer) -> SendError {
        self.tokens.refused(token, answer).await
    }

    async fn request(&self) -> Result<RequestBuilder, SendError> {
        match &self.source {
            Source::Metadata(url) => Ok(self.client.get(url.clone()).header("Metadata-Flavor", "Google")),
            Source::Account(secret) => {
                let (secret, now) = (Arc::clone(secret), self.clock.now());
                let sign = move || {
                    let key =
                        Key::read(secret.load().expose()).map_err(|problem| SendError::Refused(problem.into()))?;
                    let assertion = key.assertion(now).map_err(|problem| SendError::Refused(problem.into()))?;
                    let url = Url::parse(&key.token_uri).map_err(|error| SendError::Refused(error.to_string()))?;
                    Ok((url, assertion))
                };
                let (url, assertion) = offload(sign).await?;
                let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
                form(&self.client, &url, &[("grant_type", grant), ("assertion", &assertion)])
            }
        }
    }
}

impl Key {
    fn read(text: &str) -> Result<Self, &'static str> {
        serde_json::from_str(text).map_err(|_| "`key` is not the JSON of a service account's key")
    }

    /// A statement of who we are that is exchanged for a token.
    fn assertion(&self, now: Timestamp) -> Result<String, &'static str> {
        let header = Header { kid: self.private_key_id.clone(), ..Header::new(Algorithm::RS256) };
        let issued = now.as_secs();
        let claims = Claims {
            iss: &self.client_email,
            scope: SCOPE,
            aud: &self.token_uri,
            iat: issued,
            exp: issued + ASSERTION_S,
        };
        let key = EncodingKey::from_rsa_pem(self.private_key.as_bytes())
            .map_err(|_| "the `private_key` of the service account is no RSA key in PEM")?;
        encode(&header, &claims, &key).map_err(|_| "the key of the service account does not sign")
    }
}
