//! A signed file of pinned tools: what the tools of a server have to be, said by a person beforehand and not by whatever the
//! server listed first.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::ConfigError;
use super::bundle::Signer;
use crate::forward::StatedPins;
use crate::model::with_causes;
use crate::record::SignedDocument;

/// What such a file is, as its envelope says.
const PINS_KIND: &str = "application/vnd.countersign.tool-pins.v1+json";

/// The `tool_pins:` section.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinsConfig {
    /// The file.
    pub file: PathBuf,
    /// Whose signature counts; one is enough.
    pub signers: Vec<Signer>,
}

/// Server, tool, definition.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Content {
    servers: BTreeMap<String, BTreeMap<String, String>>,
}

impl PinsConfig {
    /// What the file says.
    ///
    /// # Errors
    /// [`ConfigError`]: unreadable, or nobody of `signers` has signed it.
    pub fn read(&self) -> Result<StatedPins, ConfigError> {
        let path = self.file.display();
        let refused =
            |problem: String| ConfigError::Value { key: "tool_pins".into(), problem: format!("`{path}`: {problem}") };
        let text = std::fs::read(&self.file).map_err(|error| refused(format!("read it: {error}")))?;
        let document = SignedDocument::read(PINS_KIND, &text).map_err(|error| refused(with_causes(&error)))?;
        let keys = self.signers.iter().map(Signer::read).collect::<Result<Vec<_>, _>>()?;
        if !keys.iter().any(|key| document.is_signed_by(key)) {
            return Err(refused("none of `signers` has signed it".into()));
        }
        let content: Content = serde_json::from_slice(&document.payload)
            .map_err(|error| refused(format!("what is signed cannot be read: {error}")))?;
        Ok(StatedPins::new(content.servers))
    }
}

/// Makes such a file, without any signature.
#[must_use]
pub fn make_pin_file(servers: BTreeMap<String, BTreeMap<String, String>>) -> SignedDocument {
    SignedDocument::new(PINS_KIND, serde_json::to_vec(&Content { servers }).unwrap_or_default())
}
