//! What servers and clients ask and tell each other inside other messages (MCP 2026-07-28, multi round-trip requests).
//!
//! A server asks inside a result (`inputRequests`); the client answers inside its next call (`inputResponses`). Each of
//! them is an action of its own, as the same thing was when it was a message of its own.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method};

use super::mcp::{Arrival, argument_text};
use super::{Malformed, Refused};
use crate::model::json::{Kind, Limits, View, scan};
use crate::model::{
    Action, ActionId, Arguments, Call, Client, Credentials, FrameKind, NativeName, Outbound, Timestamp,
};
use crate::net::random_bytes;

/// The method of the action by which a client answers inside a call. Its operation is what the answer is to.
pub const INPUT_RESPONSE: &str = "input/response";

/// Most questions of one answer, and most answers of one call. Each is an entry; clients give up after ten rounds of a
/// handful.
pub const INPUTS_MAX: usize = 64;

/// Reads one value of `inputRequests`: `{"method": ..., "params": ...}`.
///
/// # Errors
/// [`Refused`]: it is not a request.
pub fn read_input_request(request: &Bytes, arrival: Arrival, client: Client) -> Result<Call, Refused> {
    let refuse = |problem| (problem, None);
    let (text, document) = scan(request, arrival.limits).map_err(|problem| refuse(Malformed::Json(problem)))?;
    let root = document.root(text);
    let method = (root.kind() == Kind::Object).then(|| root.get("method")?.as_str()).flatten();
    let method = method.filter(|method| !method.is_empty());
    let method = method.ok_or_else(|| refuse(Malformed::Envelope("an input request needs a `method`".into())))?;
    let arguments = match root.get("params") {
        Some(params) => argument_text(params, request).map_err(refuse)?,
        None => Arguments::none(),
    };
    let method: Arc<str> = Arc::from(&*method);
    Ok(call(Arc::clone(&method), method, arguments, &arrival, client, Credentials::default(), request))
}

/// Reads the answers inside a call again, after its body was put together anew. `None` when they cannot be read.
pub fn reread_inputs(call: &mut Call) -> Option<()> {
    let arrival = Arrival {
        server: Arc::clone(&call.action.native.server),
        action: call.action.id.clone(),
        received: call.action.received,
        limits: Limits::default(),
    };
    let body = call.outbound.body.clone();
    let (text, document) = scan(&body, arrival.limits).ok()?;
    let responses = document.root(text).get("params").and_then(|params| params.get("inputResponses"));
    let mut inputs = match responses {
        Some(responses) => read_input_responses(responses, &body, &arrival, &call.client, &call.credentials).ok()?,
        None => Vec::new(),
    };
    for input in &mut inputs {
        input.action.jsonrpc_id.clone_from(&call.action.jsonrpc_id);
    }
    call.inputs = inputs;
    Some(())
}

/// Reads the values of `inputResponses` of a message that came with `body`, an action each.
pub(super) fn read_input_responses(
    responses: View<'_>,
    body: &Bytes,
    arrival: &Arrival,
    client: &Client,
    credentials: &Credentials,
) -> Result<Vec<Call>, Malformed> {
    if responses.kind() != Kind::Object {
        return Err(Malformed::Parameters("`params.inputResponses` must be an object".into()));
    }
    let mut calls = Vec::new();
    for response in responses.children() {
        if calls.len() >= INPUTS_MAX {
            return Err(Malformed::Parameters(format!("more than {INPUTS_MAX} `inputResponses` in one message")));
        }
        let arguments = match response.kind() {
            Kind::Object => argument_text(response, body)?,
            _ => return Err(Malformed::Parameters("an input response must be an object".into())),
        };
        let action = mint(arrival.received)?;
        let arrival = Arrival { action, ..arrival.clone() };
        let (client, credentials) = (client.clone(), credentials.clone());
        calls.push(call(answered(response), INPUT_RESPONSE.into(), arguments, &arrival, client, credentials, body));
    }
    Ok(calls)
}

/// What an answer is to, by its form: nothing in it says so, and what the server asked may be many calls ago.
fn answered(response: View<'_>) -> Arc<str> {
    let has = |name| response.get(name).is_some();
    let what = match () {
        () if has("roots") => "roots/list",
        () if has("role") || has("model") => "sampling/createMessage",
        () if has("action") => "elicitation/create",
        () => INPUT_RESPONSE,
    };
    what.into()
}

fn mint(received: Timestamp) -> Result<ActionId, Malformed> {
    let random = random_bytes().map_err(|_| Malformed::Unsupported("a call without random bytes"))?;
    Ok(ActionId::mint(received, random))
}

fn call(
    operation: Arc<str>,
    method: Arc<str>,
    arguments: Arguments,
    arrival: &Arrival,
    client: Client,
    credentials: Credentials,
    body: &Bytes,
) -> Call {
    let server = &arrival.server;
    let native = NativeName { server: Arc::clone(server), operation: Arc::clone(&operation), wrapper: None };
    let action = Action {
        id: arrival.action.clone(),
        tool: Arc::clone(server),
        operation,
        native,
        method,
        arguments,
        destination: None,
        received: arrival.received,
        jsonrpc_id: None,
        trace: None,
    };
    let outbound = Outbound {
        server: Arc::clone(server),
        method: Method::POST,
        path: Arc::from(""),
        headers: HeaderMap::new(),
        body: body.clone(),
    };
    Call { action, kind: FrameKind::Action, client, credentials, outbound, inputs: Vec::new() }
}
