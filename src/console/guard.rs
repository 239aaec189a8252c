//! Who is let in: the site a request comes from, and whom its token stands for.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, HOST, ORIGIN};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::Response;

use super::browser_sessions::{BrowserSessions, Grounds, LIFE_S};
use super::login::CookieScope;
use super::refusals::Refusals;
use super::tokens::Holder;
use super::{Problem, Role, Tokens};
use crate::approve::Opened;
use crate::metrics::{Counter, count};
use crate::model::{ApprovalId, Clock, Digest, Timestamp, Verification, with_causes};
use crate::net::Secret;

/// The header that only a script of this very site can add. Another site's form or image cannot, and its script is not
/// allowed to (CORS: nothing here says that it may).
const OWN_SCRIPT: &str = "countersign-console";

/// Who sent a request: what every route under `/v1` takes to know on whose behalf it acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The person.
    pub name: Arc<str>,
    /// What the token permits.
    pub role: Role,
    /// The tenant the token is confined to.
    pub tenant: Option<Arc<str>>,
    /// The person's groups.
    pub groups: Arc<[Arc<str>]>,
    /// How the person came: `api` with a token, `console` with a browser.
    pub channel: &'static str,
    /// How it is known who it is.
    pub verification: Verification,
    /// The one request that it may see and answer; everything that the role permits without.
    pub only: Option<ApprovalId>,
}

impl Caller {
    /// Goes on only with a role that includes `role`.
    ///
    /// # Errors
    /// 403.
    pub fn require(&self, role: Role) -> Result<(), Problem> {
        if self.role >= role {
            return Ok(());
        }
        Err(Problem::forbidden(format!("this takes the role `{}`", role.as_str())))
    }

    /// Whether what belongs to `tenant` is this caller's to see. What belongs to no tenant is everybody's who is
    /// confined to none.
    #[must_use]
    pub fn sees(&self, tenant: Option<&str>) -> bool {
        self.tenant.is_none() || self.tenant.as_deref() == tenant
    }

    fn of(holder: &Holder, channel: &'static str, verification: Verification) -> Self {
        Self {
            name: Arc::clone(&holder.name),
            role: holder.role,
            tenant: holder.tenant.clone(),
            groups: Arc::clone(&holder.groups),
            channel,
            verification,
            only: None,
        }
    }

    /// Whether what lies at this path below `/v1` is this caller's to ask for.
    fn may_ask(&self, path: &str) -> bool {
        let Some(only) = &self.only else { return true };
        let path = path.strip_prefix("/v1").unwrap_or(path);
        let of_request = path.strip_prefix("/approvals/").and_then(|rest| rest.strip_prefix(only.as_str()));
        path == "/me" || matches!(of_request, Some("" | "/approve" | "/deny"))
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        // Put there by `authenticate`; a route outside of it has no caller and lets nobody in.
        parts.extensions.get::<Self>().cloned().ok_or_else(|| Problem::unauthorized("this takes a token"))
    }
}

/// What a request is checked against.
pub(super) struct Guard {
    tokens: Tokens,
    hosts: Vec<String>,
    refusals: Refusals,
    clock: Arc<dyn Clock>,
    pub(super) browsers: BrowserSessions,
    pub(super) cookies: CookieScope,
}

impl Guard {
    pub(super) fn new(tokens: Tokens, hosts: &[String], public_url: Option<&str>, clock: Arc<dyn Clock>) -> Self {
        let loopback = ["localhost", "127.0.0.1", "[::1]"].map(String::from);
        let hosts = loopback.into_iter().chain(hosts.iter().map(|host| host.to_ascii_lowercase())).collect();
        let (browsers, cookies) = (BrowserSessions::default(), CookieScope::new(public_url));
        Self { tokens, hosts, refusals: Refusals::default(), clock, browsers, cookies }
    }

    fn admit(&self, method: &Method, headers: &HeaderMap, peer: SocketAddr) -> Result<Caller, Problem> {
        let now = self.clock.now();
        let holder = bearer(headers).and_then(|token| self.tokens.find(token, now));
        if let Some(holder) = holder {
            return Ok(Caller::of(holder, "api", Verification::ApiKey));
        }
        if headers.contains_key(AUTHORIZATION) {
            return Err(self.refuse(peer));
        }
        let grounds = self.cookies.secret(headers).and_then(|secret| self.browsers.find(secret, now));
        let caller = grounds.and_then(|grounds| match grounds {
            Grounds::Link(holder, only) if holder.expires.is_some_and(|end| now < end) => {
                let caller = Caller::of(&holder, "mail", Verification::TrustedProxy);
                Some(Caller { only: Some(only), ..caller })
            }
            Grounds::Link(..) => None,
            Grounds::Person(holder) => Some(Caller::of(&holder, "console", Verification::Jwt)),
            Grounds::Token(token) => {
                let holder = self.tokens.of_digest(token, now);
                holder.map(|holder| Caller::of(holder, "console", Verification::ApiKey))
            }
        });
        let Some(caller) = caller else {
            return Err(Problem::unauthorized("send `Authorization: Bearer` and a token of this API, or log in"));
        };
        // A browser adds the cookie to whatever asks for it: what changes something must come from our own script.
        if !method.is_safe() {
            require_own_script(headers)?;
        }
        Ok(caller)
    }

