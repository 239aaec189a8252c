//! Text to structs, with the line of whatever is wrong.

use std::path::{Path, PathBuf};

use super::Config;

/// What is wrong with a configuration. Each says where and what to do.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("read the configuration `{path}`; give its path with -c, or start with --upstream and no file")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Not YAML, an unknown key, or a value of the wrong type. The text names line, column and what was expected.
    #[error("{path}: {problem}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The parser's sentence.
        problem: String,
    },
    /// A value that cannot be used.
    #[error("`{key}`: {problem}")]
    Value {
        /// The key, dotted.
        key: String,
        /// What is wrong and what to do.
        problem: String,
    },
    /// Policies that do not load.
    #[error("{0}")]
    Policies(String),
}

/// Reads a configuration file.
///
/// # Errors
/// [`ConfigError`]: unreadable, or not a configuration.
pub fn load(path: &Path) -> Result<Config, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    parse(&text, path)
}

/// Reads a configuration from its text; `path` is for messages.
///
/// # Errors
/// [`ConfigError::Syntax`] with line and column.
pub fn parse(text: &str, path: &Path) -> Result<Config, ConfigError> {
    if text.trim().is_empty() {
        return Ok(Config::default());
    }
    serde_saphyr::from_str(text)
        .map_err(|error| ConfigError::Syntax { path: path.to_owned(), problem: error.to_string() })
}
