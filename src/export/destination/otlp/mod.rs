//! OpenTelemetry logs over HTTP: protobuf or JSON (OTLP 1.x).
//!
//! Events in the schema `otel` are log records already. Those of other schemas travel as the body of one.

mod message;

use prost::Message as _;
use reqwest::Url;
use reqwest::header::{HeaderName, HeaderValue};
use serde::Deserialize;

use super::http::{Answer, BodyCompression, Outgoing, RotatingSecret, address, client, offload};
use super::{Batch, Delivery, Destination, Limits, Opening, SendError, Sending, Settings};
use crate::export::ExportError;
use crate::net::{HttpClient, SecretSource};
use message::{ExportLogsServiceResponse, request_json, request_protobuf};

/// An OpenTelemetry collector.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OtlpConfig {
    /// The receiver; `/v1/logs` is put behind an address without a path.
    pub url: String,
    /// How requests are written.
    #[serde(default)]
    pub protocol: OtlpProtocol,
    /// Headers with secrets, as hosted collectors want them.
    #[serde(default)]
    pub headers: Vec<OtlpHeader>,
    /// How bodies are compressed.
    #[serde(default)]
    pub compression: BodyCompression,
    /// The connection.
    #[serde(default)]
    pub http: HttpClient,
}

/// How requests are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum OtlpProtocol {
    /// JSON.
    #[serde(rename = "http/json")]
    Json,
    /// Protocol buffers.
    #[default]
    #[serde(rename = "http/protobuf")]
    Protobuf,
}

/// A header whose value is a secret.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OtlpHeader {
    /// Its name.
    pub name: String,
    /// Where its value is; a file is read again for every batch.
    pub value: SecretSource,
}

impl Settings for OtlpConfig {
    fn build(&self, opening: &Opening<'_>) -> Result<Box<dyn Destination>, ExportError> {
        let name = opening.name;
        let mut url = address(name, &self.url)?;
        if url.path() == "/" {
            url.set_path("v1/logs");
        }
        let mut headers = Vec::new();
        for OtlpHeader { name: header, value } in &self.headers {
            let header = header.parse().map_err(|_| ExportError::setting(name, "a name in `headers` is none"))?;
            headers.push((header, RotatingSecret::open(name, value)?));
        }
        let (protocol, compression, client) = (self.protocol, self.compression, client(name, &self.http)?);
        Ok(Box::new(Otlp { name: name.into(), url, headers: headers.into(), protocol, compression, client }))
    }
}

struct Otlp {
    name: String,
    url: Url,
    headers: std::sync::Arc<[(HeaderName, RotatingSecret)]>,
    protocol: OtlpProtocol,
    compression: BodyCompression,
    client: reqwest::Client,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct JsonReply {
    partial_success: JsonPartial,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct JsonPartial {
    /// 64-bit numbers are text in protobuf's JSON; some receivers write numbers all the same.
    rejected_log_records: serde_json::Value,
    error_message: String,
}

impl Otlp {
    async fn deliver(&self, batch: Batch) -> Result<Delivery, SendError> {
        let (protocol, compression, secrets) = (self.protocol, self.compression, self.headers.clone());
        let encode = move || {
            let (body, content_type) = match protocol {
                OtlpProtocol::Json => (request_json(&batch).into_bytes(), "application/json"),
                OtlpProtocol::Protobuf => (request_protobuf(&batch), "application/x-protobuf"),
            };
            let mut outgoing = Outgoing::new(content_type, body, compression)?;
            for (name, secret) in &*secrets {
                let mut value = HeaderValue::from_str(secret.load().expose())
                    .map_err(|_| SendError::Refused(format!("the value of `{name}` cannot be sent as a header")))?;
                value.set_sensitive(true);
                outgoing.headers.insert(name.clone(), value);
            }
            Ok(outgoing)
        };
        let answer = offload(encode).await?.post(&self.client, self.url.clone()).await?;
        if answer.status.is_success() {
            return self.partial(&answer);
        }
        Err(answer.failure())
    }

    /// A receiver that refuses some records says how many, not which, and they must not be sent again (OTLP
    /// specification, "Partial Success").
    fn partial(&self, answer: &Answer) -> Result<Delivery, SendError> {
        let (rejected, problem) = match self.protocol {
            OtlpProtocol::Json if answer.body.is_empty() => (0, String::new()),
            OtlpProtocol::Json => {
                let partial = answer.json::<JsonReply>()?.partial_success;
                let count = partial.rejected_log_records;
                (count.as_u64().or_else(|| count.as_str()?.parse().ok()).unwrap_or_default(), partial.error_message)
            }
            OtlpProtocol::Protobuf => {
                let reply = ExportLogsServiceResponse::decode(&*answer.body)
                    .map_err(|_| SendError::later(format!("not a collector's answer: {}", answer.problem())))?;
                let partial = reply.partial_success.unwrap_or_default();
                (u64::try_from(partial.rejected_log_records).unwrap_or_default(), partial.error_message)
            }
        };
        Ok(Delivery { unnamed: (rejected > 0).then_some((rejected, problem)), ..Delivery::default() })
    }
}

impl Destination for Otlp {
    fn name(&self) -> &str {
        &self.name
    }

    /// Receivers take 4 MB unless they are told otherwise.
    fn limits(&self) -> Limits {
        Limits { bytes_max: 3_000_000, overhead: 64, ..Limits::default() }
    }

    fn send<'a>(&'a self, batch: &'a Batch) -> Sending<'a> {
        Box::pin(self.deliver(batch.clone()))
    }
}
