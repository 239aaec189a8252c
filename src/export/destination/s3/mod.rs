//! S3 and what speaks like it: one object of compressed JSON lines for each batch and partition, never overwritten.
//!
//! An object's name says which entries it holds, and a name is used once (`If-None-Match: *`): a repeated upload finds
//! the first one there. After a crash a few events can be in two objects, with the same ids.

pub(super) mod credentials;
pub(super) mod sigv4;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reqwest::Url;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, IF_NONE_MATCH};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::http::{Answer, BodyCompression, address, client, exchange, offload};
use super::{Batch, Delivery, Destination, EventFailure, FailedEvent, Limits, Opening, SendError, Sending, Settings};
use crate::export::{ExportError, Item};
use crate::model::{Clock, Digest};
use crate::net::{HttpClient, SystemClock};
use credentials::Credentials;
pub use credentials::S3Credentials;
use sigv4::Signer;

/// How long events gather for an object: stores are made for few large ones.
const LINGER: Duration = Duration::from_mins(1);

/// An S3 bucket.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct S3Config {
    /// The bucket.
    pub bucket: String,
    /// What object names begin with.
    #[serde(default)]
    pub prefix: String,
    /// Its region; that of the variable `AWS_REGION`, else `us-east-1`.
    pub region: Option<String>,
    /// Another store that speaks S3, `https://HOST[:PORT]`.
    pub endpoint: Option<String>,
    /// What objects hold.
    #[serde(default)]
    pub format: S3Format,
    /// How objects are compressed.
    #[serde(default)]
    pub compression: BodyCompression,
    /// What partitions of object names say.
    #[serde(default = "partitioning")]
    pub partitioning: Vec<S3Partition>,
    /// Who we are; from the usual variables by default.
    #[serde(default)]
    pub credentials: S3Credentials,
    /// Days that an object must not be deleted (Object Lock); the bucket's own default by default.
    pub lock_days: Option<u32>,
    /// Whether not even the account's owner may shorten that: `compliance`, else `governance`.
    #[serde(default)]
    pub lock_mode: S3LockMode,
    /// The connection.
    #[serde(default)]
    pub http: HttpClient,
}

fn partitioning() -> Vec<S3Partition> {
    vec![S3Partition::Date]
}

/// What objects hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum S3Format {
    /// One event a line.
    #[default]
    Json,
}

/// What a partition says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum S3Partition {
    /// `date=2026-11-20`, UTC.
    Date,
    /// `event_type=aarm.decision`.
    EventType,
}

/// How firmly objects are locked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum S3LockMode {
    /// Nobody shortens it.
    #[default]
    Compliance,
    /// Those with a special permission do.
    Governance,
}

impl Settings for S3Config {
    fn build(&self, opening: &Opening<'_>) -> Result<Box<dyn Destination>, ExportError> {
        let name = opening.name;
        let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if self.bucket.is_empty() || !self.bucket.chars().all(named) {
            return Err(ExportError::setting(name, "`bucket` is not the name of a bucket"));
        }
        let region = self.region.clone().or_else(|| std::env::var("AWS_REGION").ok());
        let region = region.unwrap_or_else(|| "us-east-1".into());
        // Path style works everywhere, and with names that no certificate covers.
        let endpoint = self.endpoint.clone().unwrap_or_else(|| format!("https://s3.{region}.amazonaws.com"));
        let client = client(name, &self.http)?;
        Ok(Box::new(S3 {
            name: name.into(),
            endpoint: address(name, &endpoint)?,
            credentials: Credentials::open(name, &self.credentials, client.clone())?,
            config: Arc::new(self.clone()),
            region,
            client,
            clock: Arc::new(SystemClock::new()),
        }))
    }
}

struct S3 {
    name: String,
    endpoint: Url,
    credentials: Credentials,
    config: Arc<S3Config>,
    region: String,
    client: reqwest::Client,
    clock: Arc<dyn Clock>,
}

/// An object before it is stored.
struct Object {
    key: String,
    positions: Vec<usize>,
    body: Vec<u8>,
    encoding: Option<HeaderValue>,
    hash: [u8; 32],
}

impl S3Config {
    fn partition(&self, item: &Item) -> String {
        let parts = self.partitioning.iter().map(|part| match part {
            S3Partition::Date => {
                format!("date={}/", item.time.to_rfc3339_millis().split('T').next().unwrap_or_default())
            }
            S3Partition::EventType => format!("event_type={}/", item.event_type.as_str()),
        });
        parts.collect()
    }

    fn objects(&self, batch: &Batch) -> Result<Vec<Object>, SendError> {
        let mut partitions: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (position, item) in batch.items.iter().enumerate() {
            partitions.entry(self.partition(item)).or_default().push(position);
        }
        let mut objects = Vec::new();
        for (partition, positions) in partitions {
            let items = positions.iter().filter_map(|position| batch.items.get(*position)).cloned().collect();
            let part = Batch { items };
            let (body, encoding) = self.compression.apply(part.lines().into_bytes())?;
            let hash = Sha256::digest(&body).into();
            objects.push(Object {
                key: format!("{}{partition}{}", self.prefix, self.file(&part)),
                positions,
                body,
                encoding,
                hash,
            });
        }
        Ok(objects)
    }

