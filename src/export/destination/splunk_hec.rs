//! Splunk HTTP Event Collector: concatenated JSON envelopes, gzip, indexer acknowledgement where the token has it.
//!
//! The collector drops no repeats: every event carries its id in the indexed field `event_id`, so that a search can.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::Url;
use reqwest::header::{AUTHORIZATION, CONTENT_ENCODING, HeaderValue};
use serde::Deserialize;
use serde_json::{Value, json};

use super::environment::{secret, switch, text, variable};
use super::http::{Answer, BodyCompression, RotatingSecret, address, authorization, below, client, exchange, offload};
use super::{
    Batch, Checking, Confirmation, Confirming, Delivery, Destination, Limits, Opening, SendError, Sending, Settings,
};
use crate::export::{ExportError, Item, SchemaSettings, sourcetype};
use crate::model::json::write_string;
use crate::net::{HttpClient, SecretSource, random_bytes};

/// Splunk HTTP Event Collector.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplunkHecConfig {
    /// The collector, `https://HOST:8088`; `SPLUNK_HEC_URL` by default.
    pub url: Option<String>,
    /// The variable that holds the token; `SPLUNK_HEC_TOKEN` by default.
    pub token_env: Option<String>,
    /// Where the token is; a file is read again for every batch.
    pub token: Option<SecretSource>,
    /// The index; `SPLUNK_INDEX` or `SPLUNK_HEC_INDEX`, else that of the token. `{event_type}` in it stands for `action`,
    /// `decision` and so on.
    pub index: Option<String>,
    /// `source` of the events.
    #[serde(default = "source")]
    pub source: String,
    /// `host` of the events; the log's origin by default.
    pub host: Option<String>,
    /// `sourcetype` of the events; `aarm:action`, `aarm:decision`... by default, or the names of AITF where the
    /// schema has that dialect.
    pub sourcetype: Option<String>,
    /// How bodies are compressed.
    #[serde(default)]
    pub compression: BodyCompression,
    /// Whether to wait until indexers have the events.
    #[serde(default)]
    pub acknowledgement: Acknowledgement,
    /// The connection.
    #[serde(default)]
    pub http: HttpClient,
}

fn source() -> String {
    "countersign".into()
}

/// Whether to wait until indexers have the events: `true`, `false` or `required`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "serde_json::Value")]
pub enum Acknowledgement {
    /// `false`: the collector's word is enough.
    No,
    /// `true`: where the token offers that.
    #[default]
    Offered,
    /// `required`: a token that does not offer it, or does no more, refuses us.
    Required,
}

impl TryFrom<Value> for Acknowledgement {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        match (value.as_bool(), value.as_str()) {
            (Some(false), _) => Ok(Self::No),
            (Some(true), _) => Ok(Self::Offered),
            (_, Some("required")) => Ok(Self::Required),
            _ => Err(format!("`acknowledgement` is true, false or required, not {value}")),
        }
    }
}

impl Settings for SplunkHecConfig {
    fn build(&self, opening: &Opening<'_>) -> Result<Box<dyn Destination>, ExportError> {
        let name = opening.name;
        // AITF's word for no check of certificates, which is not to be had here.
        if switch(name, "SPLUNK_VERIFY_SSL")? == Some(false) {
            let problem = "`SPLUNK_VERIFY_SSL=false`: certificates are always checked; name an authority of your own \
                           under `http.tls.ca`, and take the variable away";
            return Err(ExportError::setting(name, problem));
        }
        let token = secret(name, "token", self.token.as_ref(), self.token_env.as_ref(), "SPLUNK_HEC_TOKEN")?;
        let index = self.index.clone().or_else(|| variable("SPLUNK_INDEX")).or_else(|| variable("SPLUNK_HEC_INDEX"));
        let config = Self { index, ..self.clone() };
        let channel = channel().map_err(|problem| ExportError::setting(name, problem))?;
        Ok(Box::new(SplunkHec {
            name: name.into(),
            url: base(name, &text(name, "url", self.url.as_ref(), "SPLUNK_HEC_URL")?)?,
            token: Arc::new(RotatingSecret::open(name, &token)?),
            envelope: Arc::new(Envelope { config, schema: opening.schema.clone() }),
            client: client(name, &self.http)?,
            channel,
            acks: Mutex::default(),
        }))
    }
}

