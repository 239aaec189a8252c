//! Plain HTTP tools: one request is one action.
//!
//! `operation` is the method and the path template that matched, `parameters` the query and the JSON body together
//! (design §5). A path that matches no template is its own operation.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::mcp::{Arrival, Refused};
use super::{Head, Malformed};
use crate::model::json::scan;
use crate::model::{Action, Arguments, Call, Client, Era, FrameKind, NativeName, Outbound, Peer, Transport};

/// A path with named parts: `/users/{id}/mail`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathTemplate {
    method: Option<http::Method>,
    text: Arc<str>,
}

impl PathTemplate {
    /// Reads `[METHOD ]/path/{name}`.
    ///
    /// # Errors
    /// A sentence for the person who wrote it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (method, path) = match text.split_once(' ') {
            Some((method, path)) => {
                let parsed = method.parse().map_err(|_| format!("`{method}` is not an HTTP method"))?;
                (Some(parsed), path.trim())
            }
            None => (None, text),
        };
        if !path.starts_with('/') {
            return Err(format!("`{text}` must be a path that starts with `/`, or a method and such a path"));
        }
        Ok(Self { method, text: path.into() })
    }

    /// The values of the named parts, when `method` and `path` match.
    fn matches(&self, method: &http::Method, path: &str) -> Option<Map<String, Value>> {
        if self.method.as_ref().is_some_and(|wanted| wanted != method) {
            return None;
        }
        let (mut wanted, mut given) = (self.text.split('/'), path.split('/'));
        let mut values = Map::new();
        loop {
            match (wanted.next(), given.next()) {
                (None, None) => return Some(values),
                (Some(part), Some(value)) => match part.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
                    Some(name) if !value.is_empty() => {
                        values.insert(name.to_owned(), Value::String(percent_decode(value)?));
                    }
                    _ if part == value => {}
                    _ => return None,
                },
                _ => return None,
            }
        }
    }
}

/// Reads one request to a plain HTTP tool. `path` is what follows `/http/{server}`, with the query.
///
/// # Errors
/// [`Refused`]: a path that two readers could resolve differently, or a body that is not what its type says.
pub fn read(
    head: &Head,
    path: &str,
    body: Bytes,
    arrival: Arrival,
    templates: &[PathTemplate],
) -> Result<Call, Refused> {
    let refuse = |problem| (problem, None);
    let (route, query) = path.split_once('?').unwrap_or((path, ""));
    check_path(route).map_err(refuse)?;
    let matched = templates.iter().find_map(|template| Some((template, template.matches(&head.method, route)?)));
    let (operation, parameters): (Arc<str>, _) = match matched {
        Some((template, values)) => (format!("{} {}", head.method, template.text).into(), values),
        None => (format!("{} {route}", head.method).into(), Map::new()),
    };
    let parameters = read_query(query, parameters).and_then(|parameters| read_body(head, &body, &arrival, parameters));
    let parameters = parameters.map_err(refuse)?;
    let value = Value::Object(parameters);
    let text = Bytes::from(serde_json::to_vec(&value).unwrap_or_else(|_| b"{}".to_vec()));
    let action = Action {
        id: arrival.action,
        tool: Arc::clone(&arrival.server),
        native: NativeName { server: Arc::clone(&arrival.server), operation: Arc::clone(&operation), wrapper: None },
        operation,
        method: head.method.as_str().into(),
        arguments: Arguments { text, offset: None, value: Arc::new(value) },
        destination: None,
        received: arrival.received,
        jsonrpc_id: None,
        trace: None,
    };
    let client = Client {
        peer: Peer::Address(head.peer),
        transport: Transport::Http,
        era: Era::Modern,
        protocol_version: None,
        name: head.text("user-agent").map(Arc::from),
        version: None,
        protocol_session: None,
        meta: None,
        url_elicitation: false,
        accepts_stream: true,
        progress_token: None,
        held: crate::model::Held::default(),
    };
    let outbound = Outbound {
        server: arrival.server,
        method: head.method.clone(),
        path: path.into(),
        headers: head.forwarded(),
        body,
    };
    let credentials = head.credentials();
    Ok(Call { action, kind: FrameKind::Action, client, credentials, outbound, inputs: Vec::new() })
}

fn read_query(query: &str, mut parameters: Map<String, Value>) -> Result<Map<String, Value>, Malformed> {
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decoded = percent_decode(&name.replace('+', " ")).zip(percent_decode(&value.replace('+', " ")));
        let (name, value) = decoded.ok_or_else(|| Malformed::Parameters("a query that is not UTF-8".into()))?;
        insert_once(&mut parameters, name, Value::String(value))?;
    }
    Ok(parameters)
}

fn read_body(
    head: &Head,
    body: &Bytes,
    arrival: &Arrival,
    mut parameters: Map<String, Value>,
) -> Result<Map<String, Value>, Malformed> {
    if body.is_empty() {
        return Ok(parameters);
    }
    if !head.text("content-type").is_some_and(|kind| kind.contains("json")) {
        // What cannot be read cannot be judged by its members; rules can still see that it is there.
        insert_once(&mut parameters, "body_bytes".into(), Value::from(body.len()))?;
        return Ok(parameters);
    }
    let (text, _document) = scan(body, arrival.limits)?;
    match serde_json::from_str(text)
        .map_err(|_| Malformed::Parameters("a number in the body is out of range".into()))?
    {
        Value::Object(members) => {
            for (name, value) in members {
                insert_once(&mut parameters, name, value)?;
            }
        }
        other => insert_once(&mut parameters, "body".into(), other)?,
    }
    Ok(parameters)
}

/// A name that comes twice, in the path, the query or the body, could mean either value.
fn insert_once(parameters: &mut Map<String, Value>, name: String, value: Value) -> Result<(), Malformed> {
    if parameters.contains_key(&name) {
        return Err(Malformed::Parameters(format!("`{name}` is given more than once")));
    }
    parameters.insert(name, value);
    Ok(())
}

/// Dots, encoded slashes and backslashes are where proxies and servers disagree about what a path names.
fn check_path(route: &str) -> Result<(), Malformed> {
    let lower = route.to_ascii_lowercase();
    let dots = route.split('/').any(|part| matches!(percent_decode(part).as_deref(), None | Some("." | "..")));
    if dots || route.contains("//") || lower.contains("%2f") || lower.contains("%5c") || route.contains('\\') {
        return Err(Malformed::Parameters("a path with `.`, `..`, empty or encoded separators is not accepted".into()));
    }
    Ok(())
}

fn percent_decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        let (high, low) = (digit(bytes.next())?, digit(bytes.next())?);
        out.push(u8::try_from(high << 4 | low).ok()?);
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_templates() {
        let template = PathTemplate::parse("GET /users/{id}/mail").unwrap();
        let values = template.matches(&http::Method::GET, "/users/a%20b/mail").unwrap();
        assert_eq!(values.get("id"), Some(&Value::String("a b".into())));
        assert_eq!(template.matches(&http::Method::POST, "/users/1/mail"), None);
        assert_eq!(template.matches(&http::Method::GET, "/users//mail"), None);
        assert_eq!(template.matches(&http::Method::GET, "/users/1/mail/x"), None);
        assert!(PathTemplate::parse("users").is_err());
    }

    #[test]
    fn refuses_paths_that_servers_read_differently() {
        for path in ["/a/../b", "/a/./b", "/a//b", "/a%2fb", "/a%5Cb", "/%2e%2e/b", "/a\\b", "/%zz"] {
            assert!(check_path(path).is_err(), "{path}");
        }
        assert!(check_path("/a/b.json").is_ok());
    }
}
