//! What all destinations that speak HTTP share: a client, secrets that are read again, answers sorted into classes.

use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, DATE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{RequestBuilder, StatusCode, Url};
use serde::Deserialize;

use super::SendError;
use crate::export::ExportError;
use crate::net::{HttpClient, Secret, SecretSource, read_body};

/// Longest answer that is read, bytes: one line for every event of the largest batch.
pub(super) const ANSWER_BYTES_MAX: usize = 4 << 20;

/// What of an answer is repeated in an error, bytes.
const PROBLEM_BYTES_MAX: usize = 400;

/// How long to wait when a receiver names a time by its own clock and does not say what that shows.
const RETRY_UNKNOWN: Duration = Duration::from_mins(1);

/// How bodies are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BodyCompression {
    /// gzip: a tenth of the bytes.
    #[default]
    Gzip,
    /// As they are.
    None,
}

impl BodyCompression {
    /// The body to send, and the value of `Content-Encoding`.
    pub(super) fn apply(self, body: Vec<u8>) -> Result<(Vec<u8>, Option<HeaderValue>), SendError> {
        match self {
            Self::None => Ok((body, None)),
            Self::Gzip => {
                // The fastest level: most of the gain, a third of the time.
                let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 6), Compression::fast());
                let written = encoder.write_all(&body).and_then(|()| encoder.finish());
                let body = written.map_err(|error| SendError::later(format!("compress the batch: {error}")))?;
                Ok((body, Some(HeaderValue::from_static("gzip"))))
            }
        }
    }
}

/// A request before it leaves: its body as it travels, and its headers.
pub(super) struct Outgoing {
    pub(super) headers: HeaderMap,
    body: Vec<u8>,
}

impl Outgoing {
    /// Compresses the body.
    ///
    /// # Errors
    /// [`SendError::Later`]: no memory for it.
    pub(super) fn new(
        content_type: &'static str,
        body: Vec<u8>,
        compression: BodyCompression,
    ) -> Result<Self, SendError> {
        let (body, encoding) = compression.apply(body)?;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.extend(encoding.map(|encoding| (CONTENT_ENCODING, encoding)));
        Ok(Self { headers, body })
    }

    /// The body as it travels.
    pub(super) fn body(&self) -> &[u8] {
        &self.body
    }

    /// Sends it and reads the answer.
    ///
    /// # Errors
    /// As [`exchange`].
    pub(super) async fn post(self, client: &reqwest::Client, url: Url) -> Result<Answer, SendError> {
        exchange(client.post(url).headers(self.headers).body(self.body)).await
    }
}

/// A secret that may change while we run: files are read again for every batch, so that rotating one needs no restart.
#[derive(Debug)]
pub(super) struct RotatingSecret {
    source: SecretSource,
    last: Mutex<Secret>,
}

impl RotatingSecret {
    /// Reads it for the first time.
    ///
    /// # Errors
    /// [`ExportError::Secret`].
    pub(super) fn open(name: &str, source: &SecretSource) -> Result<Self, ExportError> {
        let secret =
            source.load().map_err(|source| ExportError::Secret { name: name.to_owned(), source: Box::new(source) })?;
        Ok(Self { source: source.clone(), last: Mutex::new(secret) })
    }

    /// The secret of this moment. While its file cannot be read the last one is used: it may be in the middle of being
    /// replaced. Reads the disk.
    pub(super) fn load(&self) -> Secret {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match self.source.load() {
            Ok(secret) => *last = secret,
            Err(error) => tracing::warn!(%error, "a secret cannot be read again; the last one is used"),
        }
        last.clone()
    }
}

/// The secret under one of two keys: `token: {file: ...}`, or `token_env: NAME` as the AARM telemetry page has it.
///
/// # Errors
/// [`ExportError::Setting`] when neither is there, or both are.
pub(super) fn either(
    name: &str,
    key: &str,
    source: Option<&SecretSource>,
    environment: Option<&String>,
) -> Result<SecretSource, ExportError> {
    match (source, environment) {
        (Some(source), None) => Ok(source.clone()),
        (None, Some(variable)) => Ok(SecretSource::Env(variable.clone())),
        _ => Err(ExportError::setting(name, format!("name one secret: `{key}_env`, or `{key}` with `env` or `file`"))),
    }
}

