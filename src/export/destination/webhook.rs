//! Any HTTP endpoint: JSON arrays of events, or one event a request; bearer, basic, HMAC or Ed25519.
//!
//! Signatures follow Standard Webhooks: `webhook-id` is the key under which a receiver drops repeats.

use std::sync::Arc;

use reqwest::Url;
use serde::Deserialize;

use super::auth::{Auth, AuthConfig, Signed};
use super::http::{BodyCompression, Outgoing, address, client, offload};
use super::{Batch, Delivery, Destination, Limits, Opening, SendError, Sending, Settings};
use crate::export::ExportError;
use crate::model::{Clock, Digest};
use crate::net::{HttpClient, SystemClock};

/// Any HTTP endpoint.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// The endpoint.
    pub url: String,
    /// How we say who we are.
    pub auth: Option<AuthConfig>,
    /// What a request holds.
    #[serde(default)]
    pub format: WebhookFormat,
    /// How bodies are compressed. Not every endpoint reads gzip.
    #[serde(default = "uncompressed")]
    pub compression: BodyCompression,
    /// The connection.
    #[serde(default)]
    pub http: HttpClient,
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

impl Settings for WebhookConfig {
    fn build(&self, opening: &Opening<'_>) -> Result<Box<dyn Destination>, ExportError> {
        let name = opening.name;
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
            let mut outgoing = Outgoing::new(format.content_type(), format.body(&batch), compression)?;
            if let Some(auth) = auth {
                let request = Signed { id: &batch_id(&batch), timestamp, body: outgoing.body() };
                let headers = auth.headers(&request)?;
                outgoing.headers.extend(headers);
            }
            Ok(outgoing)
        };
        let answer = offload(encode).await?.post(&self.client, self.url.clone()).await?;
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
