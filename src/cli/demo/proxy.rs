//! The proxy as a process of its own: this same executable with `run`, so that it can be killed and started again.
//!
//! It gets a configuration file like anybody's. The demo must never reach into it: everything it learns it learns over
//! loopback HTTP and from the files that the proxy writes.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use super::failure::Failure;
use super::office::{COLLEAGUE, DOMAIN};
use super::tools::Domain;
use super::workplace::Workplace;
use crate::identify::mint;
use crate::model::Digest;

/// The data directory beside the configuration, and in it the file that stands for the SIEM.
const DATA: &str = "data";
const EVENTS: &str = "events.jsonl";
/// The same events for SIEMs that speak OCSF and CEF.
const OCSF: &str = "events.ocsf.jsonl";
const CEF: &str = "events.cef";

/// Who says yes: not the colleague on whose behalf the agent acts.
const PERSON: &str = "fay@example.com";

/// How long the proxy may take to become ready. It takes a fraction of a second; a loaded machine more.
const READY_WAIT: Duration = Duration::from_secs(20);
/// How often it is asked.
const READY_EVERY: Duration = Duration::from_millis(5);
/// How much of its log an error repeats, bytes.
const SAID_BYTES_MAX: usize = 600;

/// What the proxy needs to start: written once, used at every start.
#[derive(Debug)]
pub(super) struct Setup {
    listen: SocketAddr,
    admin: SocketAddr,
    config: PathBuf,
    log: PathBuf,
    data: PathBuf,
    events: PathBuf,
    credential: String,
    person: String,
}

impl Setup {
    /// Picks ports and a key and writes policies and configuration. `upstream` gives the URL of each server.
    ///
    /// # Errors
    /// A file cannot be written, no port is free, no random bytes.
    pub(super) fn write(place: &Workplace, upstream: impl Fn(Domain) -> String) -> Result<Self, Failure> {
        let [listen, admin] = free_ports()?;
        let (key, hash) = mint()?;
        let (person, person_hash) = crate::console::mint()?;
        let setup = Self {
            listen,
            admin,
            config: place.path("countersign.yaml"),
            log: place.path("proxy.log"),
            data: place.path(DATA),
            events: place.path(DATA).join(EVENTS),
            credential: key.expose().to_owned(),
            person: person.expose().to_owned(),
        };
        for (name, text) in super::POLICIES {
            place.write(&place.path("policies").join(name), text)?;
        }
        place.write(&setup.config, setup.configuration(upstream, hash, person_hash))?;
        Ok(setup)
    }

    /// The endpoint of a server, seen through the proxy.
    pub(super) fn url(&self, domain: Domain) -> String {
        format!("http://{}/mcp/{}", self.listen, domain.as_str())
    }

    /// The agent's key.
    pub(super) fn credential(&self) -> &str {
        &self.credential
    }

    /// The token of the person who may say yes.
    pub(super) fn person(&self) -> &str {
        &self.person
    }

    /// A page or a request of the admin API.
    pub(super) fn admin_url(&self, path: &str) -> String {
        format!("http://{}{path}", self.admin)
    }

    /// Where the proxy keeps its log.
    pub(super) fn data(&self) -> &Path {
        &self.data
    }

    /// The file that stands for the SIEM.
    pub(super) fn events(&self) -> &Path {
        &self.events
    }

    /// The same events as OCSF.
    pub(super) fn ocsf(&self) -> PathBuf {
        self.data.join(OCSF)
    }

    /// The same events as CEF.
    pub(super) fn cef(&self) -> PathBuf {
        self.data.join(CEF)
    }
}

/// A running proxy. Killed when dropped.
#[derive(Debug)]
pub(super) struct Proxy(Child);

impl Proxy {
    /// Starts it and waits until it is ready.
    ///
    /// # Errors
    /// [`Failure::Spawn`], or [`Failure::Proxy`] when it ends or does not become ready.
    pub(super) async fn start(setup: &Setup) -> Result<Self, Failure> {
        let spawn = |source| Failure::Spawn { operation: "start", source };
        let program = std::env::current_exe().map_err(spawn)?;
        let log = fs::OpenOptions::new().create(true).append(true).open(&setup.log);
        let log = log.map_err(|source| Failure::file("open", &setup.log, source))?;
        let child = Command::new(program)
            .args(["run", "--config"])
            .arg(&setup.config)
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(spawn)?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .map_err(spawn)?;
        let mut proxy = Self(child);
        match tokio::time::timeout(READY_WAIT, proxy.ready(setup)).await {
            Ok(Ok(())) => Ok(proxy),
            Ok(Err(ended)) => Err(ended),
            Err(_) => Err(setup.problem(format!("was not ready after {} s", READY_WAIT.as_secs()))),
        }
    }

