//! MCP servers over standard input and output, spawned from the operator's configuration and never from a request.
//!
//! A client of the older era gets a process for its session; callers of the newer, stateless era share one process each
//! caller. Nobody's messages reach another caller's process. A server that writes garbage is ended, not trusted. Ids are
//! the clients' and are not rewritten: calls on one process that share an id wait for each other.
//!
//! ```text
//! POST initialize     a new process, its session's id in the answer
//! POST, with session  that process; 404 when it is gone, and the client begins another
//! POST, newer era     the caller's process, started when there is none
//! GET                 what belongs to no call of the session; 405 in the newer era
//! DELETE              ends the session's process
//! ```

mod answer;
mod call;
mod pipes;
mod process;
mod processes;
mod routing;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, Response, StatusCode};
use tokio::sync::Semaphore;

use super::message_id::MessageId;
use super::{Cleared, ForwardError, Upstream};
use crate::model::json::{Limits, scan};
use crate::model::{Client, Clock, Era, Transport};
use crate::net::{Body, BodyError, random_bytes};

use answer::{bare, call_stream, no_session, one_line, only_post, sentence, session_stream, status_of, whole};
use call::{CallInFlight, Turned};
use process::Process;
use processes::{Key, Processes, Purpose};
use routing::{Begin, Part};

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
    /// Calls at once, over all processes. One more is refused.
    pub concurrency_max: usize,
    /// Processes at once. One more is refused, unless its caller has one that is idle.
    pub processes_max: usize,
    /// Idle time after which a process is ended. A client that holds its session's stream open is not idle.
    pub idle: Duration,
    /// Longest line a server may write. One that writes a longer one is ended.
    pub line_bytes_max: usize,
}

/// A server over standard input and output.
pub struct StdioUpstream {
    processes: Processes,
    room: Arc<Semaphore>,
}

/// The header that names a session of the older era.
const SESSION_HEADER: HeaderName = HeaderName::from_static("mcp-session-id");

impl StdioUpstream {
    /// A server; nothing is spawned yet.
    #[must_use]
    pub fn new(settings: StdioSettings, clock: Arc<dyn Clock>) -> Self {
        let room = Arc::new(Semaphore::new(settings.concurrency_max));
        Self { processes: Processes::new(settings, clock), room }
    }

    async fn exchange(&self, cleared: &Cleared) -> Result<Response<Body>, ForwardError> {
        let (client, method) = (&cleared.client, cleared.method());
        if is_stateless(client) && cleared.outbound.method != Method::POST {
            return Ok(only_post());
        }
        let request = cleared.jsonrpc_id().filter(|_| !method.is_empty());
        let purpose = match &client.protocol_session {
            _ if client.transport == Transport::McpStdio => Purpose::Wrapped,
            _ if is_stateless(client) => Purpose::Shared,
            _ if request.is_some() && method == "initialize" => return self.open_session(cleared).await,
            Some(session) => Purpose::Session(session.to_string()),
            None if method == "server/discover" => Purpose::Shared,
            None => return Ok(no_session(StatusCode::BAD_REQUEST, request)),
        };
        let key = Key { caller: cleared.caller, purpose };
        if cleared.outbound.method == Method::DELETE {
            let status = if self.processes.end(&key) { StatusCode::OK } else { StatusCode::NOT_FOUND };
            return Ok(bare(status));
        }
        let starts = match key.purpose {
            Purpose::Session(_) => false,
            Purpose::Shared => request.is_some(),
            Purpose::Wrapped => request.is_some() && begins(client, method),
        };
        let process = if starts { Some(self.processes.find_or_start(&key).await?) } else { self.processes.find(&key) };
        let Some(process) = process else { return Ok(no_session(StatusCode::NOT_FOUND, request)) };
        if cleared.outbound.method == Method::GET {
            let stream = process.open_stream().map(session_stream);
            return Ok(stream.unwrap_or_else(|| no_session(StatusCode::NOT_FOUND, None)));
        }
        match request {
            Some(id) => self.ask(&key, process, cleared, id).await.map(|(response, _)| response),
            None => self.tell(&process, cleared).await,
        }
    }

    /// `initialize` of the older era: a process of its own for the session that it opens.
    async fn open_session(&self, cleared: &Cleared) -> Result<Response<Body>, ForwardError> {
        let session = mint_session().map_err(|error| self.broken(error))?;
        let key = Key { caller: cleared.caller, purpose: Purpose::Session(session.clone()) };
        // Until the session's id is on its way to the client nobody else can end its process.
        let mut opening = Opening { processes: &self.processes, key: Some(key.clone()) };
        let process = self.processes.find_or_start(&key).await?;
        let id = cleared.jsonrpc_id().unwrap_or_default();
        let (mut response, error) = self.ask(&key, process, cleared, id).await?;
        if error.is_none() {
            opening.key = None;
            response.headers_mut().extend(HeaderValue::from_str(&session).map(|id| (SESSION_HEADER, id)));
        }
        Ok(response)
    }

