//! What the demo's server answers: MCP of both eras as a function of one request, without any network.

use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};

use super::office::Office;
use super::protocol::{
    HEADER_ACTION, HEADER_METHOD, HEADER_NAME, HEADER_SESSION, HEADER_VERSION, LEGACY, META_CAPABILITIES, META_SERVER,
    META_VERSION, MODERN,
};
use super::tools::{self, Domain, NotDone};

/// One request, read whole.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) domain: Domain,
    pub(super) method: &'a Method,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
    /// The id of this server's sessions of the older era.
    pub(super) session: &'a str,
}

/// What goes back.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// Sent as `Mcp-Session-Id`: only on the answer to `initialize`.
    pub(super) session: Option<String>,
    /// A JSON-RPC message; nothing for what has no answer.
    pub(super) body: Option<Value>,
}

/// Answers one request.
pub(super) fn answer(office: &Office, request: &Request<'_>) -> Answer {
    if *request.method == Method::DELETE && header(request, HEADER_SESSION) == Some(request.session) {
        return silent(StatusCode::OK);
    }
    if *request.method != Method::POST {
        return silent(StatusCode::METHOD_NOT_ALLOWED);
    }
    let Ok(message) = serde_json::from_slice::<Value>(request.body) else {
        return error(StatusCode::BAD_REQUEST, &Value::Null, -32700, "not JSON", None);
    };
    let Some(method) = message.get("method").and_then(Value::as_str) else {
        return error(StatusCode::BAD_REQUEST, &Value::Null, -32600, "not a request", None);
    };
    let parameters = message.get("params").unwrap_or(&Value::Null);
    let Some(id) = message.get("id").filter(|id| id.is_string() || id.is_i64() || id.is_u64()) else {
        return silent(StatusCode::ACCEPTED);
    };
    let call = Message { id, method, parameters };
    let version = parameters.get("_meta").and_then(|meta| meta.get(META_VERSION)).and_then(Value::as_str);
    if version.is_some() || header(request, HEADER_VERSION) == Some(MODERN) {
        modern(office, request, &call, version)
    } else {
        legacy(office, request, &call)
    }
}

struct Message<'a> {
    id: &'a Value,
    method: &'a str,
    parameters: &'a Value,
}

impl Message<'_> {
    fn name(&self) -> &str {
        self.parameters.get("name").and_then(Value::as_str).unwrap_or_default()
    }
}

/// MCP 2026-07-28: no session; the headers repeat the body and must agree with it.
fn modern(office: &Office, request: &Request<'_>, call: &Message<'_>, version: Option<&str>) -> Answer {
    let refuse = |code, text: &str, data| error(StatusCode::BAD_REQUEST, call.id, code, text, data);
    let capabilities = call.parameters.get("_meta").and_then(|meta| meta.get(META_CAPABILITIES));
    let (Some(version), Some(_)) = (version, capabilities) else {
        return refuse(-32602, "`_meta` lacks the protocol version or the client's capabilities", None);
    };
    let named = call.method == "tools/call";
    let agrees = header(request, HEADER_VERSION) == Some(version)
        && header(request, HEADER_METHOD) == Some(call.method)
        && (!named || header(request, HEADER_NAME) == Some(call.name()));
    if !agrees {
        return refuse(-32020, "headers and body disagree", None);
    }
    if version != MODERN {
        let data = json!({"supported": [MODERN, LEGACY], "requested": version});
        return refuse(-32022, "unsupported protocol version", Some(data));
    }
    let cached = |mut value: Value| {
        merge(&mut value, json!({"ttlMs": 0, "cacheScope": "private"}));
        value
    };
    let discovery = json!({"supportedVersions": [MODERN, LEGACY], "capabilities": {"tools": {}}});
    let mut result = match call.method {
        "server/discover" => cached(discovery),
        "tools/list" => cached(json!({"tools": tools::definitions(request.domain)})),
        "tools/call" => match called(office, request, call) {
            Ok(result) => result,
            Err(refused) => return refused,
        },
        _ => return error(StatusCode::NOT_FOUND, call.id, -32601, "method not found", None),
    };
    merge(&mut result, json!({"resultType": "complete", "_meta": {META_SERVER: server_info(request.domain)}}));
    success(call.id, result)
}

/// MCP 2025-11-25: `initialize` opens a session that every later request names.
fn legacy(office: &Office, request: &Request<'_>, call: &Message<'_>) -> Answer {
    if call.method == "initialize" {
        let result = json!({
            "protocolVersion": LEGACY,
            "capabilities": {"tools": {}},
            "serverInfo": server_info(request.domain),
        });
        return Answer { session: Some(request.session.to_owned()), ..success(call.id, result) };
    }
    match header(request, HEADER_SESSION) {
        Some(session) if session == request.session => {}
        Some(_) => return error(StatusCode::NOT_FOUND, call.id, -32600, "this session has ended", None),
        None => return error(StatusCode::BAD_REQUEST, call.id, -32600, "no session; initialize first", None),
    }
    match call.method {
        "ping" => success(call.id, json!({})),
        "tools/list" => success(call.id, json!({"tools": tools::definitions(request.domain)})),
        "tools/call" => called(office, request, call).map_or_else(|refused| refused, |result| success(call.id, result)),
        _ => error(StatusCode::OK, call.id, -32601, "method not found", None),
    }
}

