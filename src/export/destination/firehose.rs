//! Amazon Data Firehose: PutRecordBatch, and only what it did not take again.
//!
//! Each record ends with a newline, since streams put records together as they come. They drop no repeats: the id is in
//! each event.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::json;

use super::aws::{AwsCredentials, RecordAnswer, Service, ServiceConfig, sort};
use super::http::offload;
use super::{Batch, Delivery, Destination, Limits, Opening, SendError, Sending, Settings};
use crate::export::ExportError;
use crate::net::HttpClient;

/// A delivery stream of Firehose.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FirehoseConfig {
    /// The name of the delivery stream.
    #[serde(alias = "delivery_stream")]
    pub stream: String,
    /// Its region; that of the variable `AWS_REGION`, else `us-east-1`.
    pub region: Option<String>,
    /// Another service that speaks like Firehose, `https://HOST[:PORT]`.
    pub endpoint: Option<String>,
    /// Who we are.
    #[serde(default)]
    pub credentials: AwsCredentials,
    /// The connection.
    #[serde(default)]
    pub http: HttpClient,
}

/// How Firehose is reached, where there are several delivery streams.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FirehoseOptions {
    /// Its region; that of the variable `AWS_REGION`, else `us-east-1`.
    pub region: Option<String>,
    /// Another service that speaks like Firehose, `https://HOST[:PORT]`.
    pub endpoint: Option<String>,
    /// Who we are.
    pub credentials: AwsCredentials,
    /// The connection.
    pub http: HttpClient,
}

impl Settings for FirehoseConfig {
    fn build(&self, opening: &Opening<'_>) -> Result<Box<dyn Destination>, ExportError> {
        let name = opening.name;
        if self.stream.is_empty() {
            return Err(ExportError::setting(name, "`stream` is the name of a delivery stream"));
        }
        let options = FirehoseOptions {
            region: self.region.clone(),
            endpoint: self.endpoint.clone(),
            credentials: self.credentials.clone(),
            http: self.http.clone(),
        };
        let streams = DeliveryStreams::open(name, &options)?;
        Ok(Box::new(Firehose { name: name.into(), stream: self.stream.clone(), streams }))
    }
}

struct Firehose {
    name: String,
    stream: String,
    streams: DeliveryStreams,
}

/// The delivery streams of an account in a region.
pub(in crate::export) struct DeliveryStreams(Service);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Reply {
    request_responses: Vec<RecordAnswer>,
}

fn body<'a>(stream: &str, records: impl Iterator<Item = &'a str>) -> Vec<u8> {
    let data = |record: &str| BASE64_STANDARD.encode([record, "\n"].concat());
    let records = records.map(|record| json!({ "Data": data(record) }));
    json!({ "DeliveryStreamName": stream, "Records": records.collect::<Vec<_>>() }).to_string().into_bytes()
}

impl DeliveryStreams {
    /// Nothing is sent.
    ///
    /// # Errors
    /// [`ExportError`]: an address, or what says who we are, cannot be used.
    pub(in crate::export) fn open(name: &str, options: &FirehoseOptions) -> Result<Self, ExportError> {
        let service = ServiceConfig {
            service: "firehose",
            region: options.region.as_deref(),
            endpoint: options.endpoint.as_deref(),
            credentials: &options.credentials,
            http: &options.http,
        };
        Service::open(name, &service).map(Self)
    }

    /// Puts at most 500 records into a stream, each a line. Failures name records by their position.
    ///
    /// # Errors
    /// [`SendError`]: none was taken.
    pub(in crate::export) async fn put(&self, stream: String, records: Vec<String>) -> Result<Delivery, SendError> {
        let count = records.len();
        let body = offload(move || Ok(body(&stream, records.iter().map(String::as_str)))).await?;
        self.call(body, count).await
    }

    async fn call(&self, body: Vec<u8>, records: usize) -> Result<Delivery, SendError> {
        let answer = self.0.call("Firehose_20150804.PutRecordBatch", body).await?;
        sort(answer.json::<Reply>()?.request_responses, records)
    }
}

impl Firehose {
    async fn deliver(&self, batch: Batch) -> Result<Delivery, SendError> {
        let (stream, events) = (self.stream.clone(), batch.items.len());
        let body = offload(move || Ok(body(&stream, batch.items.iter().map(|item| &*item.rendered)))).await?;
        self.streams.call(body, events).await
    }
}

impl Destination for Firehose {
    fn name(&self) -> &str {
        &self.name
    }

    /// 500 records, 4 MiB a call and 1,000 KiB a record.
    fn limits(&self) -> Limits {
        Limits { events_max: 500, bytes_max: 4_000_000, event_bytes_max: 1_000_000, overhead: 1, ..Limits::default() }
    }

    fn send<'a>(&'a self, batch: &'a Batch) -> Sending<'a> {
        Box::pin(self.deliver(batch.clone()))
    }
}