    /// Sends a request. Returns its answer, and the JSON-RPC error code when that is an error.
    async fn ask(
        &self,
        key: &Key,
        process: Arc<Process>,
        cleared: &Cleared,
        id: &str,
    ) -> Result<(Response<Body>, Option<i64>), ForwardError> {
        let client = &cleared.client;
        let room = Arc::clone(&self.room).try_acquire_owned().map_err(|_| self.overloaded())?;
        let mut call = self.begin(key, process, cleared, id).await?;
        call.send(one_line(&cleared.outbound.body)).await.map_err(|turned| self.turned(turned))?;
        loop {
            match call.next().await.map_err(|turned| self.turned(turned))? {
                Part::Answer(line, error) => return Ok((whole(line, status_of(client.era, error)), error)),
                Part::Note(first) if client.accepts_stream => return Ok((call_stream(call, first, room), None)),
                // Its client takes nothing but the answer.
                Part::Note(_) => {}
            }
        }
    }

    async fn begin(
        &self,
        key: &Key,
        process: Arc<Process>,
        cleared: &Cleared,
        id: &str,
    ) -> Result<CallInFlight, ForwardError> {
        let id = MessageId::read(id).ok_or_else(|| self.broken("an id that is neither a string nor a number"))?;
        let token = cleared.client.progress_token.as_deref().and_then(MessageId::read);
        let begin = Begin {
            id: &id,
            progress_token: token.as_ref(),
            era: cleared.client.era,
            accepts_stream: cleared.client.accepts_stream,
            listens: cleared.method() == "subscriptions/listen",
        };
        match process.begin(&begin).await {
            // Several stateless clients of one caller may well use the same ids. Behind a call that ends they wait; behind
            // one that may not they get another process.
            Err(Turned::Blocked) if key.purpose == Purpose::Shared => {
                self.processes.retire(key, &process);
                let another = self.processes.find_or_start(key).await?;
                another.begin(&begin).await.map_err(|turned| self.turned(turned))
            }
            begun => begun.map_err(|turned| self.turned(turned)),
        }
    }

    /// Sends what has no answer: a notification, or a client's answer to the server.
    async fn tell(&self, process: &Arc<Process>, cleared: &Cleared) -> Result<Response<Body>, ForwardError> {
        let body = &cleared.outbound.body;
        if cleared.method() == "notifications/cancelled"
            && let Some(id) = cancelled(body)
        {
            process.cancel(id);
        }
        process.write(one_line(body)).await.map_err(|turned| self.turned(turned))?;
        Ok(bare(StatusCode::ACCEPTED))
    }

    fn turned(&self, turned: Turned) -> ForwardError {
        match turned {
            Turned::Cancelled => ForwardError::Cancelled { server: self.server() },
            Turned::Blocked | Turned::Ended(_) | Turned::Unread => self.broken(sentence(&turned)),
        }
    }

    fn broken(&self, source: impl Into<BodyError>) -> ForwardError {
        ForwardError::Exchange { server: self.server(), source: source.into() }
    }

    fn overloaded(&self) -> ForwardError {
        ForwardError::Overloaded { server: self.server(), limit: self.processes.settings.concurrency_max }
    }

    fn server(&self) -> String {
        self.processes.settings.server.to_string()
    }
}

impl Upstream for StdioUpstream {
    fn send(
        &self,
        cleared: Cleared,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Body>, ForwardError>> + Send + '_>> {
        let limit = self.processes.settings.timeout;
        let late = move || ForwardError::Timeout { server: self.server(), seconds: limit.as_secs() };
        Box::pin(async move { tokio::time::timeout(limit, self.exchange(&cleared)).await.map_err(|_| late())? })
    }

    fn address(&self) -> &str {
        self.processes.settings.command.first().map_or("", String::as_str)
    }

    fn has_sessions(&self) -> bool {
        true
    }

    fn close(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.processes.close())
    }
}

/// A session whose client does not know its id yet. Dropped with its key, it ends.
struct Opening<'a> {
    processes: &'a Processes,
    key: Option<Key>,
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        if let Some(key) = &self.key {
            self.processes.end(key);
        }
    }
}

/// Whether a call over HTTP belongs to no session.
fn is_stateless(client: &Client) -> bool {
    client.era == Era::Modern && client.transport != Transport::McpStdio
}

/// Whether a request may start the process of a client on our standard input: it needs nothing that came before it.
/// Anything else of the older era would reach a process that knows nothing of its session.
fn begins(client: &Client, method: &str) -> bool {
    client.era == Era::Modern || matches!(method, "initialize" | "ping" | "server/discover")
}

/// The id of the call that a cancellation names.
fn cancelled(body: &[u8]) -> Option<MessageId> {
    let (text, document) = scan(body, Limits::default()).ok()?;
    MessageId::read(document.root(text).get("params")?.get("requestId")?.text())
}

/// 128 random bits as visible ASCII (MCP 2025-11-25, session management).
fn mint_session() -> Result<String, BodyError> {
    let bytes: [u8; 16] = random_bytes()?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
