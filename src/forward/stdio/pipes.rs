//! The pipes of a server process, and its end.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc;

use super::StdioSettings;
use crate::net::{Line, Lines};

/// Time a process gets to end after its input is closed, and again after it is asked to. The official clients wait as
/// long.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// What is read of a server's standard error for the log over its life; the rest is read and dropped.
const ERROR_BYTES_MAX: usize = 1 << 20;

/// Longest line of standard error in the log.
const ERROR_LINE_BYTES_MAX: usize = 4_096;

/// A started server.
pub(super) struct Server {
    pub(super) input: ChildStdin,
    pub(super) output: ChildStdout,
    pub(super) child: Child,
    /// Leads a process group of its own.
    pub(super) group: Option<Pid>,
}

impl Server {
    /// Starts the configured command with the configured environment and nothing else of ours.
    pub(super) fn start(settings: &StdioSettings) -> std::io::Result<Self> {
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
        let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let (Some(input), Some(output), Some(errors)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(std::io::ErrorKind::BrokenPipe.into());
        };
        tokio::spawn(log_errors(errors, Arc::clone(&settings.server)));
        Ok(Self { input, output, child, group })
    }
}

/// Writes lines until there are no more, then closes the input. The server then has some time to say what it still has
/// to say. Returns what went wrong, if anything did.
pub(super) async fn feed(mut input: ChildStdin, mut lines: mpsc::Receiver<Bytes>) -> Option<String> {
    let mut problem = None;
    while let Some(line) = lines.recv().await {
        let written = async {
            input.write_all(&line).await?;
            input.write_all(b"\n").await?;
            input.flush().await
        };
        if let Err(error) = written.await {
            problem = Some(format!("closed its input: {error}"));
            break;
        }
    }
    drop(input);
    tokio::time::sleep(PATIENCE).await;
    problem
}

/// Ends a process whose input is closed: waits, asks the whole group, ends it (MCP 2025-11-25, stdio shutdown). When
/// this returns the process is reaped.
pub(super) async fn end(
    mut child: Child,
    group: Option<Pid>,
    output: impl AsyncRead + Unpin + Send + 'static,
    server: &str,
) {
    // Read on without looking: a full pipe would keep the server from ending.
    let rest = tokio::spawn(discard(output));
    let signal = |signal| {
        // Nobody left to tell is the usual case.
        let _told = group.is_some_and(|group| kill_process_group(group, signal).is_ok());
    };
    let mut ended = tokio::time::timeout(PATIENCE, child.wait()).await;
    if ended.is_err() {
        signal(Signal::TERM);
        ended = tokio::time::timeout(PATIENCE, child.wait()).await;
    }
    // What a server leaves behind in its group has no pipes any more. The group's number cannot have been given to
    // anybody else while a member lives, and numbers do not come around in this moment.
    signal(Signal::KILL);
    let status = match ended {
        Ok(status) => status,
        Err(_) => child.wait().await,
    };
    match status {
        Ok(status) => tracing::debug!(%server, %status, "a server process ended"),
        Err(error) => tracing::error!(%server, %error, "wait for a server process"),
    }
    rest.abort();
}

async fn log_errors(errors: ChildStderr, server: Arc<str>) {
    let mut lines = Lines::new(BufReader::new(errors), ERROR_LINE_BYTES_MAX);
    let mut bytes = 0_usize;
    while let (true, Ok(Some(line))) = (bytes < ERROR_BYTES_MAX, lines.next().await) {
        let line = match line {
            Line::Whole(line) => line,
            Line::TooLong => Bytes::from_static(b"(a line past the limit)"),
        };
        bytes += line.len().max(1);
        tracing::debug!(%server, line = %String::from_utf8_lossy(&line), "standard error");
    }
    // Read on without keeping it: a full pipe would stop the server.
    discard(lines.into_inner()).await;
}

async fn discard(mut from: impl AsyncRead + Unpin + Send) {
    let _ended = tokio::io::copy(&mut from, &mut tokio::io::sink()).await;
}
