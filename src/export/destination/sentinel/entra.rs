//! Tokens of Microsoft Entra: with the secret of an application, or as a managed identity of the machine.

use std::time::Duration;

use reqwest::Url;
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::super::SendError;
use super::super::http::{RotatingSecret, address, either, exchange, offload};
use crate::export::ExportError;
use crate::net::{Secret, SecretSource};

/// A token is replaced this long before it expires: no request may outlive it.
const EXPIRY_MARGIN: Duration = Duration::from_mins(5);

/// Shortest time that a token is used, whatever its expiry says.
const LIFE_MIN: Duration = Duration::from_secs(10);

/// The identity service of virtual machines (link-local by definition).
const INSTANCE_METADATA: &str = "http://169.254.169.254/metadata/identity/oauth2/token";

/// How we say who we are.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntraConfig {
    /// How.
    #[serde(rename = "type")]
    pub kind: EntraKind,
    /// `client_credentials`: the tenant.
    pub tenant_id: Option<String>,
    /// The application; for a managed identity the one to use, where the machine has several.
    pub client_id: Option<String>,
    /// The variable that holds the application's secret.
    pub client_secret_env: Option<String>,
    /// Where the application's secret is; a file is read again for every token.
    pub client_secret: Option<SecretSource>,
    /// Where tokens come from; `https://login.microsoftonline.com`, or the machine's own service.
    pub authority: Option<String>,
    /// What the token is for. Other clouds have another one.
    #[serde(default = "audience")]
    pub audience: String,
}

fn audience() -> String {
    "https://monitor.azure.com".into()
}

/// How.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntraKind {
    /// An application and its secret.
    ClientCredentials,
    /// The identity of the machine.
    ManagedIdentity,
}

/// Where tokens come from, and the one in use.
pub(super) struct Entra {
    source: Source,
    client: reqwest::Client,
    current: Mutex<Option<(Secret, Instant)>>,
}

enum Source {
    Application { url: Url, client_id: String, secret: std::sync::Arc<RotatingSecret>, scope: String },
    Machine { url: Url },
}

/// A token, and whether it was asked for just now.
pub(super) struct Token {
    pub(super) secret: Secret,
    pub(super) is_fresh: bool,
}

#[derive(Deserialize)]
struct Reply {
    access_token: String,
    /// Seconds: a number from the authority, text from machines.
    expires_in: serde_json::Value,
}

impl Entra {
    /// # Errors
    /// [`ExportError`]: a key is missing, or the secret cannot be read.
    pub(super) fn open(name: &str, config: &EntraConfig, client: reqwest::Client) -> Result<Self, ExportError> {
        let source = match config.kind {
            EntraKind::ClientCredentials => {
                let (Some(tenant), Some(client_id)) = (&config.tenant_id, &config.client_id) else {
                    return Err(ExportError::setting(name, "`client_credentials` needs `tenant_id` and `client_id`"));
                };
                let secret = config.client_secret.as_ref();
                let secret = either(name, "client_secret", secret, config.client_secret_env.as_ref())?;
                let authority = config.authority.as_deref().unwrap_or("https://login.microsoftonline.com");
                let mut url = address(name, authority)?;
                url.set_path(&format!("{tenant}/oauth2/v2.0/token"));
                Source::Application {
                    url,
                    client_id: client_id.clone(),
                    secret: RotatingSecret::open(name, &secret)?.into(),
                    scope: format!("{}/.default", config.audience),
                }
            }
            EntraKind::ManagedIdentity => {
                let mut url = address(name, config.authority.as_deref().unwrap_or(INSTANCE_METADATA))?;
                let mut query = url.query_pairs_mut();
                query.append_pair("api-version", "2018-02-01").append_pair("resource", &config.audience);
                if let Some(client_id) = &config.client_id {
                    query.append_pair("client_id", client_id);
                }
                drop(query);
                Source::Machine { url }
            }
        };
        Ok(Self { source, client, current: Mutex::default() })
    }

    /// The token of this moment.
    ///
    /// # Errors
    /// [`SendError::Refused`] when the authority does not know us, else [`SendError::Later`].
    pub(super) async fn token(&self) -> Result<Token, SendError> {
        let mut current = self.current.lock().await;
        if let Some((secret, until)) = &*current
            && *until > Instant::now()
        {
            return Ok(Token { secret: secret.clone(), is_fresh: false });
        }
        let request = match &self.source {
            Source::Machine { url } => self.client.get(url.clone()).header("Metadata", "true"),
            Source::Application { url, client_id, secret, scope } => {
                let secret = std::sync::Arc::clone(secret);
                let secret = offload(move || Ok(secret.load())).await?;
                let form = [
                    ("grant_type", "client_credentials"),
                    ("client_id", client_id),
                    ("client_secret", secret.expose()),
                    ("scope", scope),
                ];
                let mut body = Url::parse("http://form/").map_err(|error| SendError::later(error.to_string()))?;
                body.query_pairs_mut().extend_pairs(form);
                let request = self.client.post(url.clone());
                let body = body.query().unwrap_or_default().to_owned();
                request.header("Content-Type", "application/x-www-form-urlencoded").body(body)
            }
        };
        let answer = exchange(request).await?;
        match answer.status.as_u16() {
            200 => {}
            429 | 500.. => return Err(answer.failure()),
            status => {
                // The body repeats ids and may repeat more: only its code is told.
                #[derive(Deserialize, Default)]
                struct Failure {
                    #[serde(default)]
                    error: String,
                }
                let failure: Failure = answer.json().unwrap_or_default();
                return Err(SendError::Refused(format!("no token: HTTP {status} {}", failure.error)));
            }
        }
        let reply: Reply = serde_json::from_slice(&answer.body)
            .map_err(|_| SendError::later("the authority's answer holds no token"))?;
        let seconds = reply.expires_in.as_u64().or_else(|| reply.expires_in.as_str()?.parse().ok()).unwrap_or(0);
        let life = Duration::from_secs(seconds).saturating_sub(EXPIRY_MARGIN).max(LIFE_MIN);
        let secret = Secret::new(&reply.access_token);
        *current = Some((secret.clone(), Instant::now() + life));
        Ok(Token { secret, is_fresh: true })
    }

    /// The token was refused.
    pub(super) async fn forget(&self) {
        *self.current.lock().await = None;
    }
}
