//! Datadog: the Logs API, version 2 ("Send logs").
//!
//! The service cuts a log of more than 1 MB and refuses one whose date is more than 18 hours past, both behind a 202.
//! Larger events never leave. Older ones, as they come after a long outage, leave without a date that the service would
//! read: it files them under the time of their arrival, and when they happened stands in `event_time`. For the same
//! reason an event travels as one attribute, `event`: members of its own named `timestamp`, `status` or `host` would be
//! taken for the service's. The service drops no repeats: `event_id` is there to make them distinct by.

use std::borrow::Cow;
use std::sync::Arc;

use reqwest::Url;
use reqwest::header::HeaderValue;
use serde::Deserialize;
use serde_json::json;

use super::environment::{secret, variable};
use super::http::{BodyCompression, Outgoing, RotatingSecret, address, below, client, offload};
use super::{Batch, Delivery, Destination, Limits, Opening, SendError, Sending, Settings};
use crate::export::{ExportError, Item};
use crate::model::{Clock, Severity, Timestamp};
use crate::net::{HttpClient, SecretSource, SystemClock};

/// How old an event may be that leaves with its date. The service takes 18 hours; the rest is for the way and for clocks
/// that differ. Microseconds.
const AGE_MAX_US: u64 = 17 * 3_600 * 1_000_000;

/// Datadog.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatadogConfig {
    /// The site, `datadoghq.eu`; that of the variable `DD_SITE`, else `datadoghq.com`.
    pub site: Option<String>,
    /// Another intake, `https://HOST`.
    pub url: Option<String>,
    /// The variable that holds the API key; `DD_API_KEY` by default.
    pub api_key_env: Option<String>,
    /// Where the API key is; a file is read again for every batch.
    pub api_key: Option<SecretSource>,
    /// `service` of the logs.
    #[serde(default = "countersign")]
    pub service: String,
    /// `ddsource` of the logs, which pipelines are chosen by.
    #[serde(default = "countersign")]
    pub source: String,
    /// `hostname` of the logs; the log's origin by default.
    pub hostname: Option<String>,
    /// `ddtags` of the logs, `env:production`.
    #[serde(default)]
    pub tags: Vec<String>,
    /// How bodies are compressed.
    #[serde(default)]
    pub compression: BodyCompression,
    /// The connection.
    #[serde(default)]
    pub http: HttpClient,
}

fn countersign() -> String {
    "countersign".into()
}

impl Settings for DatadogConfig {
    fn build(&self, opening: &Opening<'_>) -> Result<Box<dyn Destination>, ExportError> {
        let name = opening.name;
        let key = secret(name, "api_key", self.api_key.as_ref(), self.api_key_env.as_ref(), "DD_API_KEY")?;
        let site = self.site.clone().or_else(|| variable("DD_SITE")).unwrap_or_else(|| "datadoghq.com".into());
        let intake = self.url.clone().unwrap_or_else(|| format!("https://http-intake.logs.{site}"));
        Ok(Box::new(Datadog {
            name: name.into(),
            url: below(&address(name, &intake)?, "api/v2/logs"),
            key: Arc::new(RotatingSecret::open(name, &key)?),
            config: Arc::new(self.clone()),
            client: client(name, &self.http)?,
            clock: Arc::new(SystemClock::new()),
        }))
    }
}

struct Datadog {
    name: String,
    url: Url,
    key: Arc<RotatingSecret>,
    config: Arc<DatadogConfig>,
    client: reqwest::Client,
    clock: Arc<dyn Clock>,
}

/// What events say for people.
#[derive(Deserialize)]
struct Sentence<'a> {
    #[serde(borrow)]
    message: Option<Cow<'a, str>>,
}

/// The service's own words.
const fn status(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Low => "notice",
        Severity::Medium => "warning",
        Severity::High => "error",
        Severity::Critical => "critical",
    }
}

impl DatadogConfig {
    /// One log. `now` decides whether its date is young enough to be told.
    fn log(&self, item: &Item, now: Timestamp, out: &mut Vec<u8>) {
        let is_object = item.rendered.starts_with('{');
        let told = serde_json::from_str::<Sentence<'_>>(&item.rendered).ok().and_then(|event| event.message);
        let message =
            if is_object { told.unwrap_or(item.event_type.as_str().into()) } else { item.rendered.as_str().into() };
        let mut head = json!({
            "ddsource": self.source,
            "ddtags": self.tags.join(","),
            "hostname": self.hostname.as_deref().unwrap_or(&item.origin),
            "service": self.service,
            "status": status(item.severity),
            "message": message,
            "event_id": item.id,
            "event_type": item.event_type.as_str(),
            "event_time": item.time.to_rfc3339_millis(),
            "log_index": item.index,
        });
        if now.micros_since(item.time) < AGE_MAX_US
            && let Some(head) = head.as_object_mut()
        {
            head.insert("timestamp".into(), item.time.as_millis().into());
        }
        let mut head = head.to_string();
        if is_object {
            head.pop();
            head.push_str(",\"event\":");
            head.push_str(&item.rendered);
            head.push('}');
        }
        out.extend_from_slice(head.as_bytes());
    }

    fn body(&self, batch: &Batch, now: Timestamp) -> Vec<u8> {
        let mut body = Vec::with_capacity(batch.bytes() + batch.items.len() * 512);
        for item in &batch.items {
            body.push(if body.is_empty() { b'[' } else { b',' });
            self.log(item, now, &mut body);
        }
        body.push(b']');
        body
    }
}

impl Datadog {
    async fn deliver(&self, batch: Batch) -> Result<Delivery, SendError> {
        let (config, key, now) = (Arc::clone(&self.config), Arc::clone(&self.key), self.clock.now());
        let encode = move || {
            let body = config.body(&batch, now);
            let mut outgoing = Outgoing::new("application/json", body, config.compression)?;
            let mut value = HeaderValue::from_str(key.load().expose())
                .map_err(|_| SendError::Refused("the API key cannot be sent as a header".into()))?;
            value.set_sensitive(true);
            outgoing.headers.insert("dd-api-key", value);
            Ok(outgoing)
        };
        let answer = offload(encode).await?.post(&self.client, self.url.clone()).await?;
        if answer.status.is_success() { Ok(Delivery::default()) } else { Err(answer.failure()) }
    }
}

impl Destination for Datadog {
    fn name(&self) -> &str {
        &self.name
    }

    /// 1,000 logs, 5 MB and 1 MB a log, before compression. The sentence stands in a log twice.
    fn limits(&self) -> Limits {
        Limits {
            events_max: 1_000,
            bytes_max: 4_000_000,
            event_bytes_max: 480_000,
            overhead: 1_024,
            ..Limits::default()
        }
    }

    fn send<'a>(&'a self, batch: &'a Batch) -> Sending<'a> {
        Box::pin(self.deliver(batch.clone()))
    }
}
