//! S3 and what speaks like it: one object of compressed JSON lines for each batch and partition, never overwritten.
//!
//! An object's name says which entries it holds, and a name is used once (`If-None-Match: *`): a repeated upload finds
//! the first one there. After a crash a few events can be in two objects, with the same ids.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use super::aws::AwsCredentials;
use super::bucket::{Body, Bucket, S3Options};
use super::http::{BodyCompression, offload};
use super::{Batch, Delivery, Destination, EventFailure, FailedEvent, Limits, Opening, SendError, Sending, Settings};
use crate::export::{ExportError, Item};
use crate::model::Digest;
use crate::net::HttpClient;

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
    pub credentials: AwsCredentials,
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
        let options = S3Options {
            region: self.region.clone(),
            endpoint: self.endpoint.clone(),
            credentials: self.credentials.clone(),
            lock_days: self.lock_days,
            lock_mode: self.lock_mode,
            http: self.http.clone(),
        };
        let bucket = Bucket::open(name, &self.bucket, &options)?;
        Ok(Box::new(S3 { name: name.into(), bucket, config: Arc::new(self.clone()) }))
    }
}

struct S3 {
    name: String,
    bucket: Bucket,
    config: Arc<S3Config>,
}

/// An object before it is stored.
struct Object {
    key: String,
    positions: Vec<usize>,
    body: Body,
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
            objects.push(Object {
                key: format!("{}{partition}{}", self.prefix, self.file(&part)),
                positions,
                body: Body::new(body, "application/x-ndjson", encoding),
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
            let Object { key, positions, body } = object;
            match self.bucket.create(&key, body).await {
                // One that is there is from an earlier upload whose answer was lost.
                Ok(_) => stored += 1,
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
