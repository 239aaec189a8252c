//! Builds everything a plan names, listeners excepted.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use super::policies::{PolicyFiles, check_policies, keep};
use super::recount::recount;
use super::reload::Reloader;
use super::server::ServerKind;
use super::{ConfigError, PinsConfig, Plan, ServerConfig};
use crate::approve::{Approvals, OpenError};
use crate::console::{OidcError, TokenError};
use crate::context::classification::ClassificationError;
use crate::context::drift::TableError;
use crate::context::{Classifier, Meters, Secrets, SecretsError, Sessions, StoreError, ToolTable};
use crate::export::{ExportError, Exporter, Monitor};
use crate::forward::{Catalogue, ForwardError, HttpSettings, HttpUpstream, Pins, Server, Upstream, Upstreams};
use crate::identify;
use crate::identify::IdentifyError;
use crate::intercept::{Drained, ServeError};
use crate::mediate::{Mediator, Observer, RefusedCredentials};
use crate::model::{Call, Clock, Decision, Enforcement, Identity};
use crate::net::{SystemClock, TlsError};
use crate::record;
use crate::record::disk::{Disk, RealDisk};
use crate::record::entry::LoadedPolicy;
use crate::record::index::Follower;
use crate::record::{ControlFact, Log, RecordError, Recorder};