/// A value of `Authorization` that is never printed.
pub(super) fn authorization(scheme: &str, secret: &str) -> Result<HeaderValue, SendError> {
    let mut value = HeaderValue::from_str(&format!("{scheme} {secret}"))
        .map_err(|_| SendError::Refused("the credential cannot be sent as a header".into()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Reads an address.
///
/// # Errors
/// [`ExportError::Setting`]: it is none, or holds credentials.
pub(super) fn address(name: &str, text: &str) -> Result<Url, ExportError> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let url = url.ok_or_else(|| ExportError::setting(name, "`url` is not an http or https address"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(ExportError::setting(name, "`url` holds credentials: name them by variable or file"));
    }
    Ok(url)
}

/// `url` with `path` in place of its own when that is empty, or behind it.
pub(super) fn below(url: &Url, path: &str) -> Url {
    let mut url = url.clone();
    let joined = format!("{}/{path}", url.path().trim_end_matches('/'));
    url.set_path(&joined);
    url
}

/// Makes the client of a destination.
///
/// # Errors
/// [`ExportError::Client`].
pub(super) fn client(name: &str, settings: &HttpClient) -> Result<reqwest::Client, ExportError> {
    settings.build().map_err(|source| ExportError::Client { name: name.to_owned(), source: Box::new(source) })
}

/// Runs what takes long or reads files on a thread that may block.
pub(super) async fn offload<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SendError> + Send + 'static,
) -> Result<T, SendError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(SendError::later(error.to_string())))
}

/// What a receiver answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// Sends a request and reads the answer.
///
/// # Errors
/// [`SendError::Later`]: no answer, in whatever way.
pub(super) async fn exchange(request: RequestBuilder) -> Result<Answer, SendError> {
    exchange_within(request, ANSWER_BYTES_MAX).await
}

/// As [`exchange`], with an answer of at most this many bytes.
///
/// # Errors
/// As [`exchange`].
pub(super) async fn exchange_within(request: RequestBuilder, bytes_max: usize) -> Result<Answer, SendError> {
    // The address may hold a secret (collectors with unique URLs): it is not repeated.
    let told = |error: reqwest::Error| SendError::later(crate::model::with_causes(&error.without_url()));
    let response = request.send().await.map_err(told)?;
    let (status, headers) = (response.status(), response.headers().clone());
    let body = read_body(response, bytes_max).await;
    let body = body.map_err(|error| SendError::later(format!("HTTP {status}: {error}")))?;
    Ok(Answer { status, headers, body })
}

impl Answer {
    /// What the receiver asks for, in seconds or by its own clock (RFC 9110 §10.2.3).
    pub(super) fn retry_after(&self) -> Option<Duration> {
        let text = self.headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
        if let Ok(seconds) = text.parse() {
            return Some(Duration::from_secs(seconds));
        }
        let until = httpdate::parse_http_date(text).ok()?;
        let date = self.headers.get(DATE).and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
        Some(date.map_or(RETRY_UNKNOWN, |date| until.duration_since(date).unwrap_or_default()))
    }

    /// The answer in one line.
    pub(super) fn problem(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        let short: String =
            text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(PROBLEM_BYTES_MAX).collect();
        format!("HTTP {}: {short}", self.status.as_u16())
    }

    /// The class that an answer other than a success belongs to, for receivers that use status codes as they are meant.
    pub(super) fn failure(&self) -> SendError {
        let problem = self.problem();
        match self.status.as_u16() {
            400 | 422 => SendError::Rejected { problem, position: None },
            413 => SendError::TooLarge(problem),
            408 | 409 | 425 | 429 | 500.. => SendError::Later { problem, retry_after: self.retry_after() },
            // A redirect is not followed: it would carry a credential elsewhere.
            _ => SendError::Refused(problem),
        }
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// [`SendError::Later`]: a proxy in between, or a receiver in trouble.
    pub(super) fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T, SendError> {
        serde_json::from_slice(&self.body)
            .map_err(|_| SendError::later(format!("not the expected JSON: {}", self.problem())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&str, &str)]) -> Answer {
        let headers = headers.iter().map(|(name, value)| {
            (name.parse::<reqwest::header::HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap())
        });
        Answer { status: StatusCode::from_u16(status).unwrap(), headers: headers.collect(), body: Vec::new() }
    }

    #[test]
    fn the_receiver_says_when_to_come_back() {
        assert_eq!(answer(429, &[("retry-after", "7")]).retry_after(), Some(Duration::from_secs(7)));
        let later = ("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT");
        let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(answer(503, &[later, date]).retry_after(), Some(Duration::from_secs(30)));
        assert_eq!(answer(503, &[later]).retry_after(), Some(RETRY_UNKNOWN));
        assert_eq!(answer(503, &[date]).retry_after(), None);
    }

    #[test]
    fn answers_belong_to_classes() {
        for (status, class) in
            [(400, "rejected"), (413, "large"), (429, "later"), (502, "later"), (401, "refused"), (302, "refused")]
        {
            let found = match answer(status, &[]).failure() {
                SendError::Later { .. } => "later",
                SendError::Refused(_) => "refused",
                SendError::Rejected { .. } => "rejected",
                SendError::TooLarge(_) => "large",
            };
            assert_eq!(found, class, "{status}");
        }
    }
}
