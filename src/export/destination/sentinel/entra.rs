//! Tokens of Microsoft Entra: with the secret of an application, or as a managed identity of the machine.

use std::sync::Arc;

use reqwest::{RequestBuilder, Url};
use serde::Deserialize;

use super::super::SendError;
use super::super::http::{Answer, RotatingSecret, address, either, offload};
use super::super::oauth::{Token, TokenCache, form};
use crate::export::ExportError;
use crate::net::SecretSource;

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
    tokens: TokenCache,
}

enum Source {
    Application { url: Url, client_id: String, secret: Arc<RotatingSecret>, scope: String },
    Machine { url: Url },
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
        Ok(Self { source, client, tokens: TokenCache::default() })
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
            Source::Machine { url } => Ok(self.client.get(url.clone()).header("Metadata", "true")),
            Source::Application { url, client_id, secret, scope } => {
                let secret = Arc::clone(secret);
                let secret = offload(move || Ok(secret.load())).await?;
                let fields = [
                    ("grant_type", "client_credentials"),
                    ("client_id", client_id),
                    ("client_secret", secret.expose()),
                    ("scope", scope),
                ];
                form(&self.client, url, &fields)
            }
        }
    }
}