/// What cannot be built or run.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Tokens of the admin API.
    #[error("prepare `admin`")]
    Admin(#[from] TokenError),
    /// What waits for people.
    #[error("prepare `approve`")]
    Approve(#[source] Box<OpenError>),
    /// The configuration names something that does not work.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// What data is.
    #[error("prepare `classification`")]
    Classification(#[from] ClassificationError),
    /// A table of word vectors that cannot be used.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The secret of the context store.
    #[error("open the context store")]
    Secrets(#[from] SecretsError),
    /// What is kept of sessions.
    #[error("open the context store")]
    Sessions(#[from] StoreError),
    /// The exporter.
    #[error("start the exporter")]
    Export(#[from] ExportError),
    /// A server.
    #[error("prepare a server")]
    Forward(#[from] ForwardError),
    /// Identity.
    #[error("prepare `identity`")]
    Identify(#[from] IdentifyError),
    /// A port.
    #[error("listen on `{address}`; is another instance running?")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Log-in at an identity provider.
    #[error(transparent)]
    Oidc(#[from] OidcError),
    /// The policies cannot be kept.
    #[error("keep the texts of policies in `{}`", data_dir.display())]
    Policies {
        /// The data directory.
        data_dir: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The log.
    #[error("open the log in `{}`", data_dir.display())]
    Record {
        /// The data directory.
        data_dir: PathBuf,
        /// Why.
        #[source]
        source: RecordError,
    },
    /// The listener, later.
    #[error("serve")]
    Serve(#[from] ServeError),
    /// TLS.
    #[error("prepare `tls`")]
    Tls(#[from] TlsError),
}

impl BuildError {
    /// Whether the configuration is to blame (exit code 2) and not the machine (1).
    #[must_use]
    pub const fn is_configuration(&self) -> bool {
        if let Self::Export(error) = self {
            return error.is_configuration();
        }
        matches!(
            self,
            Self::Admin(TokenError::Duplicate(_) | TokenError::Name(_))
                | Self::Classification(_)
                | Self::Config(_)
                | Self::Forward(_)
                | Self::Identify(_)
                | Self::Oidc(_)
                | Self::Record { source: RecordError::Config(_), .. }
                | Self::Tls(_)
        )
    }
}

/// Everything but listeners: the log open and recovered, policies compiled, servers known.
pub struct Core {
    /// The path of an action.
    pub mediator: Arc<Mediator>,
    /// The clock of everything.
    pub clock: Arc<dyn Clock>,
    /// What the person who started this should know.
    pub notices: Vec<String>,
    pub(super) log: Log,
    exporter: Exporter,
    index: Follower,
    data_dir: PathBuf,
    /// Looks after the policy files.
    pub reloader: Reloader,
}

impl Core {
    /// Builds what `plan` names, listeners excepted.
    ///
    /// # Errors
    /// [`BuildError`]: the first thing that does not work. Nothing is left running.
    pub async fn open(plan: &Plan, observer: Option<Arc<dyn Observer>>) -> Result<Self, BuildError> {
        Self::open_on(plan, observer, Arc::new(RealDisk)).await
    }

    /// As [`Self::open`], with the log on another disk: tests make it fail.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_on(
        plan: &Plan,
        observer: Option<Arc<dyn Observer>>,
        disk: Arc<dyn Disk>,
    ) -> Result<Self, BuildError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let mut notices = Vec::new();
        let files = PolicyFiles::of(plan);
        let sources = files.sources()?;
        let policies = files.compile(&sources)?;
        let agents = plan.config.agents.as_deref();
        let authenticator = identify::build(&plan.config.identity, agents, Arc::clone(&clock))?;
        let classifier = build_classifier(plan)?;
        // What a configuration can get wrong comes before the first file is made.
        let mut settings = plan.config.sessions.clone();
        settings.drift.load()?;
        let stated = plan.config.tool_pins.as_ref().map(PinsConfig::read).transpose()?;
        let pins = Arc::new(Pins::new(&plan.data_dir, stated.unwrap_or_default()));
        let upstreams = join_upstreams(plan, build_upstreams(plan, &clock)?, &clock, &pins);
        plan.config.telemetry.check()?;
        let (log, recorder) = open_log(plan, disk, &clock, &mut notices)?;
        pins.begin(recorder.clone());
        let secrets = Secrets::open(&plan.data_dir)?;
        let sessions = Sessions::open(settings, classifier, &secrets, &plan.data_dir, &recorder)?;
        let exporter = Exporter::start(&plan.config.telemetry, &recorder, &plan.data_dir, Arc::clone(&clock))?;
        if !plan.config.identity.authenticates() {
            notices.push("nobody is verified: configure `identity` before this leaves your machine".into());
        }
        let mediator = Arc::new(Mediator {
            authenticator,
            sessions,
            meters: Meters::default(),
            policies: ArcSwap::from_pointee(policies),
            approvals: open_approvals(plan, &recorder, &clock)?,
            recorder,
            upstreams,
            clock: Arc::clone(&clock),
            parameters_mode: plan.config.record.parameters,
            observer: observer.unwrap_or_else(|| Arc::new(Silent)),
            refused_credentials: RefusedCredentials::default(),
        });
        let data_dir = plan.data_dir.clone();
        let index = Follower::start(&log, &data_dir)
            .map_err(|source| BuildError::Record { data_dir: data_dir.clone(), source })?;
        keep(&data_dir, &sources).map_err(|source| BuildError::Policies { data_dir: data_dir.clone(), source })?;
        files.accept(&sources)?;
        recount(&log, &mediator, clock.now())
            .map_err(|source| BuildError::Record { data_dir: data_dir.clone(), source })?;
        record_start(&mediator, &data_dir).await?;
        let interval = Duration::from_millis(plan.config.policies_reload_ms);
        let reloader = Reloader::start(files, &sources, Arc::clone(&mediator), data_dir.clone(), interval);
        Ok(Self { mediator, clock, notices, log, exporter, index, data_dir, reloader })
    }

    /// How the destinations are.
    #[must_use]
    pub fn monitor(&self) -> Monitor {
        self.exporter.monitor()
    }

    /// The log's origin.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.log.instance().origin
    }

    /// Where state lives.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Delivers what is durable, writes the last entry and closes the log.
    ///
    /// # Errors
    /// [`BuildError::Record`]: the log could not be closed in order.
    pub async fn close(self, drained: Drained) -> Result<(), BuildError> {
        self.reloader.stop().await;
        let closed = async {
            // The last outcomes first: a call that a server is ended under is one.
            self.mediator.upstreams.close().await;
            self.mediator.record_refused_credentials().await;
            if drained == Drained::Some {
                // Not closed in order: the next start looks for actions without an outcome.
                self.mediator.sessions.close();
                self.exporter.stop().await;
                return self.log.checkpoint_now().await.map(drop);
            }
            self.mediator.sessions.close();
            self.mediator.recorder.control(ControlFact::stop()).await?;
            self.exporter.stop().await;
            self.log.close().await
        };
        let data_dir = self.data_dir.clone();
        let closed = closed.await;
        self.index.stop().await;
        closed.map_err(|source| BuildError::Record { data_dir, source })
    }
}

async fn record_start(mediator: &Mediator, data_dir: &Path) -> Result<(), BuildError> {
    let policies = mediator.policies.load_full();
    let loaded =
        policies.policies().map(|policy| LoadedPolicy::of(&policy.reference, policy.rules, policy.shadow_rules));
    let fact = ControlFact::policies_loaded(policies.hash(), loaded);
    let failed = |source| BuildError::Record { data_dir: data_dir.to_owned(), source };
    mediator.recorder.control(fact).await.map(drop).map_err(failed)
}

/// Builds whatever can be built without a log, a port or a request to anybody, and lets it go: policies, identity,
/// credentials, TLS, servers, the settings of log and exporters. Needs a runtime of tokio around it.
///
/// # Errors
/// [`BuildError`]: the first thing that does not work.
pub fn check_plan(plan: &Plan) -> Result<(), BuildError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let config = &plan.config;
    check_policies(plan)?;
    identify::build(&config.identity, config.agents.as_deref(), Arc::clone(&clock))?;
    build_upstreams(plan, &clock)?;
    build_classifier(plan)?;
    config.sessions.drift.clone().load()?;
    super::app::oidc(plan)?;
    config.telemetry.check()?;
    if let Some(tls) = &config.tls {
        tls.build(clock)?;
    }
    let failed = |source| BuildError::Record { data_dir: plan.data_dir.clone(), source };
    log_settings(plan).check().map_err(failed)
}

/// The settings of the log, with what other sections say about it.
fn log_settings(plan: &Plan) -> record::Config {
    let mut settings = plan.config.record.clone();
    settings.data_dir.clone_from(&plan.data_dir);
    settings.name.clone_from(&plan.config.name);
    settings
}

fn build_classifier(plan: &Plan) -> Result<Classifier, BuildError> {
    let mut tools = ToolTable::default();
    for (alias, server) in &plan.config.servers {
        tools.insert(alias.as_str().into(), server.tools.clone());
    }
    Ok(Classifier::new(&plan.config.classification, tools)?)
}

fn open_log(
    plan: &Plan,
    disk: Arc<dyn Disk>,
    clock: &Arc<dyn Clock>,
    notices: &mut Vec<String>,
) -> Result<(Log, Recorder), BuildError> {
    let failed = |source| BuildError::Record { data_dir: plan.data_dir.clone(), source };
    let settings = log_settings(plan);
    let (log, opened) = Log::open(&settings, disk, Arc::clone(clock)).map_err(failed)?;
    let (recorder, recovered) = Recorder::start(log.clone(), &opened, Arc::clone(clock)).map_err(failed)?;
    if !opened.fresh {
        notices.push(format!(
            "{} entries in the log, {} decisions without outcome closed as unknown",
            opened.size, recovered.open
        ));
    }
    Ok((log, recorder))
}

fn open_approvals(plan: &Plan, recorder: &Recorder, clock: &Arc<dyn Clock>) -> Result<Approvals, BuildError> {
    let config = plan.config.approve.clone().unwrap_or_default();
    let served = (plan.serves_people(), plan.config.admin.public_url.as_deref());
    Approvals::open(config, recorder.clone(), Arc::clone(clock), &plan.data_dir, served)
        .map_err(|error| BuildError::Approve(Box::new(error)))
}

/// A way to each server, by its alias.
type Built = HashMap<Arc<str>, Arc<dyn Upstream>>;

fn build_upstreams(plan: &Plan, clock: &Arc<dyn Clock>) -> Result<Built, BuildError> {
    let configured =
        plan.servers.iter().filter_map(|(alias, kind)| Some((alias, kind, plan.config.servers.get(alias)?)));
    let built = configured.map(|(alias, kind, config)| {
        let name: Arc<str> = alias.as_str().into();
        let upstream = build_upstream(&name, kind, config, clock)?;
        Ok((name, upstream))
    });
    built.collect()
}

fn join_upstreams(plan: &Plan, mut built: Built, clock: &Arc<dyn Clock>, pins: &Arc<Pins>) -> Upstreams {
    let mut servers = HashMap::new();
    for (alias, kind) in &plan.servers {
        let Some((name, upstream)) = built.remove_entry(alias.as_str()) else { continue };
        let own = plan.config.servers.get(alias).and_then(|config| config.mode);
        let enforcement = match (plan.config.mode, own) {
            // A server can be put in shadow by itself; it cannot be enforced in a process that is all shadow.
            (Enforcement::Shadow, _) | (_, Some(Enforcement::Shadow)) => Enforcement::Shadow,
            _ => Enforcement::Enforce,
        };
        let server = Server {
            upstream,
            tools: Arc::new(Catalogue::new(Arc::clone(&name), Some(Arc::clone(pins)))),
            pending: Arc::default(),
            enforcement,
            speaks_mcp: !matches!(kind, ServerKind::Http(..)),
        };
        servers.insert(name, server);
    }
    Upstreams::new(servers, Arc::clone(clock), plan.config.forward.limits())
}

fn build_upstream(
    name: &Arc<str>,
    kind: &ServerKind,
    config: &ServerConfig,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<dyn Upstream>, BuildError> {
    Ok(match kind {
        ServerKind::McpHttp(url) | ServerKind::Http(url, _) => {
            let settings = HttpSettings {
                server: Arc::clone(name),
                url: url.clone(),
                timeout: config.timeout(),
                concurrency_max: config.concurrency_max,
                credentials: config.credential_headers(name)?,
                tls: config.client_tls(name, url)?,
            };
            Arc::new(HttpUpstream::new(settings)?)
        }
        ServerKind::Command(command) => config.stdio(name, command, Arc::clone(clock)),
    })
}

/// Nobody watches.
struct Silent;

impl Observer for Silent {
    fn decided(&self, _call: &Call, _identity: &Identity, _decision: &Decision) {}
}
