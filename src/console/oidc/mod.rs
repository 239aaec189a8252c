//! Log-in at an identity provider: OpenID Connect, authorization code flow with PKCE (RFC 7636, RFC 9700).
//!
//! ```text
//! /login/oidc ─► provider ─► /login/oidc/callback?code ─► code and verifier against an id token ─► claims ─► cookie
//! ```
//!
//! The browser that comes back must be the one that left (a cookie), with a state that was given out once. Who has no
//! role by the configured claims is not let in.

mod config;
mod provider;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::{Query, State};
use axum::http::header::{CACHE_CONTROL, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use reqwest::Url;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::Problem;
use super::guard::Guard;
use super::tokens::Holder;
use crate::model::{Clock, Digest, Timestamp, with_causes};
use crate::net::{SecretSource, random_bytes, read_body};

pub use config::{OidcConfig, OidcError};
use provider::{Endpoints, Provider};

/// Log-ins on their way at once. Past it the oldest is given up.
const PENDING_MAX: usize = 256;
/// Seconds that a person has at the provider.
const PENDING_S: u64 = 600;
/// Largest answer of the provider, bytes.
const ANSWER_BYTES_MAX: usize = 128 << 10;
/// Longest name that is taken from a claim, bytes: it stands in entries.
const NAME_BYTES_MAX: usize = 128;
/// Groups of one person at most; more are left out, and with them what was routed to them.
const GROUPS_MAX: usize = 256;
/// The cookie of a browser that is on its way. `Lax`: it comes back from another site. Behind TLS it has the prefix
/// `__Host-`: then no other host can set it.
const COOKIE: &str = "countersign-login";
const CALLBACK: &str = "/login/oidc/callback";

/// Ready to log people in.
pub struct Oidc {
    config: OidcConfig,
    provider: Provider,
    redirect: String,
    secret: Option<crate::net::Secret>,
    pending: Mutex<HashMap<Digest, Pending>>,
    secure: bool,
}

/// Somebody at the provider.
struct Pending {
    nonce: String,
    verifier: String,
    since: Timestamp,
}

impl Oidc {
    /// Checks a section and loads its secret. Asks the provider nothing.
    ///
    /// # Errors
    /// [`OidcError`] names the key.
    pub fn new(config: &OidcConfig, public_url: Option<&str>, clock: &Arc<dyn Clock>) -> Result<Self, OidcError> {
        let public_url = public_url.ok_or(OidcError::PublicUrl)?.trim_end_matches('/');
        Ok(Self {
            provider: Provider::new(config, clock)?,
            redirect: format!("{public_url}{CALLBACK}"),
            secret: config.client_secret.as_ref().map(SecretSource::load).transpose()?,
            pending: Mutex::default(),
            secure: public_url.starts_with("https://"),
            config: config.clone(),
        })
    }

    /// Begins a log-in: the state for the cookie, and where the browser goes.
    fn begin(&self, endpoints: &Endpoints, now: Timestamp) -> Result<(String, Url), Problem> {
        let random = || random_bytes::<32>().map(|bytes| URL_SAFE_NO_PAD.encode(bytes));
        let failed = |_| Problem::unavailable("no random bytes for a log-in");
        let [state, nonce, verifier] = [random(), random(), random()];
        let (state, nonce, verifier) = (state.map_err(failed)?, nonce.map_err(failed)?, verifier.map_err(failed)?);
        let challenge = URL_SAFE_NO_PAD.encode(Digest::of(verifier.as_bytes()).0);
        let mut url = endpoints.authorization.clone();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.config.client_id)
            .append_pair("redirect_uri", &self.redirect)
            .append_pair("scope", &self.config.scopes.join(" "))
            .append_pair("state", &state)
            .append_pair("nonce", &nonce)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        // A panic cannot leave an entry half written.
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        pending.retain(|_, one| now.micros_since(one.since) < PENDING_S * 1_000_000);
        if pending.len() >= PENDING_MAX {
            let oldest = pending.iter().min_by_key(|(_, one)| one.since).map(|(state, _)| *state);
            oldest.and_then(|oldest| pending.remove(&oldest));
        }
        pending.insert(Digest::of(state.as_bytes()), Pending { nonce, verifier, since: now });
        Ok((state, url))
    }

    /// The log-in of a state, once.
    fn take(&self, state: &str, now: Timestamp) -> Option<Pending> {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let found = pending.remove(&Digest::of(state.as_bytes()))?;
        (now.micros_since(found.since) < PENDING_S * 1_000_000).then_some(found)
    }

    /// Exchanges a code for a person.
    async fn person(&self, code: &str, pending: &Pending, now: Timestamp) -> Result<Holder, String> {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", self.redirect.as_str()),
            ("client_id", self.config.client_id.as_str()),
            ("code_verifier", pending.verifier.as_str()),
        ];
        let endpoints = self.provider.endpoints().await?;
        let mut body = endpoints.token.clone();
        body.set_query(None);
        body.query_pairs_mut().extend_pairs(form);
        let request = self.provider.http.post(endpoints.token.clone());
        let mut request = request.header("content-type", "application/x-www-form-urlencoded");
        if let Some(secret) = &self.secret {
            let pair = format!("{}:{}", encoded(&self.config.client_id), encoded(secret.expose()));
            request = request.header("authorization", format!("Basic {}", STANDARD.encode(pair)));
        }
        let answer = request.body(body.query().unwrap_or_default().to_owned()).send().await;
        let answer = answer.map_err(|error| with_causes(&error))?;
        let status = answer.status();
        let body = read_body(answer, ANSWER_BYTES_MAX).await.map_err(|error| with_causes(&error))?;
        if !status.is_success() {
            return Err(format!("the provider answered {status} to the code"));
        }
        let answer: Tokens = serde_json::from_slice(&body).map_err(|_| "the provider sent no id token".to_owned())?;
        let claims = endpoints.verify(&answer.id_token, &pending.nonce, now).await?;
        self.holder(&claims)
    }

    /// What claims stand for.
    fn holder(&self, claims: &Map<String, Value>) -> Result<Holder, String> {
        let config = &self.config;
        let name = named(claims, &config.name_claim)?;
        if config.name_claim == "email" && claims.get("email_verified") == Some(&Value::Bool(false)) {
            return Err("the provider has not verified the address".into());
        }
        let groups: Vec<Arc<str>> = match claims.get(&config.groups_claim) {
            Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).take(GROUPS_MAX).map(Arc::from).collect(),
            Some(Value::String(one)) => vec![one.as_str().into()],
            _ => Vec::new(),
        };
        let holds = |wanted: &[String]| groups.iter().any(|group| wanted.iter().any(|wanted| **wanted == **group));
        let role = config.roles.iter().filter(|(_, wanted)| holds(wanted)).map(|(role, _)| *role).max();
        let role = role.ok_or_else(|| format!("`{name}` is in no group that has a role"))?;
        let tenant = config.tenant_claim.as_ref().map(|claim| named(claims, claim)).transpose()?;
        Ok(Holder { name: name.into(), role, tenant: tenant.map(Arc::from), groups: groups.into(), expires: None })
    }

    fn cookie(&self, state: &str, life_s: u64) -> String {
        let (prefix, path, secure) = if self.secure { ("__Host-", "/", "; Secure") } else { ("", "/login/oidc", "") };
        format!("{prefix}{COOKIE}={state}; Path={path}; HttpOnly; SameSite=Lax; Max-Age={life_s}{secure}")
    }

    /// The one cookie of our name.
    fn state<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        let prefix = if self.secure { "__Host-" } else { "" };
        let all = headers.get_all("cookie").iter().filter_map(|value| value.to_str().ok());
        let pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let mut ours = pairs.filter(|(name, _)| name.strip_prefix(prefix) == Some(COOKIE)).map(|(_, state)| state);
        ours.next().filter(|_| ours.next().is_none())
    }
}

