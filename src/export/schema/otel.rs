//! OpenTelemetry: one log record for each event, in the JSON encoding of OTLP (opentelemetry-proto, `LogRecord`).
//!
//! A destination puts records into the envelope of resource and scope, or turns them into protobuf.

use super::fact::Fact;
use super::table::{Choice, chosen};
use super::template::Template;
use super::value::Value;
use super::{Render, RenderError, Scene, SchemaError, SchemaSettings};
use crate::model::json::{Kind, Limits, View, scan, write_string};
use crate::model::{Severity, Timestamp};

/// Log records of OTLP.
pub(super) struct Otel {
    attributes: Template,
}

impl Otel {
    pub(super) fn new(settings: &SchemaSettings) -> Result<Self, SchemaError> {
        let options = settings.dialect.iter().map(|dialect| dialect.as_str()).collect();
        let choice = Choice { version: (0, 0), options };
        let attributes = Template::flat(chosen("otel", &["attributes"], &choice));
        let attributes = attributes.map_err(|problem| SchemaError::Table { schema: "otel", problem })?;
        Ok(Self { attributes })
    }
}

/// Number and text of a severity (table of the AI.Sentinel forwarder).
const fn severity(severity: Severity) -> (u8, &'static str) {
    match severity {
        Severity::Info | Severity::Low => (9, "INFO"),
        Severity::Medium => (13, "WARN"),
        Severity::High => (17, "ERROR"),
        Severity::Critical => (21, "FATAL"),
    }
}

impl Render for Otel {
    fn render(&self, scene: &Scene<'_>, out: &mut String) -> Result<(), RenderError> {
        let entry = scene.entry;
        let observed = Timestamp::parse(&entry.text("time.wall")).unwrap_or_else(|| entry.time());
        let (number, text) = severity(scene.event.severity);
        // Numbers of 64 bits are texts in OTLP's JSON.
        out.push_str(&format!(
            "{{\"timeUnixNano\":\"{}000\",\"observedTimeUnixNano\":\"{}000\",\"severityNumber\":{number},\
             \"severityText\":\"{text}\",\"eventName\":\"{}\",\"body\":{{\"stringValue\":",
            entry.time().as_micros(),
            observed.as_micros(),
            scene.event.event_type.as_str()
        ));
        write_string(out, &Fact::Message.value(scene).to_text());
        out.push_str("},\"attributes\":[");
        let mut first = true;
        for (key, value) in self.attributes.members(scene) {
            if !first {
                out.push(',');
            }
            first = false;
            out.push_str("{\"key\":");
            write_string(out, key);
            out.push_str(",\"value\":");
            write_value(out, &value);
            out.push('}');
        }
        out.push(']');
        identifier(scene, out, "traceId", &["action.trace.trace_id", "observed.trace.trace_id"], 32);
        let spans = ["action.trace.span_id", "action.trace.parent_span_id", "observed.trace.parent_span_id"];
        identifier(scene, out, "spanId", &spans, 16);
        out.push('}');
        Ok(())
    }
}

/// A W3C id, where there is one of the right length.
fn identifier(scene: &Scene<'_>, out: &mut String, name: &str, paths: &[&str], digits: usize) {
    let found = paths.iter().map(|path| scene.entry.text(path)).find(|text| !text.is_empty());
    let Some(id) = found.filter(|id| id.len() == digits && id.bytes().all(|byte| byte.is_ascii_hexdigit())) else {
        return;
    };
    out.push_str(&format!(",\"{name}\":\"{id}\""));
}

/// An `AnyValue`.
fn write_value(out: &mut String, value: &Value<'_>) {
    let mut json = String::new();
    value.write_json(&mut json);
    match scan(json.as_bytes(), Limits::default()) {
        Ok((text, document)) => write_any(out, document.root(text)),
        Err(_) => out.push_str("{}"),
    }
}

fn write_any(out: &mut String, view: View<'_>) {
    let mut wrapped = |name: &str, text: &str| out.push_str(&format!("{{\"{name}\":{text}}}"));
    match view.kind() {
        Kind::Null => out.push_str("{}"),
        Kind::Bool => wrapped("boolValue", view.text()),
        Kind::String => wrapped("stringValue", view.text()),
        Kind::Number if view.text().parse::<i64>().is_ok() => wrapped("intValue", &format!("\"{}\"", view.text())),
        Kind::Number => wrapped("doubleValue", view.text()),
        Kind::Array => {
            out.push_str("{\"arrayValue\":{\"values\":[");
            for (number, element) in view.children().enumerate() {
                if number > 0 {
                    out.push(',');
                }
                write_any(out, element);
            }
            out.push_str("]}}");
        }
        Kind::Object => {
            out.push_str("{\"kvlistValue\":{\"values\":[");
            for (number, (name, member)) in view.members().enumerate() {
                if number > 0 {
                    out.push(',');
                }
                out.push_str("{\"key\":");
                write_string(out, &name);
                out.push_str(",\"value\":");
                write_any(out, member);
                out.push('}');
            }
            out.push_str("]}}");
        }
    }
}
