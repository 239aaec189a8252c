//! What data is: an ordered level, and labels apart from it (AARM, resolution G-6).
//!
//! Three mechanisms speak: the operator's labels for a tool, detectors that look at what a tool returned, and policies
//! (`effect.set_context`). The highest of them counts. Where none speaks, the level is the configured one, which is the
//! highest unless somebody says otherwise, and its source says `default`: a rule can tell what was found from what is
//! merely not known. Must never lower what another mechanism said.

mod detect;
mod flatten;
mod label;
mod names;
mod numbers;
mod tools;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use crate::model::{DataLevel, LevelSource};

pub use detect::Detectors;
pub use flatten::{Flat, flatten};
pub use label::{Label, Labels};
pub use tools::{OutputTrust, ToolLabels, ToolTable, Unlabelled};

/// The `classification:` section.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The level of results that no label, detector or policy speaks about (AARM ).
    pub unlabelled: DataLevel,
    /// Whether results are searched for personal, financial and secret data.
    pub detectors: bool,
    /// The level that comes with a label, where it is not the usual one.
    pub levels: BTreeMap<String, DataLevel>,
    /// Detectors of one's own.
    pub custom: Vec<CustomDetector>,
}

impl Default for Config {
    fn default() -> Self {
        Self { unlabelled: DataLevel::Restricted, detectors: true, levels: BTreeMap::new(), custom: Vec::new() }
    }
}

/// A pattern of one's own: what it finds gets a label and a level.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustomDetector {
    /// The label: `EMPLOYEE_ID`.
    pub label: String,
    /// The level that comes with it.
    pub level: DataLevel,
    /// A regular expression without look-around or back references: it is searched in linear time.
    pub pattern: String,
}

/// Why a classification cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ClassificationError {
    /// A pattern.
    #[error("the pattern of the detector for `{label}` does not compile")]
    Pattern {
        /// The detector's label.
        label: String,
        /// Why.
        #[source]
        source: Box<regex::Error>,
    },
    /// A label.
    #[error("`{0}` is not a label: use 1 to 32 capital letters, digits or `_`")]
    Label(String),
}

/// What a piece of data is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Classified {
    /// The level, and who said so; `None` when there was no data.
    pub level: Option<(DataLevel, LevelSource)>,
    /// Labels, sorted.
    pub labels: Vec<Arc<str>>,
}

/// Classifies results.
#[derive(Debug)]
pub struct Classifier {
    unlabelled: DataLevel,
    detectors: Option<Detectors>,
    tools: ToolTable,
}

impl Classifier {
    /// Prepares `config` with what the operator said about tools.
    ///
    /// # Errors
    /// [`ClassificationError`]: a pattern or a label that cannot be used.
    pub fn new(config: &Config, tools: ToolTable) -> Result<Self, ClassificationError> {
        tools.check()?;
        let detectors = if config.detectors { Some(Detectors::new(config)?) } else { None };
        Ok(Self { unlabelled: config.unlabelled, detectors, tools })
    }

    /// The level of data that nobody speaks about.
    #[must_use]
    pub const fn unlabelled(&self) -> DataLevel {
        self.unlabelled
    }

    /// What the operator said about tools.
    #[must_use]
    pub const fn tools(&self) -> &ToolTable {
        &self.tools
    }

    /// What a result of `operation` of `server` is. Without `flat` nobody could look at it: it counts as unlabelled
    /// whatever was found elsewhere.
    #[must_use]
    pub fn classify(&self, server: &str, operation: &str, flat: Option<&Flat>) -> Classified {
        let said = self.tools.find(server, operation);
        let found = match (&self.detectors, flat) {
            (Some(detectors), Some(flat)) => detectors.find(&flat.text),
            _ => Labels::default(),
        };
        let has_data = flat.is_none_or(|flat| flat.has_data());
        let mut level = None;
        raise(
            &mut level,
            said.and_then(|said| said.level).filter(|_| has_data).map(|level| (level, LevelSource::Label)),
        );
        let named = self.detectors.as_ref().and_then(|detectors| detectors.level(&found));
        raise(&mut level, named.map(|level| (level, LevelSource::Detector)));
        // What nobody could look into says nothing about itself, whatever stands beside it.
        let opaque = flat.is_none_or(|flat| flat.opaque) && !matches!(level, Some((_, LevelSource::Label)));
        if has_data && (level.is_none() || opaque) {
            raise(&mut level, Some((self.unlabelled, LevelSource::Default)));
        }
        let mut labels = found.names(self.detectors.as_ref());
        labels.extend(
            said.filter(|_| has_data).into_iter().flat_map(|said| said.labels.iter().map(|l| Arc::from(l.as_str()))),
        );
        labels.sort_unstable();
        labels.dedup();
        Classified { level, labels }
    }
}

/// Raises a level, never lowers it. At the same level what somebody said beats what nobody knew.
pub fn raise(level: &mut Option<(DataLevel, LevelSource)>, other: Option<(DataLevel, LevelSource)>) {
    let Some((other_level, other_source)) = other else { return };
    let stays = level.is_some_and(|(value, source)| {
        value > other_level || value == other_level && (source != LevelSource::Default || other_source == source)
    });
    if !stays {
        *level = Some((other_level, other_source));
    }
}

#[cfg(test)]
mod tests;
