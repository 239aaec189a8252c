//! One client: one TCP connection, one MCP session, one call at a time, on a blocking socket.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::Fallible;
use super::wire::{CallText, Era, INITIALIZE, INITIALIZED, Reply, Target, Verdict, header};

/// Longest wait for one reply. Far longer than anything worth waiting for; it ends a hung run.
const REPLY_WAIT_MAX: Duration = Duration::from_secs(20);
/// Connections are numbered through all of a run, so that no request id comes twice.
static CONNECTIONS: AtomicU64 = AtomicU64::new(0);
/// The first id has 16 digits, and so has every later one.
const FIRST_ID: u64 = 1_000_000_000_000_000;
/// Ids set aside for each connection.
const IDS_PER_CONNECTION: u64 = 1_000_000_000;

/// A connection with a session, ready to call.
pub(crate) struct Connection {
    stream: TcpStream,
    call: CallText,
    next_id: u64,
    received: Vec<u8>,
    joined: Vec<u8>,
}

impl Connection {
    /// Connects to `target` and opens a session where the era has one.
    ///
    /// # Errors
    /// The connection or the handshake fails.
    pub(crate) fn open(target: &Target) -> Fallible<Self> {
        let stream = TcpStream::connect(target.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(REPLY_WAIT_MAX))?;
        let number = CONNECTIONS.fetch_add(1, Ordering::Relaxed);
        let mut connection = Self {
            stream,
            call: CallText::new(target, None),
            next_id: FIRST_ID + number * IDS_PER_CONNECTION,
            received: Vec::with_capacity(4_096),
            joined: Vec::new(),
        };
        if target.era == Era::Legacy {
            connection.handshake(target)?;
        }
        Ok(connection)
    }

    fn handshake(&mut self, target: &Target) -> Fallible<()> {
        let request = target.post(None, "initialize", None, INITIALIZE);
        let session = self.exchange(&request, |reply| match reply.status {
            200 => Ok(header(reply.head, "mcp-session-id").map(String::from)),
            other => Err(format!("initialize: status {other}, {}", String::from_utf8_lossy(reply.body)).into()),
        })?;
        let request = target.post(session.as_deref(), "notifications/initialized", None, INITIALIZED);
        self.exchange(&request, |reply| match reply.status {
            202 => Ok(()),
            other => Err(format!("notifications/initialized: status {other}").into()),
        })?;
        self.call = CallText::new(target, session.as_deref());
        Ok(())
    }

    /// Makes one call with an id of its own and judges the reply.
    ///
    /// # Errors
    /// The connection fails or is closed; it is of no use any more.
    pub(crate) fn call(&mut self) -> Fallible<Verdict> {
        self.next_id += 1;
        self.call.patch(self.next_id);
        self.stream.write_all(&self.call.request)?;
        self.receive()?;
        let Some((reply, _)) = Reply::read(&self.received, &mut self.joined)? else {
            return Err("the reply is gone".into());
        };
        Ok(self.call.judge(&reply))
    }

    /// Sends `request` and hands the reply to `read`.
    ///
    /// # Errors
    /// The connection fails or is closed, or `read` finds the reply wrong.
    fn exchange<T>(&mut self, request: &[u8], read: impl FnOnce(&Reply<'_>) -> Fallible<T>) -> Fallible<T> {
        self.stream.write_all(request)?;
        self.receive()?;
        match Reply::read(&self.received, &mut self.joined)? {
            Some((reply, _)) => read(&reply),
            None => Err("the reply is gone".into()),
        }
    }

    fn receive(&mut self) -> Fallible<()> {
        self.received.clear();
        let mut part = [0; 4_096];
        loop {
            let length = self.stream.read(&mut part)?;
            if length == 0 {
                return Err("the connection was closed before the reply".into());
            }
            self.received.extend_from_slice(part.get(..length).unwrap_or_default());
            if let Some((_, used)) = Reply::read(&self.received, &mut self.joined)? {
                return if used == self.received.len() { Ok(()) } else { Err("more than one reply to a call".into()) };
            }
        }
    }
}
