//! OpenTelemetry logs over HTTP, as protobuf or JSON, and over gRPC (OTLP 1.x).
//!
//! Events in the schema `otel` are log records already. Those of other schemas travel as the body of one.

#[cfg(feature = "otlp-grpc")]
mod grpc;
mod message;

use prost::Message as _;
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;

use super::http::{Answer, BodyCompression, Outgoing, RotatingSecret, address, client, offload};
use super::{Batch, Delivery, Destination, Limits, Opening, SendError, Sending, Settings};
use crate::export::ExportError;
use crate::net::{HttpClient, SecretSource};
use message::{ExportLogsServiceResponse, PartialSuccess, request_json, request_protobuf};

/// An OpenTelemetry collector.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OtlpConfig {
    /// The receiver; `/v1/logs` is put behind an address without a path. gRPC knows no paths.
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
    /// gRPC.
    #[serde(rename = "grpc")]
    Grpc,
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
    #[cfg(not(feature = "otlp-grpc"))]
    fn available(&self, kind: &'static str) -> Result<(), ExportError> {
        match self.protocol {
            OtlpProtocol::Grpc => {
                Err(ExportError::Feature { kind, detail: " with `protocol: grpc`", feature: "otlp-grpc" })
            }
            OtlpProtocol::Json | OtlpProtocol::Protobuf => Ok(()),
        }
    }

    fn build(&self, opening: &Opening<'_>) -> Result<Box<dyn Destination>, ExportError> {
        let name = opening.name;
        let mut url = address(name, &self.url)?;
        match self.protocol {
            OtlpProtocol::Grpc if url.path() != "/" => {
                return Err(ExportError::setting(name, "`url` has a path, which gRPC knows nothing of"));
            }
            OtlpProtocol::Json | OtlpProtocol::Protobuf if url.path() == "/" => url.set_path("v1/logs"),
            _ => {}
        }
        let mut headers = Vec::new();
        for OtlpHeader { name: header, value } in &self.headers {
            let header = header.parse().map_err(|_| ExportError::setting(name, "a name in `headers` is none"))?;
            headers.push((header, RotatingSecret::open(name, value)?));
        }
        let (protocol, compression, client) = (self.protocol, self.compression, self.client(name)?);
        Ok(Box::new(Otlp { name: name.into(), url, headers: headers.into(), protocol, compression, client }))
    }
}

impl OtlpConfig {
    fn client(&self, name: &str) -> Result<reqwest::Client, ExportError> {
        #[cfg(feature = "otlp-grpc")]
        if self.protocol == OtlpProtocol::Grpc {
            let failed = |source| ExportError::Client { name: name.to_owned(), source: Box::new(source) };
            return self.http.build_http2().map_err(failed);
        }
        client(name, &self.http)
    }
}

struct Otlp {
    name: String,
    url: Url,
    headers: std::sync::Arc<Secrets>,
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

type Secrets = [(HeaderName, RotatingSecret)];

/// Headers of this moment. Reads files.
fn secret_headers(secrets: &Secrets) -> Result<HeaderMap, SendError> {
    let mut headers = HeaderMap::new();
    for (name, secret) in secrets {
        let mut value = HeaderValue::from_str(secret.load().expose())
            .map_err(|_| SendError::Refused(format!("the value of `{name}` cannot be sent as a header")))?;
        value.set_sensitive(true);
        headers.insert(name.clone(), value);
    }
    Ok(headers)
}

impl Otlp {
    async fn deliver(&self, batch: Batch) -> Result<Delivery, SendError> {
        #[cfg(feature = "otlp-grpc")]
        if self.protocol == OtlpProtocol::Grpc {
            return self.call(batch).await;
        }
        let (protocol, compression, secrets) = (self.protocol, self.compression, self.headers.clone());
        let encode = move || {
            let mut outgoing = match protocol {
                OtlpProtocol::Json => {
                    Outgoing::new("application/json", request_json(&batch).into_bytes(), compression)?
                }
                _ => Outgoing::new("application/x-protobuf", request_protobuf(&batch), compression)?,
            };
            outgoing.headers.extend(secret_headers(&secrets)?);
            Ok(outgoing)
        };
        let answer = offload(encode).await?.post(&self.client, self.url.clone()).await?;
        if answer.status.is_success() { self.partial(&answer) } else { Err(answer.failure()) }
    }

    #[cfg(feature = "otlp-grpc")]
    async fn call(&self, batch: Batch) -> Result<Delivery, SendError> {
        let secrets = self.headers.clone();
        let headers = offload(move || secret_headers(&secrets)).await?;
        let origin = self.url.as_str().parse().map_err(|_| SendError::Refused("`url` is not an address".into()))?;
        let (client, compression) = (self.client.clone(), self.compression);
        let reply = grpc::Call { client, origin, headers, compression }.export(batch).await?;
        Ok(lost(reply))
    }

    /// A receiver that refuses some records says how many, not which, and they must not be sent again (OTLP
    /// specification, "Partial Success").
    fn partial(&self, answer: &Answer) -> Result<Delivery, SendError> {
        match self.protocol {
            OtlpProtocol::Json if answer.body.is_empty() => Ok(Delivery::default()),
            OtlpProtocol::Json => {
                let JsonPartial { rejected_log_records: count, error_message } =
                    answer.json::<JsonReply>()?.partial_success;
                let count = count.as_i64().or_else(|| count.as_str()?.parse().ok()).unwrap_or_default();
                let partial = PartialSuccess { rejected_log_records: count, error_message };
                Ok(lost(ExportLogsServiceResponse { partial_success: Some(partial) }))
            }
            _ => ExportLogsServiceResponse::decode(&*answer.body)
                .map(lost)
                .map_err(|_| SendError::later(format!("not a collector's answer: {}", answer.problem()))),
        }
    }
}

fn lost(reply: ExportLogsServiceResponse) -> Delivery {
    let PartialSuccess { rejected_log_records, error_message } = reply.partial_success.unwrap_or_default();
    let rejected = u64::try_from(rejected_log_records).unwrap_or_default();
    Delivery { unnamed: (rejected > 0).then_some((rejected, error_message)), ..Delivery::default() }
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
