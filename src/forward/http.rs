//! Servers over HTTP: a pool of connections, one request each at a time, bytes untouched.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderName, HeaderValue, Request, Response, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsConnector;

use super::location::keep_inside;
use super::{Cleared, ForwardError, Upstream};
use crate::model::Transport;
use crate::net::{Body, BodyError};

/// Joins a server's own log to our receipts. The only thing that is added to a request.
const ACTION_HEADER: HeaderName = HeaderName::from_static("countersign-action");

/// Idle connections kept for each server: as many as a busy machine has calls in flight.
const IDLE_MAX: usize = 128;

/// Settings of one HTTP server.
#[derive(Clone)]
pub struct HttpSettings {
    /// The configured alias.
    pub server: Arc<str>,
    /// Where it is: for MCP the endpoint itself, for plain HTTP tools the base that paths are appended to.
    pub url: Uri,
    /// Time until the head of an answer must be there.
    pub timeout: Duration,
    /// Calls at once.
    pub concurrency_max: usize,
    /// Credential headers that the operator configured for this server. Never the client's.
    pub credentials: Vec<(HeaderName, HeaderValue)>,
    /// TLS towards the server; `None` for plain HTTP.
    pub tls: Option<Arc<rustls::ClientConfig>>,
}

/// A server over HTTP.
pub struct HttpUpstream {
    settings: HttpSettings,
    address: String,
    host: HeaderValue,
    base: String,
    pool: Arc<Pool>,
    room: Arc<Semaphore>,
}

type Connection = SendRequest<Full<Bytes>>;

#[derive(Default)]
struct Pool(Mutex<Vec<Connection>>);

impl Pool {
    fn take(&self) -> Option<Connection> {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(connection) = idle.pop() {
            if !connection.is_closed() {
                return Some(connection);
            }
        }
        None
    }

    fn put(&self, connection: Connection) {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX && !connection.is_closed() {
            idle.push(connection);
        }
    }
}

impl HttpUpstream {
    /// A server at `settings.url`. Nothing is connected yet.
    ///
    /// # Errors
    /// [`ForwardError::Unknown`] when the URL names no host.
    pub fn new(settings: HttpSettings) -> Result<Self, ForwardError> {
        let unknown = || ForwardError::Unknown(settings.server.to_string());
        let authority = settings.url.authority().ok_or_else(unknown)?;
        let secure = settings.url.scheme() == Some(&Scheme::HTTPS);
        let port = settings.url.port_u16().unwrap_or(if secure { 443 } else { 80 });
        Ok(Self {
            address: format!("{}:{port}", authority.host()),
            host: HeaderValue::from_str(authority.as_str()).map_err(|_| unknown())?,
            base: settings.url.path().to_owned(),
            pool: Arc::default(),
            room: Arc::new(Semaphore::new(settings.concurrency_max)),
            settings,
        })
    }

    async fn exchange(&self, cleared: Cleared) -> Result<Response<Body>, ForwardError> {
        let is_tool = cleared.client.transport == Transport::Http;
        let mut response = self.ask(cleared).await?;
        let status = response.status();
        if is_tool && !keep_inside(status, response.headers_mut(), &self.settings.server, &self.settings.url) {
            let (server, problem) = (self.settings.server.to_string(), "a redirect to elsewhere");
            return Err(ForwardError::Answer { server, status: status.as_u16(), problem });
        }
        Ok(response)
    }

