//! What keeps events from leaving before the first has left.

use std::path::PathBuf;

use super::SchemaError;
use crate::net::{HttpClientError, SecretError};

/// Why exporting cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The HTTP client of a destination.
    #[error("prepare the connection of the exporter `{name}`")]
    Client {
        /// The destination.
        name: String,
        /// Why.
        #[source]
        source: Box<HttpClientError>,
    },
    /// The mapping of events to frameworks cannot be used.
    #[error("telemetry.compliance: {0}")]
    Compliance(String),
    /// The cursor of a destination cannot be read or written.
    #[error("keep the cursor `{path}`", path = path.display())]
    Cursor {
        /// Its file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The cursor stands where the log is not: it belongs to another log, or the log lost its end.
    #[error("the cursor `{path}` stands at entry {sequence}, but the log holds {size}; move it away to start again", path = path.display())]
    CursorAhead {
        /// Its file.
        path: PathBuf,
        /// Where it stands.
        sequence: u64,
        /// The size of the log.
        size: u64,
    },
    /// The cursor belongs to another log, or the entry before it is not the one that was there.
    #[error("the cursor `{path}` does not belong to this log at entry {sequence}; move it away to start again", path = path.display())]
    CursorElsewhere {
        /// Its file.
        path: PathBuf,
        /// Where it stands.
        sequence: u64,
    },
    /// Two destinations of one name would share a cursor.
    #[error("two exporters are named `{0}`; give one of them another `name`")]
    Duplicate(String),
    /// A line under `enrichment` that cannot be carried out.
    #[error("telemetry.enrichment: `lookup: {lookup}`: {problem}")]
    Enrichment {
        /// The word under `lookup`.
        lookup: &'static str,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// Something that programs have that were built with more.
    #[error(
        "`type: {kind}`{detail} needs a program that was built with `--features {feature}`, as the container image is"
    )]
    Feature {
        /// The word under `type`.
        kind: &'static str,
        /// The setting that needs it, if it is not the type: ` with ...`.
        detail: &'static str,
        /// The cargo feature.
        feature: &'static str,
    },
    /// A schema that cannot be used as it is configured.
    #[error("prepare the schema of the exporter `{name}`")]
    Schema {
        /// The destination.
        name: String,
        /// Why.
        #[source]
        source: SchemaError,
    },
    /// A secret of a destination.
    #[error("load a secret of the exporter `{name}`")]
    Secret {
        /// The destination.
        name: String,
        /// Why.
        #[source]
        source: Box<SecretError>,
    },
    /// A setting of a destination that cannot be used.
    #[error("exporter `{name}`: {problem}")]
    Setting {
        /// The destination.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A destination's file.
    #[error("open `{path}`", path = path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl ExportError {
    pub(in crate::export) fn setting(name: &str, problem: impl Into<String>) -> Self {
        Self::Setting { name: name.to_owned(), problem: problem.into() }
    }

    /// Whether the configuration is to blame, and not the machine.
    #[must_use]
    pub const fn is_configuration(&self) -> bool {
        matches!(
            self,
            Self::Client { .. }
                | Self::Compliance(_)
                | Self::Duplicate(_)
                | Self::Enrichment { .. }
                | Self::Feature { .. }
                | Self::Schema { .. }
                | Self::Secret { .. }
                | Self::Setting { .. }
        )
    }
}
