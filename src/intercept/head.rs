//! The head of an HTTP request: what must be said once, who may say it, and what travels on.

use std::net::SocketAddr;
use std::sync::Arc;

use http::header;
use http::{HeaderMap, Method};

use super::Malformed;
use crate::model::{Credentials, ProxyHeaders, SessionCredential};

/// The parts of a request's head that matter to a call.
#[derive(Clone, Debug)]
pub struct Head {
    /// The HTTP method.
    pub method: Method,
    /// All headers as they came.
    pub headers: HeaderMap,
    /// Where the client is.
    pub peer: SocketAddr,
    /// The client certificate, when the connection showed a verified one.
    pub certificate: Option<Arc<[u8]>>,
}

/// Headers that decide how a message is read or for whom it is: two of them are two opinions. (`Authorization` too:
/// the caller is then nobody, which is decided and recorded like any other missing credential.)
const ONCE: &[&str] = &[
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "origin",
    "transfer-encoding",
    "mcp-method",
    "countersign-session",
    "mcp-name",
    "mcp-protocol-version",
    "mcp-session-id",
];

/// Headers by which a trusted proxy says who calls.
const IDENTITY_HEADERS: &[&str] =
    &["x-agent-id", "x-delegation-chain", "x-service-id", "x-session-id", "x-user-id", "x-user-role"];

/// Headers that end here: they concern one connection (RFC 9110 §7.6.1), belong to this proxy, or are a credential
/// for it. `Accept-Encoding` ends here because a compressed result could not be recorded.
const NOT_FORWARDED: &[&str] = &[
    "accept-encoding",
    "authorization",
    "connection",
    "content-length",
    "cookie",
    "expect",
    "host",
    "origin",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "countersign-action",
    "countersign-session",
    "keep-alive",
    "proxy-connection",
    "x-agent-id",
    "x-delegation-chain",
    "x-service-id",
    "x-session-id",
    "x-user-id",
    "x-user-role",
];

impl Head {
    /// One header's value as text; `None` when it is absent or not visible ASCII.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Refuses heads that could be read in two ways: a header that must stand once standing twice, and a length given
    /// twice over (RFC 9112 §6.1, request smuggling).
    ///
    /// # Errors
    /// [`Malformed`] names the header.
    pub fn check_unambiguous(&self) -> Result<(), Malformed> {
        for name in ONCE {
            if self.headers.get_all(*name).iter().nth(1).is_some() {
                return Err(Malformed::Header(format!("`{name}` stands more than once")));
            }
        }
        if self.headers.contains_key(header::TRANSFER_ENCODING) && self.headers.contains_key(header::CONTENT_LENGTH) {
            return Err(Malformed::Header("both `transfer-encoding` and `content-length`".into()));
        }
        match self.text("content-encoding") {
            None | Some("identity") => Ok(()),
            Some(_) => Err(Malformed::Unsupported("a compressed request body")),
        }
    }

    /// The end-to-end headers that travel upstream: no credential, nothing that concerns this connection alone.
    #[must_use]
    pub fn forwarded(&self) -> HeaderMap {
        let named = self.headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
        let named: Vec<&str> = named.flat_map(|list| list.split(',')).map(str::trim).collect();
        let mut forwarded = HeaderMap::with_capacity(self.headers.len());
        for (name, value) in &self.headers {
            let stays = NOT_FORWARDED.contains(&name.as_str())
                || named.iter().any(|hop| name.as_str().eq_ignore_ascii_case(hop));
            if !stays {
                forwarded.append(name, value.clone());
            }
        }
        forwarded
    }

    /// What the caller shows to say who it is.
    #[must_use]
    pub fn credentials(&self) -> Credentials {
        let shared = |name: &str| self.text(name).map(Arc::from);
        let twice = |name: &&str| self.headers.get_all(*name).iter().nth(1).is_some();
        let proxy_headers = ProxyHeaders {
            ambiguous: IDENTITY_HEADERS.iter().any(twice),
            human: shared("x-user-id"),
            service: shared("x-service-id"),
            agent: shared("x-agent-id"),
            session: shared("x-session-id"),
            role: shared("x-user-role"),
            delegation: shared("x-delegation-chain"),
        };
        Credentials {
            authorization: shared("authorization"),
            ambiguous: self.headers.get_all(header::AUTHORIZATION).iter().nth(1).is_some(),
            certificate: self.certificate.clone(),
            operating_system_user: None,
            proxy_headers,
            session: shared("countersign-session").map_or(SessionCredential::None, SessionCredential::Shown),
        }
    }
}

