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

impl Settings for FirehoseConfig {
    fn build(&self, opening: &Opening<'_>) -> Result<Box<dyn Destination>, ExportError> {
        let name = opening.name;
        if self.stream.is_empty() {
            return Err(ExportError::setting(name, "`stream` is the name of a delivery stream"));
        }
        let service = ServiceConfig {
            service: "firehose",
            region: self.region.as_deref(),
            endpoint: self.endpoint.as_deref(),
            credentials: &self.credentials,
            http: &self.http,
        };
        let service = Service::open(name, &service)?;
        Ok(Box::new(Firehose { name: name.into(), stream: self.stream.clone(), service }))
    }
}

struct Firehose {
    name: String,
    stream: String,
    service: Service,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Reply {
    request_responses: Vec<RecordAnswer>,
}

fn body(stream: &str, batch: &Batch) -> Vec<u8> {
    let data = |rendered: &str| BASE64_STANDARD.encode([rendered, "\n"].concat());
    let records = batch.items.iter().map(|item| json!({ "Data": data(&item.rendered) }));
    json!({ "DeliveryStreamName": stream, "Records": records.collect::<Vec<_>>() }).to_string().into_bytes()
}

impl Firehose {
    async fn deliver(&self, batch: Batch) -> Result<Delivery, SendError> {
        let (stream, events) = (self.stream.clone(), batch.items.len());
        let body = offload(move || Ok(body(&stream, &batch))).await?;
        let answer = self.service.call("Firehose_20150804.PutRecordBatch", body).await?;
        sort(answer.json::<Reply>()?.request_responses, events)
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
