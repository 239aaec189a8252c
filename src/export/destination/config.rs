//! `telemetry.exporters`: which destinations there are. A destination's own keys are in its own file.

use std::path::Path;

use serde::Deserialize;

use super::{Destination, FileConfig, StdoutConfig};
use crate::export::{DeliveryConfig, ExportError, SchemaSettings};

/// One entry under `telemetry.exporters`.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum DestinationConfig {
    /// A file of JSON lines.
    File(FileConfig),
    /// Standard output, one event a line.
    Stdout(StdoutConfig),
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

impl DestinationConfig {
    fn settings(&self) -> &dyn Settings {
        match self {
            Self::File(config) => config,
            Self::Stdout(config) => config,
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
        self.settings().kind()
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