/// The collector's address, without the path that some write behind it.
fn base(name: &str, text: &str) -> Result<Url, ExportError> {
    let mut url = address(name, text)?;
    let path = url.path().trim_end_matches('/');
    let path = path.strip_suffix("/event").unwrap_or(path);
    if let Some(path) = path.strip_suffix("/services/collector").map(str::to_owned) {
        url.set_path(&path);
    }
    Ok(url)
}

/// A version 4 UUID: who sends, as far as acknowledgements are concerned.
fn channel() -> Result<String, String> {
    let mut bytes: [u8; 16] = random_bytes().map_err(|error| error.to_string())?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut parts = Vec::new();
    let mut rest = hex.as_str();
    for length in [8, 4, 4, 4, 12] {
        let (part, other) = rest.split_at(length);
        parts.push(part);
        rest = other;
    }
    Ok(parts.join("-"))
}

struct SplunkHec {
    name: String,
    url: Url,
    token: Arc<RotatingSecret>,
    envelope: Arc<Envelope>,
    client: reqwest::Client,
    channel: String,
    acks: Mutex<Acks>,
}

/// Batches that a collector has yet to confirm, at most. Those it never does are sent again and stay here: beyond this, the
/// oldest counts as lost.
const OPEN_MAX: usize = 16_384;

/// What indexers have yet to confirm. A collector numbers the batches of a channel from 0, and from 0 again after a
/// restart: then older numbers mean nothing any more, and what they stood for is sent again.
#[derive(Debug, Default)]
struct Acks {
    tickets: u64,
    /// Acknowledgement ids by ticket, at most [`OPEN_MAX`].
    open: BTreeMap<u64, u64>,
    highest: Option<u64>,
}

impl Acks {
    fn issue(&mut self, id: u64) -> u64 {
        if self.highest.is_some_and(|highest| id <= highest) {
            self.open.clear();
        }
        self.highest = Some(id);
        self.tickets += 1;
        self.open.insert(self.tickets, id);
        if self.open.len() > OPEN_MAX {
            self.open.pop_first();
        }
        self.tickets
    }
}

/// `{"text": "Success", "code": 0, "ackId": 1}`
#[derive(Debug, Default, Deserialize)]
struct Reply {
    code: u64,
    #[serde(rename = "ackId")]
    ack_id: Option<u64>,
    #[serde(rename = "invalid-event-number")]
    invalid_event: Option<usize>,
}

#[derive(Debug, Deserialize)]
struct AckReply {
    acks: HashMap<String, bool>,
}

/// What is put around events.
struct Envelope {
    config: SplunkHecConfig,
    schema: SchemaSettings,
}

impl Envelope {
    fn write(&self, item: &Item, out: &mut String) {
        let (us, config) = (item.time.as_micros(), &self.config);
        let sourcetype = config.sourcetype.clone().unwrap_or_else(|| sourcetype(&self.schema, item.event_type));
        // Text, so that no digit is lost; the collector reads both.
        out.push_str(&format!("{{\"time\":\"{}.{:06}\"", us / 1_000_000, us % 1_000_000));
        let index = config.index.as_ref().map(|index| item.place_in(index));
        let members = [
            ("host", config.host.as_deref().or(Some(&item.origin))),
            ("source", Some(&*config.source)),
            ("sourcetype", Some(&*sourcetype)),
            ("index", index.as_deref()),
        ];
        for (name, value) in members.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            out.push_str(&format!(",\"{name}\":"));
            write_string(out, value);
        }
        out.push_str(",\"fields\":{\"event_id\":");
        write_string(out, &item.id);
        out.push_str(&format!(",\"log_index\":\"{}\"}},\"event\":", item.index));
        if item.rendered.starts_with('{') {
            out.push_str(&item.rendered)
        } else {
            write_string(out, &item.rendered)
        }
        out.push_str("}\n");
    }
}

/// Sorts an answer by its `code`, which counts even under status 200.
fn sort(answer: &Answer) -> Result<Reply, SendError> {
    let Ok(reply) = answer.json::<Reply>() else {
        return Err(if answer.status.is_success() {
            SendError::later(format!("not a collector's answer: {}", answer.problem()))
        } else {
            answer.failure()
        });
    };
    let problem = answer.problem();
    match reply.code {
        0 if answer.status.is_success() => Ok(reply),
        // Token, index, channel or acknowledgement: the configuration of either side.
        1..=4 | 7 | 10 | 11 | 14 | 16 => Err(SendError::Refused(problem)),
        5 | 6 | 12 | 13 | 15 => Err(SendError::Rejected { problem, position: reply.invalid_event }),
        _ if answer.status.as_u16() == 413 => Err(SendError::TooLarge(problem)),
        _ => Err(SendError::Later { problem, retry_after: answer.retry_after() }),
    }
}

