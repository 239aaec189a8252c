//! The listener: connections to requests, requests to calls, replies back.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::held::{self, HeldProgress};
use super::mcp::{Arrival, Refused};
use super::{
    AnswerForm, Config, Head, HostCheck, Malformed, Mediate, PathTemplate, Reply, batch, malformed, mcp, read_http,
    refusal, wrappers,
};
use crate::metrics::{Counter, count};
use crate::model::json::Limits;
use crate::model::{ActionId, Call, Clock, Transport};
use crate::net::{Body, random_bytes};

/// What cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The listener is broken.
    #[error("accept a connection")]
    Accept(#[source] std::io::Error),
}

/// Time that requests in flight get to finish when the process is asked to stop: less than service managers wait before
/// they kill.
const DRAIN: Duration = Duration::from_secs(5);

/// What became of the connections at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// Every one ended by itself.
    All,
    /// Some were closed under their clients.
    Some,
}

/// Which paths lead to which servers.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    /// MCP servers by alias: `/mcp/{alias}`.
    pub mcp: HashMap<String, Arc<str>>,
    /// Plain HTTP tools by alias, with their path templates: `/http/{alias}/...`.
    pub http: HashMap<String, (Arc<str>, Vec<PathTemplate>)>,
}

/// Turns connections into calls.
pub struct Interceptor<M> {
    mediate: M,
    routes: Routes,
    hosts: HostCheck,
    config: Config,
    clock: Arc<dyn Clock>,
}

/// Where a request's path leads.
enum Route<'a> {
    Mcp(&'a Arc<str>),
    Http(&'a Arc<str>, &'a [PathTemplate], &'a str),
}

/// What a request's body is.
enum Received {
    One(Box<Call>),
    Batch(Vec<Call>),
}

impl<M: Mediate + Clone> Interceptor<M> {
    /// An interceptor in front of `mediate`.
    #[must_use]
    pub const fn new(mediate: M, routes: Routes, hosts: HostCheck, config: Config, clock: Arc<dyn Clock>) -> Self {
        Self { mediate, routes, hosts, config, clock }
    }

    /// Serves `listener` until `stop` turns true, then lets the requests in flight finish.
    ///
    /// # Errors
    /// [`ServeError::Accept`] when the listener itself fails.
    pub async fn serve(
        self: Arc<Self>,
        listener: TcpListener,
        tls: Option<Arc<rustls::ServerConfig>>,
        mut stop: watch::Receiver<bool>,
    ) -> Result<Drained, ServeError> {
        let room = Arc::new(Semaphore::new(self.config.connections_max));
        let tls = tls.map(TlsAcceptor::from);
        let mut connections = JoinSet::new();
        loop {
            // The place is taken before the connection is: past the limit, clients wait in the kernel's queue.
            let Ok(place) = Arc::clone(&room).acquire_owned().await else { return Ok(Drained::All) };
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = stopped(&mut stop) => break,
                Some(_) = connections.join_next() => continue,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) if is_momentary(&error) => continue,
                Err(error) => return Err(ServeError::Accept(error)),
            };
            let (this, tls, stop) = (Arc::clone(&self), tls.clone(), stop.clone());
            connections.spawn(async move {
                this.greet(stream, peer, tls, stop).await;
                drop(place);
            });
        }
        let drained = tokio::time::timeout(DRAIN, async { while connections.join_next().await.is_some() {} }).await;
        if drained.is_ok() {
            return Ok(Drained::All);
        }
        // Streams of the older era never end by themselves. Their connections close here; what still runs behind them
        // is found without an outcome at the next start.
        connections.shutdown().await;
        Ok(Drained::Some)
    }

    async fn greet(
        self: Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        tls: Option<TlsAcceptor>,
        stop: watch::Receiver<bool>,
    ) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%peer, %error, "set TCP_NODELAY");
        }
        let Some(tls) = tls else { return self.converse(stream, peer, None, stop).await };
        let patience = Duration::from_secs(self.config.read_timeout_s);
        match tokio::time::timeout(patience, tls.accept(stream)).await {
            Ok(Ok(stream)) => {
                let chain = stream.get_ref().1.peer_certificates();
                let certificate = chain.and_then(|chain| chain.first()).map(|first| Arc::from(first.as_ref()));
                self.converse(stream, peer, certificate, stop).await;
            }
            Ok(Err(error)) => tracing::debug!(%peer, %error, "TLS handshake"),
            Err(_) => tracing::debug!(%peer, "TLS handshake took too long"),
        }
    }

    async fn converse<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        self: Arc<Self>,
        stream: S,
        peer: SocketAddr,
        certificate: Option<Arc<[u8]>>,
        mut stop: watch::Receiver<bool>,
    ) {
        let service = service_fn(move |request: Request<Incoming>| {
            let (this, certificate) = (Arc::clone(&self), certificate.clone());
            async move { Ok::<_, std::convert::Infallible>(this.answer(request, peer, certificate).await) }
        });
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(30));
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = stopped(&mut stop) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%peer, %error, "connection ended");
        }
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
        certificate: Option<Arc<[u8]>>,
    ) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let head = Head { method: parts.method, headers: parts.headers, peer, certificate };
        let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
        let answered = match self.read(&head, target, body).await {
            Ok(Received::One(call)) => Ok(self.answer_one(*call).await),
            Ok(Received::Batch(calls)) => batch::answer(&self.mediate, calls).await.map_err(|problem| (problem, None)),
            Err(refused) => Err(refused),
        };
        answered.unwrap_or_else(|(problem, id)| {
            count(Counter::Malformed);
            tracing::info!(%peer, %problem, "refused before it was a call");
            malformed(&problem, id.as_deref())
        })
    }

    async fn answer_one(&self, mut call: Call) -> Response<Body> {
        let streams = call.client.accepts_stream && call.client.transport == Transport::McpHttp;
        if streams && let Some(progress) = HeldProgress::of(&mut call) {
            return held::answer(self.mediate.clone(), call, progress).await;
        }
        let form = AnswerForm::of(&call);
        match self.mediate.mediate(call).await {
            Reply::Refused(ends) => refusal(&ends, &form),
            Reply::Upstream(response) => end_to_end(*response),
        }
    }

    async fn read(&self, head: &Head, target: &str, body: Incoming) -> Result<Received, Refused> {
        let refuse = |problem| (problem, None);
        self.hosts.check(head).map_err(refuse)?;
        head.check_unambiguous().map_err(refuse)?;
        let route = self.route(target).map_err(refuse)?;
        if let Route::Mcp(_) = route {
            check_mcp_head(head).map_err(refuse)?;
        }
        let body = self.collect(body).await.map_err(refuse)?;
        let call = match route {
            Route::Mcp(server) if head.method != Method::POST => mcp::stream_frame(head, self.arrival(server)?),
            Route::Mcp(server) if batch::is_batch(&body) => {
                let version = head.text("mcp-protocol-version");
                let messages = batch::split(&body, version, self.limits()).map_err(refuse)?;
                let calls = messages.into_iter().map(|message| self.read_mcp(head, message, server));
                return calls.collect::<Result<_, _>>().map(Received::Batch);
            }
            Route::Mcp(server) => self.read_mcp(head, body, server)?,
            Route::Http(server, templates, path) => read_http(head, path, body, self.arrival(server)?, templates)?,
        };
        Ok(Received::One(Box::new(call)))
    }

    fn read_mcp(&self, head: &Head, body: Bytes, server: &Arc<str>) -> Result<Call, Refused> {
        let mut call = mcp::read(head, body, self.arrival(server)?)?;
        let resolved = wrappers::resolve(&mut call.action, &self.config.wrappers);
        resolved.map_err(|problem| (problem, call.action.jsonrpc_id.clone()))?;
        Ok(call)
    }

    fn arrival(&self, server: &Arc<str>) -> Result<Arrival, Refused> {
        let received = self.clock.now();
        let random = random_bytes().map_err(|_| (Malformed::Unsupported("a call without random bytes"), None))?;
        let action = ActionId::mint(received, random);
        Ok(Arrival { server: Arc::clone(server), action, received, limits: self.limits() })
    }

    fn limits(&self) -> Limits {
        Limits { depth_max: self.config.depth_max, ..Limits::default() }
    }

    fn route<'a>(&'a self, target: &'a str) -> Result<Route<'a>, Malformed> {
        let path = target.split_once('?').map_or(target, |(path, _)| path);
        if let Some(alias) = path.strip_prefix("/mcp/") {
            let server = self.routes.mcp.get(alias.trim_end_matches('/'));
            return server.map(Route::Mcp).ok_or_else(|| Malformed::NotFound(format!("no MCP server `{alias}` here")));
        }
        if let Some(rest) = target.strip_prefix("/http/") {
            let end = rest.find(['/', '?']).unwrap_or(rest.len());
            let (alias, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
            let path = if path.starts_with('/') { path } else { "/" };
            let server = self.routes.http.get(alias);
            let route = server.map(|(server, templates)| Route::Http(server, templates, path));
            return route.ok_or_else(|| Malformed::NotFound(format!("no HTTP tool `{alias}` here")));
        }
        Err(Malformed::NotFound("nothing here; MCP servers are at /mcp/{server}, HTTP tools at /http/{server}/".into()))
    }

    async fn collect(&self, body: Incoming) -> Result<Bytes, Malformed> {
        let limit = self.config.body_bytes_max;
        let patience = Duration::from_secs(self.config.read_timeout_s);
        match tokio::time::timeout(patience, Limited::new(body, limit).collect()).await {
            Err(_) => Err(Malformed::Slow(self.config.read_timeout_s)),
            Ok(Ok(collected)) => Ok(collected.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Malformed::TooLarge(limit)),
            Ok(Err(_)) => Err(Malformed::Header("the request body broke off".into())),
        }
    }
}

