//! Tools that ask the client while they run: a request of the server in a legacy session, a round in 2026-07-28.

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ClientCapabilities, ContentBlock,
    CreateMessageRequestParams, ElicitRequestParams, ErrorData, SamplingMessage,
};
use rmcp::service::{RequestContext, RoleServer};
use serde_json::{Value, json};

use crate::content::{argument, text};
use crate::fixture::is_stateless;
use crate::rounds;

/// The response of a tool of this kind, or `None` when the name belongs elsewhere.
pub(crate) async fn call(
    request: &CallToolRequestParams,
    context: &RequestContext<RoleServer>,
) -> Option<Result<CallToolResponse, ErrorData>> {
    let responses = request.input_responses.as_ref();
    Some(Ok(match request.name.as_ref() {
        "test_sampling" if is_stateless(context) => match rounds::sampled(responses, "prompt") {
            Some(answer) => text(format!("LLM response: {answer}")).into(),
            None => rounds::questions([("prompt", rounds::sample(argument(request, "prompt"), 100))], None).into(),
        },
        "test_elicitation" if is_stateless(context) => match rounds::accepted(responses, "user", "username") {
            Some(name) => text(format!("User response: action=accept, username={name}")).into(),
            None => {
                let question = rounds::form(argument(request, "message"), "username", "string");
                rounds::questions([("user", question)], None).into()
            }
        },
        "test_sampling" => sample(argument(request, "prompt"), context).await.into(),
        "test_elicitation" => {
            elicit("User response", argument(request, "message"), user_fields(), context).await.into()
        }
        "test_elicitation_sep1034_defaults" => {
            elicit("Elicitation completed", "Every field has a default", defaults(), context).await.into()
        }
        "test_elicitation_sep1330_enums" => {
            elicit("Elicitation completed", "Every kind of enumeration", enumerations(), context).await.into()
        }
        "test_missing_capability" => {
            if context.client_capabilities().is_none_or(|declared| declared.sampling.is_none()) {
                let needed = ClientCapabilities::builder().enable_sampling().build();
                return Some(Err(ErrorData::missing_required_client_capability(needed)));
            }
            text("The client declared sampling").into()
        }
        _ => return None,
    }))
}

async fn sample(prompt: &str, context: &RequestContext<RoleServer>) -> CallToolResult {
    let question = CreateMessageRequestParams::new(vec![SamplingMessage::user_text(prompt)], 100);
    match context.peer.create_message(question).await {
        Ok(answer) => {
            let said = answer.message.content.first().and_then(|block| Some(block.as_text()?.text.clone()));
            text(format!("LLM response: {}", said.unwrap_or_default()))
        }
        Err(error) => CallToolResult::error(vec![ContentBlock::text(format!("sampling failed: {error}"))]),
    }
}

async fn elicit(label: &str, message: &str, schema: Value, context: &RequestContext<RoleServer>) -> CallToolResult {
    let question = ElicitRequestParams::FormElicitationParams {
        meta: None,
        message: message.to_owned(),
        requested_schema: serde_json::from_value(schema).unwrap(),
    };
    match context.peer.create_elicitation(question).await {
        Ok(answer) => {
            let action = serde_json::to_value(&answer.action).unwrap();
            let content = answer.content.unwrap_or_default();
            text(format!("{label}: action={}, content={content}", action.as_str().unwrap_or_default()))
        }
        Err(error) => CallToolResult::error(vec![ContentBlock::text(format!("elicitation failed: {error}"))]),
    }
}

fn user_fields() -> Value {
    json!({
        "type": "object",
        "properties": {
            "username": { "type": "string", "description": "User's response" },
            "email": { "type": "string", "description": "User's email address" }
        },
        "required": ["username", "email"]
    })
}

fn defaults() -> Value {
    json!({
        "type": "object",
        "properties": {
            "name": { "type": "string", "default": "John Doe" },
            "age": { "type": "integer", "default": 30 },
            "score": { "type": "number", "default": 95.5 },
            "status": { "type": "string", "enum": ["active", "inactive", "pending"], "default": "active" },
            "verified": { "type": "boolean", "default": true }
        }
    })
}

fn enumerations() -> Value {
    let plain = json!(["option1", "option2", "option3"]);
    let titled = json!([
        { "const": "value1", "title": "First Option" },
        { "const": "value2", "title": "Second Option" },
        { "const": "value3", "title": "Third Option" }
    ]);
    json!({
        "type": "object",
        "properties": {
            "untitledSingle": { "type": "string", "enum": plain },
            "titledSingle": { "type": "string", "oneOf": titled },
            "legacyEnum": {
                "type": "string",
                "enum": ["opt1", "opt2", "opt3"],
                "enumNames": ["Option One", "Option Two", "Option Three"]
            },
            "untitledMulti": { "type": "array", "items": { "type": "string", "enum": plain } },
            "titledMulti": { "type": "array", "items": { "anyOf": titled } }
        }
    })
}
