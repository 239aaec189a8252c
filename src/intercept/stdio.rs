//! A client over standard input and output: one message a line, many calls at once.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::BodyExt;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::{Semaphore, mpsc};

use super::mcp::{Arrival, read_line};
use super::{AnswerForm, Mediate, Reply, error_line, refusal};
use crate::metrics::{Counter, count};
use crate::model::json::Limits;
use crate::model::{ActionId, Clock, Credentials, Peer};
use crate::net::{Body, random_bytes};

/// Calls at once from one client.
const CALLS_MAX: u32 = 64;

/// Lines on their way out.
const LINES_IN_FLIGHT: usize = 64;

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
    /// Longest line.
    pub line_bytes_max: usize,
}

impl<M: Mediate + Clone> StdioClient<M> {
    /// Serves until the input ends, then lets calls in flight finish.
    ///
    /// # Errors
    /// When a pipe breaks, or a line is longer than the limit.
    pub async fn serve(
        self,
        input: impl AsyncRead + Unpin + Send,
        mut output: impl AsyncWrite + Unpin + Send + 'static,
    ) -> std::io::Result<()> {
        let (lines, mut ready) = mpsc::channel::<Bytes>(LINES_IN_FLIGHT);
        let writer = tokio::spawn(async move {
            while let Some(line) = ready.recv().await {
                output.write_all(&line).await?;
                output.write_all(b"\n").await?;
                output.flush().await?;
            }
            Ok::<_, std::io::Error>(())
        });
        let room = Arc::new(Semaphore::new(CALLS_MAX as usize));
        let mut reader = BufReader::new(input);
        loop {
            let mut line = Vec::new();
            let limit = u64::try_from(self.line_bytes_max).unwrap_or(u64::MAX);
            let read = (&mut reader).take(limit).read_until(b'\n', &mut line).await?;
            if read == 0 {
                break;
            }
            if line.last() != Some(&b'\n') && line.len() >= self.line_bytes_max {
                return Err(std::io::Error::other(format!("a line of more than {} bytes", self.line_bytes_max)));
            }
            while matches!(line.last(), Some(b'\n' | b'\r')) {
                line.pop();
            }
            let line = Bytes::from(line);
            if line.is_empty() {
                continue;
            }
            let Ok(place) = Arc::clone(&room).acquire_owned().await else { break };
            let call = match self.read(line) {
                Ok(call) => call,
                Err(answer) => {
                    if lines.send(answer.into()).await.is_err() {
                        break;
                    }
                    continue;
                }
            };
            // In the order of the input up to here: a notification must not overtake the call before it.
            let (mediate, lines) = (self.mediate.clone(), lines.clone());
            tokio::spawn(async move {
                answer(mediate, call, lines).await;
                drop(place);
            });
        }
        let _all_done = room.acquire_many(CALLS_MAX).await;
        drop(lines);
        writer.await.unwrap_or(Ok(()))
    }

    fn read(&self, line: Bytes) -> Result<crate::model::Call, String> {
        let received = self.clock.now();
        let random = random_bytes().map_err(|error| error_line(None, -32603, &error.to_string()))?;
        let action = ActionId::mint(received, random);
        let arrival = Arrival { server: Arc::clone(&self.server), action, received, limits: Limits::default() };
        let peer = Peer::Process(std::process::id());
        read_line(line, arrival, peer, self.credentials.clone()).map_err(|(problem, id)| {
            count(Counter::Malformed);
            error_line(id.as_deref(), -32600, &problem.to_string())
        })
    }
}

async fn answer<M: Mediate>(mediate: M, call: crate::model::Call, lines: mpsc::Sender<Bytes>) {
    let (form, id) = (AnswerForm::of(&call), call.action.jsonrpc_id.clone());
    let response = match mediate.mediate(call).await {
        Reply::Refused(ends) => refusal(&ends, &form),
        Reply::Upstream(response) => *response,
    };
    let is_stream =
        response.headers().get("content-type").is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
    let sent = if is_stream {
        send_events(response.into_body(), &lines).await
    } else {
        match response.into_body().collect().await.map(|body| body.to_bytes()) {
            Ok(body) if !body.is_empty() => lines.send(body).await.is_ok(),
            Ok(_) => true,
            Err(error) => {
                let line = error_line(id.as_deref(), -32603, &error.to_string());
                lines.send(line.into()).await.is_ok()
            }
        }
    };
    if !sent {
        tracing::debug!("the client has closed its input");
    }
}

/// Events made by a stdio server: each is one message on one data line.
async fn send_events(mut body: Body, lines: &mpsc::Sender<Bytes>) -> bool {
    while let Some(Ok(frame)) = body.frame().await {
        let Ok(chunk) = frame.into_data() else { continue };
        for line in chunk.split(|byte| *byte == b'\n') {
            if let Some(data) = line.strip_prefix(b"data: ")
                && lines.send(chunk.slice_ref(data)).await.is_err()
            {
                return false;
            }
        }
    }
    true
}