/// The result of a tool call, or the answer that says there is no such tool.
fn called(office: &Office, request: &Request<'_>, call: &Message<'_>) -> Result<Value, Answer> {
    let action = header(request, HEADER_ACTION).map(str::to_owned);
    office.note_arrival(format!("{}.{}", request.domain.as_str(), call.name()), action);
    let arguments = call.parameters.get("arguments").unwrap_or(&Value::Null);
    let (text, is_error) = match tools::call(office, request.domain, call.name(), arguments) {
        Ok(text) => (text, false),
        Err(NotDone::Failed(why)) => (why, true),
        Err(NotDone::UnknownTool) => return Err(error(StatusCode::OK, call.id, -32602, "unknown tool", None)),
    };
    Ok(json!({"content": [{"type": "text", "text": text}], "isError": is_error}))
}

fn server_info(domain: Domain) -> Value {
    json!({"name": format!("office-{}", domain.as_str()), "version": env!("CARGO_PKG_VERSION")})
}

fn merge(object: &mut Value, more: Value) {
    if let (Value::Object(object), Value::Object(more)) = (object, more) {
        object.extend(more);
    }
}

fn header<'a>(request: &Request<'a>, name: &str) -> Option<&'a str> {
    request.headers.get(name).and_then(|value| value.to_str().ok())
}

fn silent(status: StatusCode) -> Answer {
    Answer { status, session: None, body: None }
}

fn success(id: &Value, result: Value) -> Answer {
    let body = json!({"jsonrpc": "2.0", "id": id, "result": result});
    Answer { status: StatusCode::OK, session: None, body: Some(body) }
}

fn error(status: StatusCode, id: &Value, code: i64, message: &str, data: Option<Value>) -> Answer {
    let mut error = json!({"code": code, "message": message});
    if let Some(data) = data {
        merge(&mut error, json!({ "data": data }));
    }
    Answer { status, session: None, body: Some(json!({"jsonrpc": "2.0", "id": id, "error": error})) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(office: &Office, headers: &[(&'static str, &str)], body: &Value) -> Answer {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        let body = body.to_string();
        let request = Request {
            domain: Domain::Mail,
            method: &Method::POST,
            headers: &headers,
            body: body.as_bytes(),
            session: "s1",
        };
        answer(office, &request)
    }

    fn modern_body(method: &str, version: &str, more: Value) -> Value {
        let mut params = json!({"_meta": {META_VERSION: version, META_CAPABILITIES: {}}});
        merge(&mut params, more);
        json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params})
    }

    fn error_code(answer: &Answer) -> (u16, i64) {
        (answer.status.as_u16(), answer.body.as_ref().unwrap()["error"]["code"].as_i64().unwrap_or_default())
    }

    #[test]
    fn the_stateless_era_answers_and_checks_headers() {
        let office = Office::open();
        let headers = [(HEADER_VERSION, MODERN), (HEADER_METHOD, "server/discover")];
        let found = ask(&office, &headers, &modern_body("server/discover", MODERN, json!({})));
        let result = &found.body.as_ref().unwrap()["result"];
        assert_eq!(result["resultType"], "complete");
        assert_eq!(result["supportedVersions"][0], MODERN);
        assert!(result["ttlMs"].is_u64() && result["cacheScope"].is_string());
        assert_eq!(result["_meta"][META_SERVER]["name"], "office-mail");
        assert_eq!(found.session, None);

        let call = modern_body("tools/call", MODERN, json!({"name": "read_inbox", "arguments": {}}));
        let headers = |name| [(HEADER_VERSION, MODERN), (HEADER_METHOD, "tools/call"), (HEADER_NAME, name)];
        let found = ask(&office, &headers("read_inbox"), &call);
        assert_eq!(found.body.unwrap()["result"]["isError"], false);
        assert_eq!(error_code(&ask(&office, &headers("send_email"), &call)), (400, -32020));
        assert_eq!(office.effects().arrived, [("mail.read_inbox".to_owned(), None)]);

        let headers = [(HEADER_VERSION, "2027-01-01"), (HEADER_METHOD, "tools/list")];
        assert_eq!(
            error_code(&ask(&office, &headers, &modern_body("tools/list", "2027-01-01", json!({})))),
            (400, -32022)
        );
        let headers = [(HEADER_VERSION, MODERN), (HEADER_METHOD, "tools/list")];
        let bare = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
        assert_eq!(error_code(&ask(&office, &headers, &bare)), (400, -32602));
        let headers = [(HEADER_VERSION, MODERN), (HEADER_METHOD, "initialize")];
        assert_eq!(error_code(&ask(&office, &headers, &modern_body("initialize", MODERN, json!({})))), (404, -32601));
    }

    #[test]
    fn the_older_era_wants_its_session() {
        let office = Office::open();
        let request =
            |method: &str| json!({"jsonrpc": "2.0", "id": "a", "method": method, "params": {"name": "nothing"}});
        let opened = ask(&office, &[], &request("initialize"));
        assert_eq!(opened.session.as_deref(), Some("s1"));
        assert_eq!(opened.body.unwrap()["result"]["protocolVersion"], LEGACY);
        assert_eq!(ask(&office, &[], &request("tools/list")).status, 400);
        assert_eq!(ask(&office, &[(HEADER_SESSION, "s0")], &request("tools/list")).status, 404);
        let listed = ask(&office, &[(HEADER_SESSION, "s1"), (HEADER_VERSION, LEGACY)], &request("tools/list"));
        assert_eq!(listed.body.unwrap()["result"]["tools"].as_array().unwrap().len(), 2);
        assert_eq!(error_code(&ask(&office, &[(HEADER_SESSION, "s1")], &request("tools/call"))), (200, -32602));
        let gone = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        assert_eq!(ask(&office, &[(HEADER_SESSION, "s1")], &gone), silent(StatusCode::ACCEPTED));
    }
}