/// Which `Host` and `Origin` values may call: the defence against DNS rebinding, which a server behind a proxy can no
/// longer provide itself (MCP 2025-11-25 transports, security warning).
#[derive(Clone, Debug)]
pub struct HostCheck {
    hosts: Vec<String>,
    origins: Vec<String>,
}

impl HostCheck {
    /// Loopback names, the addresses listened on, and what the operator named.
    #[must_use]
    pub fn new(listen: &[SocketAddr], hosts: &[String], origins: &[String]) -> Self {
        let mut all: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(String::from).to_vec();
        all.extend(listen.iter().filter(|address| !address.ip().is_unspecified()).map(|a| a.ip().to_string()));
        all.extend(hosts.iter().map(|host| host.to_ascii_lowercase()));
        Self { hosts: all, origins: origins.iter().map(|origin| origin.to_ascii_lowercase()).collect() }
    }

    /// Checks one request.
    ///
    /// # Errors
    /// [`Malformed::Forbidden`] names the header that is refused.
    pub fn check(&self, head: &Head) -> Result<(), Malformed> {
        let host = head.text("host").ok_or_else(|| Malformed::Header("`host` is missing".into()))?;
        if !self.knows(host) {
            return Err(Malformed::Forbidden("host"));
        }
        match head.headers.get(header::ORIGIN).map(|value| value.to_str().unwrap_or_default().to_ascii_lowercase()) {
            None => Ok(()),
            Some(origin) if self.origins.contains(&origin) => Ok(()),
            Some(origin) => match origin.split_once("://") {
                Some((_, authority)) if self.knows(authority) => Ok(()),
                _ => Err(Malformed::Forbidden("origin")),
            },
        }
    }

    fn knows(&self, authority: &str) -> bool {
        let authority = authority.to_ascii_lowercase();
        let name = match authority.strip_prefix('[') {
            Some(rest) => match rest.split_once(']') {
                Some((address, port)) if port.is_empty() || port.starts_with(':') => address,
                _ => "",
            },
            None => authority.rsplit_once(':').map_or(authority.as_str(), |(name, _)| name),
        };
        self.hosts.iter().any(|host| host == name || *host == authority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(pairs: &[(&'static str, &'static str)]) -> Head {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        Head { method: Method::POST, headers, peer: "127.0.0.1:1".parse().unwrap(), certificate: None }
    }

    #[test]
    fn only_known_hosts_and_origins_may_call() {
        let check = HostCheck::new(&["10.0.0.5:4180".parse().unwrap()], &["proxy.example".into()], &[]);
        for host in ["localhost:4180", "127.0.0.1", "[::1]:4180", "10.0.0.5:4180", "Proxy.Example:443"] {
            assert!(check.check(&head(&[("host", host)])).is_ok(), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", "", "[::1].evil"] {
            assert!(check.check(&head(&[("host", host)])).is_err(), "{host}");
        }
        assert!(check.check(&head(&[("host", "localhost"), ("origin", "http://localhost:3000")])).is_ok());
        for origin in ["http://evil.example", "null", "localhost"] {
            assert!(check.check(&head(&[("host", "localhost"), ("origin", origin)])).is_err(), "{origin}");
        }
    }

    #[test]
    fn what_must_stand_once_stands_once() {
        assert!(head(&[("mcp-name", "a"), ("mcp-name", "a")]).check_unambiguous().is_err());
        assert!(head(&[("content-length", "1"), ("transfer-encoding", "chunked")]).check_unambiguous().is_err());
        assert!(head(&[("content-encoding", "gzip")]).check_unambiguous().is_err());
        assert!(head(&[("accept", "a"), ("accept", "b")]).check_unambiguous().is_ok());
    }

    #[test]
    fn identity_headers_that_stand_twice_are_two_opinions() {
        assert!(!head(&[("x-user-id", "alice"), ("x-agent-id", "a")]).credentials().proxy_headers.ambiguous);
        assert!(head(&[("x-user-id", "mallory"), ("x-user-id", "alice")]).credentials().proxy_headers.ambiguous);
    }

    #[test]
    fn credentials_and_connection_headers_do_not_travel() {
        let head = head(&[
            ("authorization", "Bearer x"),
            ("cookie", "a=b"),
            ("connection", "keep-alive, X-Hop"),
            ("x-hop", "1"),
            ("accept", "text/event-stream"),
            ("mcp-param-a", "v"),
            ("x-user-id", "mallory"),
            ("host", "localhost"),
        ]);
        let forwarded = head.forwarded();
        let names: Vec<&str> = forwarded.keys().map(http::HeaderName::as_str).collect();
        assert_eq!(names, ["accept", "mcp-param-a"]);
    }
}
