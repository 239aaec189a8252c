//! Microsoft Sentinel by the Logs Ingestion API: a data collection rule, and Entra for who we are.
//!
//! The service drops no repeats: `EventId` is a column to make them distinct by.

mod entra;

use reqwest::Url;
use reqwest::header::AUTHORIZATION;
use serde::Deserialize;

use super::http::{BodyCompression, Outgoing, address, authorization, client, offload};
use super::{Batch, Delivery, Destination, Limits, Opening, SendError, Sending, Settings};
use crate::export::{ExportError, Item};
use crate::net::HttpClient;
use entra::Entra;
pub use entra::{EntraConfig, EntraKind};

/// Bytes of a call, compressed or not: the service's limit is 1 MB.
const CALL_BYTES_MAX: usize = 1_000_000;

/// Version of the interface.
const API_VERSION: &str = "2023-01-01";

/// Microsoft Sentinel.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SentinelConfig {
    /// The logs ingestion endpoint of the data collection rule or endpoint.
    pub endpoint: String,
    /// The immutable id of the rule, `dcr-...`.
    pub rule_id: String,
    /// The stream, `Custom-..._CL`.
    pub stream: String,
    /// How we say who we are.
    pub auth: EntraConfig,
    /// How bodies are compressed.
    #[serde(default)]
    pub compression: BodyCompression,
    /// The connection.
    #[serde(default)]
    pub http: HttpClient,
}

impl Settings for SentinelConfig {
    fn build(&self, opening: &Opening<'_>) -> Result<Box<dyn Destination>, ExportError> {
        let name = opening.name;
        let mut url = address(name, &self.endpoint)?;
        let path = ["dataCollectionRules", &self.rule_id, "streams", &self.stream];
        match url.path_segments_mut() {
            Ok(mut segments) => drop(segments.pop_if_empty().extend(path)),
            Err(()) => return Err(ExportError::setting(name, "`endpoint` cannot have a path")),
        }
        url.query_pairs_mut().append_pair("api-version", API_VERSION);
        let client = client(name, &self.http)?;
        Ok(Box::new(Sentinel {
            name: name.into(),
            url,
            entra: Entra::open(name, &self.auth, client.clone())?,
            compression: self.compression,
            client,
        }))
    }
}

struct Sentinel {
    name: String,
    url: Url,
    entra: Entra,
    compression: BodyCompression,
    client: reqwest::Client,
}

/// A row: the event, behind the two columns that every table needs.
fn row(item: &Item, out: &mut Vec<u8>) {
    let head = serde_json::json!({ "TimeGenerated": item.time.to_rfc3339_millis(), "EventId": item.id }).to_string();
    out.extend_from_slice(head.trim_end_matches('}').as_bytes());
    match item.rendered.strip_prefix('{') {
        Some("}") => out.push(b'}'),
        Some(rest) => {
            out.push(b',');
            out.extend_from_slice(rest.as_bytes());
        }
        None => {
            let message = serde_json::Value::from(item.rendered.as_str());
            out.extend_from_slice(format!(",\"Message\":{message}}}").as_bytes());
        }
    }
}

impl Sentinel {
    async fn deliver(&self, batch: Batch) -> Result<Delivery, SendError> {
        let compression = self.compression;
        let encode = move || {
            let mut body = Vec::with_capacity(batch.bytes() + batch.items.len() * 160);
            for item in &batch.items {
                body.push(if body.is_empty() { b'[' } else { b',' });
                row(item, &mut body);
            }
            body.push(b']');
            if body.len() > CALL_BYTES_MAX && batch.items.len() > 1 {
                return Err(SendError::TooLarge(format!("{} bytes in one call", body.len())));
            }
            Outgoing::new("application/json", body, compression)
        };
        let mut outgoing = offload(encode).await?;
        let token = self.entra.token().await?;
        outgoing.headers.insert(AUTHORIZATION, authorization("Bearer", token.secret.expose())?);
        let answer = outgoing.post(&self.client, self.url.clone()).await?;
        match answer.status.as_u16() {
            200..=299 => Ok(Delivery::default()),
            401 => Err(self.entra.refused(&token, &answer).await),
            _ => Err(answer.failure()),
        }
    }
}

impl Destination for Sentinel {
    fn name(&self) -> &str {
        &self.name
    }

    fn limits(&self) -> Limits {
        Limits { bytes_max: 900_000, event_bytes_max: 800_000, overhead: 160, ..Limits::default() }
    }

    fn send<'a>(&'a self, batch: &'a Batch) -> Sending<'a> {
        Box::pin(self.deliver(batch.clone()))
    }
}