    async fn ask(&self, cleared: Cleared) -> Result<Response<Body>, ForwardError> {
        let permit = Arc::clone(&self.room).acquire_owned().await.map_err(|error| self.broken(error))?;
        let mut request = self.request(cleared)?;
        // A connection that the server closed in the meantime gives the request back unsent; then it was never seen and
        // may go out on another one. Anything else is not repeated.
        while let Some(mut connection) = self.pool.take() {
            if connection.ready().await.is_err() {
                continue;
            }
            match connection.try_send_request(request).await {
                Ok(response) => return Ok(self.stream(response, connection, permit)),
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(self.broken(error.into_error())),
                },
            }
        }
        let mut connection = self.connect().await?;
        let response = connection.send_request(request).await.map_err(|error| self.broken(error))?;
        Ok(self.stream(response, connection, permit))
    }

    fn request(&self, cleared: Cleared) -> Result<Request<Full<Bytes>>, ForwardError> {
        let outbound = cleared.outbound;
        let path = if outbound.path.is_empty() {
            self.settings.url.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"))
        } else {
            let joined = format!("{}{}", self.base.trim_end_matches('/'), outbound.path);
            joined.parse().map_err(|error: http::uri::InvalidUri| self.broken(error))?
        };
        let mut request = Request::new(Full::new(outbound.body));
        *request.method_mut() = outbound.method;
        *request.uri_mut() = Uri::from(path);
        *request.headers_mut() = outbound.headers;
        let headers = request.headers_mut();
        headers.insert(header::HOST, self.host.clone());
        for (name, value) in &self.settings.credentials {
            headers.insert(name.clone(), value.clone());
        }
        if let Some(value) = cleared.action.and_then(|action| HeaderValue::from_str(action.as_str()).ok()) {
            headers.insert(ACTION_HEADER, value);
        }
        Ok(request)
    }

    async fn connect(&self) -> Result<Connection, ForwardError> {
        let failed = |source: BodyError| ForwardError::Connect {
            server: self.settings.server.to_string(),
            address: self.address.clone(),
            source,
        };
        let stream = TcpStream::connect(&self.address).await.map_err(|error| failed(error.into()))?;
        stream.set_nodelay(true).map_err(|error| failed(error.into()))?;
        let Some(tls) = &self.settings.tls else {
            let (connection, driver) =
                http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(error.into()))?;
            tokio::spawn(driver);
            return Ok(connection);
        };
        let host = self.settings.url.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let name = ServerName::try_from(host).map_err(|error| failed(error.into()))?;
        let stream = TlsConnector::from(Arc::clone(tls)).connect(name, stream).await;
        let stream = stream.map_err(|error| failed(error.into()))?;
        let (connection, driver) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(error.into()))?;
        tokio::spawn(driver);
        Ok(connection)
    }

    fn stream(
        &self,
        response: Response<Incoming>,
        connection: Connection,
        permit: OwnedSemaphorePermit,
    ) -> Response<Body> {
        let pool = Arc::clone(&self.pool);
        response.map(|body| Pooled { body, connection: Some(connection), pool, _permit: permit }.boxed_unsync())
    }

    fn broken(&self, source: impl Into<BodyError>) -> ForwardError {
        ForwardError::Exchange { server: self.settings.server.to_string(), source: source.into() }
    }
}

impl Upstream for HttpUpstream {
    fn send(
        &self,
        cleared: Cleared,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Body>, ForwardError>> + Send + '_>> {
        let limit = self.settings.timeout;
        let late = move || ForwardError::Timeout { server: self.settings.server.to_string(), seconds: limit.as_secs() };
        Box::pin(async move { tokio::time::timeout(limit, self.exchange(cleared)).await.map_err(|_| late())? })
    }

    fn address(&self) -> &str {
        &self.address
    }
}

/// An answer's body that gives its connection back when it has been read to the end. Dropped earlier, the connection
/// is closed with it, which is how the server learns that nobody waits any more.
struct Pooled {
    body: Incoming,
    connection: Option<Connection>,
    pool: Arc<Pool>,
    _permit: OwnedSemaphorePermit,
}

impl hyper::body::Body for Pooled {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        let ended = matches!(polled, Poll::Ready(None))
            || matches!(polled, Poll::Ready(Some(Ok(_)))) && self.body.is_end_stream();
        if ended && let Some(connection) = self.connection.take() {
            self.pool.put(connection);
        }
        polled.map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        self.body.size_hint()
    }
}