/// Returns when the process stops, or when nobody is left to say so.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _stop_or_nobody_left = stop.wait_for(|stop| *stop).await;
}

/// MCP endpoints take POST, and the older era's GET and DELETE; bodies are JSON in UTF-8.
fn check_mcp_head(head: &Head) -> Result<(), Malformed> {
    if head.method == Method::GET || head.method == Method::DELETE {
        return Ok(());
    }
    if head.method != Method::POST {
        return Err(Malformed::MethodNotAllowed("GET, POST, DELETE"));
    }
    let kind = head.text("content-type").unwrap_or_default().to_ascii_lowercase();
    let mut parts = kind.split(';').map(str::trim);
    let is_json = parts.next() == Some("application/json");
    let is_utf8 = parts.all(|part| !part.starts_with("charset=") || part.trim_matches('"').ends_with("utf-8"));
    if is_json && is_utf8 {
        Ok(())
    } else {
        Err(Malformed::Unsupported("a body that is not application/json in UTF-8"))
    }
}

/// Takes out what concerned the connection to the server (RFC 9110 §7.6.1).
pub(super) fn end_to_end(mut response: Response<Body>) -> Response<Body> {
    let headers = response.headers_mut();
    for name in [header::CONNECTION, header::TRANSFER_ENCODING, header::UPGRADE, header::TRAILER] {
        headers.remove(name);
    }
    headers.remove("keep-alive");
    headers.remove("proxy-connection");
    response
}

/// Errors of `accept` that concern the one connection, or pass when descriptors are free again.
fn is_momentary(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
        || matches!(error.raw_os_error(), Some(23 | 24))
}
