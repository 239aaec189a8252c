//! Where events go. One file a destination, all of one anatomy.

mod file;

use std::path::{Path, PathBuf};
use std::pin::Pin;

use serde::Deserialize;

use super::{Event, ExportError, SchemaSettings};

pub(crate) use file::File;

/// Events ready to leave, in the order of the log.
#[derive(Debug)]
pub struct Batch {
    /// What happened.
    pub events: Vec<Event>,
    /// The same, rendered in the destination's schema, one text each.
    pub rendered: Vec<String>,
}

/// A place events go to.
///
/// When `send` returns without an error every event of the batch has arrived as safely as the destination can promise.
/// Called by one task at a time. The caller repeats a batch that failed, so receivers may see an event twice, never not
/// at all.
pub trait Destination: Send + Sync {
    /// Its name: the key of its cursor.
    fn name(&self) -> &str;

    /// Delivers a batch.
    fn send<'a>(&'a self, batch: &'a Batch) -> Pin<Box<dyn Future<Output = Result<(), SendError>> + Send + 'a>>;
}

/// Why a batch did not arrive.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// It may arrive later.
    #[error("{0}")]
    Later(String),
    /// The file cannot be written now.
    #[error("write to `{path}`", path = path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// One entry under `telemetry.exporters`.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum DestinationConfig {
    /// A file of JSON lines.
    File(FileConfig),
    /// Standard output, one event a line.
    Stdout(StdoutConfig),
}

/// A file of JSON lines.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileConfig {
    /// The destination's name; its type by default.
    pub name: Option<String>,
    /// The file, relative to the data directory. Made 0600 when it is not there; appended to.
    pub path: PathBuf,
    /// The schema; that of `telemetry` by default.
    pub schema: Option<SchemaSettings>,
}

/// Standard output.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StdoutConfig {
    /// The destination's name; its type by default.
    pub name: Option<String>,
    /// The schema; that of `telemetry` by default.
    pub schema: Option<SchemaSettings>,
}

impl DestinationConfig {
    /// The destination's name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::File(config) => config.name.as_deref().unwrap_or("file"),
            Self::Stdout(config) => config.name.as_deref().unwrap_or("stdout"),
        }
    }

    /// The schema it asks for.
    #[must_use]
    pub const fn schema(&self) -> Option<&SchemaSettings> {
        match self {
            Self::File(config) => config.schema.as_ref(),
            Self::Stdout(config) => config.schema.as_ref(),
        }
    }

    /// Opens it.
    ///
    /// # Errors
    /// [`ExportError::Open`] names the file.
    pub fn build(&self, data_dir: &Path) -> Result<Box<dyn Destination>, ExportError> {
        match self {
            Self::File(config) => Ok(Box::new(File::open(self.name(), &data_dir.join(&config.path))?)),
            Self::Stdout(_) => Ok(Box::new(File::stdout(self.name()))),
        }
    }
}
