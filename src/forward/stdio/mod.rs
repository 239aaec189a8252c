//! MCP servers over standard input and output, spawned from the operator's configuration and never from a request.
//!
//! A client of the older era gets a process for its session; callers of the newer, stateless era share one process each
//! caller. Nobody's messages reach another caller's process. A server that writes garbage is ended, not trusted.

mod process;
mod routing;

use std::collections::HashMap;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header};
use http_body_util::BodyExt;
use tokio::sync::mpsc;

use super::streamed::Streamed;
use super::{Cleared, ForwardError, Upstream};
use crate::model::{Clock, Digest, Era, Timestamp, Transport};
use crate::net::{Body, BodyError, empty, full, random_bytes};

use process::Process;

/// Settings of one stdio server.
#[derive(Clone, Debug)]
pub struct StdioSettings {
    /// The configured alias.
    pub server: Arc<str>,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// The environment, whole: nothing else is inherited.
    pub environment: Vec<(String, String)>,
    /// Where it runs.
    pub working_directory: Option<PathBuf>,
    /// Time until the first message of an answer.
    pub timeout: Duration,
    /// Processes at once.
    pub processes_max: usize,
    /// Idle time after which a process is ended.
    pub idle: Duration,
    /// Longest line a server may write.
    pub line_bytes_max: usize,
}

/// A server over standard input and output.
pub struct StdioUpstream {
    settings: StdioSettings,
    clock: Arc<dyn Clock>,
    processes: Mutex<HashMap<Key, Arc<Process>>>,
}

/// Whose a process is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Caller(Digest),
    Session(Digest, String),
}

impl StdioUpstream {
    /// A server; nothing is spawned yet.
    #[must_use]
    pub fn new(settings: StdioSettings, clock: Arc<dyn Clock>) -> Self {
        Self { settings, clock, processes: Mutex::default() }
    }

    async fn exchange(&self, cleared: Cleared) -> Result<Response<Body>, ForwardError> {
        self.end_idle();
        let (client, caller) = (&cleared.client, cleared.caller);
        let session = client.protocol_session.as_deref();
        let stateless = client.era == Era::Modern || client.transport == Transport::McpStdio;
        let opens = cleared.method() == "initialize" && !stateless;
        let (key, minted) = match session {
            _ if opens => {
                let id = mint_session().map_err(|error| self.broken(error))?;
                (Key::Session(caller, id.clone()), Some(id))
            }
            Some(id) if !stateless => (Key::Session(caller, id.to_owned()), None),
            _ if stateless || cleared.method() == "server/discover" => (Key::Caller(caller), None),
            _ => return Ok(status(StatusCode::BAD_REQUEST)),
        };
        if cleared.outbound.method == Method::DELETE {
            let ended = self.lock().remove(&key);
            return Ok(status(if ended.is_some() { StatusCode::OK } else { StatusCode::NOT_FOUND }));
        }
        let may_spawn = opens || matches!(key, Key::Caller(_));
        let Some(process) = self.process(key, may_spawn)? else { return Ok(status(StatusCode::NOT_FOUND)) };
        if cleared.outbound.method == Method::GET {
            if client.era == Era::Modern {
                return Ok(status(StatusCode::METHOD_NOT_ALLOWED));
            }
            return Ok(stream(process.open_stream(), None));
        }
        let mut response = self.ask(&process, &cleared).await?;
        if let Some(value) = minted.and_then(|id| HeaderValue::from_str(&id).ok()) {
            response.headers_mut().insert("mcp-session-id", value);
        }
        Ok(response)
    }

