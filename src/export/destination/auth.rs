//! How requests say who we are: `auth: {type: bearer, token_env: NAME}` and the like, the same for all destinations that
//! speak HTTP and leave the choice.

use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use serde::Deserialize;

use super::SendError;
use super::http::{RotatingSecret, authorization, either};
use super::signature::{Scheme, base64, sign};
use crate::export::ExportError;
use crate::net::SecretSource;

/// `auth: {type: bearer, token_env: NAME}` and the like.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthConfig {
    /// How.
    #[serde(rename = "type")]
    pub kind: AuthKind,
    /// The variable that holds the token, password or key.
    pub token_env: Option<String>,
    /// Where the token, password or key is; a file is read again for every request.
    pub token: Option<SecretSource>,
    /// `hmac`, `ed25519`: the key before the last rotation. Requests carry a signature by each.
    pub previous: Option<SecretSource>,
    /// `basic`: the user.
    pub username: Option<String>,
}

/// How we say who we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthKind {
    /// Elastic's API key, encoded as the cluster gives it.
    ApiKey,
    /// User and password.
    Basic,
    /// A token.
    Bearer,
    /// Standard Webhooks, `v1a`: Ed25519, key `whsk_...` or the base64 of 32 or 64 bytes.
    Ed25519,
    /// Standard Webhooks, `v1`: HMAC-SHA256, key `whsec_...` or any text.
    Hmac,
}

impl AuthKind {
    /// The scheme of a signature, where requests are signed.
    const fn signature(self) -> Option<Scheme> {
        match self {
            Self::Ed25519 => Some(Scheme::Ed25519),
            Self::Hmac => Some(Scheme::Hmac),
            Self::ApiKey | Self::Basic | Self::Bearer => None,
        }
    }
}

/// What is signed.
pub(super) struct Signed<'a> {
    pub(super) id: &'a str,
    /// Seconds since 1970.
    pub(super) timestamp: u64,
    pub(super) body: &'a [u8],
}

pub(super) type Headers = Vec<(HeaderName, HeaderValue)>;

/// A credential in use.
pub(super) struct Auth {
    kind: AuthKind,
    username: String,
    secrets: Vec<RotatingSecret>,
}

impl Auth {
    /// Reads the credential for the first time.
    ///
    /// # Errors
    /// [`ExportError::Setting`] and [`ExportError::Secret`]: a key is missing, too many, or cannot be used.
    pub(super) fn open(name: &str, config: &AuthConfig) -> Result<Self, ExportError> {
        let first = either(name, "token", config.token.as_ref(), config.token_env.as_ref())?;
        if config.username.is_some() != (config.kind == AuthKind::Basic) {
            return Err(ExportError::setting(name, "`username` belongs to `type: basic`, which needs it"));
        }
        if config.previous.is_some() && config.kind.signature().is_none() {
            return Err(ExportError::setting(name, "`previous` belongs to `type: hmac` and `type: ed25519`"));
        }
        let secrets = [Some(&first), config.previous.as_ref()].into_iter().flatten();
        let secrets = secrets.map(|source| RotatingSecret::open(name, source)).collect::<Result<_, _>>()?;
        let auth = Self { kind: config.kind, username: config.username.clone().unwrap_or_default(), secrets };
        // A key that cannot sign is found at the start, not with the first event.
        let trial = auth.headers(&Signed { id: "check", timestamp: 0, body: b"" });
        trial.map_err(|error| ExportError::setting(name, error.to_string()))?;
        Ok(auth)
    }

    /// As [`Self::open`], for receivers that check no signatures.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub(super) fn open_unsigned(name: &str, config: &AuthConfig) -> Result<Self, ExportError> {
        if config.kind.signature().is_some() {
            return Err(ExportError::setting(name, "`auth` is one of `api_key`, `basic`, `bearer`"));
        }
        Self::open(name, config)
    }

    /// The headers of one request. Reads files: not on the threads that move bytes.
    ///
    /// # Errors
    /// [`SendError::Refused`]: the secret of this moment is not one.
    pub(super) fn headers(&self, request: &Signed<'_>) -> Result<Headers, SendError> {
        let secrets: Vec<_> = self.secrets.iter().map(RotatingSecret::load).collect();
        let Some(first) = secrets.first() else { return Ok(Vec::new()) };
        let Some(scheme) = self.kind.signature() else { return Ok(vec![(AUTHORIZATION, self.value(first.expose())?)]) };
        let mut signed = format!("{}.{}.", request.id, request.timestamp).into_bytes();
        signed.extend_from_slice(request.body);
        let signatures = secrets.iter().map(|secret| sign(scheme, secret, &signed));
        let signatures = signatures.collect::<Result<Vec<_>, _>>().map_err(SendError::Refused)?;
        let header = |name, text: &str| {
            let value = HeaderValue::from_str(text).map_err(|error| SendError::Refused(error.to_string()))?;
            Ok((HeaderName::from_static(name), value))
        };
        Ok(vec![
            header("webhook-id", request.id)?,
            header("webhook-timestamp", &request.timestamp.to_string())?,
            header("webhook-signature", &signatures.join(" "))?,
        ])
    }

    /// The value of `Authorization`.
    fn value(&self, secret: &str) -> Result<HeaderValue, SendError> {
        match self.kind {
            AuthKind::ApiKey => authorization("ApiKey", secret),
            AuthKind::Basic => authorization("Basic", &base64(format!("{}:{secret}", self.username).as_bytes())),
            _ => authorization("Bearer", secret),
        }
    }
}
