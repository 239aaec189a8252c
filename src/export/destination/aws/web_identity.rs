//! Keys of a role for a token of another identity: STS, AssumeRoleWithWebIdentity.

use reqwest::Url;

use super::super::SendError;
use super::super::http::{Answer, exchange, offload};
use super::super::oauth::form;
use super::source::{AwsWebIdentity, Keys, service_address};
use crate::export::ExportError;
use crate::model::Timestamp;
use crate::net::{Secret, SecretSource};

/// A role, and the file of the token that opens it.
pub(super) struct WebIdentity {
    url: Url,
    role_arn: String,
    session_name: String,
    token: SecretSource,
    client: reqwest::Client,
}

impl WebIdentity {
    /// # Errors
    /// [`ExportError`]: the token's file cannot be read, or the address is none.
    pub(super) fn open(
        name: &str,
        config: &AwsWebIdentity,
        region: &str,
        client: reqwest::Client,
    ) -> Result<Self, ExportError> {
        let url = config.sts_url.clone().unwrap_or_else(|| format!("https://sts.{region}.amazonaws.com"));
        let token = SecretSource::File(config.token_file.clone());
        token.load().map_err(|source| ExportError::Secret { name: name.into(), source: Box::new(source) })?;
        Ok(Self {
            url: service_address(name, &url)?,
            role_arn: config.role_arn.clone(),
            session_name: config.session_name.clone().unwrap_or_else(|| "countersign".into()),
            token,
            client,
        })
    }

    /// # Errors
    /// [`SendError::Refused`] when the role is not ours, else [`SendError::Later`].
    pub(super) async fn keys(&self) -> Result<Keys, SendError> {
        let token = self.token.clone();
        let token = offload(move || token.load().map_err(|error| SendError::later(error.to_string()))).await?;
        let fields = [
            ("Action", "AssumeRoleWithWebIdentity"),
            ("Version", "2011-06-15"),
            ("RoleArn", &self.role_arn),
            ("RoleSessionName", &self.session_name),
            ("WebIdentityToken", token.expose()),
        ];
        let answer = exchange(form(&self.client, &self.url, &fields)?).await?;
        if !answer.status.is_success() {
            return Err(failure(&answer));
        }
        let text = String::from_utf8_lossy(&answer.body);
        let part = |name| element(&text, name).ok_or_else(|| SendError::later("the answer of STS holds no keys"));
        Ok(Keys {
            access_key_id: part("AccessKeyId")?.to_owned(),
            secret_access_key: Secret::new(part("SecretAccessKey")?),
            session_token: Some(Secret::new(part("SessionToken")?)),
            expires: Timestamp::parse(part("Expiration")?),
        })
    }
}

/// Of a failure only the code is told: the rest may repeat what was sent.
fn failure(answer: &Answer) -> SendError {
    let text = String::from_utf8_lossy(&answer.body);
    let problem =
        format!("no keys from STS: HTTP {} {}", answer.status.as_u16(), element(&text, "Code").unwrap_or("?"));
    match answer.status.as_u16() {
        // A token that ended is about to be replaced in its file.
        400 if problem.contains("ExpiredToken") || problem.contains("IDPCommunicationError") => {
            SendError::later(problem)
        }
        429 | 500.. => SendError::Later { problem, retry_after: answer.retry_after() },
        _ => SendError::Refused(problem),
    }
}

/// The text of an element without attributes. Keys and codes hold nothing that XML would escape.
fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    rest.split_once("</").map(|(inside, _)| inside.trim())
}
