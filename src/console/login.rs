//! `/login` and `/logout`: a token, or the link in a mail, against a cookie, and the end of it.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, State};
use axum::http::header::{CACHE_CONTROL, HOST, SET_COOKIE};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::Problem;
use super::browser_sessions::LIFE_S;
use super::guard::{Guard, require_own_script};
use crate::approve::Approvals;

/// The name of the cookie on loopback. Behind TLS it has the prefix `__Host-`: then no other host can set it.
const COOKIE: &str = "countersign";

pub(super) fn routes(guard: Arc<Guard>, approvals: Approvals, oidc: bool) -> Router {
    // Following a link opens nothing: the page that it leads to posts what stands behind its `#`.
    let links = Router::new().route("/login/link", post(open_link)).with_state((Arc::clone(&guard), approvals));
    Router::new()
        .route("/login", post(log_in))
        .route("/login/ways", get(async move || Json(Ways { oidc })))
        .route("/logout", post(log_out))
        .with_state(guard)
        .merge(links)
}

/// How people can log in besides with a token.
#[derive(Serialize)]
struct Ways {
    oidc: bool,
}

/// Whom the cookie goes to.
#[derive(Clone, Debug, Default)]
pub(super) struct CookieScope {
    /// The host under which people reach the console by TLS, with its port if it has one.
    https_host: Option<String>,
}

impl CookieScope {
    pub(super) fn new(public_url: Option<&str>) -> Self {
        let host = public_url.and_then(|url| url.strip_prefix("https://"));
        let host = host.and_then(|rest| rest.split('/').next()).map(str::to_ascii_lowercase);
        Self { https_host: host.filter(|host| !host.is_empty()) }
    }

    fn is_tls(&self, headers: &HeaderMap) -> bool {
        let host = headers.get(HOST).and_then(|host| host.to_str().ok()).map(str::to_ascii_lowercase);
        host.is_some() && host == self.https_host
    }

    /// The secret in the cookie of a request, if it has exactly one of that name.
    pub(super) fn secret<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        let prefix = if self.is_tls(headers) { "__Host-" } else { "" };
        let all = headers.get_all("cookie").iter().filter_map(|value| value.to_str().ok());
        let pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let mut ours = pairs.filter(|(name, _)| name.strip_prefix(prefix) == Some(COOKIE)).map(|(_, secret)| secret);
        // Two of one name: somebody put one there.
        ours.next().filter(|_| ours.next().is_none())
    }

    pub(super) fn cookie(&self, headers: &HeaderMap, secret: &str, life_s: u64) -> String {
        let (prefix, secure) = if self.is_tls(headers) { ("__Host-", "; Secure") } else { ("", "") };
        format!("{prefix}{COOKIE}={secret}; Path=/; HttpOnly; SameSite=Strict; Max-Age={life_s}{secure}")
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Login {
    token: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Link {
    secret: String,
}

/// A cookie and nothing else. Nothing on the way may keep it.
type Answer = (StatusCode, [(HeaderName, String); 2]);

async fn log_in(
    State(guard): State<Arc<Guard>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Json(login): Json<Login>,
) -> Result<Answer, Problem> {
    require_own_script(&headers)?;
    let secret = guard.log_in(&login.token, peer)?;
    let cookie = guard.cookies.cookie(&headers, secret.expose(), LIFE_S);
    Ok((StatusCode::NO_CONTENT, [(SET_COOKIE, cookie), (CACHE_CONTROL, "no-store".into())]))
}

async fn open_link(
    State((guard, approvals)): State<(Arc<Guard>, Approvals)>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Json(link): Json<Link>,
) -> Result<Answer, Problem> {
    // Before the link is used up.
    require_own_script(&headers)?;
    let secret = guard.log_in_by(approvals.open_link(&link.secret), peer)?;
    let cookie = guard.cookies.cookie(&headers, secret.expose(), LIFE_S);
    Ok((StatusCode::NO_CONTENT, [(SET_COOKIE, cookie), (CACHE_CONTROL, "no-store".into())]))
}

async fn log_out(State(guard): State<Arc<Guard>>, headers: HeaderMap) -> Result<Answer, Problem> {
    require_own_script(&headers)?;
    if let Some(secret) = guard.cookies.secret(&headers) {
        guard.browsers.end(secret);
    }
    let cookie = guard.cookies.cookie(&headers, "", 0);
    Ok((StatusCode::NO_CONTENT, [(SET_COOKIE, cookie), (CACHE_CONTROL, "no-store".into())]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(host: &str, cookie: &str) -> HeaderMap {
        let pair = |(name, value): (HeaderName, &str)| (name, value.parse().unwrap());
        [(HOST, host), (axum::http::header::COOKIE, cookie)].map(pair).into_iter().collect()
    }

    #[test]
    fn behind_tls_the_cookie_is_of_this_host_alone() {
        let scope = CookieScope::new(Some("https://countersign.example.com/"));
        let tls = headers("countersign.example.com", "countersign=planted; __Host-countersign=mine");
        assert_eq!(scope.secret(&tls), Some("mine"));
        assert!(scope.cookie(&tls, "x", 1).starts_with("__Host-countersign=x; Path=/; HttpOnly; SameSite=Strict"));
        assert!(scope.cookie(&tls, "x", 1).ends_with("; Secure"));
        let local = headers("127.0.0.1:4181", "a=b; countersign=mine");
        assert_eq!(scope.secret(&local), Some("mine"));
        assert!(!scope.cookie(&local, "x", 1).contains("Secure"));
    }

    #[test]
    fn two_cookies_of_the_name_are_none() {
        let scope = CookieScope::new(None);
        assert_eq!(scope.secret(&headers("localhost", "countersign=a; countersign=b")), None);
    }
}
