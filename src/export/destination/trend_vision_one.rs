//! Trend Vision One: CEF over syslog to a Service Gateway's Third-Party Log Collection. The platform itself takes no logs.
//!
//! A gateway listens on a port of 6514 to 6533, and hands on what it got every megabyte or minute. Everything else is as
//! with `syslog`, whose promises hold up to the gateway.

use serde::Deserialize;

use super::environment::{switch, text, variable};
use super::syslog::{SyslogConfig, SyslogFormat, SyslogFraming, SyslogTransport};
use super::{Destination, Opening, Settings};
use crate::export::{ExportError, Schema};
use crate::net::ClientTls;

/// The first of the ports that gateways offer.
const PORT: &str = "6514";

/// A Service Gateway of Trend Vision One.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrendVisionOneConfig {
    /// `HOST:PORT`; `TV1_COLLECTOR_HOST` and `TV1_COLLECTOR_PORT` (6514) by default.
    pub address: Option<String>,
    /// How messages travel; what `TV1_COLLECTOR_PROTOCOL` and `TV1_COLLECTOR_TLS` say, else `tls`.
    pub transport: Option<SyslogTransport>,
    /// The header of a message. Collectors of CEF know the older one best.
    #[serde(default = "format")]
    pub format: SyslogFormat,
    /// How messages are kept apart on a connection.
    #[serde(default)]
    pub framing: SyslogFraming,
    /// The host's name in the header; that of the log's origin by default.
    pub hostname: Option<String>,
    /// Authorities and client certificate.
    #[serde(default)]
    pub tls: ClientTls,
}

const fn format() -> SyslogFormat {
    SyslogFormat::Rfc3164
}

impl Settings for TrendVisionOneConfig {
    fn build(&self, opening: &Opening<'_>) -> Result<Box<dyn Destination>, ExportError> {
        let name = opening.name;
        if opening.schema.schema != Schema::Cef {
            return Err(ExportError::setting(
                name,
                "a Service Gateway reads CEF alone: write `schema: cef` beside `type`",
            ));
        }
        let mut syslog: SyslogConfig = SyslogConfig::to(self.address(name)?);
        syslog.transport = match self.transport {
            Some(transport) => transport,
            None => transport(name)?,
        };
        syslog.format = self.format;
        syslog.framing = self.framing;
        syslog.hostname.clone_from(&self.hostname);
        syslog.tls = self.tls.clone();
        syslog.build(opening)
    }
}

impl TrendVisionOneConfig {
    fn address(&self, name: &str) -> Result<String, ExportError> {
        if let Some(address) = &self.address {
            return Ok(address.clone());
        }
        let host = text(name, "address", None, "TV1_COLLECTOR_HOST")?;
        Ok(format!("{host}:{}", variable("TV1_COLLECTOR_PORT").unwrap_or_else(|| PORT.into())))
    }
}

/// What the variables say.
fn transport(name: &str) -> Result<SyslogTransport, ExportError> {
    let encrypted = switch(name, "TV1_COLLECTOR_TLS")?;
    match (variable("TV1_COLLECTOR_PROTOCOL").as_deref(), encrypted) {
        (None | Some("tcp"), None | Some(true)) => Ok(SyslogTransport::Tls),
        (None | Some("tcp"), Some(false)) => Ok(SyslogTransport::Tcp),
        (Some("udp"), None | Some(false)) => Ok(SyslogTransport::Udp),
        (Some("udp"), Some(true)) => {
            let problem = "`TV1_COLLECTOR_PROTOCOL=udp` has no TLS: set `TV1_COLLECTOR_TLS=false`, or use `tcp`";
            Err(ExportError::setting(name, problem))
        }
        _ => Err(ExportError::setting(name, "the variable `TV1_COLLECTOR_PROTOCOL` is neither `tcp` nor `udp`")),
    }
}
