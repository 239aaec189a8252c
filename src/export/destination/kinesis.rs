//! Amazon Kinesis Data Streams: PutRecords, and only what it did not take again.
//!
//! The key of a record is its session (else the log's origin), so that the events of a session are in one shard, in their
//! order as long as none of them has to be sent again. Streams drop no repeats: the id is in each event.

use std::borrow::Cow;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::json;

use super::aws::{AwsCredentials, RecordAnswer, Service, ServiceConfig, sort};
use super::http::offload;
use super::{Batch, Delivery, Destination, Limits, Opening, SendError, Sending, Settings};
use crate::export::{ExportError, Item};
use crate::model::Digest;
use crate::net::HttpClient;

/// Longest key of a record, characters.
const KEY_CHARS_MAX: usize = 256;

/// A stream of Kinesis.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KinesisConfig {
    /// The stream: its name, or its ARN.
    pub stream: String,
    /// Its region; that of the variable `AWS_REGION`, else `us-east-1`.
    pub region: Option<String>,
    /// Another service that speaks like Kinesis, `https://HOST[:PORT]`.
    pub endpoint: Option<String>,
    /// Who we are.
    #[serde(default)]
    pub credentials: AwsCredentials,
    /// The connection.
    #[serde(default)]
    pub http: HttpClient,
}

impl Settings for KinesisConfig {
    fn build(&self, opening: &Opening<'_>) -> Result<Box<dyn Destination>, ExportError> {
        let name = opening.name;
        if self.stream.is_empty() {
            return Err(ExportError::setting(name, "`stream` is the name or the ARN of a stream"));
        }
        let service = ServiceConfig {
            service: "kinesis",
            region: self.region.as_deref(),
            endpoint: self.endpoint.as_deref(),
            credentials: &self.credentials,
            http: &self.http,
        };
        let service = Service::open(name, &service)?;
        Ok(Box::new(Kinesis { name: name.into(), stream: self.stream.clone(), service }))
    }
}

struct Kinesis {
    name: String,
    stream: String,
    service: Service,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Reply {
    records: Vec<RecordAnswer>,
}

/// What shards are chosen by.
fn key(item: &Item) -> Cow<'_, str> {
    let key = item.session.as_deref().unwrap_or(&item.origin);
    match key.chars().count() {
        1..=KEY_CHARS_MAX => key.into(),
        _ => Digest::of(key.as_bytes()).to_hex().into(),
    }
}

fn body(stream: &str, batch: &Batch) -> Vec<u8> {
    let which = if stream.starts_with("arn:") { "StreamARN" } else { "StreamName" };
    let records = batch
        .items
        .iter()
        .map(|item| json!({ "Data": BASE64_STANDARD.encode(&item.rendered), "PartitionKey": key(item) }));
    json!({ which: stream, "Records": records.collect::<Vec<_>>() }).to_string().into_bytes()
}

impl Kinesis {
    async fn deliver(&self, batch: Batch) -> Result<Delivery, SendError> {
        let (stream, events) = (self.stream.clone(), batch.items.len());
        let body = offload(move || Ok(body(&stream, &batch))).await?;
        let answer = self.service.call("Kinesis_20131202.PutRecords", body).await?;
        sort(answer.json::<Reply>()?.records, events)
    }
}

impl Destination for Kinesis {
    fn name(&self) -> &str {
        &self.name
    }

    /// 500 records, 5 MiB a request and 1 MiB a record, each with its key: the limits of streams that nobody has raised.
    fn limits(&self) -> Limits {
        Limits {
            events_max: 500,
            bytes_max: 4_900_000,
            event_bytes_max: 1_000_000,
            overhead: 4 * KEY_CHARS_MAX,
            ..Limits::default()
        }
    }

    fn send<'a>(&'a self, batch: &'a Batch) -> Sending<'a> {
        Box::pin(self.deliver(batch.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_session_and_never_too_long() {
        let item = |session: Option<&str>| Item {
            id: "i".into(),
            event_type: crate::model::EventType::Action,
            severity: crate::model::Severity::Info,
            time: crate::model::Timestamp::default(),
            session: session.map(str::to_owned),
            index: 0,
            ordinal: 0,
            origin: "localhost/test".into(),
            rendered: "{}".into(),
            unfit: None,
        };
        assert_eq!(key(&item(Some("ses_1"))), "ses_1");
        assert_eq!(key(&item(None)), "localhost/test");
        let long = "s".repeat(KEY_CHARS_MAX + 1);
        assert_eq!(key(&item(Some(&long))).len(), 64);
        assert_eq!(key(&item(Some(""))).len(), 64, "a key is never empty");
    }
}
