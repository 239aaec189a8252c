//! Tools that ask in rounds (2026-07-28): the call ends with questions, the client calls again with the answers.
//!
//! State travels through the client, so it is sealed; a state that this process did not seal is refused.

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, ClientCapabilities, ErrorData, InputRequest, InputRequests,
    InputRequiredResult, InputResponses, RequestStateCodec,
};
use rmcp::service::{RequestContext, RoleServer};
use serde_json::{Value, json};

use crate::content::text;

type Answer = Result<CallToolResponse, ErrorData>;

/// The response of a tool of this kind, or `None` when the name belongs elsewhere.
pub(crate) fn call(
    codec: &RequestStateCodec,
    request: &CallToolRequestParams,
    context: &RequestContext<RoleServer>,
) -> Option<Answer> {
    let responses = request.input_responses.as_ref();
    Some(match request.name.as_ref() {
        "test_input_required_result_elicitation" | "test_streaming_elicitation" => {
            Ok(match accepted(responses, "user_name", "name") {
                Some(name) => text(format!("Hello, {name}!")).into(),
                None => questions([("user_name", name_form())], None).into(),
            })
        }
        "test_input_required_result_sampling" => Ok(match sampled(responses, "capital_question") {
            Some(answer) => text(format!("LLM response: {answer}")).into(),
            None => questions([("capital_question", sample("What is the capital of France?", 100))], None).into(),
        }),
        "test_input_required_result_list_roots" => Ok(match listed_roots(responses, "client_roots") {
            Some(roots) => text(format!("Roots: {roots}")).into(),
            None => questions([("client_roots", roots())], None).into(),
        }),
        "test_input_required_result_request_state" | "test_input_required_result_tampered_state" => {
            sealed_round(codec, request)
        }
        "test_input_required_result_multiple_inputs" => three_questions(codec, request),
        "test_input_required_result_multi_round" => two_rounds(codec, request),
        "test_input_required_result_capabilities" => Ok(declared_only(context)),
        _ => return None,
    })
}

/// An unfinished result with these questions.
pub(crate) fn questions<const N: usize>(
    asked: [(&str, InputRequest); N],
    state: Option<String>,
) -> InputRequiredResult {
    let asked = asked.map(|(key, request)| (key.to_owned(), request));
    InputRequiredResult::new(Some(InputRequests::from(asked)), state)
}

/// A form with one required field.
pub(crate) fn form(message: &str, field: &str, kind: &str) -> InputRequest {
    request(json!({
        "method": "elicitation/create",
        "params": {
            "mode": "form",
            "message": message,
            "requestedSchema": {
                "type": "object",
                "properties": { field: { "type": kind } },
                "required": [field]
            }
        }
    }))
}

/// A question to the client's model.
pub(crate) fn sample(prompt: &str, tokens_max: u32) -> InputRequest {
    request(json!({
        "method": "sampling/createMessage",
        "params": {
            "messages": [{ "role": "user", "content": { "type": "text", "text": prompt } }],
            "maxTokens": tokens_max
        }
    }))
}

/// The field of an accepted form, as text. `None` for a missing, refused or malformed answer: ask again.
pub(crate) fn accepted(responses: Option<&InputResponses>, key: &str, field: &str) -> Option<String> {
    let answer = responses?.get(key)?;
    let value = answer.get("content")?.get(field)?;
    (answer.get("action")?.as_str()? == "accept").then(|| value.as_str().map_or_else(|| value.to_string(), Into::into))
}

/// The text of the model's answer.
pub(crate) fn sampled(responses: Option<&InputResponses>, key: &str) -> Option<String> {
    Some(responses?.get(key)?.get("content")?.get("text")?.as_str()?.to_owned())
}

fn listed_roots(responses: Option<&InputResponses>, key: &str) -> Option<String> {
    responses?.get(key)?.get("roots").filter(|roots| roots.is_array()).map(ToString::to_string)
}

fn sealed_round(codec: &RequestStateCodec, request: &CallToolRequestParams) -> Answer {
    let state = opened(codec, request)?;
    let answer = accepted(request.input_responses.as_ref(), "confirm", "ok");
    Ok(match (state.as_deref(), answer) {
        (Some(b"asked"), Some(_)) => text("state-ok").into(),
        _ => {
            let question = form("Please confirm", "ok", "boolean");
            questions([("confirm", question)], Some(codec.seal(b"asked"))).into()
        }
    })
}

fn three_questions(codec: &RequestStateCodec, request: &CallToolRequestParams) -> Answer {
    let state = opened(codec, request)?;
    let responses = request.input_responses.as_ref();
    let answers = (
        accepted(responses, "user_name", "name"),
        sampled(responses, "greeting"),
        listed_roots(responses, "client_roots"),
    );
    Ok(match (state.as_deref(), answers) {
        (Some(b"three"), (Some(name), Some(greeting), Some(roots))) => {
            text(format!("{greeting} {name}, {roots}")).into()
        }
        _ => questions(
            [("user_name", name_form()), ("greeting", sample("Generate a greeting", 50)), ("client_roots", roots())],
            Some(codec.seal(b"three")),
        )
        .into(),
    })
}

fn two_rounds(codec: &RequestStateCodec, request: &CallToolRequestParams) -> Answer {
    let state = opened(codec, request)?;
    let responses = request.input_responses.as_ref();
    if let Some(name) = state.as_deref().and_then(|state| state.strip_prefix(b"second:"))
        && let Some(color) = accepted(responses, "step2", "color")
    {
        return Ok(text(format!("{} likes {color}", String::from_utf8_lossy(name))).into());
    }
    if state.as_deref() == Some(b"first")
        && let Some(name) = accepted(responses, "step1", "name")
    {
        let question = form("Step 2: What is your favorite color?", "color", "string");
        let state = codec.seal(format!("second:{name}").as_bytes());
        return Ok(questions([("step2", question)], Some(state)).into());
    }
    let question = form("Step 1: What is your name?", "name", "string");
    Ok(questions([("step1", question)], Some(codec.seal(b"first"))).into())
}

fn declared_only(context: &RequestContext<RoleServer>) -> CallToolResponse {
    let declared: ClientCapabilities = context.client_capabilities().unwrap_or_default();
    let mut asked = InputRequests::new();
    if declared.elicitation.is_some() {
        asked.insert("user_name".to_owned(), name_form());
    }
    if declared.sampling.is_some() {
        asked.insert("greeting".to_owned(), sample("Generate a greeting", 50));
    }
    if declared.roots.is_some() {
        asked.insert("client_roots".to_owned(), roots());
    }
    if asked.is_empty() {
        return text("The client declared nothing that could be asked").into();
    }
    InputRequiredResult::from_input_requests(asked).into()
}

/// # Errors
/// A state that does not open was altered, or was sealed by another process.
fn opened(codec: &RequestStateCodec, request: &CallToolRequestParams) -> Result<Option<Vec<u8>>, ErrorData> {
    let Some(state) = request.request_state.as_deref() else {
        return Ok(None);
    };
    codec.open(state).map(Some).map_err(|_| ErrorData::invalid_params("requestState fails its integrity check", None))
}

fn name_form() -> InputRequest {
    form("What is your name?", "name", "string")
}

fn roots() -> InputRequest {
    request(json!({ "method": "roots/list", "params": {} }))
}

fn request(value: Value) -> InputRequest {
    serde_json::from_value(value).unwrap()
}
