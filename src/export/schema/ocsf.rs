//! Open Cybersecurity Schema Framework: which class an event becomes, and in which version and dialect.

use super::choice::{Dialect, Mapping, Mappings};
use super::table::{Choice, chosen, parse_version};
use super::template::{Template, Unknown};
use super::{Render, RenderError, Scene, SchemaError, SchemaSettings};
use crate::export::DecodedEntry;
use crate::model::EventType;

/// The version that the seed's examples name, and that Security Lake, Chronicle and Splunk's add-on know.
pub(super) const DEFAULT_VERSION: &str = "1.1.0";

/// The versions whose classes the table was checked against, and those between them.
const VERSIONS: std::ops::RangeInclusive<(u16, u16)> = (1, 1)..=(1, 8);

/// The class of a kind of event, by number.
type Class = &'static str;

/// OCSF of one version and dialect.
pub(super) struct Ocsf {
    mappings: Mappings,
    legacy: bool,
    templates: Vec<((EventType, Class), Template)>,
}

/// `1.1` as `1.1.0`.
///
/// # Errors
/// [`SchemaError::Version`]: a version whose classes are not known here.
pub(super) fn full_version(version: Option<&str>) -> Result<String, SchemaError> {
    let text = version.unwrap_or(DEFAULT_VERSION);
    let (major, minor) = parse_version(text);
    let plain = text.split('.').all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
    if plain && VERSIONS.contains(&(major, minor)) {
        Ok(format!("{major}.{minor}.0"))
    } else {
        Err(SchemaError::Version { schema: "ocsf", version: text.to_owned(), known: "1.1 to 1.8" })
    }
}

impl Ocsf {
    pub(super) fn new(settings: &SchemaSettings) -> Result<Self, SchemaError> {
        let version = parse_version(&full_version(settings.version.as_deref())?);
        let legacy = settings.dialect == Some(Dialect::AitfLegacy);
        let mut templates = Vec::new();
        for event_type in EventType::ALL {
            for class in classes(event_type, &settings.mappings, legacy) {
                let sections = sections(event_type, class, version, settings.dialect);
                let choice = Choice { version, options: vec![event_type.as_str()] };
                let template = Template::nested(chosen("ocsf", &sections, &choice), Unknown::LeftOut);
                let template = template.map_err(|problem| SchemaError::Table { schema: "ocsf", problem })?;
                templates.push(((event_type, class), template));
            }
        }
        Ok(Self { mappings: settings.mappings, legacy, templates })
    }

    fn class(&self, event_type: EventType, entry: &DecodedEntry) -> Class {
        let [usual, started, refused] = classes(event_type, &self.mappings, self.legacy);
        match &*entry.text("control.event") {
            "start" | "stop" => started,
            "credentials_refused" | "export_degraded" => refused,
            _ => usual,
        }
    }
}

impl Render for Ocsf {
    fn render(&self, scene: &Scene<'_>, out: &mut String) -> Result<(), RenderError> {
        let wanted = (scene.event.event_type, self.class(scene.event.event_type, scene.entry));
        if let Some((_, template)) = self.templates.iter().find(|(key, _)| *key == wanted) {
            template.write(scene, out);
        }
        Ok(())
    }
}

/// The class of an event; the one it has when the product starts or stops; the one when somebody is turned away.
fn classes(event_type: EventType, mappings: &Mappings, legacy: bool) -> [Class; 3] {
    let all = |class| [class, class, class];
    if legacy {
        return all(match event_type {
            EventType::Action | EventType::Observed => "7003",
            EventType::Decision | EventType::Drift | EventType::Gap => "7005",
            EventType::Approval => "7008",
            EventType::Policy | EventType::ToolPin => "7007",
            _ => "7002",
        });
    }
    match event_type {
        EventType::Action | EventType::Observed => all(number(mappings.action_event)),
        EventType::Approval => all(number(mappings.approval_event)),
        EventType::Decision => all(number(mappings.decision_event)),
        EventType::Drift => all(number(mappings.drift_event)),
        EventType::Deferral | EventType::Gap => all("2004"),
        EventType::Control => ["3004", "6002", "2004"],
        EventType::Policy | EventType::ToolPin => all("3004"),
        EventType::Checkpoint | EventType::System => all("6002"),
    }
}

const fn number(mapping: Mapping) -> Class {
    match mapping {
        Mapping::ApiActivity => "6003",
        Mapping::Authorization => "3003",
        Mapping::DetectionFinding => "2004",
        Mapping::SecurityFinding2001 => "2001",
    }
}

/// The sections of the table that make up an event, later ones over earlier ones.
fn sections(event_type: EventType, class: Class, version: (u16, u16), dialect: Option<Dialect>) -> Vec<&'static str> {
    let mut sections = vec!["base", class];
    // Before 1.4.0 the profile security_control belongs to findings alone.
    if class == "2004" || (version >= (1, 4) && matches!(class, "6003" | "3003")) {
        sections.extend(["control", "risk"]);
    }
    let of_action = matches!(
        event_type,
        EventType::Action | EventType::Decision | EventType::Approval | EventType::Deferral | EventType::Drift
    );
    match dialect {
        Some(Dialect::Aos) if class == "6003" => sections.push("aos"),
        Some(Dialect::Aos) if of_action => sections.push("aos_finding"),
        Some(Dialect::Acs) if of_action => sections.push("acs"),
        Some(Dialect::Aitf) if of_action => sections.push("aitf"),
        Some(Dialect::AitfLegacy) if of_action => sections.push("aitf_members"),
        _ => {}
    }
    sections.push("unmapped");
    sections
}
