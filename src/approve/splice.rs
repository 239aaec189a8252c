//! Takes what belongs to a wait out of a request, and puts back what belonged to its server.

use std::sync::Arc;

use bytes::Bytes;

use super::seal::STATE_PREFIX;
use crate::intercept::reread_inputs;
use crate::model::Call;
use crate::model::json::{Document, Kind, Limits, View, scan};

/// What a client sends back in a round of MCP 2026-07-28.
const STATE: &str = "requestState";
const RESPONSES: &str = "inputResponses";

/// What a call carries of a round, as raw JSON text.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Carried {
    /// The state.
    pub(super) state: Option<String>,
    /// The answers to what was asked.
    pub(super) responses: Option<String>,
}

/// What a call carries; nothing when it carries nothing, or is no MCP call.
pub(super) fn carried(call: &Call) -> Carried {
    let body = &call.outbound.body;
    let Some((text, document)) = parse(body) else { return Carried::default() };
    let params = document.root(text).get("params");
    let member = |name: &str| params.and_then(|params| params.get(name)).map(|value| value.text().to_owned());
    Carried { state: member(STATE), responses: member(RESPONSES) }
}

/// The state of ours that a call carries: its text, opened by nobody yet.
pub(super) fn our_state(call: &Call) -> Option<String> {
    // Almost no call has one: a look at the bytes is cheaper than a scan.
    let body = std::str::from_utf8(&call.outbound.body).ok()?;
    if !body.contains(STATE_PREFIX) {
        return None;
    }
    let state: String = serde_json::from_str(&carried(call).state?).ok()?;
    state.starts_with(STATE_PREFIX).then_some(state)
}

/// Puts `carried` in the place of what the call carries. Everything else stays byte for byte.
pub(super) fn replace(call: &mut Call, carried: &Carried) -> Option<()> {
    let body = replaced(&call.outbound.body, carried)?;
    let arguments = match &*call.action.method {
        "tools/call" | "prompts/get" => "/params/arguments",
        _ => "/params",
    };
    let (text, document) = parse(&body)?;
    let span = document.root(text).pointer(arguments).map(|view| view.span());
    if let Some(span) = span {
        let value = serde_json::from_slice(body.get(span.clone())?).ok()?;
        call.action.arguments.offset = Some(span.start);
        call.action.arguments.text = body.slice(span);
        call.action.arguments.value = Arc::new(value);
    }
    call.outbound.body = body;
    // The answers inside are what they are now: none of ours, and those for the server once more.
    reread_inputs(call)
}

fn replaced(body: &Bytes, carried: &Carried) -> Option<Bytes> {
    let (text, document) = parse(body)?;
    let params = document.root(text).get("params").filter(|params| params.kind() == Kind::Object)?;
    let members = params.members().filter_map(|(name, value)| match &*name {
        STATE => carried.state.as_ref().map(|state| format!("\"{STATE}\":{state}")),
        RESPONSES => carried.responses.as_ref().map(|responses| format!("\"{RESPONSES}\":{responses}")),
        _ => written(text, value),
    });
    let mut members: Vec<String> = members.collect();
    // Answers that came in an earlier round do not stand in this one.
    for (name, value) in [(STATE, &carried.state), (RESPONSES, &carried.responses)] {
        if let Some(value) = value.as_ref().filter(|_| params.get(name).is_none()) {
            members.push(format!("\"{name}\":{value}"));
        }
    }
    let span = params.span();
    let (before, after) = (text.get(..span.start)?, text.get(span.end..)?);
    Some(Bytes::from(format!("{before}{{{}}}{after}", members.join(","))))
}

/// A member as it stands in the text.
fn written(text: &str, value: View<'_>) -> Option<String> {
    text.get(value.key_span().start..value.span().end).map(str::to_owned)
}

fn parse(body: &[u8]) -> Option<(&str, Document)> {
    scan(body, Limits::default()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_belongs_to_the_wait_is_taken_out() {
        let body = "{ \"params\" : {\"requestState\" : \"csw1.x\", \"a\\u0041\":1e2 ,\"inputResponses\":{}, \"z\" : [ 1 ]},\"id\":1}";
        let without = replaced(&Bytes::from(body), &Carried::default()).unwrap();
        assert_eq!(without, "{ \"params\" : {\"a\\u0041\":1e2,\"z\" : [ 1 ]},\"id\":1}");
        let carried = Carried { state: Some("\"theirs\"".into()), responses: Some("{\"q\":1}".into()) };
        let with = replaced(&without, &carried).unwrap();
        assert_eq!(
            with,
            "{ \"params\" : {\"a\\u0041\":1e2,\"z\" : [ 1 ],\"requestState\":\"theirs\",\"inputResponses\":{\"q\":1}},\"id\":1}"
        );
    }
}
