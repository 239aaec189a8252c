//! `telemetry.exporters`: which destinations there are. A destination's own keys are in its own file; those that every
//! destination has are in `ExporterConfig`.

use std::path::Path;

use serde::Deserialize;

use super::Destination;
use super::chronicle::ChronicleConfig;
use super::datadog::DatadogConfig;
use super::elasticsearch::{ElasticsearchConfig, LogstashConfig};
use super::file::{FileConfig, StdoutConfig};
use super::firehose::FirehoseConfig;
use super::kafka::KafkaConfig;
use super::kinesis::KinesisConfig;
use super::otlp::OtlpConfig;
use super::s3::S3Config;
use super::sentinel::SentinelConfig;
use super::splunk_hec::SplunkHecConfig;
use super::sumologic::SumologicConfig;
use super::syslog::SyslogConfig;
use super::trend_vision_one::TrendVisionOneConfig;
use super::webhook::WebhookConfig;
use crate::export::archive::ArchiveConfig;
use crate::export::files::SecurityLakeConfig;
use crate::export::{ExportError, SchemaSettings};

/// What a destination is opened with.
#[derive(Clone, Copy, Debug)]
pub struct Opening<'a> {
    /// Its name, for messages.
    pub name: &'a str,
    /// What relative paths are relative to.
    pub data_dir: &'a Path,
    /// The schema that its events are in.
    pub schema: &'a SchemaSettings,
}

/// What the configuration of a destination has to offer.
pub(crate) trait Settings {
    /// What keeps this program from having such a destination, whatever its settings.
    ///
    /// # Errors
    /// [`ExportError::Feature`].
    fn available(&self, _kind: &'static str) -> Result<(), ExportError> {
        Ok(())
    }

    /// Makes the destination. Nothing is sent: a receiver that is down must not keep the process from starting.
    ///
    /// # Errors
    /// [`ExportError`]: a file, a secret or an address cannot be used.
    fn build(&self, opening: &Opening<'_>) -> Result<Box<dyn Destination>, ExportError>;
}

/// One line a destination: the variant, its settings, and the words under `type`.
macro_rules! destinations {
    ($($(#[$about:meta])* $variant:ident($settings:ident) = $kind:literal $(| $alias:literal)*;)*) => {
        /// One entry under `telemetry.exporters`, as far as its `type` decides what it may hold.
        #[derive(Clone, Debug, Deserialize)]
        #[serde(tag = "type")]
        pub enum DestinationConfig {
            $($(#[$about])* #[serde(rename = $kind $(, alias = $alias)*)] $variant($settings),)*
        }

        impl DestinationConfig {
            /// All words that `type` may be, aliases aside.
            pub const KINDS: &[&str] = &[$($kind),*];

            /// The word under `type`.
            #[must_use]
            pub const fn kind(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $kind,)*
                }
            }

            fn settings(&self) -> &dyn Settings {
                match self {
                    $(Self::$variant(settings) => settings,)*
                }
            }
        }
    };
}

destinations! {
    /// The off-host copy of the log.
    Archive(ArchiveConfig) = "archive";
    /// Amazon Data Firehose.
    AwsFirehose(FirehoseConfig) = "aws_firehose";
    /// Amazon Kinesis Data Streams.
    AwsKinesis(KinesisConfig) = "aws_kinesis";
    /// Google SecOps.
    Chronicle(ChronicleConfig) = "chronicle";
    /// Datadog.
    Datadog(DatadogConfig) = "datadog";
    /// Elasticsearch or OpenSearch.
    Elasticsearch(ElasticsearchConfig) = "elasticsearch" | "elastic";
    /// A file of JSON lines.
    File(FileConfig) = "file";
    /// Apache Kafka, and Event Hubs by its protocol.
    Kafka(KafkaConfig) = "kafka";
    /// Logstash's HTTP input.
    Logstash(LogstashConfig) = "logstash";
    /// An OpenTelemetry collector.
    Otlp(OtlpConfig) = "otlp";
    /// An S3 bucket.
    S3(S3Config) = "s3";
    /// Amazon Security Lake.
    SecurityLake(SecurityLakeConfig) = "security_lake";
    /// Microsoft Sentinel.
    Sentinel(SentinelConfig) = "sentinel";
    /// Splunk HTTP Event Collector.
    SplunkHec(SplunkHecConfig) = "splunk_hec";
    /// Standard output, one event a line.
    Stdout(StdoutConfig) = "stdout";
    /// Sumo Logic.
    Sumologic(SumologicConfig) = "sumologic" | "sumo";
    /// A syslog receiver.
    Syslog(SyslogConfig) = "syslog";
    /// Trend Vision One.
    TrendVisionOne(TrendVisionOneConfig) = "trend_vision_one";
    /// Any HTTP endpoint.
    Webhook(WebhookConfig) = "webhook";
}

impl DestinationConfig {
    /// The settings of an archive, which gets the log itself and no events; `None` for all others.
    #[must_use]
    pub const fn archive(&self) -> Option<&ArchiveConfig> {
        match self {
            Self::Archive(config) => Some(config),
            _ => None,
        }
    }

    /// The settings of a lake that gets files of whole ranges of the log; `None` for all others.
    #[must_use]
    pub fn security_lake(&self) -> Option<&SecurityLakeConfig> {
        match self {
            Self::SecurityLake(config) if !config.streams() => Some(config),
            _ => None,
        }
    }

    /// Whether it is Security Lake, whichever way events get there.
    #[must_use]
    pub const fn is_lake(&self) -> bool {
        matches!(self, Self::SecurityLake(_))
    }

    /// Whether it is sent single events, and not the log or files of it.
    #[must_use]
    pub fn takes_events(&self) -> bool {
        self.archive().is_none() && self.security_lake().is_none()
    }

    /// Whether this program has such a destination at all.
    ///
    /// # Errors
    /// [`ExportError::Feature`]: it was built without.
    pub fn available(&self) -> Result<(), ExportError> {
        self.settings().available(self.kind())
    }

    /// Opens it.
    ///
    /// # Errors
    /// [`ExportError`]: a file, a secret or an address cannot be used.
    pub fn build(&self, opening: &Opening<'_>) -> Result<Box<dyn Destination>, ExportError> {
        self.available()?;
        self.settings().build(opening)
    }
}
