//! What Splunk calls the kind of an event.

use super::{Dialect, Schema, SchemaSettings};
use crate::model::EventType;

/// The sourcetype of an event: `aarm:action`, `aarm:decision`, ...; in the dialects of AITF the names that its Splunk
/// searches look for.
#[must_use]
pub fn sourcetype(settings: &SchemaSettings, event_type: EventType) -> String {
    let aitf = matches!(settings.dialect, Some(Dialect::Aitf | Dialect::AitfLegacy));
    if !aitf || settings.schema == Schema::Cef {
        return format!("aarm:{}", event_type.short());
    }
    let kind = match event_type {
        EventType::Action | EventType::Observed => "tool",
        EventType::Decision | EventType::Drift | EventType::Gap => "security",
        EventType::Approval => "identity",
        EventType::Policy => "governance",
        EventType::ToolPin => "supply_chain",
        EventType::Checkpoint | EventType::Control | EventType::Deferral | EventType::System => "agent",
    };
    format!("aitf:ocsf:ai:{kind}")
}
