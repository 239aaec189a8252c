//! Keys that the place we run in gives: the container's service, or the metadata service of a machine (IMDSv2).

use std::net::IpAddr;

use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use serde::Deserialize;

use super::super::SendError;
use super::super::http::{Answer, exchange, offload};
use super::source::{AwsCredentials, Keys, Variables, service_address};
use crate::export::ExportError;
use crate::model::Timestamp;
use crate::net::{Secret, SecretSource};

/// The metadata service of machines (link-local by definition).
const MACHINE: &str = "http://169.254.169.254";

/// The service of ECS tasks, for addresses that are only a path.
const TASK: &str = "http://169.254.170.2";

/// Hosts that may be asked without TLS: tasks of ECS, pods of EKS. Loopback beside them.
const WITHOUT_TLS: [&str; 3] = ["169.254.170.2", "169.254.170.23", "fd00:ec2::23"];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RoleKeys {
    access_key_id: String,
    secret_access_key: String,
    token: String,
    expiration: Option<String>,
}

/// Keys of an answer that is one JSON object.
fn read(answer: &Answer, whose: &str) -> Result<Keys, SendError> {
    if !answer.status.is_success() {
        // The body may be anything: it is not told.
        let problem = format!("the {whose} gives no keys: HTTP {}", answer.status.as_u16());
        return Err(match answer.status.as_u16() {
            429 | 500.. => SendError::later(problem),
            _ => SendError::Refused(problem),
        });
    }
    let found: RoleKeys = serde_json::from_slice(&answer.body)
        .map_err(|_| SendError::later(format!("the {whose} has no keys for us now")))?;
    Ok(Keys {
        access_key_id: found.access_key_id,
        secret_access_key: Secret::new(&found.secret_access_key),
        session_token: Some(Secret::new(&found.token)),
        expires: found.expiration.as_deref().and_then(Timestamp::parse),
    })
}

/// The service of a container.
pub(super) struct Container {
    url: Url,
    token: Option<SecretSource>,
    client: reqwest::Client,
}

impl Container {
    /// The one that is configured, else that of `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` or `_FULL_URI`.
    ///
    /// # Errors
    /// [`ExportError::Setting`]: an address that keys must not come from.
    pub(super) fn find(
        name: &str,
        config: &AwsCredentials,
        variables: Variables<'_>,
        client: reqwest::Client,
    ) -> Result<Option<Self>, ExportError> {
        let task = || variables("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI").map(|path| format!("{TASK}{path}"));
        let full = || variables("AWS_CONTAINER_CREDENTIALS_FULL_URI");
        let Some(url) = config.container_url.clone().or_else(task).or_else(full) else { return Ok(None) };
        let url = service_address(name, &url)?;
        let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
        let is_loopback = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        if url.scheme() != "https" && !is_loopback && !WITHOUT_TLS.contains(&host.as_str()) {
            let problem = format!("keys of AWS may come from `{host}` only over https");
            return Err(ExportError::setting(name, problem));
        }
        let file = variables("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE").map(|path| SecretSource::File(path.into()));
        let token = file.or_else(|| {
            let name = "AWS_CONTAINER_AUTHORIZATION_TOKEN";
            variables(name).map(|_| SecretSource::Env(name.into()))
        });
        Ok(Some(Self { url, token, client }))
    }

    /// # Errors
    /// [`SendError`]: there are none now.
    pub(super) async fn keys(&self) -> Result<Keys, SendError> {
        let mut request = self.client.get(self.url.clone());
        if let Some(token) = self.token.clone() {
            let token = offload(move || token.load().map_err(|error| SendError::later(error.to_string()))).await?;
            let mut value = HeaderValue::from_str(token.expose())
                .map_err(|_| SendError::Refused("the container's token cannot be sent as a header".into()))?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        read(&exchange(request).await?, "container's service")
    }
}

/// The metadata service of a machine.
pub(super) struct Instance {
    base: Url,
    client: reqwest::Client,
}

impl Instance {
    /// # Errors
    /// [`ExportError::Setting`]: the address is none.
    pub(super) fn open(name: &str, config: &AwsCredentials, client: reqwest::Client) -> Result<Self, ExportError> {
        let base = service_address(name, config.metadata_url.as_deref().unwrap_or(MACHINE))?;
        Ok(Self { base, client })
    }

    /// # Errors
    /// [`SendError::Refused`] when the machine has no role, else [`SendError::Later`].
    pub(super) async fn keys(&self) -> Result<Keys, SendError> {
        let at = |path: &str| format!("{}/latest/{path}", self.base.as_str().trim_end_matches('/'));
        let token = self.client.put(at("api/token")).header("X-aws-ec2-metadata-token-ttl-seconds", "300");
        let token = exchange(token).await?;
        if !token.status.is_success() {
            return Err(SendError::Refused(format!("the machine gives no token: HTTP {}", token.status.as_u16())));
        }
        let token = String::from_utf8_lossy(&token.body).into_owned();
        let ask = |path: &str| {
            let url = at(&format!("meta-data/iam/security-credentials/{path}"));
            exchange(self.client.get(url).header("X-aws-ec2-metadata-token", &token))
        };
        let names = ask("").await?;
        let name = String::from_utf8_lossy(&names.body).lines().next().unwrap_or_default().trim().to_owned();
        if !names.status.is_success() || name.is_empty() {
            return Err(SendError::Refused("the machine has no role".into()));
        }
        read(&ask(&name).await?, "machine's role")
    }
}
