//! Processes of one run: started, found ready by a call that is answered, and ended with their children.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use super::Fallible;
use super::connection::Connection;
use super::timing::{now, ns_between};
use super::wire::{Target, Verdict};

/// Open files that every process may need at once: 1,000 sessions with a connection on both sides, and room.
const OPEN_FILES_MIN: u64 = 8_192;
/// How long something may take from its start to its first answered call.
const START_WAIT_MAX: Duration = Duration::from_secs(30);
/// How long something may take to end after it was asked to.
const STOP_WAIT_MAX: Duration = Duration::from_secs(10);

/// A process that belongs to the bench. Dropping it ends it.
pub(crate) struct Process {
    name: &'static str,
    child: Child,
}

impl Process {
    /// Starts `command`, with its standard input held open: the bench's own roles end when it closes.
    ///
    /// # Errors
    /// The program cannot be started.
    pub(crate) fn start(name: &'static str, command: &mut Command) -> Fallible<Self> {
        let child = command.stdin(Stdio::piped()).spawn().map_err(|error| format!("start {name}: {error}"))?;
        Ok(Self { name, child })
    }

    /// Starts this program again in another role. Returns the address that the role says it listens on.
    ///
    /// # Errors
    /// It cannot be started or does not say where it listens.
    pub(crate) fn role(name: &'static str, words: &[String]) -> Fallible<(Self, SocketAddr)> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut process = Self::start(name, command.arg("--role").args(words).stdout(Stdio::piped()))?;
        let address = listening(process.child.stdout.take()).map_err(|error| format!("start {name}: {error}"))?;
        Ok((process, address))
    }

    /// The process id: the root of the tree that is measured.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Calls until `target` answers one call as the tool would. Returns the nanoseconds since `started`.
    ///
    /// # Errors
    /// It ends, gives a wrong answer, or none within 30 s.
    pub(crate) fn wait_for_call(&mut self, target: &Target, started: std::time::Instant) -> Fallible<u64> {
        loop {
            let refused = match Connection::open(target).and_then(|mut connection| connection.call()) {
                Ok(Verdict::Exact | Verdict::Reshaped) => return Ok(ns_between(started, now())),
                Ok(Verdict::Wrong(what)) => return Err(format!("{}: wrong first reply: {what}", self.name).into()),
                Err(error) => error,
            };
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("{} ended at its start: {status}", self.name).into());
            }
            if now().saturating_duration_since(started) > START_WAIT_MAX {
                return Err(format!("{} answers no call: {refused}", self.name).into());
            }
            std::thread::sleep(Duration::from_micros(500));
        }
    }

    /// Asks the process to end as an operator would, and waits for it.
    pub(crate) fn stop(&mut self) {
        drop(self.child.stdin.take());
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        // The standard library cannot send SIGTERM, which nginx needs to take its workers along.
        let ask = Command::new("/bin/sh").arg("-c").arg(format!("kill -TERM {}", self.id())).status();
        let deadline = now() + STOP_WAIT_MAX;
        while ask.is_ok() && now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        eprintln!("bench: {} did not end when asked, it is killed", self.name);
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}

fn listening(output: Option<ChildStdout>) -> Fallible<SocketAddr> {
    let mut line = String::new();
    BufReader::new(output.ok_or("no output")?).read_line(&mut line)?;
    let address = line.trim().strip_prefix("listening ").ok_or("it does not say where it listens")?;
    Ok(address.parse()?)
}

/// Starts this program again with more open files, when the limit is low and may be raised. Does not return then.
pub(crate) fn raise_open_files() {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap_or_default();
    let mut values = line.split_ascii_whitespace().map(|value| value.parse::<u64>().unwrap_or(u64::MAX));
    let (Some(soft), Some(hard)) = (values.next(), values.next()) else { return };
    let Ok(own) = std::env::current_exe() else { return };
    if soft >= OPEN_FILES_MIN || hard <= soft {
        return;
    }
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(format!("ulimit -n {}; exec \"$0\" \"$@\"", hard.min(OPEN_FILES_MIN * 2)));
    let error = shell.arg(own).args(std::env::args_os().skip(1)).exec();
    eprintln!("bench: open files stay at {soft}: {error}");
}

/// A port on loopback that was free a moment ago.
///
/// # Errors
/// There is none.
pub(crate) fn free_port() -> Fallible<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Ends this process when its parent closes the pipe, so that a role never outlives the bench.
pub(crate) fn end_with_parent() {
    std::thread::spawn(|| {
        let mut line = String::new();
        while std::io::stdin().read_line(&mut line).is_ok_and(|length| length > 0) {
            line.clear();
        }
        std::process::exit(0);
    });
}
