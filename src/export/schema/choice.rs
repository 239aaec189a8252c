//! Which schema a destination gets, as configured. The seed's keys.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{IntoDeserializer as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::SchemaError;
use crate::net::HttpClient;

/// A schema that events can be written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Schema {
    /// AARM's own event shapes.
    #[default]
    Aarm,
    /// Common Event Format, for syslog.
    Cef,
    /// Splunk's Common Information Model.
    Cim,
    /// The shapes of `aarm`, checked against a JSON Schema of yours.
    Custom,
    /// Elastic Common Schema.
    Ecs,
    /// Open Cybersecurity Schema Framework.
    Ocsf,
    /// OpenTelemetry log records, in OTLP's JSON.
    Otel,
    /// Unified Data Model of Google SecOps.
    Udm,
}

impl Schema {
    /// The word in configurations.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Aarm => "aarm",
            Self::Cef => "cef",
            Self::Cim => "cim",
            Self::Custom => "custom",
            Self::Ecs => "ecs",
            Self::Ocsf => "ocsf",
            Self::Otel => "otel",
            Self::Udm => "udm",
        }
    }
}

/// A variant of a schema, for consumers that were built for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// OpenTelemetry: the attributes of AI.Sentinel's forwarder beside ours.
    AiSentinel,
    /// OCSF: Agent Control Standard, the successor of AOS: `unmapped.acs`.
    Acs,
    /// OCSF, CEF and Splunk: AI Telemetry Framework, on OCSF's own classes.
    #[serde(alias = "reuse")]
    Aitf,
    /// OCSF: AI Telemetry Framework before its version 0.2, with classes 7001 to 7008 that OCSF does not have.
    #[serde(alias = "legacy_cat7")]
    AitfLegacy,
    /// OCSF: Agent Observability Standard: `unmapped.aos`, the agent as actor.
    Aos,
    /// ECS: the values of the streaming guide word for word, though Elastic does not allow all of them.
    Literal,
    /// `aarm`: a quarter of the bytes, for stores that are paid by the gigabyte.
    Slim,
}

impl Dialect {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::AiSentinel => "ai_sentinel",
            Self::Acs => "acs",
            Self::Aitf => "aitf",
            Self::AitfLegacy => "aitf_legacy",
            Self::Aos => "aos",
            Self::Literal => "literal",
            Self::Slim => "slim",
        }
    }

    /// Whether it is a variant of that schema.
    pub(super) const fn is_of(self, schema: Schema) -> bool {
        match self {
            Self::AiSentinel => matches!(schema, Schema::Otel),
            Self::Aitf => matches!(schema, Schema::Cef | Schema::Cim | Schema::Ocsf),
            Self::Acs | Self::AitfLegacy | Self::Aos => matches!(schema, Schema::Ocsf),
            Self::Literal => matches!(schema, Schema::Ecs),
            Self::Slim => matches!(schema, Schema::Aarm),
        }
    }
}

/// The class of OCSF that events of a kind become.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mapping {
    /// 6003.
    ApiActivity,
    /// 3003 Authorize Session.
    #[serde(alias = "authorize_session")]
    Authorization,
    /// 2004 Detection Finding. `security_finding` is accepted for it, since OCSF has deprecated that class in 1.1.0.
    #[serde(alias = "security_finding")]
    DetectionFinding,
    /// 2001 Security Finding, for consumers that know no other.
    #[serde(rename = "security_finding_2001")]
    SecurityFinding2001,
}

/// Which class of OCSF each kind of event becomes: the seed's `mappings`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mappings {
    /// `aarm.action`.
    pub action_event: Mapping,
    /// `aarm.approval`.
    pub approval_event: Mapping,
    /// `aarm.decision`.
    pub decision_event: Mapping,
    /// `aarm.drift`.
    pub drift_event: Mapping,
}

impl Default for Mappings {
    fn default() -> Self {
        Self {
            action_event: Mapping::ApiActivity,
            approval_event: Mapping::Authorization,
            decision_event: Mapping::DetectionFinding,
            drift_event: Mapping::DetectionFinding,
        }
    }
}

/// A schema and its settings: `schema: cef`, or `schema: {name: ocsf, version: "1.8"}`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SchemaSettings {
    /// The schema.
    pub schema: Schema,
    /// The version of the schema; of `cef` the device version in the header.
    pub version: Option<String>,
    /// A variant of the schema.
    pub dialect: Option<Dialect>,
    /// OCSF: the class of each kind of event.
    pub mappings: Mappings,
    /// The vendor in headers and metadata.
    pub vendor: Option<String>,
    /// The product in headers and metadata.
    pub product: Option<String>,
    /// `custom`: the JSON Schema, `https://...` or a file.
    pub schema_url: Option<String>,
    /// `custom`: SHA-256 of the JSON Schema, `sha256:` and 64 hexadecimal digits. Without it, what is fetched first counts
    /// from then on.
    pub schema_digest: Option<String>,
    /// `custom`: the connection that the JSON Schema comes over.
    pub schema_http: HttpClient,
}

impl SchemaSettings {
    /// What can be checked without reading a file.
    ///
    /// # Errors
    /// [`SchemaError`]: a version or dialect that the schema does not have, or `custom` without a JSON Schema.
    pub fn check(&self) -> Result<(), SchemaError> {
        if let Some(dialect) = self.dialect.filter(|dialect| !dialect.is_of(self.schema)) {
            return Err(SchemaError::Dialect { schema: self.schema.as_str(), dialect: dialect.as_str() });
        }
        match self.schema {
            Schema::Ocsf => super::ocsf::full_version(self.version.as_deref()).map(drop),
            Schema::Custom if self.schema_url.is_none() => Err(SchemaError::NoUrl),
            _ => Ok(()),
        }
    }

    /// The settings of a schema without any.
    #[must_use]
    pub fn of(schema: Schema) -> Self {
        Self { schema, ..Self::default() }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Full {
    name: Schema,
    #[serde(default)]
    version: Option<String>,
    #[serde(default)]
    dialect: Option<Dialect>,
    #[serde(default)]
    mappings: Mappings,
    #[serde(default)]
    vendor: Option<String>,
    #[serde(default)]
    product: Option<String>,
    #[serde(default)]
    schema_url: Option<String>,
    #[serde(default)]
    schema_digest: Option<String>,
    #[serde(default)]
    schema_http: HttpClient,
}

impl<'de> Deserialize<'de> for SchemaSettings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WordOrMap;

        impl<'de> Visitor<'de> for WordOrMap {
            type Value = SchemaSettings;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("the name of a schema, or a map with its `name` and settings")
            }

            fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<SchemaSettings, E> {
                Schema::deserialize(word.into_deserializer()).map(SchemaSettings::of)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SchemaSettings, A::Error> {
                let full = Full::deserialize(MapAccessDeserializer::new(map))?;
                Ok(SchemaSettings {
                    schema: full.name,
                    version: full.version,
                    dialect: full.dialect,
                    mappings: full.mappings,
                    vendor: full.vendor,
                    product: full.product,
                    schema_url: full.schema_url,
                    schema_digest: full.schema_digest,
                    schema_http: full.schema_http,
                })
            }
        }

        deserializer.deserialize_any(WordOrMap)
    }
}
