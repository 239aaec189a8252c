//! A client over standard input and output: one message a line, many calls at once.
//!
//! Requests are mediated side by side, each on a task of its own. Notifications and answers are mediated one after the
//! other, in the order in which they came: an answer that a running call waits for never waits for that call. In the
//! older era the server's own messages come on a stream that is opened once the handshake is answered; its end is the
//! server's end, and ours.

mod answer;
mod stream;
#[cfg(test)]
mod tests;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::mcp::{Arrival, read_line};
use super::wrappers::{WrapperTool, resolve};
use super::{Malformed, Mediate, malformed};
use crate::metrics::{Counter, count};
use crate::model::json::Limits;
use crate::model::{ActionId, Call, Client, Clock, Credentials, Era, Peer, Refusal, RefusalKind};
use crate::net::{Line, Lines, collect, random_bytes};

use answer::{Asked, refuse};

/// Calls at once from one client. One more is refused at once: waiting in line would keep answers from being read that
/// the calls before it wait for.
const CALLS_MAX: usize = 256;

/// Lines on their way out.
const LINES_IN_FLIGHT: usize = 64;

/// Time that calls in flight get to end after the input has ended.
const DRAIN_MAX: Duration = Duration::from_secs(10);

/// Bytes of an error answer: one sentence.
const ERROR_BYTES_MAX: usize = 64 << 10;

/// One client on a pair of pipes.
pub struct StdioClient<M> {
    /// Where calls go.
    pub mediate: M,
    /// The configured alias of the server.
    pub server: Arc<str>,
    /// Who the client is.
    pub credentials: Credentials,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Longest line. A longer one is answered with an error and skipped.
    pub line_bytes_max: usize,
    /// Tools that run other tools.
    pub wrappers: Vec<WrapperTool>,
}

/// What every task that serves the client shares.
struct Conversation<M> {
    client: StdioClient<M>,
    lines: mpsc::Sender<Bytes>,
    /// Turns true when the input has ended: what has no end of its own ends then.
    closing: watch::Sender<bool>,
    /// Turns true when the server's own stream has ended.
    server_gone: watch::Sender<bool>,
    /// What the client said of itself at the handshake of the older era.
    introduced: OnceLock<Client>,
}

impl<M: Mediate + Clone> StdioClient<M> {
    /// Serves until the input ends, then lets calls in flight finish, for ten seconds at most.
    ///
    /// # Errors
    /// When a pipe breaks, or the server of a client of the older era has ended: a new one would know nothing of the
    /// handshake, and the client learns by our end that it must begin again.
    pub async fn serve(
        self,
        input: impl AsyncRead + Unpin + Send,
        output: impl AsyncWrite + Unpin + Send + 'static,
    ) -> std::io::Result<()> {
        let (lines, ready) = mpsc::channel(LINES_IN_FLIGHT);
        let writer = tokio::spawn(write_lines(output, ready));
        let input = Lines::new(BufReader::new(input), self.line_bytes_max);
        let (closing, server_gone) = (watch::Sender::new(false), watch::Sender::new(false));
        let introduced = OnceLock::new();
        let conversation = Arc::new(Conversation { client: self, lines, closing, server_gone, introduced });
        let mut calls = JoinSet::new();
        let ended = conversation.read(input, &mut calls).await;
        conversation.closing.send_replace(true);
        let all = async { while calls.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN_MAX, all).await.is_err() {
            tracing::warn!(calls = calls.len(), "left calls behind: they did not end in time");
            calls.shutdown().await;
        }
        // With the last holder of the lines the writer ends.
        drop(conversation);
        match tokio::time::timeout(DRAIN_MAX, writer).await {
            Ok(written) => ended.and(written.unwrap_or(Ok(()))),
            Err(_) => ended.and(Err(std::io::ErrorKind::TimedOut.into())),
        }
    }
}

