//! One server that agents reach through the proxy.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri};
use serde::Deserialize;

use super::ConfigError;
use crate::context::ToolLabels;
use crate::forward::{StdioSettings, StdioUpstream, Upstream};
use crate::intercept::PathTemplate;
use crate::model::{Clock, Enforcement};
use crate::net::{ClientTls, SecretSource};

/// What a command inherits without being told: what programs need to find themselves and speak the user's language.
const INHERITED: &[&str] = &["HOME", "LANG", "LC_ALL", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER"];

/// Processes of one stdio server at once: each is a whole runtime with its memory.
const PROCESSES_MAX: usize = 64;

/// A process that nobody has used for this long is ended; the client's next call starts another.
const PROCESS_IDLE: Duration = Duration::from_secs(3_600);

/// The longest line a stdio server may write: the largest answers that clients read.
const LINE_BYTES_MAX: usize = 16 << 20;

/// One entry under `servers:`. Exactly one of `url`, `command` and `http` says what it is.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerConfig {
    /// An MCP server over HTTP: its endpoint.
    pub url: Option<String>,
    /// An MCP server over standard input and output: the command to run.
    pub command: Option<Vec<String>>,
    /// A plain HTTP tool: the base that paths are appended to.
    pub http: Option<String>,
    /// Path templates of an HTTP tool: `GET /users/{id}`.
    pub operations: Vec<String>,
    /// Credentials that this proxy shows the server. The client's never travel.
    pub credentials: Vec<CredentialHeader>,
    /// TLS towards the server.
    pub tls: ClientTls,
    /// Environment of a command; nothing else is inherited but what every program needs.
    pub environment: BTreeMap<String, String>,
    /// Names of environment variables that are passed to a command.
    pub pass_environment: Vec<String>,
    /// Working directory of a command.
    pub working_directory: Option<PathBuf>,
    /// Seconds until the head of an answer must be there.
    pub timeout_s: u64,
    /// Calls at once.
    pub concurrency_max: usize,
    /// Whether decisions about this server are carried out; the global mode by default.
    pub mode: Option<Enforcement>,
    /// What is known about what its tools return, by name; `*` in a name stands for any run of characters.
    pub tools: BTreeMap<String, ToolLabels>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            url: None,
            command: None,
            http: None,
            operations: Vec::new(),
            credentials: Vec::new(),
            tls: ClientTls::default(),
            environment: BTreeMap::new(),
            pass_environment: Vec::new(),
            working_directory: None,
            timeout_s: 300,
            concurrency_max: 512,
            mode: None,
            tools: BTreeMap::new(),
        }
    }
}

/// One credential header.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CredentialHeader {
    /// The header's name: `Authorization`, `X-Api-Key`.
    pub header: String,
    /// What stands before the secret: `Bearer `.
    #[serde(default)]
    pub prefix: String,
    /// Where the secret is.
    pub secret: SecretSource,
}

/// What a server is, checked.
#[derive(Clone, Debug)]
pub(super) enum ServerKind {
    McpHttp(Uri),
    Command(Vec<String>),
    Http(Uri, Vec<PathTemplate>),
}

impl ServerConfig {
    /// Checks what can be checked without touching the world.
    pub(super) fn kind(&self, alias: &str) -> Result<ServerKind, ConfigError> {
        let wrong = |what: String| Err(ConfigError::Value { key: format!("servers.{alias}"), problem: what });
        let plain = alias.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        if alias.is_empty() || alias.len() > 64 || !plain {
            return wrong("an alias is 1 to 64 letters, digits, `-` or `_`: it stands in URLs and policies".into());
        }
        if self.timeout_s == 0 || self.concurrency_max == 0 {
            return wrong("`timeout_s` and `concurrency_max` must be at least 1".into());
        }
        match (&self.url, &self.command, &self.http) {
            (Some(url), None, None) => Ok(ServerKind::McpHttp(endpoint(alias, "url", url)?)),
            (None, Some(command), None) if !command.is_empty() => Ok(ServerKind::Command(command.clone())),
            (None, None, Some(base)) => {
                let templates = self.operations.iter().map(|text| PathTemplate::parse(text));
                let templates = templates
                    .collect::<Result<Vec<_>, _>>()
                    .map_err(|problem| ConfigError::Value { key: format!("servers.{alias}.operations"), problem })?;
                Ok(ServerKind::Http(endpoint(alias, "http", base)?, templates))
            }
            _ => wrong(
                "give exactly one of `url` (MCP over HTTP), `command` (MCP over stdio) or `http` (a plain HTTP tool)"
                    .into(),
            ),
        }
    }

    /// The credential headers with their secrets.
    pub(super) fn credential_headers(&self, alias: &str) -> Result<Vec<(HeaderName, HeaderValue)>, ConfigError> {
        let wrong = |problem: String| ConfigError::Value { key: format!("servers.{alias}.credentials"), problem };
        let read = |credential: &CredentialHeader| {
            let name: HeaderName = credential
                .header
                .parse()
                .map_err(|_| wrong(format!("`{}` is not a header name", credential.header)))?;
            let secret = credential.secret.load().map_err(|error| wrong(crate::model::with_causes(&error)))?;
            let mut value = HeaderValue::from_str(&format!("{}{}", credential.prefix, secret.expose()))
                .map_err(|_| wrong(format!("the secret for `{}` cannot stand in a header", credential.header)))?;
            value.set_sensitive(true);
            Ok((name, value))
        };
        self.credentials.iter().map(read).collect()
    }

    /// The stdio server that `command` runs.
    pub(super) fn stdio(&self, server: &Arc<str>, command: &[String], clock: Arc<dyn Clock>) -> Arc<dyn Upstream> {
        let passed = INHERITED.iter().copied().chain(self.pass_environment.iter().map(String::as_str));
        let mut environment: BTreeMap<String, String> =
            passed.filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?))).collect();
        environment.extend(self.environment.clone());
        let settings = StdioSettings {
            server: Arc::clone(server),
            command: command.to_vec(),
            environment: environment.into_iter().collect(),
            working_directory: self.working_directory.clone(),
            timeout: self.timeout(),
            concurrency_max: self.concurrency_max,
            processes_max: PROCESSES_MAX,
            idle: PROCESS_IDLE,
            line_bytes_max: LINE_BYTES_MAX,
        };
        Arc::new(StdioUpstream::new(settings, clock))
    }

    /// The time-out as a duration.
    pub(super) const fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_s)
    }

    /// The TLS configuration towards an `https` server.
    pub(super) fn client_tls(&self, alias: &str, url: &Uri) -> Result<Option<Arc<rustls::ClientConfig>>, ConfigError> {
        if url.scheme_str() != Some("https") {
            return Ok(None);
        }
        let built = self.tls.build().map_err(|error| ConfigError::Value {
            key: format!("servers.{alias}.tls"),
            problem: crate::model::with_causes(&error),
        })?;
        Ok(Some(Arc::new(built)))
    }
}

fn endpoint(alias: &str, key: &str, text: &str) -> Result<Uri, ConfigError> {
    let wrong = || ConfigError::Value {
        key: format!("servers.{alias}.{key}"),
        problem: format!("`{text}` is not a URL with http or https and a host"),
    };
    let url: Uri = text.parse().map_err(|_| wrong())?;
    let known = matches!(url.scheme_str(), Some("http" | "https"));
    if known && url.host().is_some_and(|host| !host.is_empty()) { Ok(url) } else { Err(wrong()) }
}
