//! Keys of `telemetry` that the AARM telemetry page names, apart from schemas, destinations and filters.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::destination::S3Options;
use super::{Config, DeliveryConfig, Destination, DestinationConfig, ExportError, Filters, Opening, SchemaSettings};

/// One entry under `exporters`: a destination, and what it wants.
#[derive(Clone, Debug, Deserialize)]
pub struct ExporterConfig {
    /// The destination's name: the key of its cursor. Its type by default.
    pub name: Option<String>,
    /// The schema; that of `telemetry` by default.
    pub schema: Option<SchemaSettings>,
    /// How events are delivered.
    #[serde(default)]
    pub delivery: DeliveryConfig,
    /// Which events it gets; by default those of `telemetry.filters`.
    #[serde(default)]
    pub filters: Option<Filters>,
    /// Where they go.
    #[serde(flatten)]
    pub destination: DestinationConfig,
}

impl ExporterConfig {
    /// The destination's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_else(|| self.destination.kind())
    }

    /// Opens the destination. `telemetry` is what the exporter stands in.
    ///
    /// # Errors
    /// [`ExportError`]: a file, a secret or an address cannot be used.
    pub fn open(&self, telemetry: &Config, data_dir: &Path) -> Result<Box<dyn Destination>, ExportError> {
        let schema = telemetry.schema_of(self);
        self.destination.build(&Opening { name: self.name(), data_dir, schema: &schema })
    }
}

/// How many events gather, and for how long.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BufferConfig {
    /// Events of a batch. HIGH and above never wait.
    pub size: Option<usize>,
    /// How long events may gather: `5s`.
    pub flush_interval: Option<Span>,
}

/// What happens when a delivery fails. There is no last attempt: the log keeps the events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetryConfig {
    /// Failures in a row after which a destination is reported as degraded.
    pub max_attempts: Option<u32>,
    /// How pauses grow.
    pub backoff: RetryBackoff,
}

/// How pauses between attempts grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryBackoff {
    /// Each about twice the one before, up to a minute, with jitter.
    #[default]
    Exponential,
}

/// Something that events are completed with.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnrichmentConfig {
    /// The member of the event that is looked up.
    pub field: String,
    /// Where.
    pub lookup: LookupKind,
    /// What is added. All columns of an inventory, or department, manager and location of a person, by default.
    #[serde(default)]
    pub add_fields: Vec<String>,
}

/// Where something is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LookupKind {
    /// An inventory of assets.
    AssetInventory,
    /// A directory of people.
    Ldap,
}

impl LookupKind {
    /// The word under `lookup`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AssetInventory => "asset_inventory",
            Self::Ldap => "ldap",
        }
    }

    /// Whether this program was built with it.
    #[must_use]
    pub const fn is_available(self) -> bool {
        match self {
            Self::AssetInventory => true,
            Self::Ldap => cfg!(feature = "ldap"),
        }
    }
}

/// Files for later analysis.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BatchExportConfig {
    /// Whether files are written.
    pub enabled: bool,
    /// Where: `s3://bucket/prefix/`, or a directory; a relative one is below the data directory.
    pub destination: String,
    /// `parquet`.
    pub format: String,
    /// How much time one file holds.
    pub interval: Option<Span>,
    /// What folders are made by: `date`, `event_type`.
    pub partitioning: Vec<String>,
    /// How the bucket is reached, and how long objects are locked.
    pub s3: S3Options,
}

/// A time that lasts: `500ms`, `5s`, `10m`, `1h`, `7d`, or a number of seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

impl Span {
    /// Reads a number with its unit.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let (number, unit) = (digits.parse::<u64>().ok()?, text.strip_prefix(digits)?);
        let seconds = |each: u64| number.checked_mul(each).map(Duration::from_secs);
        Some(Self(match unit {
            "ms" => Duration::from_millis(number),
            "" | "s" => seconds(1)?,
            "m" => seconds(60)?,
            "h" => seconds(3_600)?,
            "d" => seconds(86_400)?,
            _ => return None,
        }))
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum SpanText {
    Seconds(u64),
    Text(String),
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match SpanText::deserialize(deserializer)? {
            SpanText::Seconds(seconds) => Ok(Self(Duration::from_secs(seconds))),
            SpanText::Text(text) => Self::parse(&text).ok_or_else(|| {
                serde::de::Error::custom(format!("`{text}` is no time; write `500ms`, `5s`, `10m`, `1h`"))
            }),
        }
    }
}

/// How events are delivered where a destination does not say otherwise.
pub(super) fn delivery_defaults(buffer: &BufferConfig, retry: &RetryConfig) -> DeliveryConfig {
    let milliseconds = |span: Span| u64::try_from(span.0.as_millis()).unwrap_or(u64::MAX);
    DeliveryConfig {
        batch_events: buffer.size,
        linger_ms: buffer.flush_interval.map(milliseconds),
        failures_tolerated: retry.max_attempts,
        ..DeliveryConfig::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        for (text, seconds) in [("5s", 5), ("10m", 600), ("1h", 3_600), ("7d", 604_800), ("30", 30)] {
            assert_eq!(Span::parse(text), Some(Span(Duration::from_secs(seconds))), "{text}");
        }
        assert_eq!(Span::parse("500ms"), Some(Span(Duration::from_millis(500))));
        for text in ["", "s", "5 s", "-1s", "5w", "1.5h", "99999999999999999999s"] {
            assert_eq!(Span::parse(text), None, "{text}");
        }
    }

    #[test]
    fn s0_12_and_s0_13_buffer_and_retry_are_what_delivery_starts_from() {
        let buffer: BufferConfig = serde_saphyr::from_str("{size: 1000, flush_interval: 5s}").unwrap();
        let retry: RetryConfig = serde_saphyr::from_str("{max_attempts: 3, backoff: exponential}").unwrap();
        let delivery = delivery_defaults(&buffer, &retry);
        assert_eq!(
            (delivery.batch_events, delivery.linger_ms, delivery.failures_tolerated),
            (Some(1_000), Some(5_000), Some(3))
        );
        assert!(serde_saphyr::from_str::<RetryConfig>("{backoff: none}").is_err());
    }
}
