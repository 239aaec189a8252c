//! Who we are to AWS: keys from variables or files, or the role of the machine.

use std::time::Duration;

use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::super::SendError;
use super::super::http::{exchange, offload};
use crate::export::ExportError;
use crate::net::{Secret, SecretSource};

/// The metadata service of machines (link-local by definition).
const INSTANCE_METADATA: &str = "http://169.254.169.254";

/// How long keys of a role are used before they are asked for again: they live for hours, and are renewed long before.
const ROLE_LIFE: Duration = Duration::from_mins(15);

/// Where keys come from. With nothing said: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct S3Credentials {
    /// The key's id.
    pub access_key_id: Option<SecretSource>,
    /// The key.
    pub secret_access_key: Option<SecretSource>,
    /// The token that belongs to keys for a short time.
    pub session_token: Option<SecretSource>,
    /// Use the role of the machine instead (IMDSv2).
    pub instance_role: bool,
    /// Another address of the machine's metadata service.
    pub metadata_url: Option<String>,
}

/// Keys of this moment.
#[derive(Clone, Debug)]
pub(in super::super) struct Keys {
    pub(in super::super) access_key_id: String,
    pub(in super::super) secret_access_key: Secret,
    pub(in super::super) session_token: Option<Secret>,
}

pub(in super::super) struct Credentials {
    source: S3Credentials,
    client: reqwest::Client,
    role: Mutex<Option<(Keys, Instant)>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RoleKeys {
    access_key_id: String,
    secret_access_key: String,
    token: String,
}

impl Credentials {
    /// # Errors
    /// [`ExportError`]: a secret cannot be read, or half of a pair is missing.
    pub(in super::super) fn open(
        name: &str,
        config: &S3Credentials,
        client: reqwest::Client,
    ) -> Result<Self, ExportError> {
        let mut source = config.clone();
        if !source.instance_role {
            if source.access_key_id.is_some() != source.secret_access_key.is_some() {
                return Err(ExportError::setting(name, "`access_key_id` and `secret_access_key` belong together"));
            }
            if source.access_key_id.is_none() {
                let variable = |name: &str| Some(SecretSource::Env(name.into()));
                source.access_key_id = variable("AWS_ACCESS_KEY_ID");
                source.secret_access_key = variable("AWS_SECRET_ACCESS_KEY");
                source.session_token = variable("AWS_SESSION_TOKEN").filter(|token| token.load().is_ok());
            }
            for secret in
                [&source.access_key_id, &source.secret_access_key, &source.session_token].into_iter().flatten()
            {
                secret.load().map_err(|source| ExportError::Secret { name: name.into(), source: Box::new(source) })?;
            }
        }
        Ok(Self { source, client, role: Mutex::default() })
    }

    /// The keys of this moment; files are read again every time.
    ///
    /// # Errors
    /// [`SendError`]: there are none now.
    pub(in super::super) async fn load(&self) -> Result<Keys, SendError> {
        if self.source.instance_role {
            return self.role().await;
        }
        let source = self.source.clone();
        offload(move || {
            let load = |secret: &Option<SecretSource>| {
                let secret = secret.as_ref().map(SecretSource::load).transpose();
                secret.map_err(|error| SendError::later(error.to_string()))
            };
            let missing = || SendError::Refused("no credentials".into());
            Ok(Keys {
                access_key_id: load(&source.access_key_id)?.ok_or_else(missing)?.expose().to_owned(),
                secret_access_key: load(&source.secret_access_key)?.ok_or_else(missing)?,
                session_token: load(&source.session_token)?,
            })
        })
        .await
    }

    /// Something was refused: ask the machine again.
    pub(in super::super) async fn forget(&self) {
        *self.role.lock().await = None;
    }

    async fn role(&self) -> Result<Keys, SendError> {
        let mut role = self.role.lock().await;
        if let Some((keys, until)) = &*role
            && *until > Instant::now()
        {
            return Ok(keys.clone());
        }
        let base = self.source.metadata_url.as_deref().unwrap_or(INSTANCE_METADATA).trim_end_matches('/');
        let token = self.client.put(format!("{base}/latest/api/token"));
        let token = exchange(token.header("X-aws-ec2-metadata-token-ttl-seconds", "300")).await?;
        let token = String::from_utf8_lossy(&token.body).into_owned();
        let ask = |path: &str| {
            let url = format!("{base}/latest/meta-data/iam/security-credentials/{path}");
            exchange(self.client.get(url).header("X-aws-ec2-metadata-token", &token))
        };
        let names = ask("").await?;
        if !names.status.is_success() {
            return Err(SendError::Refused("the machine has no role".into()));
        }
        let name = String::from_utf8_lossy(&names.body).lines().next().unwrap_or_default().trim().to_owned();
        let found: RoleKeys = serde_json::from_slice(&ask(&name).await?.body)
            .map_err(|_| SendError::later("the machine's role has no keys now"))?;
        let keys = Keys {
            access_key_id: found.access_key_id,
            secret_access_key: Secret::new(&found.secret_access_key),
            session_token: Some(Secret::new(&found.token)),
        };
        *role = Some((keys.clone(), Instant::now() + ROLE_LIFE));
        Ok(keys)
    }
}
