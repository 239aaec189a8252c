//! AARM's event shapes (telemetry page of the standard), with more members than its examples and none fewer.

use super::table::{Choice, chosen};
use super::template::{Template, Unknown};
use super::{Render, RenderError, Scene, SchemaError};
use crate::model::EventType;

/// The version of these shapes: a new member keeps it, a changed meaning does not.
pub(super) const SCHEMA_VERSION: &str = "1";

/// One template for each event type.
pub(super) struct Aarm(Vec<(EventType, Template)>);

impl Aarm {
    pub(super) fn new() -> Result<Self, SchemaError> {
        let template = |event_type: EventType| {
            let sections = ["envelope", event_type.as_str(), "receipt"];
            let template = Template::nested(chosen("aarm", &sections, &Choice::default()), Unknown::Null);
            template.map(|template| (event_type, template))
        };
        let templates = EventType::ALL.into_iter().map(template).collect::<Result<_, _>>();
        templates.map(Self).map_err(|problem| SchemaError::Table { schema: "aarm", problem })
    }
}

impl Render for Aarm {
    fn render(&self, scene: &Scene<'_>, out: &mut String) -> Result<(), RenderError> {
        if let Some((_, template)) = self.0.iter().find(|(event_type, _)| *event_type == scene.event.event_type) {
            template.write(scene, out);
        }
        Ok(())
    }
}
