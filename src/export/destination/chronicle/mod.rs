//! Google SecOps (Chronicle): the ingestion methods of the Chronicle API.
//!
//! With the schema `udm` events are imported as such (`events:import`); with any other as logs of a type that the service
//! parses itself (`logs:import`): `OCSF` for OCSF. The service takes a request whole or not at all, and says of no event
//! which one it was. It drops no repeats: `metadata.productLogId`, or the label `event_id`, is there to make them distinct
//! by.

mod google;

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reqwest::Url;
use reqwest::header::AUTHORIZATION;
use serde::Deserialize;
use serde_json::json;

use super::http::{BodyCompression, Outgoing, address, authorization, client, offload};
use super::{Batch, Delivery, Destination, Limits, Opening, SendError, Sending, Settings};
use crate::export::{ExportError, Schema};
use crate::model::{Clock, Timestamp};
use crate::net::{HttpClient, SystemClock};
use google::Google;
pub use google::{GoogleConfig, GoogleKind};

/// Google SecOps.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChronicleConfig {
    /// The project that owns the instance.
    pub project: String,
    /// Its location, `us`, `eu`, `europe-west3`.
    pub location: String,
    /// The instance: the customer id.
    pub instance: String,
    /// The forwarder in whose name logs are imported; its id. Not for the schema `udm`.
    pub forwarder: Option<String>,
    /// The type of the logs; `OCSF` with that schema. Not for the schema `udm`.
    pub log_type: Option<String>,
    /// The environment that logs are tagged with.
    pub namespace: Option<String>,
    /// Another address of the service.
    pub endpoint: Option<String>,
    /// The version of the interface.
    #[serde(default = "api_version")]
    pub api_version: String,
    /// How we say who we are.
    pub auth: GoogleConfig,
    /// How bodies are compressed.
    #[serde(default = "uncompressed")]
    pub compression: BodyCompression,
    /// The connection.
    #[serde(default)]
    pub http: HttpClient,
}

fn api_version() -> String {
    "v1".into()
}

const fn uncompressed() -> BodyCompression {
    BodyCompression::None
}

impl Settings for ChronicleConfig {
    fn build(&self, opening: &Opening<'_>) -> Result<Box<dyn Destination>, ExportError> {
        let name = opening.name;
        let usual = || format!("https://chronicle.{}.rep.googleapis.com", self.location);
        let mut url = address(name, &self.endpoint.clone().unwrap_or_else(usual))?;
        let parent = ["projects", &self.project, "locations", &self.location, "instances", &self.instance];
        let form = self.form(name, opening.schema.schema, &parent.join("/"))?;
        let log_type;
        let last = match &form {
            Form::Events => vec!["events:import"],
            Form::Logs { kind, .. } => {
                log_type = kind.clone();
                vec!["logTypes", &log_type, "logs:import"]
            }
        };
        match url.path_segments_mut() {
            Ok(mut path) => drop(path.pop_if_empty().push(&self.api_version).extend(parent).extend(last)),
            Err(()) => return Err(ExportError::setting(name, "`endpoint` cannot have a path")),
        }
        let client = client(name, &self.http)?;
        Ok(Box::new(Chronicle {
            name: name.into(),
            url,
            form: Arc::new(form),
            google: Google::open(name, &self.auth, &self.http, client.clone())?,
            compression: self.compression,
            client,
            clock: Arc::new(SystemClock::new()),
        }))
    }
}