impl<M: Mediate + Clone> Conversation<M> {
    async fn read(
        self: &Arc<Self>,
        mut input: Lines<impl tokio::io::AsyncBufRead + Unpin>,
        calls: &mut JoinSet<()>,
    ) -> std::io::Result<()> {
        let mut server_gone = self.server_gone.subscribe();
        loop {
            let line = tokio::select! {
                line = input.next() => line?,
                _gone = server_gone.wait_for(|gone| *gone) => {
                    return Err(std::io::Error::other(format!("server `{}` has ended", self.client.server)));
                }
                // Nobody reads what we write.
                () = self.lines.closed() => return Ok(()),
            };
            // Those that have ended make room.
            while calls.try_join_next().is_some() {}
            match line {
                None => return Ok(()),
                Some(Line::TooLong) => self.turn_away(&Malformed::TooLarge(self.client.line_bytes_max), None).await,
                Some(Line::Whole(line)) if line.iter().all(u8::is_ascii_whitespace) => {}
                Some(Line::Whole(line)) => match self.client.receive(line) {
                    Ok(call) => self.take(self.recognise(call), calls).await,
                    Err((problem, id)) => self.turn_away(&problem, id.as_deref()).await,
                },
            }
        }
    }

    /// Fills in what the older era says once, at the handshake, and the newer one with every call.
    fn recognise(&self, mut call: Call) -> Call {
        if call.client.era == Era::Modern {
            return call;
        }
        if &*call.action.method == "initialize" {
            let _first = self.introduced.set(call.client.clone()).is_ok();
        } else if let Some(known) = self.introduced.get() {
            let client = &mut call.client;
            client.name.clone_from(&known.name);
            client.version.clone_from(&known.version);
            client.protocol_version.clone_from(&known.protocol_version);
            client.url_elicitation = known.url_elicitation;
        }
        call
    }

    async fn take(self: &Arc<Self>, call: Call, calls: &mut JoinSet<()>) {
        let asked = Asked::by(&call);
        if !asked.wants_answer() {
            return self.mediate(call, &asked).await;
        }
        if calls.len() >= CALLS_MAX {
            let outside = format!("More than {CALLS_MAX} calls at once. Try again later.");
            let refusal = Refusal::new(RefusalKind::Overloaded, &outside, "too many calls on standard input");
            return self.send_all(refuse(&refusal, &asked).await).await;
        }
        let this = Arc::clone(self);
        calls.spawn(async move {
            let opens = &*call.action.method == "initialize" && call.client.era == Era::Legacy;
            let stream = opens.then(|| stream::frame(&call, this.client.clock.as_ref())).flatten();
            this.mediate(call, &asked).await;
            if let Some(frame) = stream {
                this.follow(frame);
            }
        });
    }

    /// A line that is not a call.
    async fn turn_away(&self, problem: &Malformed, id: Option<&str>) {
        count(Counter::Malformed);
        tracing::info!(%problem, "refused before it was a call");
        let body = malformed(problem, id).into_body();
        self.send_all(collect(body, ERROR_BYTES_MAX).await.ok()).await;
    }

    async fn send_all(&self, lines: impl IntoIterator<Item = Bytes>) {
        for line in lines {
            // A client that does not read any more is noticed where lines are read.
            let _gone = self.lines.send(line).await.is_err();
        }
    }
}

impl<M> StdioClient<M> {
    fn receive(&self, line: Bytes) -> Result<Call, super::mcp::Refused> {
        let received = self.clock.now();
        let random = random_bytes().map_err(|_| (Malformed::Unsupported("a call without random bytes"), None))?;
        let action = ActionId::mint(received, random);
        let arrival = Arrival { server: Arc::clone(&self.server), action, received, limits: Limits::default() };
        let peer = Peer::Process(std::os::unix::process::parent_id());
        let mut call = read_line(line, arrival, peer, self.credentials.clone())?;
        let resolved = resolve(&mut call.action, &self.wrappers);
        resolved.map_err(|problem| (problem, call.action.jsonrpc_id.clone()))?;
        Ok(call)
    }
}

async fn write_lines(
    mut output: impl AsyncWrite + Unpin + Send,
    mut lines: mpsc::Receiver<Bytes>,
) -> std::io::Result<()> {
    while let Some(line) = lines.recv().await {
        output.write_all(&line).await?;
        output.write_all(b"\n").await?;
        output.flush().await?;
    }
    Ok(())
}
