//! AARM's event shapes (telemetry page of the standard), with more members than its examples and none fewer.

use super::choice::Dialect;
use super::table::{Choice, chosen};
use super::template::{Template, Unknown};
use super::{Render, RenderError, Scene, SchemaError};
use crate::model::EventType;

/// The version of these shapes: a new member keeps it, a changed meaning does not.
pub(super) const SCHEMA_VERSION: &str = "1";

/// One template for each event type.
pub(super) struct Aarm(Vec<(EventType, Template)>);

impl Aarm {
    pub(super) fn new(dialect: Option<Dialect>) -> Result<Self, SchemaError> {
        let slim = dialect == Some(Dialect::Slim);
        let template = |event_type: EventType| {
            let whole = ["envelope", event_type.as_str(), "receipt"];
            let sections = if slim { ["slim", "", ""] } else { whole };
            let unknown = if slim { Unknown::LeftOut } else { Unknown::Null };
            let template = Template::nested(chosen("aarm", &sections, &Choice::default()), unknown);
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
