//! Admin API: health, readiness, metrics, and what people decide; and the console, pages that stand on it.
//!
//! Listens on its own address, loopback only, and never on the one agents use. Everything under `/v1` takes a named
//! token in `Authorization: Bearer`, or the cookie that a browser got for one; nothing takes one in a URL. Who acts is
//! who the token says, never what a body says. The pages are files without data; a change by cookie takes a header that
//! only their own scripts can add.
//! Must never show credentials, answer another site's page, or let one tenant's people see another's actions.

mod actions;
mod approvals;
mod browser_sessions;
mod controls;
mod destinations;
mod guard;
mod headers;
mod health;
mod ledger;
mod line;
mod login;
mod manual;
mod oidc;
mod openapi;
mod page;
mod pages;
mod policies;
mod problem;
mod receipts;
mod refusals;
mod reload;
mod replay;
mod sessions;
mod slack;
mod timeline;
mod tokens;
mod tools;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::routing::get;
use axum::{Json, Router, middleware};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use crate::approve::Approvals;
use crate::mediate::Mediator;
use crate::model::{ApprovalId, Clock};

pub use destinations::Deliveries;
pub use guard::Caller;
pub use ledger::Ledger;
pub use oidc::{Oidc, OidcConfig, OidcError};
pub use page::Page;
pub use problem::Problem;
pub use reload::PolicyReload;
pub use tokens::{AdminToken, FirstToken, Role, TokenError, Tokens, mint};

use guard::Guard;

/// Largest body of a request, bytes: a decision with a reason of some sentences, or a hundred of them.
const BODY_BYTES_MAX: usize = 64 << 10;

/// The `admin:` section.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where it listens. Loopback: it speaks plain HTTP, and tokens travel on it.
    pub listen: String,
    /// Who may use it. Without any, the first start makes one for an administrator and prints it once.
    pub tokens: Vec<AdminToken>,
    /// Host names, besides loopback, under which people reach it through a proxy of yours.
    pub hosts: Vec<String>,
    /// The address of the console as people reach it, for links in messages: `https://countersign.example.com`.
    pub public_url: Option<String>,
    /// Log-in to the console at an identity provider.
    pub oidc: Option<OidcConfig>,
}

impl Default for Config {
    fn default() -> Self {
        Self { listen: "127.0.0.1:4181".into(), tokens: Vec::new(), hosts: Vec::new(), public_url: None, oidc: None }
    }
}

impl Config {
    /// The tokens to serve with: those configured, or the one of the first start, whose digest lies in `data_dir`.
    ///
    /// # Errors
    /// [`TokenError`]: two tokens say the same, or the first token cannot be kept.
    pub fn tokens(&self, data_dir: &Path) -> Result<(Tokens, Option<FirstToken>), TokenError> {
        if self.tokens.is_empty() {
            return tokens::first(data_dir);
        }
        Tokens::new(&self.tokens).map(|tokens| (tokens, None))
    }
}

/// What the admin API asks about the state of the product.
pub trait Health: Send + Sync {
    /// Why calls cannot be served right now; empty when they can.
    fn problems(&self) -> Vec<String>;

    /// Gauges of this moment: name, help, value.
    fn gauges(&self) -> Vec<(&'static str, &'static str, u64)>;

    /// More metrics, in the text format of Prometheus.
    fn metrics(&self) -> String;
}

/// Everything the admin API needs.
pub struct Admin {
    /// The state of the product.
    pub health: Arc<dyn Health>,
    /// What waits for people.
    pub approvals: Approvals,
    /// Who may use it.
    pub tokens: Tokens,
    /// Its own `Host` names, besides loopback.
    pub hosts: Vec<String>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The path of actions: its sessions and servers.
    pub mediator: Option<Arc<Mediator>>,
    /// Looks at the policy files when people ask.
    pub reload: Option<Arc<dyn PolicyReload>>,
    /// The log.
    pub ledger: Ledger,
    /// The destinations.
    pub deliveries: Option<Deliveries>,
    /// The address of the console as people reach it.
    pub public_url: Option<String>,
    /// Log-in at an identity provider.
    pub oidc: Option<Arc<Oidc>>,
}

/// Serves the admin API until `stop` resolves.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    admin: Admin,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let service = routes(admin).into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).with_graceful_shutdown(stop).await
}

fn routes(admin: Admin) -> Router {
    let guard = Arc::new(Guard::new(admin.tokens, &admin.hosts, admin.public_url.as_deref(), admin.clock));
    let open = slack::routes(admin.approvals.clone()).merge(login::routes(
        Arc::clone(&guard),
        admin.approvals.clone(),
        admin.oidc.is_some(),
    ));
    let mut v1 = approvals::routes(admin.approvals.clone())
        .merge(controls::routes(admin.approvals))
        .merge(actions::routes(admin.ledger.clone()))
        .merge(receipts::routes(admin.ledger.clone()))
        .merge(timeline::routes(admin.ledger.clone()))
        .merge(openapi::routes());
    if let Some(reload) = admin.reload {
        v1 = v1.merge(reload::routes(reload));
    }
    if let Some(deliveries) = admin.deliveries {
        v1 = v1.merge(destinations::routes(deliveries.clone())).merge(replay::routes(deliveries));
    }
    if let Some(mediator) = admin.mediator {
        v1 = v1
            .merge(policies::routes(Arc::clone(&mediator), admin.ledger))
            .merge(sessions::routes(Arc::clone(&mediator)))
            .merge(tools::routes(mediator));
    }
    guarded(guard, admin.health, v1, (open, admin.oidc))
}

/// `v1` behind the guard, beside what monitors ask and what is open to those who have yet to say who they are.
fn guarded(
    guard: Arc<Guard>,
    health: Arc<dyn Health>,
    v1: Router,
    (open, oidc): (Router, Option<Arc<Oidc>>),
) -> Router {
    let authenticate = middleware::from_fn_with_state(Arc::clone(&guard), guard::authenticate);
    let v1 = v1.route("/me", get(me)).fallback(unknown).layer(authenticate);
    Router::new()
        .merge(health::routes(health))
        .merge(oidc.map_or_else(Router::new, |oidc| oidc::routes(Arc::clone(&guard), oidc)))
        .merge(pages::routes())
        .merge(open)
        .nest("/v1", v1)
        .fallback(unknown)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn_with_state(guard, guard::same_site))
        .layer(middleware::from_fn(headers::secure))
}

/// `GET /v1/me`: who the token stands for.
async fn me(caller: Caller) -> Json<Me> {
    Json(Me { name: caller.name, role: caller.role, groups: caller.groups, tenant: caller.tenant, only: caller.only })
}

#[derive(Serialize)]
struct Me {
    name: Arc<str>,
    role: Role,
    groups: Arc<[Arc<str>]>,
    tenant: Option<Arc<str>>,
    /// The one request that a link in a mail opened.
    only: Option<ApprovalId>,
}

async fn unknown() -> Problem {
    nothing_here()
}

fn nothing_here() -> Problem {
    Problem::not_found("there is nothing at this address")
}

#[cfg(test)]
mod tests;
