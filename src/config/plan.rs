//! Pure checks: a configuration that passes can be built if the files and ports it names are there.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};

use super::server::ServerKind;
use super::{Config, ConfigError};
use crate::console::Role;

/// A configuration whose values were checked.
#[derive(Debug)]
pub struct Plan {
    /// The configuration.
    pub config: Config,
    /// Where agents connect.
    pub listen: SocketAddr,
    /// Where the admin API listens.
    pub admin: SocketAddr,
    /// Where state lives.
    pub data_dir: PathBuf,
    /// Policy files, resolved against the configuration's folder.
    pub policies: Vec<PathBuf>,
    pub(super) servers: Vec<(String, ServerKind)>,
}

impl Plan {
    /// Checks `config`; relative paths are relative to `folder`.
    ///
    /// # Errors
    /// [`ConfigError::Value`] names the key and what to do.
    pub fn check(mut config: Config, folder: &Path) -> Result<Self, ConfigError> {
        config.resolve(folder);
        let listen = address("listen", &config.listen)?;
        let admin = address("admin.listen", &config.admin.listen)?;
        let servers = config.servers.iter().map(|(alias, server)| Ok((alias.clone(), server.kind(alias)?)));
        let servers = servers.collect::<Result<Vec<_>, ConfigError>>()?;
        if servers.is_empty() {
            return Err(value("servers", "name at least one server that agents may reach".into()));
        }
        if !admin.ip().is_loopback() {
            return Err(value(
                "admin.listen",
                format!(
                    "`{admin}` is reachable from other machines, and the admin API speaks plain HTTP: use loopback"
                ),
            ));
        }
        if !listen.ip().is_loopback() && config.tls.is_none() {
            return Err(value(
                "listen",
                format!("`{listen}` is reachable from other machines: configure `tls`, or listen on 127.0.0.1"),
            ));
        }
        if !listen.ip().is_loopback() && !config.identity.authenticates() {
            return Err(value(
                "listen",
                format!("`{listen}` is reachable from other machines: configure `identity`, or listen on 127.0.0.1"),
            ));
        }
        if let Some(approve) = &config.approve {
            approve.check().map_err(|problem| value("approve", problem))?;
        }
        let data_dir = match &config.data_dir {
            Some(path) => folder.join(path),
            None => default_data_dir()
                .ok_or_else(|| value("data_dir", "neither XDG_STATE_HOME nor HOME is set: name a directory".into()))?,
        };
        if config.policy_bundle.is_some() && !config.policies.is_empty() {
            let problem = "a bundle holds all policies: take `policies` out, or put the files into the bundle";
            return Err(value("policy_bundle", problem.into()));
        }
        let policies = config.policies.iter().map(|path| folder.join(path)).collect();
        Ok(Self { listen, admin, data_dir, policies, servers, config })
    }
}

impl Plan {
    /// Whether there is anybody to ask.
    #[must_use]
    pub fn serves_people(&self) -> bool {
        self.config.approve.is_some() || self.config.admin.tokens.iter().any(|token| token.role == Role::Approver)
    }
}

/// `$XDG_STATE_HOME/countersign`, or `~/.local/state/countersign`.
#[must_use]
pub fn default_data_dir() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let state = set("XDG_STATE_HOME").or_else(|| Some(set("HOME")?.join(".local/state")));
    state.map(|state| state.join("countersign"))
}

fn address(key: &str, text: &str) -> Result<SocketAddr, ConfigError> {
    let wrong = || value(key, format!("`{text}` is not an address like 127.0.0.1:4180"));
    text.to_socket_addrs().map_err(|_| wrong())?.next().ok_or_else(wrong)
}

fn value(key: &str, problem: String) -> ConfigError {
    ConfigError::Value { key: key.into(), problem }
}
