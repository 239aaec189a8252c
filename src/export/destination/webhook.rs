//! Any HTTP endpoint: JSON arrays of events, or one event a request; bearer, basic, HMAC or Ed25519.
//!
//! Signatures follow Standard Webhooks: `webhook-id` is the key under which a receiver drops repeats.

use std::path::Path;
use std::sync::Arc;

use reqwest::Url;
use reqwest::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue};
use serde::Deserialize;

use super::http::{BodyCompression, RotatingSecret, address, authorization, client, either, exchange, offload};
use super::signature::{Scheme, sign};
use super::{Batch, Common, Delivery, Destination, Limits, SendError, Sending, Settings};
use crate::export::{DeliveryConfig, ExportError, SchemaSettings};
use crate::model::{Clock, Digest};
use crate::net::{HttpClient, SecretSource, SystemClock};

/// Any HTTP endpoint.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// The destination's name; its type by default.
    pub name: Option<String>,
    /// The endpoint.
    pub url: String,
    /// How we say who we are.
    pub auth: Option<WebhookAuth>,
    /// What a request holds.
    #[serde(default)]
    pub format: WebhookFormat,
    /// How bodies are compressed. Not every endpoint reads gzip.
    #[serde(default = "uncompressed")]
    pub compression: BodyCompression,
    /// The connection.
    #[serde(default)]
    pub http: HttpClient,
    /// The schema; that of `telemetry` by default.
    pub schema: Option<SchemaSettings>,
    /// How events are delivered.
    #[serde(default)]
    pub delivery: DeliveryConfig,
}

const fn uncompressed() -> BodyCompression {
    BodyCompression::None
}

/// What a request holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WebhookFormat {
    /// A JSON array of events.
    #[default]
    Array,
    /// One event a line.
    Ndjson,
    /// One event: its id is the request's id.
    Single,
}

/// `auth: {type: bearer, token_env: NAME}` and the like.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookAuth {
    /// How.
    #[serde(rename = "type")]
    pub kind: AuthKind,
    /// The variable that holds the token, password or key.
    pub token_env: Option<String>,
    /// Where the token, password or key is; a file is read again for every request.
    pub token: Option<SecretSource>,
    /// The key before the last rotation: requests carry a signature by each.
    pub previous: Option<SecretSource>,
    /// `basic`: the user.
    pub username: Option<String>,
}

/// How we say who we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthKind {
    /// User and password.
    Basic,
    /// A token.
    Bearer,
    /// Standard Webhooks, `v1a`: Ed25519, key `whsk_...` or the base64 of 32 or 64 bytes.
    Ed25519,
    /// Standard Webhooks, `v1`: HMAC-SHA256, key `whsec_...` or any text.
    Hmac,
}

impl Settings for WebhookConfig {
    fn kind(&self) -> &'static str {
        "webhook"
    }

    fn common(&self) -> Common<'_> {
        Common { name: self.name.as_deref(), schema: self.schema.as_ref(), delivery: &self.delivery }
    }

    fn build(&self, name: &str, _data_dir: &Path) -> Result<Box<dyn Destination>, ExportError> {
        Ok(Box::new(Webhook {
            name: name.into(),
            url: address(name, &self.url)?,
            auth: self.auth.as_ref().map(|auth| Auth::open(name, auth)).transpose()?.map(Arc::new),
            format: self.format,
            compression: self.compression,
            client: client(name, &self.http)?,
            clock: Arc::new(SystemClock::new()),
        }))
    }
}

struct Webhook {
    name: String,
    url: Url,
    auth: Option<Arc<Auth>>,
    format: WebhookFormat,
    compression: BodyCompression,
    client: reqwest::Client,
    clock: Arc<dyn Clock>,
}

struct Auth {
    kind: AuthKind,
    username: String,
    secrets: Vec<RotatingSecret>,
}

/// What is signed.
struct Request<'a> {
    id: &'a str,
    timestamp: u64,
    body: &'a [u8],
}

type Headers = Vec<(HeaderName, HeaderValue)>;

