//! Apache Kafka by librdkafka's idempotent producer, and Event Hubs by the same protocol.
//!
//! Every broker in sync has an event before it counts as arrived (`acks=all`). Events of a session have one key, so that
//! they stay in order in one partition; the event's id is the header `event_id`. The broker drops what the producer
//! itself repeats; what we send again after a failure or a crash arrives again, with the same id.

#[cfg(feature = "kafka")]
mod answer;
#[cfg(feature = "kafka")]
mod producer;

use serde::Deserialize;

use super::{Destination, Opening, Settings};
use crate::export::ExportError;
use crate::net::{ClientTls, SecretSource};

/// Apache Kafka, or what speaks its protocol.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KafkaConfig {
    /// `HOST:PORT` of some of the brokers; the others are learnt from them.
    #[serde(default)]
    pub brokers: Vec<String>,
    /// The topic. It must be there.
    pub topic: String,
    /// Azure Event Hubs instead of `brokers` and `sasl`.
    pub event_hubs: Option<EventHubsConfig>,
    /// How we say who we are.
    pub sasl: Option<SaslConfig>,
    /// TLS: `tls: {}` trusts the authorities of the operating system. Without it, none.
    pub tls: Option<ClientTls>,
    /// How batches are compressed.
    #[serde(default)]
    pub compression: KafkaCompression,
    /// Milliseconds until the brokers must have confirmed an event; then it is sent again.
    pub timeout_ms: Option<u64>,
}

/// An Event Hubs namespace, by a connection string with the right to send.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventHubsConfig {
    /// `NAME`, or `NAME.servicebus.windows.net` as other clouds have it.
    pub namespace: String,
    /// The variable that holds the connection string.
    pub connection_string_env: Option<String>,
    /// Where the connection string is; a file is read again for every batch.
    pub connection_string: Option<SecretSource>,
}

/// `sasl: {mechanism: scram-sha-512, username: NAME, password: {file: PATH}}`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SaslConfig {
    /// How.
    #[serde(default)]
    pub mechanism: SaslMechanism,
    /// The user.
    pub username: String,
    /// The variable that holds the password.
    pub password_env: Option<String>,
    /// Where the password is; a file is read again for every batch.
    pub password: Option<SecretSource>,
}

/// How we say who we are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SaslMechanism {
    /// The password itself: only inside TLS.
    Plain,
    /// A proof of the password (RFC 7677).
    #[serde(rename = "scram-sha-256")]
    ScramSha256,
    /// A proof of the password.
    #[default]
    #[serde(rename = "scram-sha-512")]
    ScramSha512,
}

/// How batches are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KafkaCompression {
    /// gzip.
    Gzip,
    /// LZ4: cheap, and a third of the bytes.
    #[default]
    Lz4,
    /// As they are. Event Hubs reads nothing else in most tiers, so there it is what counts.
    None,
    /// Snappy.
    Snappy,
}

impl Settings for KafkaConfig {
    #[cfg(not(feature = "kafka"))]
    fn available(&self, kind: &'static str) -> Result<(), ExportError> {
        Err(ExportError::Feature { kind, detail: "", feature: "kafka" })
    }

    #[cfg(feature = "kafka")]
    fn build(&self, opening: &Opening<'_>) -> Result<Box<dyn Destination>, ExportError> {
        producer::open(self, opening.name)
    }

    #[cfg(not(feature = "kafka"))]
    fn build(&self, _opening: &Opening<'_>) -> Result<Box<dyn Destination>, ExportError> {
        Err(ExportError::Feature { kind: "kafka", detail: "", feature: "kafka" })
    }
}
