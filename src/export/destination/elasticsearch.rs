//! Elasticsearch and OpenSearch: `_bulk` with `create`, so that data streams take it and repeats are recognised; or
//! Logstash's HTTP input in front of either.
//!
//! The answer to a bulk request is 200 even when none of its events was taken: every item is looked at.

use std::sync::Arc;

use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde::Deserialize;
use serde_json::json;

use super::auth::{Auth, AuthConfig, Signed};
use super::http::{Answer, BodyCompression, Outgoing, address, below, client, exchange, offload};
use super::webhook::json_array;
use super::{
    Batch, Checking, Delivery, Destination, EventFailure, FailedEvent, Limits, LookingUp, Opening, SendError, Sending,
    Settings,
};
use crate::export::item::EVENT_TYPE;
use crate::export::{ExportError, Item};
use crate::net::HttpClient;

/// Elasticsearch, OpenSearch or Logstash.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ElasticsearchConfig {
    /// The cluster, or Logstash's HTTP input.
    pub url: String,
    /// The data stream. `{event_type}` in it stands for `action`, `decision` and so on: a stream for each kind of event.
    #[serde(default = "data_stream")]
    pub data_stream: String,
    /// How we say who we are.
    pub auth: Option<AuthConfig>,
    /// How bodies are compressed.
    #[serde(default)]
    pub compression: BodyCompression,
    /// The connection.
    #[serde(default)]
    pub http: HttpClient,
}

fn data_stream() -> String {
    "logs-aarm-default".into()
}

/// Logstash's HTTP input with the `json` codec. It says nothing about single events, and drops no repeats: use `event_id`
/// as `document_id` behind it.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub struct LogstashConfig(pub ElasticsearchConfig);

/// What answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Peer {
    Cluster,
    Logstash,
}

impl Settings for ElasticsearchConfig {
    fn build(&self, opening: &Opening<'_>) -> Result<Box<dyn Destination>, ExportError> {
        self.open(opening.name, Peer::Cluster)
    }
}

impl Settings for LogstashConfig {
    fn build(&self, opening: &Opening<'_>) -> Result<Box<dyn Destination>, ExportError> {
        self.0.open(opening.name, Peer::Logstash)
    }
}

impl ElasticsearchConfig {
    fn open(&self, name: &str, peer: Peer) -> Result<Box<dyn Destination>, ExportError> {
        let url = address(name, &self.url)?;
        let auth = self.auth.as_ref().map(|auth| Auth::open_unsigned(name, auth)).transpose()?;
        let stream = &self.data_stream;
        if stream.is_empty() || stream.contains(['/', '?', '#', '%', ' ', ',', '*']) {
            return Err(ExportError::setting(name, "`data_stream` is not the name of one data stream"));
        }
        let by_type = stream.contains(EVENT_TYPE) && peer == Peer::Cluster;
        Ok(Box::new(Elasticsearch {
            name: name.into(),
            by_type: by_type.then(|| stream.clone()),
            target: match peer {
                Peer::Cluster if by_type => below(&url, "_bulk"),
                Peer::Cluster => below(&url, &format!("{stream}/_bulk")),
                Peer::Logstash => url.clone(),
            },
            search: below(&url, &format!("{}/_search", stream.replace(EVENT_TYPE, "*"))),
            url,
            peer,
            auth: auth.map(Arc::new),
            compression: self.compression,
            client: client(name, &self.http)?,
        }))
    }
}

struct Elasticsearch {
    name: String,
    /// The name of data streams, if there is one for each kind of event.
    by_type: Option<String>,
    url: Url,
    target: Url,
    search: Url,
    peer: Peer,
    auth: Option<Arc<Auth>>,
    compression: BodyCompression,
    client: reqwest::Client,
}

/// Data streams want `@timestamp`; schemas that have it keep theirs.
fn document(item: &Item) -> String {
    let text = item.rendered.as_str();
    let time = || item.time.to_rfc3339_millis();
    match text.strip_prefix('{') {
        None => json!({ "@timestamp": time(), "message": text, "event": { "id": item.id } }).to_string(),
        Some(_) if text.contains("\"@timestamp\":") => text.to_owned(),
        Some("}") => format!("{{\"@timestamp\":\"{}\"}}", time()),
        Some(rest) => format!("{{\"@timestamp\":\"{}\",{rest}", time()),
    }
}

fn bulk(batch: &Batch, by_type: Option<&str>) -> Vec<u8> {
    let mut body = Vec::with_capacity(batch.bytes() + batch.items.len() * 200);
    for item in &batch.items {
        let create = match by_type {
            None => json!({ "create": { "_id": item.id } }),
            Some(stream) => json!({ "create": { "_id": item.id, "_index": item.place_in(stream) } }),
        };
        body.extend_from_slice(create.to_string().as_bytes());
        body.push(b'\n');
        body.extend_from_slice(document(item).as_bytes());
        body.push(b'\n');
    }
    body
}

#[derive(Debug, Deserialize)]
struct BulkReply {
    items: Vec<BulkItem>,
}