    async fn ready(&mut self, setup: &Setup) -> Result<(), Failure> {
        let mut every = tokio::time::interval(READY_EVERY);
        loop {
            every.tick().await;
            let ended = self.0.try_wait().map_err(|source| Failure::Spawn { operation: "watch", source })?;
            if let Some(status) = ended {
                return Err(setup.problem(format!("ended with {status}")));
            }
            if super::client::is_ok(&format!("http://{}/readyz", setup.admin)).await {
                return Ok(());
            }
        }
    }

    /// Asks it to end (SIGTERM), so that it closes its log, and waits until it has.
    ///
    /// # Errors
    /// [`Failure::Spawn`], or [`Failure::Proxy`] when it does not end or ends with an error.
    pub(super) async fn stop(mut self, setup: &Setup) -> Result<(), Failure> {
        let stop = |source| Failure::Spawn { operation: "stop", source };
        let id = self.0.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let id = id.ok_or_else(|| setup.problem("ended by itself".to_owned()))?;
        kill_process(id, Signal::TERM).map_err(|errno| stop(errno.into()))?;
        let ended = tokio::time::timeout(READY_WAIT, self.0.wait()).await;
        let status = ended.map_err(|_| setup.problem("does not end".to_owned()))?.map_err(stop)?;
        if status.success() { Ok(()) } else { Err(setup.problem(format!("ended with {status}"))) }
    }

    /// Kills it, without a chance to write anything more (SIGKILL), and waits until it is gone.
    ///
    /// # Errors
    /// [`Failure::Spawn`].
    pub(super) async fn kill(mut self) -> Result<(), Failure> {
        self.0.kill().await.map_err(|source| Failure::Spawn { operation: "kill", source })
    }
}

impl Setup {
    fn problem(&self, problem: String) -> Failure {
        let text = fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        let from = text.len().saturating_sub(SAID_BYTES_MAX);
        let from = (from..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
        Failure::Proxy { problem, said: text.get(from..).unwrap_or_default().trim().to_owned() }
    }

    /// Paths in it are relative to the file, so that the whole directory can be moved.
    /// Nobody is held: whoever has to wait is told so at once.
    fn configuration(&self, upstream: impl Fn(Domain) -> String, hash: Digest, person: Digest) -> String {
        let servers: Vec<String> = Domain::ALL
            .iter()
            .map(|domain| format!("  {}: {{ url: {} }}\n", domain.as_str(), upstream(*domain)))
            .collect();
        let policies: Vec<String> = super::POLICIES.iter().map(|(name, _)| format!("  - policies/{name}\n")).collect();
        format!(
            "# Written by `countersign demo`.\n\
             listen: {}\n\
             admin: {{ listen: {}, tokens: [{{ name: {PERSON}, role: approver, groups: [finance], hash: \"{person}\" }}] }}\n\
             approve: {{ mrtr_hold_ms: 1, mrtr_rounds_max: 0, legacy_hold_ms: 1 }}\n\
             data_dir: {DATA}\n\
             mode: enforce\n\
             servers:\n{}\
             identity:\n  api_keys:\n    \
             - {{ name: demo, hash: \"{hash}\", human: {COLLEAGUE}, service: office, agent: demo-agent, role: clerk }}\n\
             agents:\n  - {{ id: demo-agent, owner: {COLLEAGUE}, team: office, tenant: demo }}\n\
             policies:\n{}\
             policy: {{ internal_domains: [{DOMAIN}] }}\n\
             telemetry:\n  schema: aarm\n  exporters:\n    - {{ type: file, path: {EVENTS} }}\n    \
             - {{ type: file, name: ocsf, schema: ocsf, path: {OCSF} }}\n    \
             - {{ type: file, name: cef, schema: cef, path: {CEF} }}\n",
            self.listen,
            self.admin,
            servers.concat(),
            policies.concat(),
        )
    }
}

/// Two loopback ports that are free now. Another process may take one before the proxy does; the start then fails and
/// says so.
fn free_ports() -> Result<[SocketAddr; 2], Failure> {
    let bind = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(Failure::Listen);
    let (first, second) = (bind()?, bind()?);
    Ok([first.local_addr().map_err(Failure::Listen)?, second.local_addr().map_err(Failure::Listen)?])
}
