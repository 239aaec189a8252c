//! The listeners around a [`Core`], and the life of the process.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;

use super::server::ServerKind;
use super::vitals::Vitals;
use super::{BuildError, Core, Plan};
use crate::console;
use crate::export::{self, Monitor};
use crate::intercept::{Drained, HostCheck, Interceptor, Routes};
use crate::mediate::{Mediator, Observer};
use crate::model::Clock;
use crate::net::SystemClock;
use crate::record::Log;
use crate::record::disk::{Disk, RealDisk};

/// How long an entry about a request may take when the process ends.
const TEND_END_MAX: Duration = Duration::from_secs(2);

/// Everything, built and listening, not yet serving.
pub struct App {
    /// Everything but the listeners.
    pub core: Core,
    interceptor: Arc<Interceptor<Arc<Mediator>>>,
    listener: TcpListener,
    admin: TcpListener,
    tokens: console::Tokens,
    hosts: Vec<String>,
    public_url: Option<String>,
    telemetry: Arc<export::Config>,
    oidc: Option<Arc<console::Oidc>>,
    tls: Option<Arc<rustls::ServerConfig>>,
    address: SocketAddr,
    admin_address: SocketAddr,
}

impl App {
    /// Builds what `plan` names: opens the log, recovers what was left open, compiles the policies, binds the ports.
    ///
    /// # Errors
    /// [`BuildError`]: the first thing that does not work. Nothing is left running.
    pub async fn build(plan: Plan, observer: Option<Arc<dyn Observer>>) -> Result<Self, BuildError> {
        Self::build_on(plan, observer, Arc::new(RealDisk)).await
    }

    /// As [`Self::build`], with the log on another disk: tests make it fail.
    ///
    /// # Errors
    /// As [`Self::build`].
    pub async fn build_on(
        plan: Plan,
        observer: Option<Arc<dyn Observer>>,
        disk: Arc<dyn Disk>,
    ) -> Result<Self, BuildError> {
        let routes = routes(&plan);
        let oidc = oidc(&plan)?.map(Arc::new);
        // The ports come before the log: a second instance finds them taken and touches nothing.
        let listener = bind(plan.listen).await?;
        let admin = bind(plan.admin).await?;
        let address = listener.local_addr().unwrap_or(plan.listen);
        let admin_address = admin.local_addr().unwrap_or(plan.admin);
        let clock = || Arc::new(SystemClock::new());
        let tls = plan.config.tls.as_ref().map(|tls| tls.build(clock())).transpose()?;
        let mut core = Core::open_on(&plan, observer, disk).await?;
        let (tokens, first) = plan.config.admin.tokens(&plan.data_dir)?;
        if let Some(console::FirstToken(secret)) = first {
            core.notices.push(format!("token of the admin API, shown this once: {}", secret.expose()));
        }
        let hosts = HostCheck::new(&[address], &plan.config.intercept.hosts, &plan.config.intercept.origins);
        let (limits, clock) = (plan.config.intercept.clone(), Arc::clone(&core.clock));
        let interceptor = Arc::new(Interceptor::new(Arc::clone(&core.mediator), routes, hosts, limits, clock));
        let (hosts, public_url) = (plan.config.admin.hosts, plan.config.admin.public_url);
        let telemetry = Arc::new(plan.config.telemetry);
        Ok(Self {
            core,
            interceptor,
            listener,
            admin,
            tokens,
            hosts,
            public_url,
            telemetry,
            oidc,
            tls,
            address,
            admin_address,
        })
    }

