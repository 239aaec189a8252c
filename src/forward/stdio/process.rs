//! One server process: its pipes, its messages, its end.

use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::{Notify, mpsc};

use super::StdioSettings;
use super::routing::Routing;
use crate::model::{Era, Timestamp};
use crate::net::BodyError;

/// Lines on their way into a process. Few: a server that does not read must slow its callers.
const LINES_IN_FLIGHT: usize = 64;

/// Messages of one call that its client has not taken yet.
const MESSAGES_IN_FLIGHT: usize = 64;

/// What is read of a server's standard error for the log; the rest is read and dropped.
const ERROR_BYTES_MAX: u64 = 1 << 20;

/// Time a process gets to end after its input is closed, and again after it is asked to.
const PATIENCE: Duration = Duration::from_secs(2);

/// One running server.
pub(super) struct Process {
    lines: mpsc::Sender<Bytes>,
    routing: Mutex<Routing>,
    /// Told whenever a call ends: another with the same id may then begin.
    ended: Notify,
    alive: AtomicBool,
    used_us: AtomicU64,
}

/// One call in flight.
pub(super) struct CallInFlight {
    process: Arc<Process>,
    id: String,
    era: Era,
    messages: mpsc::Receiver<(Bytes, bool)>,
    answered: bool,
}

