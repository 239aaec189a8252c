//! Messages: header, text, and what keeps them apart.

use super::{SyslogConfig, SyslogFormat, SyslogFraming};
use crate::export::{Batch, Item};
use crate::model::{Severity, Timestamp};

/// Longest host name in a header (RFC 5424 §6).
const HOST_MAX: usize = 255;

/// Longest program name in a header (RFC 5424 §6).
const APP_MAX: usize = 48;

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Writes messages.
pub(super) struct Writer {
    format: SyslogFormat,
    framing: SyslogFraming,
    facility: u8,
    app_name: String,
    hostname: Option<String>,
    process: u32,
}

/// Printable US-ASCII without spaces, as headers want it; `-` for nothing.
fn printable(text: &str, bytes_max: usize) -> String {
    let text: String = text.chars().filter(char::is_ascii_graphic).take(bytes_max).collect();
    if text.is_empty() { "-".into() } else { text }
}

impl Writer {
    pub(super) fn new(config: &SyslogConfig) -> Self {
        Self {
            format: config.format,
            framing: config.framing,
            facility: config.facility,
            app_name: printable(&config.app_name, APP_MAX),
            hostname: config.hostname.as_deref().map(|host| printable(host, HOST_MAX)),
            process: std::process::id(),
        }
    }

    /// One message, header and text, on one line.
    pub(super) fn message(&self, item: &Item) -> Vec<u8> {
        // An origin is a host name and a path.
        let origin = item.origin.split('/').next().unwrap_or_default();
        let host = self.hostname.clone().unwrap_or_else(|| printable(origin, HOST_MAX));
        let priority = u32::from(self.facility) * 8 + severity(item.severity);
        let head = match self.format {
            SyslogFormat::Rfc5424 => format!(
                "<{priority}>1 {} {host} {} {} {} - ",
                item.time.to_rfc3339_millis(),
                self.app_name,
                self.process,
                item.event_type.as_str()
            ),
            SyslogFormat::Rfc3164 => {
                format!("<{priority}>{} {host} {}[{}]: ", short_time(item.time), self.app_name, self.process)
            }
        };
        let mut message = head.into_bytes();
        message.extend_from_slice(item.rendered.as_bytes());
        message
    }

    /// All messages of a batch, as they travel on a connection.
    pub(super) fn frames(&self, batch: &Batch) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(batch.bytes() + batch.items.len() * 128);
        for item in &batch.items {
            let message = self.message(item);
            match self.framing {
                SyslogFraming::Octet => bytes.extend_from_slice(format!("{} ", message.len()).as_bytes()),
                SyslogFraming::Newline => {}
            }
            bytes.extend_from_slice(&message);
            if self.framing == SyslogFraming::Newline {
                bytes.push(b'\n');
            }
        }
        bytes
    }
}

const fn severity(severity: Severity) -> u32 {
    match severity {
        Severity::Critical => 2,
        Severity::High => 3,
        Severity::Medium => 4,
        Severity::Low => 5,
        Severity::Info => 6,
    }
}

/// `Mmm dd hh:mm:ss`, UTC. The day has a space where it has one digit.
fn short_time(time: Timestamp) -> String {
    let text = time.to_rfc3339_millis();
    let part = |from, to| text.get(from..to).unwrap_or_default();
    let month = part(5, 7).parse::<usize>().ok().and_then(|month| MONTHS.get(month.checked_sub(1)?)).unwrap_or(&"Jan");
    let day = part(8, 10).trim_start_matches('0');
    format!("{month} {day:>2} {}", part(11, 19))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::EventType;

    fn item() -> Item {
        Item {
            id: "ab:aarm.action".into(),
            event_type: EventType::Action,
            severity: Severity::High,
            time: Timestamp::parse("2026-11-05T08:09:10.123456Z").unwrap(),
            session: None,
            index: 7,
            ordinal: 0,
            origin: "proxy.example.com/abc".into(),
            rendered: "CEF:0|Countersign|x".into(),
            unfit: None,
        }
    }

    fn writer(more: &str) -> Writer {
        Writer::new(&serde_saphyr::from_str(&format!("{{address: 'h:1', {more}}}")).unwrap())
    }

    #[test]
    fn headers_are_those_of_the_standards() {
        let process = std::process::id();
        let message = String::from_utf8(writer("").message(&item())).unwrap();
        let wanted = format!(
            "<107>1 2026-11-05T08:09:10.123Z proxy.example.com countersign {process} aarm.action - CEF:0|Countersign|x"
        );
        assert_eq!(message, wanted);
        let older = writer("format: rfc3164, facility: 16, hostname: 'a b', app_name: tool");
        let message = String::from_utf8(older.message(&item())).unwrap();
        assert_eq!(message, format!("<131>Nov  5 08:09:10 ab tool[{process}]: CEF:0|Countersign|x"));
    }

    #[test]
    fn messages_are_kept_apart() {
        let batch = Batch { items: vec![item().into(), item().into()] };
        let message = writer("").message(&item());
        let counted = writer("").frames(&batch);
        assert!(counted.starts_with(format!("{} <107>1", message.len()).as_bytes()));
        assert_eq!(counted.len(), 2 * (message.len() + format!("{} ", message.len()).len()));
        let lines = writer("framing: newline").frames(&batch);
        assert_eq!(lines.split(|byte| *byte == b'\n').filter(|line| **line == message).count(), 2);
    }
}