impl ChronicleConfig {
    fn form(&self, name: &str, schema: Schema, parent: &str) -> Result<Form, ExportError> {
        if schema == Schema::Udm {
            if self.forwarder.is_some() || self.log_type.is_some() || self.namespace.is_some() {
                let problem = "`forwarder`, `log_type` and `namespace` belong to logs, which events in `udm` are not";
                return Err(ExportError::setting(name, problem));
            }
            return Ok(Form::Events);
        }
        let kind = self.log_type.clone().or_else(|| (schema == Schema::Ocsf).then(|| "OCSF".into()));
        let Some(kind) = kind else {
            let problem = "the service knows the schemas `ocsf` and `udm`; for another one name a `log_type` of yours";
            return Err(ExportError::setting(name, problem));
        };
        let Some(forwarder) = &self.forwarder else {
            return Err(ExportError::setting(name, "`forwarder` is missing: the id of the one that logs come from"));
        };
        let forwarder = format!("{parent}/forwarders/{forwarder}");
        Ok(Form::Logs { kind, forwarder, namespace: self.namespace.clone() })
    }
}

struct Chronicle {
    name: String,
    url: Url,
    form: Arc<Form>,
    google: Google,
    compression: BodyCompression,
    client: reqwest::Client,
    clock: Arc<dyn Clock>,
}

/// What a request holds.
enum Form {
    Events,
    Logs { kind: String, forwarder: String, namespace: Option<String> },
}

impl Form {
    fn body(&self, batch: &Batch, now: Timestamp) -> Vec<u8> {
        let mut body = match self {
            Self::Events => String::from("{\"inlineSource\":{\"events\":["),
            Self::Logs { forwarder, .. } => {
                format!("{{\"inlineSource\":{{\"forwarder\":{},\"logs\":[", json!(forwarder))
            }
        };
        body.reserve(batch.bytes() * 4 / 3 + batch.items.len() * 256);
        for (position, item) in batch.items.iter().enumerate() {
            if position > 0 {
                body.push(',');
            }
            match self {
                Self::Events => {
                    body.push_str("{\"udm\":");
                    body.push_str(&item.rendered);
                    body.push('}');
                }
                Self::Logs { namespace, .. } => {
                    let mut log = json!({
                        "data": BASE64_STANDARD.encode(&item.rendered),
                        "logEntryTime": item.time.to_rfc3339_millis(),
                        // Never before the entry, or the service refuses it.
                        "collectionTime": now.max(item.time).to_rfc3339_millis(),
                        "labels": { "event_id": { "value": item.id } },
                    });
                    if let (Some(namespace), Some(log)) = (namespace, log.as_object_mut()) {
                        log.insert("environmentNamespace".into(), namespace.clone().into());
                    }
                    body.push_str(&log.to_string());
                }
            }
        }
        body.push_str("]}}");
        body.into_bytes()
    }
}

impl Chronicle {
    async fn deliver(&self, batch: Batch) -> Result<Delivery, SendError> {
        let (form, compression, now) = (Arc::clone(&self.form), self.compression, self.clock.now());
        let encode = move || Outgoing::new("application/json", form.body(&batch, now), compression);
        let mut outgoing = offload(encode).await?;
        let token = self.google.token().await?;
        outgoing.headers.insert(AUTHORIZATION, authorization("Bearer", token.secret.expose())?);
        let answer = outgoing.post(&self.client, self.url.clone()).await?;
        match answer.status.as_u16() {
            200..=299 => Ok(Delivery::default()),
            401 => Err(self.google.refused(&token, &answer).await),
            _ => Err(answer.failure()),
        }
    }
}

impl Destination for Chronicle {
    fn name(&self) -> &str {
        &self.name
    }

    /// The older interface takes 1 MB a request, and of the newer one no smaller limit is known; base64 makes four bytes
    /// of three.
    fn limits(&self) -> Limits {
        let limits = Limits { overhead: 320, ..Limits::default() };
        match &*self.form {
            Form::Events => Limits { bytes_max: 950_000, event_bytes_max: 900_000, ..limits },
            Form::Logs { .. } => Limits { bytes_max: 700_000, event_bytes_max: 650_000, ..limits },
        }
    }

    fn send<'a>(&'a self, batch: &'a Batch) -> Sending<'a> {
        Box::pin(self.deliver(batch.clone()))
    }
}
