//! The MCP server behind every path: in memory, one thread, one tool that does something. It answers at the least cost
//! that an HTTP server has, and counts what really arrives.

use std::cell::RefCell;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::rc::Rc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Fallible;
use super::child::end_with_parent;
use super::wire::echo_reply;

/// Tools on the list; the one that is called is the first.
const TOOLS: usize = 20;

#[derive(Default)]
struct Arrived {
    calls: u64,
    connections: u64,
    handshakes: u64,
    lists: u64,
    others: u64,
}

/// Runs the server until the bench ends. Prints the address it listens on.
///
/// # Errors
/// It cannot listen.
pub(crate) fn serve() -> Fallible<()> {
    end_with_parent();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let listener = tokio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        println!("listening {}", listener.local_addr()?);
        let arrived = Rc::new(RefCell::new(Arrived::default()));
        let tools: Rc<str> = tools().into();
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            arrived.borrow_mut().connections += 1;
            let (arrived, tools) = (arrived.clone(), tools.clone());
            let service = hyper::service::service_fn(move |request| {
                let (arrived, tools) = (arrived.clone(), tools.clone());
                async move { Ok::<_, Infallible>(answer(request, &arrived, &tools).await) }
            });
            tokio::task::spawn_local(async move {
                // A client that goes away ends its connection, and nothing else.
                drop(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
            });
        }
    })
}

async fn answer(request: Request<Incoming>, arrived: &RefCell<Arrived>, tools: &str) -> Response<Full<Bytes>> {
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/arrived") => return json(StatusCode::OK, counts(&arrived.borrow())),
        (&Method::DELETE, "/mcp") => return plain(StatusCode::OK),
        (&Method::POST, "/mcp") => {}
        (_, "/mcp") => return plain(StatusCode::METHOD_NOT_ALLOWED),
        _ => return plain(StatusCode::NOT_FOUND),
    }
    let Ok(body) = request.into_body().collect().await else { return plain(StatusCode::BAD_REQUEST) };
    let body = body.to_bytes();
    let Ok(message) = serde_json::from_slice::<Message<'_>>(&body) else { return plain(StatusCode::BAD_REQUEST) };
    let Some(id) = message.id.map(RawValue::get) else {
        arrived.borrow_mut().others += 1;
        return plain(StatusCode::ACCEPTED);
    };
    let mut arrived = arrived.borrow_mut();
    match message.method {
        "tools/call" => {
            arrived.calls += 1;
            call(id, message.params)
        }
        "initialize" => {
            arrived.handshakes += 1;
            let mut response = json(StatusCode::OK, result(id, &initialized(message.params)));
            if let Ok(session) = HeaderValue::from_str(&format!("bench-session-{}", arrived.handshakes)) {
                response.headers_mut().insert("mcp-session-id", session);
            }
            response
        }
        "tools/list" => {
            arrived.lists += 1;
            json(StatusCode::OK, result(id, tools))
        }
        "server/discover" => {
            arrived.others += 1;
            json(StatusCode::OK, result(id, DISCOVERED))
        }
        _ => {
            arrived.others += 1;
            let error =
                format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32601,"message":"no such method"}}}}"#);
            json(StatusCode::NOT_FOUND, error)
        }
    }
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    method: &'a str,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Params<'a> {
    #[serde(borrow)]
    arguments: Arguments<'a>,
    #[serde(borrow, rename = "_meta")]
    meta: Option<Meta<'a>>,
}

#[derive(Deserialize)]
struct Arguments<'a> {
    #[serde(borrow)]
    text: &'a RawValue,
}

#[derive(Deserialize)]
struct Meta<'a> {
    #[serde(borrow, rename = "io.modelcontextprotocol/protocolVersion")]
    version: Option<&'a RawValue>,
}

fn call(id: &str, params: Option<&RawValue>) -> Response<Full<Bytes>> {
    match params.map(|params| serde_json::from_str::<Params<'_>>(params.get())) {
        Some(Ok(params)) => {
            let modern = params.meta.is_some_and(|meta| meta.version.is_some());
            json(StatusCode::OK, echo_reply(id, params.arguments.text.get(), modern))
        }
        _ => json(
            StatusCode::OK,
            format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32602,"message":"no text to echo"}}}}"#),
        ),
    }
}

fn initialized(params: Option<&RawValue>) -> String {
    #[derive(Deserialize)]
    struct Asked<'a> {
        #[serde(borrow, rename = "protocolVersion")]
        version: &'a str,
    }
    let asked = params.and_then(|params| serde_json::from_str::<Asked<'_>>(params.get()).ok());
    let known = ["2025-03-26", "2025-06-18", "2025-11-25"];
    let version = asked.map(|asked| asked.version).filter(|version| known.contains(version)).unwrap_or("2025-11-25");
    format!(
        r#"{{"protocolVersion":"{version}","capabilities":{{"tools":{{}}}},"serverInfo":{{"name":"bench","version":"1"}}}}"#
    )
}

const DISCOVERED: &str = concat!(
    r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}},"#,
    r#""serverInfo":{"name":"bench","version":"1"},"ttlMs":60000,"cacheScope":"public"}"#
);

fn tools() -> String {
    let tool = |number: usize| {
        let name = if number == 0 { "echo".to_owned() } else { format!("tool_{number}") };
        format!(
            r#"{{"name":"{name}","description":"Returns its text.","inputSchema":{{"type":"object","properties":{{"text":{{"type":"string","maxLength":100000}}}},"required":["text"],"additionalProperties":false}}}}"#
        )
    };
    let tools = (0..TOOLS).map(tool).collect::<Vec<_>>().join(",");
    // `ttlMs` and `cacheScope` are required in the modern era and unknown members to the legacy one.
    format!(r#"{{"resultType":"complete","tools":[{tools}],"ttlMs":60000,"cacheScope":"public"}}"#)
}

fn result(id: &str, result: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#)
}

fn counts(arrived: &Arrived) -> String {
    format!(
        r#"{{"calls":{},"connections":{},"handshakes":{},"lists":{},"others":{}}}"#,
        arrived.calls, arrived.connections, arrived.handshakes, arrived.lists, arrived.others
    )
}

fn json(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn plain(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}