#[derive(Debug, Deserialize)]
struct BulkItem {
    create: BulkResult,
}

#[derive(Debug, Deserialize)]
struct BulkResult {
    status: u16,
    #[serde(default)]
    error: serde_json::Value,
}

/// What the answer says about each event. By status, not by the name of the exception: those differ between products.
fn sort(answer: &Answer, events: usize) -> Result<Delivery, SendError> {
    let reply: BulkReply = answer.json()?;
    if reply.items.len() != events {
        return Err(SendError::later(format!("{} answers for {events} events", reply.items.len())));
    }
    let mut failed = Vec::new();
    for (position, BulkItem { create }) in reply.items.into_iter().enumerate() {
        let problem = || format!("{}: {}", create.status, create.error);
        let failure = match create.status {
            // 409: an earlier attempt arrived, and its answer was lost.
            200 | 201 | 409 => continue,
            401 | 403 | 404 => return Err(SendError::Refused(problem())),
            429 | 500.. => EventFailure::Later(problem()),
            _ => EventFailure::Rejected(problem()),
        };
        failed.push(FailedEvent { position, failure });
    }
    Ok(Delivery { failed, ..Delivery::default() })
}

impl Elasticsearch {
    /// Headers that say who we are.
    async fn credentials(&self) -> Result<HeaderMap, SendError> {
        let Some(auth) = self.auth.clone() else { return Ok(HeaderMap::new()) };
        let headers = move || auth.headers(&Signed { id: "", timestamp: 0, body: b"" });
        Ok(offload(headers).await?.into_iter().collect())
    }

    async fn deliver(&self, batch: Batch) -> Result<Delivery, SendError> {
        let (events, peer, compression) = (batch.items.len(), self.peer, self.compression);
        let by_type = self.by_type.clone();
        let encode = move || match peer {
            Peer::Cluster => Outgoing::new("application/x-ndjson", bulk(&batch, by_type.as_deref()), compression),
            Peer::Logstash => Outgoing::new("application/json", json_array(&batch), compression),
        };
        let mut outgoing = offload(encode).await?;
        outgoing.headers.extend(self.credentials().await?);
        let answer = outgoing.post(&self.client, self.target.clone()).await?;
        if !answer.status.is_success() {
            return Err(answer.failure());
        }
        match self.peer {
            Peer::Cluster => sort(&answer, events),
            Peer::Logstash => Ok(Delivery::default()),
        }
    }

    async fn find(&self, event_id: &str) -> Result<Option<bool>, SendError> {
        if self.peer == Peer::Logstash {
            return Ok(None);
        }
        let query = json!({ "query": { "ids": { "values": [event_id] } }, "_source": false }).to_string();
        let request = self.client.post(self.search.clone()).headers(self.credentials().await?);
        let answer = exchange(request.header(CONTENT_TYPE, "application/json").body(query)).await?;
        if !answer.status.is_success() {
            return Err(answer.failure());
        }
        let found: serde_json::Value = answer.json()?;
        let hits = found.pointer("/hits/hits").and_then(|hits| hits.as_array()).map_or(0, Vec::len);
        Ok(Some(hits > 0))
    }
}

impl Destination for Elasticsearch {
    fn name(&self) -> &str {
        &self.name
    }

    /// A bulk request of some megabytes is what clusters like best.
    fn limits(&self) -> Limits {
        Limits {
            events_max: 2_000,
            bytes_max: 5_000_000,
            event_bytes_max: 4_000_000,
            overhead: 200,
            ..Limits::default()
        }
    }

    fn send<'a>(&'a self, batch: &'a Batch) -> Sending<'a> {
        Box::pin(self.deliver(batch.clone()))
    }

    fn look_up<'a>(&'a self, event_id: &'a str) -> LookingUp<'a> {
        Box::pin(self.find(event_id))
    }

    fn check(&self) -> Checking<'_> {
        Box::pin(async {
            let answer = exchange(self.client.get(self.url.clone()).headers(self.credentials().await?)).await?;
            if answer.status.is_success() { Ok(Some(answer.problem())) } else { Err(answer.failure()) }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EventType, Severity, Timestamp};

    #[test]
    fn each_kind_of_event_can_have_a_stream_of_its_own() {
        let item = |event_type: EventType| {
            Arc::new(Item {
                id: "1".into(),
                event_type,
                severity: Severity::Info,
                time: Timestamp::from_secs(0),
                session: None,
                index: 0,
                ordinal: 0,
                origin: "o".into(),
                rendered: "{}".into(),
                unfit: None,
            })
        };
        let batch = Batch { items: vec![item(EventType::Action), item(EventType::ToolPin)] };
        let lines = |by_type| String::from_utf8(bulk(&batch, by_type)).unwrap();
        let streams = lines(Some("logs-aarm.{event_type}-default"));
        assert!(streams.contains(r#""_index":"logs-aarm.action-default""#), "{streams}");
        assert!(streams.contains(r#""_index":"logs-aarm.tool_pin-default""#), "{streams}");
        assert!(!lines(None).contains("_index"));
    }
}
