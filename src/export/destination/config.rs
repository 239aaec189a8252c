//! `telemetry.exporters`: which destinations there are. A destination's own keys are in its own file.

use std::path::Path;

use serde::Deserialize;

use super::{
    Destination, ElasticsearchConfig, FileConfig, LogstashConfig, OtlpConfig, S3Config, SentinelConfig,
    SplunkHecConfig, StdoutConfig, SyslogConfig, WebhookConfig,
};
use crate::export::{DeliveryConfig, ExportError, SchemaSettings};

/// One entry under `telemetry.exporters`.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum DestinationConfig {
    /// Elasticsearch or OpenSearch.
    #[serde(alias = "elastic")]
    Elasticsearch(ElasticsearchConfig),
    /// A file of JSON lines.
    File(FileConfig),
    /// Logstash's HTTP input.
    Logstash(LogstashConfig),
    /// An OpenTelemetry collector.
    Otlp(OtlpConfig),
    /// An S3 bucket.
    S3(S3Config),
    /// Microsoft Sentinel.
    Sentinel(SentinelConfig),
    /// Splunk HTTP Event Collector.
    SplunkHec(SplunkHecConfig),
    /// Standard output, one event a line.
    Stdout(StdoutConfig),
    /// A syslog receiver.
    Syslog(SyslogConfig),
    /// Any HTTP endpoint.
    Webhook(WebhookConfig),
    // Those of later versions: read, and refused by name.
    /// The off-host copy of the log.
    Archive(NotBuilt),
    /// Amazon Data Firehose.
    AwsFirehose(NotBuilt),
    /// Amazon Kinesis Data Streams.
    AwsKinesis(NotBuilt),
    /// Google SecOps.
    Chronicle(NotBuilt),
    /// Datadog Logs.
    Datadog(NotBuilt),
    /// Apache Kafka.
    Kafka(NotBuilt),
    /// Amazon Security Lake.
    SecurityLake(NotBuilt),
    /// Sumo Logic.
    #[serde(alias = "sumo")]
    Sumologic(NotBuilt),
    /// Trend Vision One.
    TrendVisionOne(NotBuilt),
}

/// A destination of a later version. Its own keys are read over.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct NotBuilt {
    /// The destination's name.
    pub name: Option<String>,
    /// Its schema.
    pub schema: Option<SchemaSettings>,
    /// How events would be delivered.
    pub delivery: DeliveryConfig,
}

/// The keys that every destination has.
#[derive(Clone, Copy, Debug)]
pub struct Common<'a> {
    /// The destination's name; its type by default.
    pub name: Option<&'a str>,
    /// The schema; that of `telemetry` by default.
    pub schema: Option<&'a SchemaSettings>,
    /// How events are delivered.
    pub delivery: &'a DeliveryConfig,
}

/// What the configuration of a destination has to offer.
pub(crate) trait Settings {
    /// The word under `type`.
    fn kind(&self) -> &'static str;

    /// The keys that every destination has.
    fn common(&self) -> Common<'_>;

    /// Makes the destination. Nothing is sent: a receiver that is down must not keep the process from starting.
    ///
    /// # Errors
    /// [`ExportError`]: a file, a secret or an address cannot be used.
    fn build(&self, name: &str, data_dir: &Path) -> Result<Box<dyn Destination>, ExportError>;
}

impl Settings for NotBuilt {
    fn kind(&self) -> &'static str {
        "not built yet"
    }

    fn common(&self) -> Common<'_> {
        Common { name: self.name.as_deref(), schema: self.schema.as_ref(), delivery: &self.delivery }
    }

    fn build(&self, name: &str, _data_dir: &Path) -> Result<Box<dyn Destination>, ExportError> {
        Err(ExportError::NotBuilt(name.to_owned()))
    }
}

impl DestinationConfig {
    fn settings(&self) -> &dyn Settings {
        match self {
            Self::Elasticsearch(config) => config,
            Self::File(config) => config,
            Self::Logstash(config) => config,
            Self::Otlp(config) => config,
            Self::S3(config) => config,
            Self::Sentinel(config) => config,
            Self::SplunkHec(config) => config,
            Self::Stdout(config) => config,
            Self::Syslog(config) => config,
            Self::Webhook(config) => config,
            Self::Archive(config)
            | Self::AwsFirehose(config)
            | Self::AwsKinesis(config)
            | Self::Chronicle(config)
            | Self::Datadog(config)
            | Self::Kafka(config)
            | Self::SecurityLake(config)
            | Self::Sumologic(config)
            | Self::TrendVisionOne(config) => config,
        }
    }

    /// The destination's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.common().name.unwrap_or_else(|| self.kind())
    }

    /// The word under `type`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.not_built().unwrap_or_else(|| self.settings().kind())
    }

    /// The word under `type` of a destination that a later version has.
    #[must_use]
    pub const fn not_built(&self) -> Option<&'static str> {
        Some(match self {
            Self::Archive(_) => "archive",
            Self::AwsFirehose(_) => "aws_firehose",
            Self::AwsKinesis(_) => "aws_kinesis",
            Self::Chronicle(_) => "chronicle",
            Self::Datadog(_) => "datadog",
            Self::Kafka(_) => "kafka",
            Self::SecurityLake(_) => "security_lake",
            Self::Sumologic(_) => "sumologic",
            Self::TrendVisionOne(_) => "trend_vision_one",
            _ => return None,
        })
    }

    /// The keys that every destination has.
    #[must_use]
    pub fn common(&self) -> Common<'_> {
        self.settings().common()
    }

    /// Opens it.
    ///
    /// # Errors
    /// [`ExportError`]: a file, a secret or an address cannot be used.
    pub fn build(&self, data_dir: &Path) -> Result<Box<dyn Destination>, ExportError> {
        self.settings().build(self.name(), data_dir)
    }
}