    /// Serves until `stop` resolves, then lets calls in flight end, writes the last entry and closes the log.
    ///
    /// # Errors
    /// [`BuildError`]: the listener or the log failed.
    pub async fn run(self, stop: impl Future<Output = ()> + Send + 'static) -> Result<(), BuildError> {
        let (stopping, stopped) = watch::channel(false);
        let vitals = Vitals::new(self.core.log.clone(), self.core.data_dir().to_owned(), Arc::clone(&self.core.clock));
        let watching = tokio::spawn(Arc::clone(&vitals).watch(stopped.clone()));
        let health = Arc::new(Health {
            log: self.core.log.clone(),
            vitals,
            mediator: Arc::clone(&self.core.mediator),
            destinations: self.core.monitor(),
        });
        let clock = Arc::clone(&self.core.clock);
        let admin = console::Admin {
            health,
            approvals: self.core.mediator.approvals.clone(),
            tokens: self.tokens,
            hosts: self.hosts,
            clock,
            mediator: Some(Arc::clone(&self.core.mediator)),
            reload: Some(Arc::new(self.core.reloader.handle())),
            ledger: console::Ledger::new(self.core.data_dir().to_owned(), self.core.log.clone()),
            deliveries: Some(console::Deliveries {
                monitor: self.core.monitor(),
                telemetry: self.telemetry,
                data_dir: self.core.data_dir().to_owned(),
                log: self.core.log.clone(),
            }),
            public_url: self.public_url,
            oidc: self.oidc,
        };
        let mut admin_stop = stopped.clone();
        let admin = tokio::spawn(console::serve(self.admin, admin, async move {
            let _stop_or_gone = admin_stop.wait_for(|stop| *stop).await;
        }));
        let mut tend_stop = stopped.clone();
        let tending = tokio::spawn(self.core.mediator.approvals.clone().tend(async move {
            let _stop_or_gone = tend_stop.wait_for(|stop| *stop).await;
        }));
        let log = self.core.log.clone();
        let serving = tokio::spawn(self.interceptor.serve(self.listener, self.tls, stopped));
        tokio::pin!(serving);
        let served = tokio::select! {
            served = &mut serving => Some(served),
            () = stop => None,
            // A log that failed to write stays so for the life of the process (design §10): end it, loudly. A disk
            // that is full may have room again: calls are refused until then.
            () = poisoned(&log) => None,
        };
        let _nobody_listens = stopping.send(true);
        let served = match served {
            Some(served) => served,
            None => serving.await,
        };
        admin.abort();
        watching.abort();
        // It ends between two writes; a write that hangs is the log's own to report.
        let _ended = tokio::time::timeout(TEND_END_MAX, tending).await.is_ok();
        let drained = served.unwrap_or(Ok(Drained::Some));
        self.core.close(drained.as_ref().copied().unwrap_or(Drained::Some)).await?;
        Ok(drained.map(drop)?)
    }

    /// Where agents connect.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the admin API is.
    #[must_use]
    pub const fn admin_address(&self) -> SocketAddr {
        self.admin_address
    }

    /// Whether agents connect by TLS.
    #[must_use]
    pub const fn has_tls(&self) -> bool {
        self.tls.is_some()
    }
}

async fn poisoned(log: &Log) {
    let mut health = log.watch_health();
    while log.poisoned().is_none() && health.changed().await.is_ok() {}
}

/// Log-in at an identity provider, if it is configured.
///
/// # Errors
/// [`BuildError::Oidc`].
pub(super) fn oidc(plan: &Plan) -> Result<Option<console::Oidc>, BuildError> {
    let admin = &plan.config.admin;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let oidc = admin.oidc.as_ref().map(|oidc| console::Oidc::new(oidc, admin.public_url.as_deref(), &clock));
    Ok(oidc.transpose()?)
}

fn routes(plan: &Plan) -> Routes {
    let mut routes = Routes::default();
    for (alias, kind) in &plan.servers {
        let name: Arc<str> = alias.as_str().into();
        match kind {
            ServerKind::Http(_, templates) => drop(routes.http.insert(alias.clone(), (name, templates.clone()))),
            ServerKind::McpHttp(_) | ServerKind::Command(_) => drop(routes.mcp.insert(alias.clone(), name)),
        }
    }
    routes
}

async fn bind(address: SocketAddr) -> Result<TcpListener, BuildError> {
    TcpListener::bind(address).await.map_err(|source| BuildError::Listen { address, source })
}

struct Health {
    log: Log,
    vitals: Arc<Vitals>,
    mediator: Arc<Mediator>,
    destinations: Monitor,
}

impl console::Health for Health {
    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if !self.log.is_healthy() {
            problems.push("the log cannot be written".into());
        }
        if !self.mediator.sessions.is_healthy() {
            problems.push("the context store cannot be written: nothing is let through".into());
        }
        problems
    }

    fn gauges(&self) -> Vec<(&'static str, &'static str, u64)> {
        let sessions = u64::try_from(self.mediator.sessions.len()).unwrap_or(u64::MAX);
        let deferred = self.mediator.approvals.deferred();
        let pending = u64::try_from(self.mediator.approvals.pending()).unwrap_or(u64::MAX);
        vec![
            ("countersign_log_entries", "Durable entries of the log", self.log.durable_size()),
            ("countersign_sessions", "Live sessions", sessions),
            ("countersign_deferrals_pending", "Suspended actions", u64::try_from(deferred.0).unwrap_or(u64::MAX)),
            (
                "countersign_deferral_median_seconds",
                "Median time to resolution of the latest",
                deferred.1.div_ceil(1_000),
            ),
            ("countersign_approvals_pending", "Requests that wait for a person", pending),
        ]
    }

    fn metrics(&self) -> String {
        self.vitals.render() + &self.destinations.render()
    }
}