impl Process {
    /// Starts the configured command.
    pub(super) fn spawn(settings: &StdioSettings, now: Timestamp) -> std::io::Result<Arc<Self>> {
        let (program, arguments) = settings.command.split_first().ok_or(std::io::ErrorKind::InvalidInput)?;
        let mut command = Command::new(program);
        command.args(arguments).env_clear().envs(settings.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A group of its own: a key pressed for us does not reach it, and its children can be ended with it.
        command.kill_on_drop(true).process_group(0);
        if let Some(folder) = &settings.working_directory {
            command.current_dir(folder);
        }
        let mut child = command.spawn()?;
        let (Some(input), Some(output), Some(errors)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(std::io::ErrorKind::BrokenPipe.into());
        };
        let (lines, waiting) = mpsc::channel(LINES_IN_FLIGHT);
        let process = Arc::new(Self {
            lines,
            routing: Mutex::default(),
            ended: Notify::new(),
            alive: AtomicBool::new(true),
            used_us: AtomicU64::new(now.as_micros()),
        });
        let server = Arc::clone(&settings.server);
        let line_bytes_max = settings.line_bytes_max;
        tokio::spawn(feed(input, waiting));
        tokio::spawn(log_errors(errors, Arc::clone(&server)));
        // Weak: when the last caller lets go of the process its input closes and it ends.
        let reader = Arc::downgrade(&process);
        tokio::spawn(async move {
            if let Err(problem) = read(output, line_bytes_max, &reader).await {
                tracing::error!(%server, problem, "ended a server that wrote what cannot be passed on");
            }
            if let Some(process) = reader.upgrade() {
                process.die();
            }
            end(child, &server).await;
        });
        Ok(process)
    }

    /// Sends one line. Waits while the server does not read.
    pub(super) async fn write(&self, line: Bytes) -> Result<(), BodyError> {
        self.lines.send(line).await.map_err(|_| "the server process ended".into())
    }

    /// Registers a call. Waits while another with the same id is in flight: ids are the clients' and are not changed.
    pub(super) async fn begin(
        self: &Arc<Self>,
        id: &str,
        progress_token: Option<&str>,
        era: Era,
    ) -> Result<CallInFlight, BodyError> {
        loop {
            let ended = self.ended.notified();
            if !self.is_alive() {
                return Err("the server process ended".into());
            }
            let (sender, messages) = mpsc::channel(MESSAGES_IN_FLIGHT);
            if self.lock().begin(id, progress_token, sender) {
                return Ok(CallInFlight {
                    process: Arc::clone(self),
                    id: id.to_owned(),
                    era,
                    messages,
                    answered: false,
                });
            }
            ended.await;
        }
    }

    /// Opens the stream for what belongs to no call.
    pub(super) fn open_stream(&self) -> mpsc::Receiver<Bytes> {
        let (sender, receiver) = mpsc::channel(MESSAGES_IN_FLIGHT);
        self.lock().open_stream(sender);
        receiver
    }

    pub(super) fn is_alive(&self) -> bool {
        self.alive.load(Ordering::Acquire)
    }

    pub(super) fn is_busy(&self) -> bool {
        self.lock().is_busy()
    }

    pub(super) fn used(&self) -> Timestamp {
        Timestamp::from_micros(self.used_us.load(Ordering::Relaxed))
    }

    pub(super) fn touch(&self, now: Timestamp) {
        self.used_us.fetch_max(now.as_micros(), Ordering::Relaxed);
    }

    fn die(&self) {
        self.alive.store(false, Ordering::Release);
        *self.lock() = Routing::default();
        self.ended.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, Routing> {
        self.routing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CallInFlight {
    /// The next message for this call, and whether it is its answer. `None` when the process ended.
    pub(super) async fn next(&mut self) -> Option<(Bytes, bool)> {
        let next = self.messages.recv().await;
        self.answered |= next.as_ref().is_some_and(|(_, last)| *last);
        next
    }
}

impl Drop for CallInFlight {
    fn drop(&mut self) {
        self.process.lock().end(&self.id);
        self.process.ended.notify_waiters();
        if !self.answered && self.era == Era::Modern {
            // Over stdio a call is cancelled by a notification (MCP 2026-07-28, stdio). A full queue means a server
            // that does not read, which would not read this either.
            let note = format!(
                "{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{{\"requestId\":{}}}}}",
                self.id
            );
            let _queue_may_be_full = self.process.lines.try_send(note.into());
        }
    }
}

async fn feed(mut input: ChildStdin, mut lines: mpsc::Receiver<Bytes>) {
    while let Some(line) = lines.recv().await {
        let written = async {
            input.write_all(&line).await?;
            input.write_all(b"\n").await?;
            input.flush().await
        };
        if written.await.is_err() {
            return;
        }
    }
}

async fn read(output: ChildStdout, bytes_max: usize, process: &std::sync::Weak<Process>) -> Result<(), String> {
    let mut reader = BufReader::new(output);
    loop {
        let mut line = Vec::new();
        let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX);
        let read = (&mut reader).take(limit).read_until(b'\n', &mut line).await.map_err(|error| error.to_string())?;
        if read == 0 {
            return Ok(());
        }
        if line.last() != Some(&b'\n') && line.len() >= bytes_max {
            return Err(format!("a line of more than {bytes_max} bytes"));
        }
        while matches!(line.last(), Some(b'\n' | b'\r')) {
            line.pop();
        }
        if line.is_empty() {
            continue;
        }
        let Some(process) = process.upgrade() else { return Ok(()) };
        let routed = process.lock().route(Bytes::from(line))?;
        let Some((to, message)) = routed else { continue };
        to.deliver(message).await;
    }
}

async fn log_errors(errors: ChildStderr, server: Arc<str>) {
    let mut lines = BufReader::new(errors.take(ERROR_BYTES_MAX)).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        tracing::debug!(%server, line, "standard error");
    }
    // Read on without keeping it: a full pipe would stop the server.
    let mut rest = lines.into_inner().into_inner().into_inner();
    let _ended = tokio::io::copy(&mut rest, &mut tokio::io::sink()).await;
}

/// Closed input, then a request, then the end (MCP 2025-11-25, stdio shutdown).
async fn end(mut child: Child, server: &str) {
    if tokio::time::timeout(PATIENCE, child.wait()).await.is_ok() {
        return;
    }
    if let Some(group) = child.id() {
        // The whole group: servers started through a launcher are its children.
        let asked = Command::new("kill").args(["-TERM", "--", &format!("-{group}")]).stderr(Stdio::null()).status();
        if let Err(error) = asked.await {
            tracing::warn!(%server, %error, "ask a server process to end");
        }
    }
    if tokio::time::timeout(PATIENCE, child.wait()).await.is_err()
        && let Err(error) = child.kill().await
    {
        tracing::error!(%server, %error, "end a server process");
    }
}