fn named(claims: &Map<String, Value>, claim: &str) -> Result<String, String> {
    let name = claims.get(claim).and_then(Value::as_str).unwrap_or_default();
    let fits = !name.is_empty() && name.len() <= NAME_BYTES_MAX && !name.chars().any(char::is_control);
    if fits { Ok(name.to_owned()) } else { Err(format!("the claim `{claim}` is missing or cannot be a name")) }
}

/// `application/x-www-form-urlencoded`, as RFC 6749 §2.3.1 wants it inside of Basic.
fn encoded(text: &str) -> String {
    let Ok(mut url) = Url::parse("http://localhost/") else { return String::new() };
    url.query_pairs_mut().append_key_only(text);
    url.query().unwrap_or_default().to_owned()
}

#[derive(Deserialize)]
struct Tokens {
    id_token: String,
}

/// What the provider sends the browser back with. It may add more.
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    state: Option<String>,
    /// RFC 9207.
    #[serde(default)]
    iss: Option<String>,
}

type Shared = (Arc<Guard>, Arc<Oidc>);

pub(super) fn routes(guard: Arc<Guard>, oidc: Arc<Oidc>) -> Router {
    Router::new().route("/login/oidc", get(begin)).route(CALLBACK, get(callback)).with_state((guard, oidc))
}

async fn begin(State((guard, oidc)): State<Shared>) -> Result<Response, Problem> {
    let endpoints = oidc.provider.endpoints().await.map_err(|problem| {
        tracing::error!(problem, "log in by OpenID Connect");
        Problem::unavailable("the identity provider cannot be used now; the program's own log says why")
    })?;
    let (state, url) = oidc.begin(&endpoints, guard.now())?;
    Ok(redirect(url.as_str(), &[oidc.cookie(&state, PENDING_S)]))
}

async fn callback(
    State((guard, oidc)): State<Shared>,
    Query(answer): Query<Answer>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let now = guard.now();
    let refused = || Problem::forbidden("this log-in was not begun here, is over, or was used: begin again at /login");
    let state = answer.state.as_deref().ok_or_else(refused)?;
    if oidc.state(&headers) != Some(state) || answer.iss.as_ref().is_some_and(|issuer| *issuer != oidc.config.issuer) {
        return Err(refused());
    }
    let pending = oidc.take(state, now).ok_or_else(refused)?;
    let code = answer.code.as_deref().ok_or_else(|| Problem::forbidden("the provider did not let you in"))?;
    let holder = oidc.person(code, &pending, now).await.map_err(|problem| {
        tracing::warn!(problem, "refused a log-in by OpenID Connect");
        Problem::forbidden("the provider's answer does not let you in; the program's own log says why")
    })?;
    let session = guard.log_in_as(holder, &headers)?;
    Ok(redirect("/live", &[session, oidc.cookie("", 0)]))
}

fn redirect(to: &str, cookies: &[String]) -> Response {
    let mut response =
        (StatusCode::SEE_OTHER, [(LOCATION, to.to_owned()), (CACHE_CONTROL, "no-store".to_owned())]).into_response();
    for cookie in cookies {
        // Made of base64 and words of ours: always a header's value.
        if let Ok(value) = cookie.parse() {
            response.headers_mut().append(SET_COOKIE, value);
        }
    }
    response
}
