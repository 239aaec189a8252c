//! The admin API of a running instance, for commands.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use reqwest::Url;
use serde_json::Value;

use crate::net::{BodyReadError, HttpClient, HttpClientError, Secret, SecretError, SecretSource, read_body};

/// Largest answer that is read, bytes: a full page of requests.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// The variable that holds the token.
const TOKEN_VARIABLE: &str = "COUNTERSIGN_ADMIN_TOKEN";

/// Where the API is, and who asks.
#[derive(Args, Clone, Debug)]
pub(super) struct Access {
    /// The admin API.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:4181", env = "COUNTERSIGN_ADMIN_URL")]
    admin: String,
    /// A file with your token; without it the variable COUNTERSIGN_ADMIN_TOKEN holds it.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// What can go wrong with a request to the admin API.
#[derive(Debug, thiserror::Error)]
pub(super) enum AdminError {
    #[error("`{0}` is not the address of an admin API")]
    Address(String),
    #[error("the answer of the admin API is not JSON")]
    Answer(#[source] serde_json::Error),
    #[error(transparent)]
    Client(#[from] HttpClientError),
    #[error("read the answer of the admin API")]
    Read(#[from] BodyReadError),
    #[error("{detail} (HTTP {status})")]
    Refused { status: u16, detail: String },
    #[error("start the runtime")]
    Runtime(#[source] std::io::Error),
    #[error("reach the admin API at `{address}`; is the instance running?")]
    Send {
        address: String,
        #[source]
        source: reqwest::Error,
    },
    #[error("{0}; set {TOKEN_VARIABLE}, or name a file with --token-file")]
    Token(SecretError),
}

/// A client of the admin API.
pub(super) struct AdminClient {
    base: Url,
    token: Secret,
    http: reqwest::Client,
    runtime: tokio::runtime::Runtime,
}

impl AdminClient {
    pub(super) fn new(access: &Access, timeout: Duration) -> Result<Self, AdminError> {
        let source = match &access.token_file {
            Some(path) => SecretSource::File(path.clone()),
            None => SecretSource::Env(TOKEN_VARIABLE.into()),
        };
        let token = source.load().map_err(AdminError::Token)?;
        let base = Url::parse(&access.admin).map_err(|_| AdminError::Address(access.admin.clone()))?;
        let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        let http = HttpClient { timeout_ms, ..HttpClient::default() }.build()?;
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(AdminError::Runtime)?;
        Ok(Self { base, token, http, runtime })
    }

    /// Gets `path`, or posts `body` to it.
    pub(super) fn send(&self, body: Option<&Value>, path: &str) -> Result<Value, AdminError> {
        let url = self.base.join(path).map_err(|_| AdminError::Address(path.to_owned()))?;
        let request = match body {
            Some(body) => self.http.post(url).json(body),
            None => self.http.get(url),
        };
        self.runtime.block_on(async {
            let sent = request.bearer_auth(self.token.expose()).send().await;
            let response = sent.map_err(|source| AdminError::Send { address: self.base.to_string(), source })?;
            let status = response.status();
            let bytes = read_body(response, ANSWER_BYTES_MAX).await?;
            let answer: Result<Value, _> = serde_json::from_slice(&bytes);
            if status.is_success() {
                return answer.map_err(AdminError::Answer);
            }
            let said = answer.ok().and_then(|answer| Some(answer.get("detail")?.as_str()?.to_owned()));
            let detail = said.unwrap_or_else(|| "the admin API refused".into());
            tracing::debug!(status = status.as_u16(), detail, "refused");
            Err(AdminError::Refused { status: status.as_u16(), detail })
        })
    }
}
