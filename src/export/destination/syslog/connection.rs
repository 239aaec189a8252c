//! A connection to a syslog receiver, and whether what was written to it has arrived.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use super::{SyslogConfig, SyslogTransport};

/// Where the system does not say what is on its way, this long without a broken connection counts as arrived.
const SETTLED: Duration = Duration::from_secs(2);

trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for T {}

/// Makes connections.
pub(super) struct Connector {
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

/// One connection.
pub(super) struct Connection {
    stream: Box<dyn Stream>,
    local: SocketAddr,
    peer: SocketAddr,
    written: Instant,
}

impl Connector {
    /// # Errors
    /// A sentence: a certificate cannot be used, or the host's name cannot be checked against one.
    pub(super) fn new(host: &str, config: &SyslogConfig) -> Result<Self, String> {
        if config.transport != SyslogTransport::Tls {
            return Ok(Self { tls: None });
        }
        let mut tls = config.tls.build().map_err(|error| crate::model::with_causes(&error))?;
        // Syslog has no name among application protocols.
        tls.alpn_protocols.clear();
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(host).map_err(|_| "the host in `address` is not a name")?;
        Ok(Self { tls: Some((TlsConnector::from(std::sync::Arc::new(tls)), name)) })
    }

    /// # Errors
    /// A sentence: nobody answers, or it is not who it should be.
    pub(super) async fn connect(&self, address: &str) -> Result<Connection, String> {
        let failed = |error: std::io::Error| format!("connect to `{address}`: {error}");
        let stream = TcpStream::connect(address).await.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        let (local, peer) = (stream.local_addr().map_err(failed)?, stream.peer_addr().map_err(failed)?);
        let stream: Box<dyn Stream> = match &self.tls {
            None => Box::new(stream),
            Some((connector, name)) => Box::new(connector.connect(name.clone(), stream).await.map_err(failed)?),
        };
        Ok(Connection { stream, local, peer, written: Instant::now() })
    }
}

impl Connection {
    pub(super) async fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await?;
        self.written = Instant::now();
        Ok(())
    }

    /// Whether the connection still stands: a receiver says nothing, so whatever can be read is its end.
    pub(super) async fn stands(&mut self) -> bool {
        let mut byte = [0; 64];
        match tokio::time::timeout(Duration::ZERO, self.stream.read(&mut byte)).await {
            Err(_) => true,
            Ok(Ok(read)) => read > 0,
            Ok(Err(_)) => false,
        }
    }

    /// Whether the receiver's machine has acknowledged every byte.
    pub(super) async fn is_acknowledged(&self) -> bool {
        let (local, peer) = (self.local, self.peer);
        let unsent = tokio::task::spawn_blocking(move || unsent(local, peer)).await.ok().flatten();
        unsent.map_or_else(|| self.written.elapsed() >= SETTLED, |bytes| bytes == 0)
    }
}

/// Bytes that the peer has not acknowledged, as the kernel lists them; `None` where it lists nothing.
fn unsent(local: SocketAddr, peer: SocketAddr) -> Option<u64> {
    let table = if local.is_ipv4() { "/proc/self/net/tcp" } else { "/proc/self/net/tcp6" };
    let text = std::fs::read_to_string(table).ok()?;
    let (local, peer) = (listed(local), listed(peer));
    let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let line = lines.into_iter().find(|line| line.get(1) == Some(&&*local) && line.get(2) == Some(&&*peer))?;
    let (queue, _) = line.get(4)?.split_once(':')?;
    u64::from_str_radix(queue, 16).ok()
}

/// An address as the table has it: 32-bit words in the machine's order, hexadecimal.
fn listed(address: SocketAddr) -> String {
    let bytes = match address.ip() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    let words = bytes.chunks_exact(4).map(|word| word.try_into().map_or(0, u32::from_ne_bytes));
    let words: String = words.map(|word| format!("{word:08X}")).collect();
    format!("{words}:{:04X}", address.port())
}
