//! What a server answered, as far as evidence needs to know it.

use std::ops::Range;
use std::sync::Arc;

use crate::model::OutcomeStatus;
use crate::model::json::{Kind, Limits, View, scan};

/// What one message from a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Neither an answer nor a question.
    Notification {
        /// Its method.
        method: Arc<str>,
        /// Where requests to the client stand in it.
        inputs: Vec<Range<usize>>,
    },
    /// The server asks the client for something: an action of its own (design §5).
    Request {
        /// Its method.
        method: Arc<str>,
        /// Its id as written.
        id: Arc<str>,
    },
    /// The answer to the call with this id.
    Response {
        /// The id as written.
        id: Arc<str>,
        /// What it says.
        verdict: ResponseVerdict,
    },
}

/// What an answer says about the call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseVerdict {
    /// How the call ended.
    pub status: OutcomeStatus,
    /// The JSON-RPC error code.
    pub error_code: Option<i64>,
    /// The error's message, or the first text of a tool's error; not redacted, bounded.
    pub error: Option<Arc<str>>,
    /// Where requests to the client stand in the answer (MCP 2026-07-28, `inputRequests`).
    pub inputs: Vec<Range<usize>>,
}

/// Longest error text that is kept, in characters.
const ERROR_CHARACTERS_MAX: usize = 300;

/// Reads one message from a server. `None`: not strict JSON, or not a JSON-RPC message.
#[must_use]
pub fn read_message(bytes: &[u8]) -> Option<Message> {
    let (text, document) = scan(bytes, Limits::default()).ok()?;
    let root = document.root(text);
    if root.kind() != Kind::Object {
        return None;
    }
    let id = root.get("id").map(|id| Arc::<str>::from(id.text()));
    if let Some(method) = root.get("method") {
        let method = Arc::<str>::from(&*method.as_str()?);
        return Some(match id {
            Some(id) => Message::Request { method, id },
            None => Message::Notification { method, inputs: inputs(root.get("params")) },
        });
    }
    if let Some(error) = root.get("error") {
        let verdict = ResponseVerdict {
            status: OutcomeStatus::ProtocolError,
            error_code: error.get("code").and_then(|code| code.text().parse().ok()),
            error: error.get("message").and_then(|message| message.as_str()).map(|text| shorten(&text)),
            inputs: Vec::new(),
        };
        return Some(Message::Response { id: id.unwrap_or_else(|| "null".into()), verdict });
    }
    let result = root.get("result")?;
    Some(Message::Response { id: id?, verdict: read_result(result) })
}

fn read_result(result: View<'_>) -> ResponseVerdict {
    let failed = result.get("isError").and_then(|value| value.as_bool()) == Some(true);
    let waits = result.get("resultType").and_then(|kind| kind.as_str()).as_deref() == Some("input_required");
    let status = match (failed, waits) {
        (true, _) => OutcomeStatus::ToolError,
        (false, true) => OutcomeStatus::InputRequired,
        (false, false) => OutcomeStatus::Success,
    };
    let first_text = || result.pointer("/content/0/text")?.as_str().map(|text| shorten(&text));
    let error = if failed { first_text() } else { None };
    ResponseVerdict { status, error_code: None, error, inputs: inputs(Some(result)) }
}

/// Whatever the result says of itself: a client may act on them all the same. One that is no object is one too, which
/// nobody can read.
fn inputs(parent: Option<View<'_>>) -> Vec<Range<usize>> {
    let Some(requests) = parent.and_then(|parent| parent.get("inputRequests")) else { return Vec::new() };
    match requests.kind() {
        Kind::Object => requests.children().map(|request| request.span()).collect(),
        Kind::Null => Vec::new(),
        _ => vec![requests.span()],
    }
}

fn shorten(text: &str) -> Arc<str> {
    text.chars().take(ERROR_CHARACTERS_MAX).collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(text: &str) -> (Arc<str>, ResponseVerdict) {
        match read_message(text.as_bytes()) {
            Some(Message::Response { id, verdict }) => (id, verdict),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn tells_how_a_call_ended() {
        let (id, verdict) = response(r#"{"jsonrpc":"2.0","id":"a","result":{"content":[]}}"#);
        assert_eq!((&*id, verdict.status), ("\"a\"", OutcomeStatus::Success));
        let (_, verdict) = response(r#"{"jsonrpc":"2.0","id":1,"result":{"isError":true,"content":[{"text":"no"}]}}"#);
        assert_eq!((verdict.status, verdict.error.as_deref()), (OutcomeStatus::ToolError, Some("no")));
        let (_, verdict) = response(r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"m"}}"#);
        assert_eq!((verdict.status, verdict.error_code), (OutcomeStatus::ProtocolError, Some(-32602)));
        let text = r#"{"jsonrpc":"2.0","id":1,"result":{"resultType":"input_required","input\u0052equests":{"a":{"method":"roots/list"}}}}"#;
        let (_, verdict) = response(text);
        assert_eq!(verdict.status, OutcomeStatus::InputRequired);
        let inputs: Vec<&str> = verdict.inputs.iter().filter_map(|span| text.get(span.clone())).collect();
        assert_eq!(inputs, [r#"{"method":"roots/list"}"#]);
    }

    #[test]
    fn tells_questions_from_notes() {
        let request = read_message(br#"{"jsonrpc":"2.0","id":7,"method":"elicitation/create","params":{}}"#);
        assert!(matches!(request, Some(Message::Request { .. })));
        let note = read_message(br#"{"jsonrpc":"2.0","method":"notifications/progress"}"#);
        assert!(matches!(note, Some(Message::Notification { .. })));
        for garbage in ["", "[]", "{}", "{\"id\":1,\"id\":1,\"result\":{}}", "<html>"] {
            assert_eq!(read_message(garbage.as_bytes()), None, "{garbage}");
        }
    }
}