impl Auth {
    fn open(name: &str, config: &WebhookAuth) -> Result<Self, ExportError> {
        let first = either(name, "token", config.token.as_ref(), config.token_env.as_ref())?;
        if config.username.is_some() != (config.kind == AuthKind::Basic) {
            return Err(ExportError::setting(name, "`username` belongs to `type: basic`, which needs it"));
        }
        let secrets = [Some(&first), config.previous.as_ref()].into_iter().flatten();
        let secrets = secrets.map(|source| RotatingSecret::open(name, source)).collect::<Result<_, _>>()?;
        let auth = Self { kind: config.kind, username: config.username.clone().unwrap_or_default(), secrets };
        // A key that cannot sign is found at the start, not with the first event.
        let trial = auth.headers(&Request { id: "check", timestamp: 0, body: b"" });
        trial.map_err(|error| ExportError::setting(name, error.to_string()))?;
        Ok(auth)
    }

    /// Reads files: not on the threads that move bytes.
    fn headers(&self, request: &Request<'_>) -> Result<Headers, SendError> {
        let secrets: Vec<_> = self.secrets.iter().map(RotatingSecret::load).collect();
        let Some(first) = secrets.first() else { return Ok(Vec::new()) };
        let scheme = match self.kind {
            AuthKind::Bearer => return Ok(vec![(AUTHORIZATION, authorization("Bearer", first.expose())?)]),
            AuthKind::Basic => {
                let pair = super::signature::base64(format!("{}:{}", self.username, first.expose()).as_bytes());
                return Ok(vec![(AUTHORIZATION, authorization("Basic", &pair)?)]);
            }
            AuthKind::Hmac => Scheme::Hmac,
            AuthKind::Ed25519 => Scheme::Ed25519,
        };
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
}

impl WebhookFormat {
    fn body(self, batch: &Batch) -> Vec<u8> {
        match self {
            Self::Ndjson | Self::Single => batch.lines().into_bytes(),
            Self::Array => json_array(batch),
        }
    }

    const fn content_type(self) -> &'static str {
        match self {
            Self::Array | Self::Single => "application/json",
            Self::Ndjson => "application/x-ndjson",
        }
    }
}

/// A JSON array of all events; what is no JSON object becomes a string.
pub(super) fn json_array(batch: &Batch) -> Vec<u8> {
    let mut body = Vec::with_capacity(batch.bytes() + batch.items.len() + 2);
    for item in &batch.items {
        body.push(if body.is_empty() { b'[' } else { b',' });
        if item.rendered.starts_with('{') {
            body.extend_from_slice(item.rendered.as_bytes());
        } else {
            body.extend_from_slice(serde_json::Value::from(item.rendered.as_str()).to_string().as_bytes());
        }
    }
    body.push(b']');
    body
}

/// The same for the same events in the same batch, so that a repeated request has the id of the first.
pub(super) fn batch_id(batch: &Batch) -> String {
    match batch.items.as_slice() {
        [item] => item.id.clone(),
        items => {
            let ids: Vec<&[u8]> = items.iter().map(|item| item.id.as_bytes()).collect();
            format!("batch:{}", Digest::of_parts(&ids).to_hex())
        }
    }
}

impl Webhook {
    async fn deliver(&self, batch: Batch) -> Result<Delivery, SendError> {
        let (format, compression, auth) = (self.format, self.compression, self.auth.clone());
        let timestamp = self.clock.now().as_secs();
        let encode = move || {
            let (body, encoding) = compression.apply(format.body(&batch))?;
            let id = batch_id(&batch);
            let request = Request { id: &id, timestamp, body: &body };
            let headers = auth.map_or_else(|| Ok(Vec::new()), |auth| auth.headers(&request))?;
            Ok((body, encoding, headers))
        };
        let (body, encoding, headers) = offload(encode).await?;
        let mut request = self.client.post(self.url.clone()).header(CONTENT_TYPE, self.format.content_type());
        if let Some(encoding) = encoding {
            request = request.header(CONTENT_ENCODING, encoding);
        }
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let answer = exchange(request.body(body)).await?;
        if answer.status.is_success() { Ok(Delivery::default()) } else { Err(answer.failure()) }
    }
}

impl Destination for Webhook {
    fn name(&self) -> &str {
        &self.name
    }

    fn limits(&self) -> Limits {
        match self.format {
            WebhookFormat::Single => Limits { events_max: 1, overhead: 1, ..Limits::default() },
            _ => Limits { overhead: 2, ..Limits::default() },
        }
    }

    fn send<'a>(&'a self, batch: &'a Batch) -> Sending<'a> {
        Box::pin(self.deliver(batch.clone()))
    }
}
