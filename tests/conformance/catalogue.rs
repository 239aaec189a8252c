//! The tool definitions, in one fixed order.
//!
//! `test_simple_text` stays first: the suite probes header validation by calling the first tool without arguments.

use std::sync::Arc;

use rmcp::model::Tool;
use serde_json::{Value, json};

/// Every tool, always in the same order (2026-07-28 asks for a deterministic list).
pub(crate) fn tools() -> Vec<Tool> {
    let mut tools: Vec<Tool> = WITHOUT_ARGUMENTS
        .iter()
        .map(|(name, description)| Tool::new(*name, *description, schema(json!({ "type": "object" }))))
        .collect();
    tools.extend(
        with_arguments().into_iter().map(|(name, description, input)| Tool::new(name, description, schema(input))),
    );
    tools
}

const WITHOUT_ARGUMENTS: [(&str, &str); 27] = [
    ("test_simple_text", "Returns one text block"),
    ("test_image_content", "Returns one image block"),
    ("test_audio_content", "Returns one audio block"),
    ("test_embedded_resource", "Returns one embedded resource"),
    ("test_multiple_content_types", "Returns text, image and resource in one result"),
    ("test_error_handling", "Always fails, as a tool error"),
    ("test_tool_with_logging", "Sends three log messages while it runs"),
    ("test_logging_tool", "Sends one log message if the request asks for logs"),
    ("test_elicitation_sep1034_defaults", "Asks for input with a default in every field"),
    ("test_elicitation_sep1330_enums", "Asks for input with all five kinds of enumeration"),
    ("test_reconnection", "Ends its stream before the result; the client fetches the rest with Last-Event-ID"),
    ("test_missing_capability", "Needs the sampling capability of the client"),
    ("test_streaming_elicitation", "Asks for input in the stateless way"),
    ("test_trigger_tool_change", "Announces that the list of tools changed"),
    ("test_trigger_prompt_change", "Announces that the list of prompts changed"),
    ("test_input_required_result_elicitation", "One round: asks for a name"),
    ("test_input_required_result_sampling", "One round: asks the client's model"),
    ("test_input_required_result_list_roots", "One round: asks for the client's roots"),
    ("test_input_required_result_request_state", "One round with sealed state"),
    ("test_input_required_result_multiple_inputs", "One round with three questions"),
    ("test_input_required_result_multi_round", "Two rounds, each with its own state"),
    ("test_input_required_result_tampered_state", "One round; refuses state that it did not seal"),
    ("test_input_required_result_capabilities", "Asks only what the client declared it can answer"),
    ("failing_job", "Task: ends with a tool error"),
    ("protocol_error_job", "Task: ends with a protocol error"),
    ("multi_input", "Task: asks two questions at once"),
    ("test_tool_with_task", "One round, then a task that uses the answer"),
];

fn with_arguments() -> Vec<(&'static str, &'static str, Value)> {
    let text = |description: &str| json!({ "type": "string", "description": description });
    vec![
        (
            "test_tool_with_progress",
            "Reports progress three times while it runs",
            json!({
                "type": "object",
                "properties": {
                    "pause_ms": { "type": "integer", "minimum": 0, "maximum": 5000, "description": "between two reports" }
                }
            }),
        ),
        (
            "test_sampling",
            "Asks the client's model",
            json!({
                "type": "object", "properties": { "prompt": text("what to ask") }, "required": ["prompt"]
            }),
        ),
        (
            "test_elicitation",
            "Asks the user",
            json!({
                "type": "object", "properties": { "message": text("what to show") }, "required": ["message"]
            }),
        ),
        (
            "test_custom_header",
            "Has a parameter that is mirrored in a header",
            json!({
                "type": "object",
                "properties": { "region": { "type": "string", "x-mcp-header": "Region" } },
                "required": ["region"]
            }),
        ),
        ("json_schema_2020_12_tool", "Tool with JSON Schema 2020-12 features", json_schema_2020_12()),
        (
            "greet",
            "Greets, at once",
            json!({
                "type": "object", "properties": { "name": text("whom to greet") }, "required": ["name"]
            }),
        ),
        (
            "slow_compute",
            "Task: waits, then answers",
            json!({
                "type": "object",
                "properties": { "seconds": { "type": "number", "minimum": 0 }, "label": text("returned with the answer") }
            }),
        ),
        (
            "confirm_delete",
            "Task: asks for confirmation, then answers",
            json!({
                "type": "object", "properties": { "filename": text("what to delete") }
            }),
        ),
    ]
}

/// Every keyword family that an intermediary may lose: `$schema`, `$defs`, `$anchor`, composition, conditions.
fn json_schema_2020_12() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {
            "address": {
                "$anchor": "addressDef",
                "type": "object",
                "properties": { "street": { "type": "string" }, "city": { "type": "string" } }
            }
        },
        "properties": {
            "name": { "type": "string" },
            "address": { "$ref": "#/$defs/address" },
            "contactMethod": { "type": "string", "enum": ["phone", "email"] },
            "phone": { "type": "string" },
            "email": { "type": "string" }
        },
        "allOf": [{ "anyOf": [{ "required": ["phone"] }, { "required": ["email"] }] }],
        "if": { "properties": { "contactMethod": { "const": "phone" } }, "required": ["contactMethod"] },
        "then": { "required": ["phone"] },
        "else": { "required": ["email"] },
        "additionalProperties": false
    })
}

fn schema(value: Value) -> Arc<rmcp::model::JsonObject> {
    Arc::new(serde_json::from_value(value).unwrap())
}
