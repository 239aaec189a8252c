//! What the operator says about tools: the level and labels of what they return, and how far it can be trusted.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use super::ClassificationError;
use crate::model::DataLevel;

/// What the operator says about one tool of a server, or about several by a pattern.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ToolLabels {
    /// The level of what it returns. Detectors may find a higher one.
    pub level: Option<DataLevel>,
    /// Labels of what it returns.
    pub labels: Vec<String>,
    /// How far what it returns can be trusted.
    pub trust: Option<OutputTrust>,
    /// Members of its results that can be trusted, with `trust: fields`: names, or JSON pointers with `*`.
    pub trusted_fields: Vec<String>,
}

/// How far a tool's output can be trusted. Where nobody says, it is not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputTrust {
    /// Only the members that are named are.
    Fields,
    /// It is as good as the user's own words: nobody else can write into it.
    Trusted,
    /// Anybody may have written what it returns.
    #[default]
    Untrusted,
}

impl OutputTrust {
    /// The word that configuration and entries use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fields => "fields",
            Self::Trusted => "trusted",
            Self::Untrusted => "untrusted",
        }
    }
}

/// Labels of all tools, by server.
#[derive(Clone, Debug, Default)]
pub struct ToolTable {
    servers: BTreeMap<Arc<str>, BTreeMap<String, ToolLabels>>,
}

/// A tool whose results nobody has labelled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unlabelled {
    /// The server's alias.
    pub server: Arc<str>,
    /// The tool's name.
    pub tool: Arc<str>,
}

impl ToolTable {
    /// Adds what is said about the tools of one server.
    pub fn insert(&mut self, server: Arc<str>, tools: BTreeMap<String, ToolLabels>) {
        self.servers.insert(server, tools);
    }

    /// What is said about an operation: by its name, else by the longest pattern (`*` for any run of characters).
    #[must_use]
    pub fn find(&self, server: &str, operation: &str) -> Option<&ToolLabels> {
        let tools = self.servers.get(server)?;
        if let Some(exact) = tools.get(operation) {
            return Some(exact);
        }
        let patterns = tools.iter().filter(|(pattern, _)| pattern.contains('*') && matches(pattern, operation));
        patterns.max_by_key(|(pattern, _)| pattern.len()).map(|(_, labels)| labels)
    }

    /// Whether somebody said which level the results of an operation have.
    #[must_use]
    pub fn is_labelled(&self, server: &str, operation: &str) -> bool {
        self.find(server, operation).is_some_and(|labels| labels.level.is_some())
    }

    pub(super) fn check(&self) -> Result<(), ClassificationError> {
        let labels = self.servers.values().flat_map(|tools| tools.values()).flat_map(|tool| &tool.labels);
        labels.into_iter().try_for_each(|label| check_label(label))
    }
}

/// A label is a word that policies can name.
pub(super) fn check_label(label: &str) -> Result<(), ClassificationError> {
    let plain = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    if label.is_empty() || label.len() > 32 || !label.bytes().all(plain) {
        return Err(ClassificationError::Label(label.to_owned()));
    }
    Ok(())
}

/// Whether `pattern`, with `*` for any run of characters, is all of `name`.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
    let mut rest = rest;
    let mut parts = parts.peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some(at) = rest.find(part) else { return false };
        rest = rest.get(at + part.len()..).unwrap_or_default();
    }
    rest.is_empty()
}