    /// Which log, which entries, and which of their events: other events have another name.
    fn file(&self, part: &Batch) -> String {
        let ids: Vec<&[u8]> = part.items.iter().map(|item| item.id.as_bytes()).collect();
        let short = |digest: Digest| digest.to_hex().chars().take(12).collect::<String>();
        let origin = part.items.first().map(|item| short(Digest::of(item.origin.as_bytes()))).unwrap_or_default();
        let (first, last) =
            (part.items.first().map_or(0, |item| item.index), part.items.last().map_or(0, |item| item.index));
        let ending = if self.compression == BodyCompression::Gzip { "json.gz" } else { "json" };
        format!("{origin}-{first:012}-{last:012}-{}.{ending}", short(Digest::of_parts(&ids)))
    }
}

impl S3 {
    async fn deliver(&self, batch: Batch) -> Result<Delivery, SendError> {
        let config = Arc::clone(&self.config);
        let objects = offload(move || config.objects(&batch)).await?;
        let (mut failed, mut stored) = (Vec::new(), 0);
        for object in objects {
            let positions = object.positions.clone();
            match self.put(object).await {
                Ok(()) => stored += 1,
                // Nothing of the batch is there yet: the whole of it fails in its own way.
                Err(error) if stored == 0 && failed.is_empty() => return Err(error),
                Err(error) => {
                    let failure = EventFailure::Later(error.to_string());
                    failed.extend(
                        positions.into_iter().map(|position| FailedEvent { position, failure: failure.clone() }),
                    );
                }
            }
        }
        Ok(Delivery { failed, ..Delivery::default() })
    }

    async fn put(&self, object: Object) -> Result<(), SendError> {
        let mut url = self.endpoint.clone();
        match url.path_segments_mut() {
            Ok(mut path) => drop(path.pop_if_empty().push(&self.config.bucket).extend(object.key.split('/'))),
            Err(()) => return Err(SendError::Refused("the endpoint cannot have a path".into())),
        }
        let now = self.clock.now();
        let mut request = self.client.put(url).body(object.body);
        request = request.header(CONTENT_TYPE, "application/x-ndjson").header(IF_NONE_MATCH, "*");
        // Required with Object Lock, and it finds bytes that were changed on the way.
        request = request.header("x-amz-checksum-sha256", BASE64_STANDARD.encode(object.hash));
        if let Some(encoding) = object.encoding {
            request = request.header(CONTENT_ENCODING, encoding);
        }
        if let Some(days) = self.config.lock_days {
            let mode = match self.config.lock_mode {
                S3LockMode::Compliance => "COMPLIANCE",
                S3LockMode::Governance => "GOVERNANCE",
            };
            let until = now.plus_micros(u64::from(days) * 86_400_000_000).to_rfc3339_millis();
            request =
                request.header("x-amz-object-lock-mode", mode).header("x-amz-object-lock-retain-until-date", until);
        }
        let mut request = request.build().map_err(|error| SendError::Refused(error.without_url().to_string()))?;
        let keys = self.credentials.load().await?;
        let signer = Signer { keys: &keys, region: &self.region, service: "s3", now };
        signer.sign(&mut request, &object.hash).map_err(SendError::Refused)?;
        let answer = exchange(reqwest::RequestBuilder::from_parts(self.client.clone(), request)).await?;
        match answer.status.as_u16() {
            // 412: an earlier upload arrived, and its answer was lost.
            200..=299 | 412 => Ok(()),
            _ => {
                self.credentials.forget().await;
                Err(failure(&answer))
            }
        }
    }
}

/// S3 never finds fault with events: what it refuses is the request, the clock, or who asks.
fn failure(answer: &Answer) -> SendError {
    const PASSING: [&str; 4] = ["ExpiredToken", "RequestTimeTooSkewed", "RequestTimeout", "OperationAborted"];
    let problem = answer.problem();
    match answer.status.as_u16() {
        400 | 403 if PASSING.iter().any(|code| problem.contains(code)) => SendError::later(problem),
        400 => SendError::Refused(problem),
        _ => answer.failure(),
    }
}

impl Destination for S3 {
    fn name(&self) -> &str {
        &self.name
    }

    fn limits(&self) -> Limits {
        Limits { events_max: 10_000, bytes_max: 8 << 20, event_bytes_max: 4 << 20, overhead: 1, linger: LINGER }
    }

    fn send<'a>(&'a self, batch: &'a Batch) -> Sending<'a> {
        Box::pin(self.deliver(batch.clone()))
    }
}