    /// Exchanges a token for the secret of a cookie.
    pub(super) fn log_in(&self, token: &str, peer: SocketAddr) -> Result<Secret, Problem> {
        let now = self.clock.now();
        let Some(holder) = self.tokens.find(token, now) else { return Err(self.refuse(peer)) };
        tracing::info!(by = %holder.name, %peer, "logged in to the console");
        self.begin(Grounds::Token(Digest::of(token.as_bytes())))
    }

    /// Exchanges a link that was sent by mail for the secret of a cookie. `opened`: whom it logs in, if anybody.
    pub(super) fn log_in_by(&self, opened: Option<Opened>, peer: SocketAddr) -> Result<Secret, Problem> {
        let Some(Opened { person, request, until }) = opened else { return Err(self.refuse(peer)) };
        tracing::info!(by = %person.name, %request, %peer, "opened a request by the link in a mail");
        let holder = Holder {
            name: person.name,
            role: Role::Approver,
            tenant: person.tenant,
            groups: person.groups,
            expires: Some(until),
        };
        self.begin(Grounds::Link(Arc::new(holder), request))
    }

    /// The cookie of a person whom an identity provider named.
    pub(super) fn log_in_as(&self, holder: Holder, headers: &HeaderMap) -> Result<String, Problem> {
        tracing::info!(by = %holder.name, role = holder.role.as_str(), "logged in to the console by OpenID Connect");
        let secret = self.begin(Grounds::Person(Arc::new(holder)))?;
        Ok(self.cookies.cookie(headers, secret.expose(), LIFE_S))
    }

    fn begin(&self, grounds: Grounds) -> Result<Secret, Problem> {
        self.browsers.begin(grounds, self.clock.now()).map_err(|error| {
            tracing::error!(error = with_causes(&error), "begin a session of the console");
            Problem::unavailable("no random bytes for a session")
        })
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Takes note of a token that is none.
    fn refuse(&self, peer: SocketAddr) -> Problem {
        count(Counter::AdminLoginsRefused);
        match self.refusals.note(peer.ip(), self.clock.now()) {
            None => {
                tracing::warn!(%peer, "refused a token of the admin API");
                Problem::unauthorized("the token is not known, or has expired")
            }
            Some((wait_s, first)) => {
                if first {
                    tracing::warn!(%peer, "refused many tokens of the admin API; more from there are not told");
                }
                Problem::too_many("too many refused tokens from this address", wait_s)
            }
        }
    }

    /// The defence against pages of other sites and DNS rebinding: the name must be ours, and a page that sends the
    /// request must have come from us.
    ///
    /// `follows_link`: a person follows a link from elsewhere to a page, which holds no data and asks for it itself.
    fn is_same_site(&self, headers: &HeaderMap, follows_link: bool) -> bool {
        let text = |name| headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap_or_default());
        let Some(host) = text(HOST).map(str::to_ascii_lowercase) else { return false };
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
            _ => &host,
        };
        let known = self.hosts.iter().any(|known| known == name || *known == host);
        let from_us = text(ORIGIN).is_none_or(|origin| {
            origin.split_once("://").is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(&host))
        });
        let fetched = headers.get("sec-fetch-site").is_none_or(|site| site == "same-origin" || site == "none");
        known && (follows_link || from_us && fetched)
    }
}

/// The token of a request that carries exactly one.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let (one, more) = (all.next()?, all.next());
    let text = one.to_str().ok().filter(|_| more.is_none())?;
    let (scheme, token) = text.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Goes on only with what a script of this site sends: its header, and its origin, which browsers add by themselves.
///
/// # Errors
/// 403.
pub(super) fn require_own_script(headers: &HeaderMap) -> Result<(), Problem> {
    // That the origin is ours, `same_site` has checked.
    if headers.contains_key(OWN_SCRIPT) && headers.contains_key(ORIGIN) {
        return Ok(());
    }
    Err(Problem::forbidden("a change by cookie takes the header `Countersign-Console` and an `Origin`"))
}

/// Whether a request is a person's browser on its way to a page.
fn follows_link(request: &Request) -> bool {
    let is = |name: &str, wanted: &str| request.headers().get(name).is_some_and(|value| value == wanted);
    let path = request.uri().path();
    let to_page = path != "/v1" && !path.starts_with("/v1/");
    let by_link = is("sec-fetch-mode", "navigate") && is("sec-fetch-dest", "document");
    request.method() == Method::GET && to_page && by_link && !request.headers().contains_key(ORIGIN)
}

/// Lets in whom a token stands for.
pub(super) async fn authenticate(
    State(guard): State<Arc<Guard>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let caller = guard.admit(request.method(), request.headers(), peer)?;
    if !caller.may_ask(request.uri().path()) {
        return Err(Problem::forbidden("the link in a mail opens one request; log in for anything else"));
    }
    request.extensions_mut().insert(caller);
    let mut response = next.run(request).await;
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Turns away what another site's page sends.
pub(super) async fn same_site(
    State(guard): State<Arc<Guard>>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    if !guard.is_same_site(request.headers(), follows_link(&request)) {
        return Err(Problem::forbidden("this host or origin may not call; the operator can allow hosts under `admin`"));
    }
    Ok(next.run(request).await)
}
