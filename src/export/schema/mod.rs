//! How events look. Each schema is a pure function of an event.

mod aarm;

use serde::Deserialize;

use super::Event;

/// The version of all mappings together: raised whenever an entry renders differently than before, so that a cursor says
/// which mappings its events were rendered with.
pub const MAPPING_VERSION: u32 = 1;

/// A schema that events can be written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Schema {
    /// AARM's own event shapes.
    #[default]
    Aarm,
}

/// One event in a schema, on one line. `origin` names the log it comes from.
#[must_use]
pub fn format(schema: Schema, event: &Event, origin: &str) -> String {
    match schema {
        Schema::Aarm => aarm::format(event, origin),
    }
}
