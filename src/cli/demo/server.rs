//! The demo's MCP servers: four endpoints on one loopback port, over plain hyper.
//!
//! It listens on 127.0.0.1 and nowhere else, on a port that the operating system picks, and stops when it is dropped.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use super::Failure;
use super::answer::{Answer, Request, answer};
use super::office::Office;
use super::protocol::{BODY_BYTES_MAX, HEADER_SESSION};
use super::tools::Domain;

/// Running servers.
#[derive(Debug)]
pub(super) struct Servers {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Servers {
    /// Starts them before an office.
    ///
    /// # Errors
    /// No loopback port, or no random bytes for the session id.
    pub(super) async fn start(office: Arc<Office>) -> Result<Self, Failure> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(Failure::Listen)?;
        let address = listener.local_addr().map_err(Failure::Listen)?;
        let session = u128::from_be_bytes(crate::net::random_bytes::<16>()?);
        let task = tokio::spawn(accept(listener, office, format!("{session:032x}").into()));
        Ok(Self { address, task })
    }

    /// Where one of them listens.
    pub(super) fn url(&self, domain: Domain) -> String {
        format!("http://{}/{}", self.address, domain.as_str())
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, office: Arc<Office>, session: Arc<str>) {
    // Owned here, so that aborting this task ends every connection with it.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(serve(stream, Arc::clone(&office), Arc::clone(&session)));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, office: Arc<Office>, session: Arc<str>) {
    let service = service_fn(move |request| respond(request, Arc::clone(&office), Arc::clone(&session)));
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service);
    // A peer that breaks off ends its own connection; there is nobody else to tell.
    let _ended = connection.await;
}

async fn respond(
    request: http::Request<Incoming>,
    office: Arc<Office>,
    session: Arc<str>,
) -> Result<Response<Full<Bytes>>, std::convert::Infallible> {
    let (head, body) = request.into_parts();
    let Some(domain) = head.uri.path().strip_prefix('/').and_then(Domain::parse) else {
        return Ok(plain(StatusCode::NOT_FOUND));
    };
    let Ok(body) = Limited::new(body, BODY_BYTES_MAX).collect().await else {
        return Ok(plain(StatusCode::PAYLOAD_TOO_LARGE));
    };
    let body = body.to_bytes();
    let request = Request { domain, method: &head.method, headers: &head.headers, body: &body, session: &session };
    Ok(into_response(answer(&office, &request)))
}

fn plain(status: StatusCode) -> Response<Full<Bytes>> {
    into_response(Answer { status, session: None, body: None })
}

fn into_response(answer: Answer) -> Response<Full<Bytes>> {
    let text = answer.body.map(|body| body.to_string()).unwrap_or_default();
    let json = !text.is_empty();
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = answer.status;
    if json {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    if let Some(session) = answer.session.and_then(|session| HeaderValue::from_str(&session).ok()) {
        response.headers_mut().insert(HEADER_SESSION, session);
    }
    response
}
