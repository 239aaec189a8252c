//! Syslog: RFC 5424 or RFC 3164 over UDP, TCP or TLS; CEF and anything else that is one line.
//!
//! Syslog knows no answer. Over TCP and TLS events count as arrived once the receiver's machine has acknowledged every
//! byte and the connection still stands; those behind a connection that broke are sent again, with the same ids. Over UDP
//! nobody can promise anything: events count as arrived when they left.

mod connection;
mod frame;

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::net::UdpSocket;
use tokio::sync::Mutex;

use super::http::offload;
use super::{Batch, Confirmation, Confirming, Delivery, Destination, Limits, Opening, SendError, Sending, Settings};
use crate::export::ExportError;
use crate::net::ClientTls;
use connection::{Connection, Connector};
use frame::Writer;

/// Largest message over UDP, bytes: what fits an IP packet with room for the header. Networks that lose fragments want
/// less: `event_bytes_max`.
const DATAGRAM_BYTES_MAX: usize = 60_000;

/// A syslog receiver.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SyslogConfig {
    /// `HOST:PORT`.
    pub address: String,
    /// How messages travel.
    #[serde(default)]
    pub transport: SyslogTransport,
    /// The header of a message.
    #[serde(default)]
    pub format: SyslogFormat,
    /// How messages are kept apart on a connection.
    #[serde(default)]
    pub framing: SyslogFraming,
    /// Facility, 0 to 23; 13 is "log audit".
    #[serde(default = "facility")]
    pub facility: u8,
    /// The program's name in the header.
    #[serde(default = "app_name")]
    pub app_name: String,
    /// The host's name in the header; that of the log's origin by default.
    pub hostname: Option<String>,
    /// Largest message, bytes.
    pub event_bytes_max: Option<usize>,
    /// Milliseconds until a connection must stand, and a batch must be written.
    #[serde(default = "timeout_ms")]
    pub timeout_ms: u64,
    /// Authorities and client certificate of `tls`.
    #[serde(default)]
    pub tls: ClientTls,
}

const fn facility() -> u8 {
    13
}

fn app_name() -> String {
    "countersign".into()
}

const fn timeout_ms() -> u64 {
    30_000
}

/// How messages travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SyslogTransport {
    /// One connection.
    Tcp,
    /// One connection, encrypted and authenticated (RFC 5425).
    #[default]
    Tls,
    /// Datagrams: some may get lost, and nobody is told.
    Udp,
}

/// The header of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SyslogFormat {
    /// The older one, for receivers that insist on it.
    Rfc3164,
    /// The standard.
    #[default]
    Rfc5424,
}

/// How messages are kept apart on a connection (RFC 6587).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SyslogFraming {
    /// A newline behind each.
    Newline,
    /// The length before each.
    #[default]
    Octet,
}

impl SyslogConfig {
    /// What nobody says anything else about.
    pub(super) fn to(address: String) -> Self {
        Self {
            address,
            transport: SyslogTransport::default(),
            format: SyslogFormat::default(),
            framing: SyslogFraming::default(),
            facility: facility(),
            app_name: app_name(),
            hostname: None,
            event_bytes_max: None,
            timeout_ms: timeout_ms(),
            tls: ClientTls::default(),
        }
    }
}

impl Settings for SyslogConfig {
    fn build(&self, opening: &Opening<'_>) -> Result<Box<dyn Destination>, ExportError> {
        let name = opening.name;
        if self.facility > 23 {
            return Err(ExportError::setting(name, "`facility` is a number from 0 to 23"));
        }
        let host = self.address.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).map(|(host, _)| host);
        let host = host.ok_or_else(|| ExportError::setting(name, "`address` is HOST:PORT"))?;
        let connector = Connector::new(host, self).map_err(|problem| ExportError::setting(name, problem))?;
        Ok(Box::new(Syslog {
            name: name.into(),
            writer: Arc::new(Writer::new(self)),
            transport: self.transport,
            address: self.address.clone(),
            event_bytes_max: self.event_bytes_max.unwrap_or(DATAGRAM_BYTES_MAX),
            timeout: Duration::from_millis(self.timeout_ms),
            connector,
            connection: Mutex::default(),
        }))
    }
}

