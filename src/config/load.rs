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
    /// A policy file that cannot be read.
    #[error("read the policy `{path}`; correct `policies`, whose paths are relative to the configuration")]
    ReadPolicy {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Not YAML, an unknown key, or a value of the wrong type. One line, so that it fits a log.
    #[error("{path}:{line}: {problem}; correct the line")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, from 1; 0 when the parser does not say.
        line: u64,
        /// The parser's sentence: what was found and what was expected.
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
    let mut config: Config = serde_saphyr::from_str(text).map_err(|error| syntax(&error, path))?;
    config.telemetry.exporters.append(&mut config.exporters);
    config.telemetry.batch_export = config.telemetry.batch_export.or(config.batch_export.take());
    Ok(config)
}

/// The parser's sentence without its drawing of the place, which takes six lines, and without advice to programmers.
fn syntax(error: &serde_saphyr::Error, path: &Path) -> ConfigError {
    let said = error.without_snippet().to_string();
    let sentence = said.lines().next().unwrap_or_default();
    let sentence = sentence.strip_prefix("error: ").unwrap_or(sentence);
    let sentence = match sentence.split_once(": ") {
        Some((place, rest)) if place.starts_with("line ") => rest,
        _ => sentence,
    };
    let sentence = sentence.split(", set DuplicateKeyPolicy").next().unwrap_or(sentence);
    let line = error.location().map_or(0, |location| location.line());
    ConfigError::Syntax { path: path.to_owned(), line, problem: sentence.to_owned() }
}