impl SplunkHec {
    async fn post(&self, path: &str, body: Vec<u8>, encoding: Option<HeaderValue>) -> Result<Answer, SendError> {
        let token = Arc::clone(&self.token);
        let token = offload(move || authorization("Splunk", token.load().expose())).await?;
        let mut request = self.client.post(below(&self.url, path)).header(AUTHORIZATION, token);
        request = request.header("X-Splunk-Request-Channel", &self.channel);
        if let Some(encoding) = encoding {
            request = request.header(CONTENT_ENCODING, encoding);
        }
        exchange(request.body(body)).await
    }

    async fn deliver(&self, batch: Batch) -> Result<Delivery, SendError> {
        let envelope = Arc::clone(&self.envelope);
        let encode = move || {
            let mut body = String::with_capacity(batch.bytes() + batch.items.len() * 400);
            batch.items.iter().for_each(|item| envelope.write(item, &mut body));
            envelope.config.compression.apply(body.into_bytes())
        };
        let (body, encoding) = offload(encode).await?;
        let reply = sort(&self.post("services/collector/event", body, encoding).await?)?;
        let id = match (self.envelope.config.acknowledgement, reply.ack_id) {
            (Acknowledgement::No, _) => None,
            (Acknowledgement::Required, None) => {
                let problem = "the token does not offer indexer acknowledgement, which `acknowledgement: required` asks \
                               for: enable it for the token";
                return Err(SendError::Refused(problem.into()));
            }
            (_, id) => id,
        };
        let ticket = id.map(|id| self.acks.lock().unwrap_or_else(PoisonError::into_inner).issue(id));
        Ok(Delivery { ticket, ..Delivery::default() })
    }

    async fn ask(&self, tickets: &[u64]) -> Result<Vec<Confirmation>, SendError> {
        let ids: Vec<Option<u64>> = {
            let acks = self.acks.lock().unwrap_or_else(PoisonError::into_inner);
            tickets.iter().map(|ticket| acks.open.get(ticket).copied()).collect()
        };
        let asked: Vec<u64> = ids.iter().flatten().copied().collect();
        let known = if asked.is_empty() {
            HashMap::new()
        } else {
            let body = json!({ "acks": asked }).to_string().into_bytes();
            let answer = self.post("services/collector/ack", body, None).await?;
            if !answer.status.is_success() {
                return Err(answer.failure());
            }
            answer.json::<AckReply>()?.acks
        };
        let mut acks = self.acks.lock().unwrap_or_else(PoisonError::into_inner);
        let answers = tickets.iter().zip(ids).map(|(ticket, id)| match id {
            None => Confirmation::Lost("the collector restarted, or never said whether indexers had the events".into()),
            Some(id) if known.get(&id.to_string()).copied().unwrap_or_default() => {
                acks.open.remove(ticket);
                Confirmation::Arrived
            }
            Some(_) => Confirmation::Pending,
        });
        Ok(answers.collect())
    }
}

impl Destination for SplunkHec {
    fn name(&self) -> &str {
        &self.name
    }

    /// The collector's own default is 1 MB before decompression.
    fn limits(&self) -> Limits {
        Limits { events_max: 2_000, bytes_max: 950_000, overhead: 400, ..Limits::default() }
    }

    fn send<'a>(&'a self, batch: &'a Batch) -> Sending<'a> {
        Box::pin(self.deliver(batch.clone()))
    }

    fn confirm<'a>(&'a self, tickets: &'a [u64]) -> Confirming<'a> {
        Box::pin(self.ask(tickets))
    }

    fn check(&self) -> Checking<'_> {
        Box::pin(async {
            let answer = exchange(self.client.get(below(&self.url, "services/collector/health/1.0"))).await?;
            if answer.status.is_success() { Ok(Some(answer.problem())) } else { Err(answer.failure()) }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_collector_never_confirms_takes_bounded_memory() {
        let mut acks = Acks::default();
        for id in 0..2 * OPEN_MAX as u64 {
            let ticket = acks.issue(id);
            assert_eq!(acks.open.get(&ticket), Some(&id));
        }
        assert_eq!(acks.open.len(), OPEN_MAX);
    }
}