struct Syslog {
    name: String,
    writer: Arc<Writer>,
    transport: SyslogTransport,
    address: String,
    event_bytes_max: usize,
    timeout: Duration,
    connector: Connector,
    connection: Mutex<State>,
}

#[derive(Default)]
struct State {
    current: Option<Connection>,
    /// Tickets up to here were given out before the current connection.
    broken_up_to: u64,
    tickets: u64,
}

impl State {
    fn lose(&mut self) {
        self.current = None;
        self.broken_up_to = self.tickets;
    }
}

impl Syslog {
    async fn deliver(&self, batch: Batch) -> Result<Delivery, SendError> {
        let sent = async {
            match self.transport {
                SyslogTransport::Udp => self.datagrams(batch).await,
                SyslogTransport::Tcp | SyslogTransport::Tls => self.stream(batch).await,
            }
        };
        let late = || SendError::later(format!("`{}` did not take the batch in time", self.address));
        match tokio::time::timeout(self.timeout, sent).await {
            Ok(result) => result,
            Err(_) => {
                self.connection.lock().await.lose();
                Err(late())
            }
        }
    }

    async fn datagrams(&self, batch: Batch) -> Result<Delivery, SendError> {
        let failed = |error: std::io::Error| SendError::later(format!("send to `{}`: {error}", self.address));
        let target = tokio::net::lookup_host(&self.address).await.map_err(failed)?.next();
        let target = target.ok_or_else(|| SendError::later(format!("`{}` has no address", self.address)))?;
        let local = if target.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(local).await.map_err(failed)?;
        // Connected, so that a port that nobody listens on is noticed where the system says so.
        socket.connect(target).await.map_err(failed)?;
        for item in &batch.items {
            socket.send(&self.writer.message(item)).await.map_err(failed)?;
        }
        Ok(Delivery::default())
    }

    async fn stream(&self, batch: Batch) -> Result<Delivery, SendError> {
        let writer = Arc::clone(&self.writer);
        let bytes = offload(move || Ok(writer.frames(&batch))).await?;
        let mut state = self.connection.lock().await;
        if let Some(connection) = state.current.as_mut()
            && !connection.stands().await
        {
            state.lose();
        }
        if state.current.is_none() {
            state.current = Some(self.connector.connect(&self.address).await.map_err(SendError::later)?);
        }
        let Some(connection) = state.current.as_mut() else { return Err(SendError::later("no connection")) };
        if let Err(error) = connection.write(&bytes).await {
            state.lose();
            return Err(SendError::later(format!("write to `{}`: {error}", self.address)));
        }
        state.tickets += 1;
        Ok(Delivery { ticket: Some(state.tickets), ..Delivery::default() })
    }

    async fn ask(&self, tickets: &[u64]) -> Result<Vec<Confirmation>, SendError> {
        let mut state = self.connection.lock().await;
        let mut stands = false;
        if let Some(connection) = state.current.as_mut() {
            stands = connection.stands().await;
        }
        let arrived = match state.current.as_ref().filter(|_| stands) {
            Some(connection) => connection.is_acknowledged().await,
            None => {
                state.lose();
                false
            }
        };
        let broken = state.broken_up_to;
        drop(state);
        let answers = tickets.iter().map(|ticket| match ticket {
            ticket if *ticket <= broken => Confirmation::Lost(format!("the connection to `{}` broke", self.address)),
            _ if arrived => Confirmation::Arrived,
            _ => Confirmation::Pending,
        });
        Ok(answers.collect())
    }
}

impl Destination for Syslog {
    fn name(&self) -> &str {
        &self.name
    }

    fn limits(&self) -> Limits {
        Limits { event_bytes_max: self.event_bytes_max, overhead: 300, ..Limits::default() }
    }

    fn send<'a>(&'a self, batch: &'a Batch) -> Sending<'a> {
        Box::pin(self.deliver(batch.clone()))
    }

    fn confirm<'a>(&'a self, tickets: &'a [u64]) -> Confirming<'a> {
        Box::pin(self.ask(tickets))
    }
}