    async fn ask(&self, process: &Arc<Process>, cleared: &Cleared) -> Result<Response<Body>, ForwardError> {
        let line = one_line(&cleared.outbound.body);
        let Some(id) = cleared.jsonrpc_id().filter(|_| !cleared.method().is_empty()) else {
            process.write(line).await.map_err(|error| self.broken(error))?;
            return Ok(status(StatusCode::ACCEPTED));
        };
        let waiting = process.begin(id, cleared.client.progress_token.as_deref(), cleared.client.era);
        let late = || ForwardError::Timeout {
            server: self.settings.server.to_string(),
            seconds: self.settings.timeout.as_secs(),
        };
        let begun = tokio::time::timeout(self.settings.timeout, waiting).await.map_err(|_| late())?;
        let mut call = begun.map_err(|error| self.broken(error))?;
        process.write(line).await.map_err(|error| self.broken(error))?;
        let first = tokio::time::timeout(self.settings.timeout, call.next()).await.map_err(|_| late())?;
        let Some((message, last)) = first else { return Err(self.broken("the server process ended")) };
        if last {
            let mut response = Response::new(full(message));
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            return Ok(response);
        }
        let (sender, body) = Streamed::channel();
        tokio::spawn(async move {
            let mut next = Some((message, false));
            while let Some((message, last)) = next {
                if sender.send(Ok(event(&message))).await.is_err() || last {
                    return;
                }
                next = call.next().await;
            }
            let _client_may_be_gone = sender.send(Err("the server process ended".into())).await;
        });
        Ok(event_stream(body.boxed_unsync()))
    }

    fn process(&self, key: Key, may_spawn: bool) -> Result<Option<Arc<Process>>, ForwardError> {
        let mut processes = self.lock();
        if let Some(process) = processes.get(&key) {
            if process.is_alive() {
                process.touch(self.clock.now());
                return Ok(Some(Arc::clone(process)));
            }
            processes.remove(&key);
        }
        if !may_spawn {
            return Ok(None);
        }
        if processes.len() >= self.settings.processes_max {
            return Err(ForwardError::Overloaded {
                server: self.settings.server.to_string(),
                limit: self.settings.processes_max,
            });
        }
        let process = Process::spawn(&self.settings, self.clock.now()).map_err(|source| ForwardError::Connect {
            server: self.settings.server.to_string(),
            address: self.address().to_owned(),
            source: source.into(),
        })?;
        processes.insert(key, Arc::clone(&process));
        Ok(Some(process))
    }

    /// Ends processes that nobody has used for a while, and forgets dead ones.
    fn end_idle(&self) {
        let now = self.clock.now();
        let idle_us = u64::try_from(self.settings.idle.as_micros()).unwrap_or(u64::MAX);
        let is_used = |used: Timestamp| now.micros_since(used) <= idle_us;
        self.lock().retain(|_, process| process.is_alive() && (is_used(process.used()) || process.is_busy()));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Arc<Process>>> {
        self.processes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn broken(&self, source: impl Into<BodyError>) -> ForwardError {
        ForwardError::Exchange { server: self.settings.server.to_string(), source: source.into() }
    }
}

impl Upstream for StdioUpstream {
    fn send(
        &self,
        cleared: Cleared,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Body>, ForwardError>> + Send + '_>> {
        Box::pin(self.exchange(cleared))
    }

    fn address(&self) -> &str {
        self.settings.command.first().map_or("", String::as_str)
    }
}

/// 128 random bits as visible ASCII (MCP 2025-11-25, session management).
fn mint_session() -> Result<String, BodyError> {
    let bytes: [u8; 16] = random_bytes()?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Line feeds can only be white space between tokens in a strict JSON text: as spaces they change nothing.
fn one_line(body: &Bytes) -> Bytes {
    if !body.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
        return body.clone();
    }
    body.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }).collect::<Vec<u8>>().into()
}

fn event(message: &[u8]) -> Bytes {
    [b"event: message\ndata: ", message, b"\n\n"].concat().into()
}

fn stream(mut messages: mpsc::Receiver<Bytes>, first: Option<Bytes>) -> Response<Body> {
    let (sender, body) = Streamed::channel();
    tokio::spawn(async move {
        if let Some(first) = first
            && sender.send(Ok(event(&first))).await.is_err()
        {
            return;
        }
        loop {
            let message = tokio::select! {
                message = messages.recv() => message,
                () = sender.closed() => return,
            };
            let Some(message) = message else { return };
            if sender.send(Ok(event(&message))).await.is_err() {
                return;
            }
        }
    });
    event_stream(body.boxed_unsync())
}

fn event_stream(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

fn status(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(empty());
    *response.status_mut() = status;
    response
}
