//! Schemas that are one table and nothing else: Elastic's, Google's and Splunk's.

use super::table::{Choice, chosen};
use super::template::{Template, Unknown};
use super::{Render, RenderError, Scene, SchemaError, SchemaSettings};
use crate::model::EventType;

/// The version of Elastic Common Schema whose fields the table names.
pub(super) const ECS_VERSION: &str = "8.17.0";

/// One template for each event type, from the section `all` of a table.
pub(super) struct ByTable(Vec<(EventType, Template)>);

impl ByTable {
    /// The schema of that table.
    pub(super) fn new(table: &'static str, settings: &SchemaSettings) -> Result<Self, SchemaError> {
        let template = |event_type: EventType| {
            let dialect = settings.dialect.map(|dialect| dialect.as_str());
            let choice =
                Choice { version: (0, 0), options: dialect.into_iter().chain([event_type.as_str()]).collect() };
            let template = Template::nested(chosen(table, &["all"], &choice), Unknown::LeftOut);
            template.map(|template| (event_type, template))
        };
        let templates = EventType::ALL.into_iter().map(template).collect::<Result<_, _>>();
        templates.map(Self).map_err(|problem| SchemaError::Table { schema: table, problem })
    }
}

impl Render for ByTable {
    fn render(&self, scene: &Scene<'_>, out: &mut String) -> Result<(), RenderError> {
        if let Some((_, template)) = self.0.iter().find(|(event_type, _)| *event_type == scene.event.event_type) {
            template.write(scene, out);
        }
        Ok(())
    }
}
