//! Configuration: load (text to structs), plan (pure checks), build (keys, files, sockets).
//!
//! Each stage owns its own `Config`; this module composes them under the names of the seeds and says, for whatever is
//! wrong, which file, which line and what to do. Secrets are named by environment variable or file, never written here.

mod app;
mod build;
mod bundle;
mod growth;
mod load;
mod paths;
mod pin_file;
mod plan;
mod policies;
mod recount;
mod reload;
mod server;
mod vitals;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use crate::identify::Agent;
use crate::model::Enforcement;
use crate::net::ServerTls;
use crate::{approve, console, context, decide, export, forward, identify, intercept, record};

pub use app::App;
pub use build::{BuildError, Core, check_plan};
pub use bundle::{BUNDLE_KIND, Bundle, BundleConfig, Signer, make_bundle, signing_key};
pub use load::{ConfigError, load, parse};
pub use pin_file::{PinsConfig, make_pin_file};
pub use plan::{Plan, default_data_dir};
pub use policies::{PolicyFiles, check_policies};
pub use reload::{ReloadHandle, Reloader};
pub use server::{CredentialHeader, ServerConfig};

/// `countersign.yaml`. Every key has a default but `servers`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where agents connect.
    pub listen: String,
    /// TLS of `listen`. Required beyond loopback.
    pub tls: Option<ServerTls>,
    /// The admin API, health, metrics and console.
    pub admin: console::Config,
    /// Where the log, keys and state live. `$XDG_STATE_HOME/countersign` by default.
    pub data_dir: Option<PathBuf>,
    /// The name of this instance in its log's origin; `localhost` by default.
    pub name: Option<String>,
    /// Whether decisions are carried out: `enforce` or `shadow`.
    pub mode: Enforcement,
    /// Whether the end of an answer waits until its outcome is durable.
    pub outcome: OutcomeWait,
    /// Limits on what clients send.
    pub intercept: intercept::Config,
    /// Who callers are.
    pub identity: identify::Config,
    /// The inventory of agents. Once there is one, even an empty one, an agent that is not in it is refused.
    pub agents: Option<Vec<Agent>>,
    /// What is remembered of sessions.
    pub sessions: context::Config,
    /// What the data is that tools return.
    pub classification: context::classification::Config,
    /// The servers that agents reach through this proxy, by alias.
    pub servers: BTreeMap<String, ServerConfig>,
    /// Policy files, relative to the configuration file.
    pub policies: Vec<PathBuf>,
    /// Instead of `policies`: all of them in one file that two people have signed.
    pub policy_bundle: Option<BundleConfig>,
    /// A signed file that says what the tools of servers have to be.
    pub tool_pins: Option<PinsConfig>,
    /// How often policy files are looked at for changes, milliseconds; 0: only when the process gets SIGHUP.
    pub policies_reload_ms: u64,
    /// How decisions are made where policies are silent.
    pub policy: decide::Settings,
    /// How people are asked. STEP_UP and DEFER refuse until there is this section, or a token that may answer.
    pub approve: Option<approve::Config>,
    /// Limits on what servers answer.
    pub forward: forward::Config,
    /// The log.
    pub record: record::Config,
    /// Where events go.
    pub telemetry: export::Config,
    /// As `telemetry.exporters`, where AARM's telemetry page writes it too.
    pub exporters: Vec<export::ExporterConfig>,
    /// As `telemetry.batch_export`, where AARM's telemetry page writes it.
    pub batch_export: Option<export::BatchExportConfig>,
}

/// When the end of an answer leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeWait {
    /// As soon as its outcome is on its way to the log.
    #[default]
    Stream,
    /// When its outcome is durable.
    Wait,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:4180".into(),
            tls: None,
            admin: console::Config::default(),
            data_dir: None,
            name: None,
            mode: Enforcement::Enforce,
            outcome: OutcomeWait::default(),
            intercept: intercept::Config::default(),
            identity: identify::Config::default(),
            agents: None,
            sessions: context::Config::default(),
            classification: context::classification::Config::default(),
            servers: BTreeMap::new(),
            policies: Vec::new(),
            policy_bundle: None,
            tool_pins: None,
            policies_reload_ms: 2_000,
            policy: decide::Settings::default(),
            approve: None,
            forward: forward::Config::default(),
            record: record::Config::default(),
            telemetry: export::Config::default(),
            exporters: Vec::new(),
            batch_export: None,
        }
    }
}
