//! How events look. Each schema is a pure function of an event.
//!
//! What stands where is data: one table a schema in `tables/` ([`table`]), made into a [`template::Template`] once, when
//! a destination is built. Rendering then copies values from the entry's own JSON text into a buffer. A schema must
//! never say more than the entry does: what is unknown is null or left out, never zero.

mod aarm;
mod cef;
mod choice;
mod custom;
mod expression;
mod fact;
mod flat;
mod function;
pub(super) mod members;
mod ocsf;
mod otel;
mod sourcetype;
mod table;
mod template;
mod value;

use std::path::Path;
use std::sync::Arc;

use crate::export::{Compliance, DecodedEntry, Event};

pub use choice::{Dialect, Mapping, Mappings, Schema, SchemaSettings};
pub use sourcetype::sourcetype;
pub(super) use table::member_of;

/// The version of all mappings together: raised whenever an entry renders differently than before, so that a cursor says
/// which mappings its events were rendered with.
pub const MAPPING_VERSION: u32 = 2;

/// Why a schema cannot be used as it is configured.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// The JSON Schema of `custom` cannot be used.
    #[error("use the JSON Schema `{url}`: {problem}")]
    Custom {
        /// Where it is.
        url: String,
        /// Why.
        problem: String,
    },
    /// A variant that belongs to another schema.
    #[error("`{schema}` has no dialect `{dialect}`")]
    Dialect {
        /// The schema.
        schema: &'static str,
        /// The dialect.
        dialect: &'static str,
    },
    /// `custom` without a JSON Schema.
    #[error("the schema `custom` needs `schema_url`: https://... or a file")]
    NoUrl,
    /// A mapping table cannot be read.
    #[error("read the mapping table of `{schema}`: {problem}")]
    Table {
        /// The schema.
        schema: &'static str,
        /// Which line, and why.
        problem: String,
    },
    /// A version that is not known here.
    #[error("`{schema}` has no version `{version}` here; known: {known}")]
    Version {
        /// The schema.
        schema: &'static str,
        /// The version.
        version: String,
        /// The versions that are.
        known: &'static str,
    },
}

/// Why an event cannot be written in a schema: it goes to the dead letters of its destination.
#[derive(Debug, thiserror::Error)]
#[error("write the event in its schema: {0}")]
pub struct RenderError(pub String);

/// Writes events in one schema.
pub struct Formatter {
    render: Box<dyn Render>,
    names: Names,
}

/// The names that a schema tells about this product.
#[derive(Clone, Debug)]
struct Names {
    product: String,
    product_version: String,
    schema_version: String,
    vendor: String,
    tagging: Arc<Compliance>,
}

/// An event, and what is known beside it.
#[derive(Clone, Copy)]
struct Scene<'a> {
    event: &'a Event,
    entry: &'a DecodedEntry,
    /// The log it comes from.
    origin: &'a str,
    names: &'a Names,
}

/// What a schema is.
trait Render: Send + Sync {
    /// Appends one event, on one line.
    fn render(&self, scene: &Scene<'_>, out: &mut String) -> Result<(), RenderError>;
}

/// Room for an ordinary event: most have 2 to 4 KiB.
const EVENT_BYTES: usize = 4_096;

impl Formatter {
    /// Makes a schema's templates. `data_dir`: what relative files of a custom schema are relative to, and where those
    /// are kept that were fetched.
    ///
    /// # Errors
    /// [`SchemaError`] names what is wrong with the settings.
    pub fn new(settings: &SchemaSettings, data_dir: &Path) -> Result<Self, SchemaError> {
        settings.check()?;
        let render: Box<dyn Render> = match settings.schema {
            Schema::Aarm => Box::new(aarm::Aarm::new(settings.dialect)?),
            Schema::Cef => Box::new(cef::Cef::new(settings)?),
            Schema::Cim => Box::new(flat::ByTable::new("cim", settings)?),
            Schema::Custom => Box::new(custom::Custom::new(settings, data_dir)?),
            Schema::Ecs => Box::new(flat::ByTable::new("ecs", settings)?),
            Schema::Ocsf => Box::new(ocsf::Ocsf::new(settings)?),
            Schema::Otel => Box::new(otel::Otel::new(settings)?),
            Schema::Udm => Box::new(flat::ByTable::new("udm", settings)?),
        };
        let version = settings.version.as_deref();
        let schema_version = match settings.schema {
            Schema::Aarm | Schema::Custom => aarm::SCHEMA_VERSION.to_owned(),
            Schema::Ecs => version.unwrap_or(flat::ECS_VERSION).to_owned(),
            Schema::Ocsf => ocsf::full_version(version)?,
            Schema::Cef | Schema::Cim | Schema::Otel | Schema::Udm => version.unwrap_or_default().to_owned(),
        };
        let names = Names {
            product: settings.product.clone().unwrap_or_else(|| "Countersign".into()),
            product_version: env!("CARGO_PKG_VERSION").into(),
            schema_version,
            vendor: settings.vendor.clone().unwrap_or_else(|| "Countersign".into()),
            tagging: Compliance::shipped(),
        };
        Ok(Self { render, names })
    }

    /// With tags from another mapping than the one of this program.
    #[must_use]
    pub fn tagging(mut self, tagging: Arc<Compliance>) -> Self {
        self.names.tagging = tagging;
        self
    }

    /// One event, on one line. `origin` names the log it comes from.
    ///
    /// # Errors
    /// [`RenderError`]: the event does not fit the schema, which the schema `custom` alone can say.
    pub fn render(&self, event: &Event, origin: &str) -> Result<String, RenderError> {
        let mut out = String::with_capacity(EVENT_BYTES);
        let scene = Scene { event, entry: &event.entry, origin, names: &self.names };
        self.render.render(&scene, &mut out)?;
        Ok(out)
    }
}

#[cfg(test)]
mod tests;
