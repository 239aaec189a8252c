//! `countersign doctor`: looks at everything that a start needs, and says what to do about what is wrong.
//!
//! It changes nothing but a probe file that it takes away again, and it runs beside a running instance.

use std::io::{IsTerminal, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::Args;
use serde::Serialize;

use super::{EXIT_FAILED, EXIT_USAGE, fail};
use crate::config::{Plan, check_plan, load};
use crate::model::{Clock as _, with_causes};
use crate::net::SystemClock;
use crate::record::{VerifyOptions, verify_directory};

/// Time for a server to take a connection.
const CONNECT_MAX: Duration = Duration::from_secs(3);

/// Room that the log should have at the least, bytes: about a million entries.
const FREE_BYTES_MIN: u64 = 2 << 30;

/// Bytes of a log that are verified here; a longer one takes minutes and is left to `receipts verify`.
const VERIFIED_BYTES_MAX: u64 = 64 << 20;

/// Seconds that the clock may be behind what the log saw.
const CLOCK_TOLERANCE_S: u64 = 5;

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The configuration file.
    #[arg(short, long, default_value = "countersign.yaml")]
    config: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// How one check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Ok,
    Warning,
    Failed,
}

/// One check.
#[derive(Debug, Serialize)]
struct Check {
    check: String,
    status: Status,
    detail: String,
    /// What to do; none when there is nothing to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<&'static str>,
}

/// What was looked at, in order.
#[derive(Debug, Default)]
struct Findings(Vec<Check>);

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let mut findings = Findings::default();
    // Keys of issuers and certificates are watched by tasks once they are built.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(EXIT_FAILED, format!("start the runtime: {error}")),
    };
    let _inside = runtime.enter();
    let configured = findings.configuration(&arguments.config);
    if let Some(plan) = &configured {
        findings.identity(plan);
        findings.data_dir(&plan.data_dir);
        findings.keys(&plan.data_dir);
        findings.clock(&plan.data_dir);
        findings.log(&plan.data_dir);
        findings.port("listen", plan.listen);
        findings.port("admin.listen", plan.admin);
        findings.servers(plan);
    }
    findings.print(arguments.json);
    match findings.0.iter().map(|check| check.status).max() {
        Some(Status::Failed) if configured.is_none() => ExitCode::from(EXIT_USAGE),
        Some(Status::Failed) => ExitCode::from(EXIT_FAILED),
        _ => ExitCode::SUCCESS,
    }
}

impl Findings {
    fn ok(&mut self, check: impl Into<String>, detail: impl Into<String>) {
        self.0.push(Check { check: check.into(), status: Status::Ok, detail: detail.into(), remedy: None });
    }

    fn bad(&mut self, status: Status, check: impl Into<String>, detail: impl Into<String>, remedy: &'static str) {
        self.0.push(Check { check: check.into(), status, detail: detail.into(), remedy: Some(remedy) });
    }

    /// Everything that can be built without a log or a port: policies, TLS, credentials, limits.
    fn configuration(&mut self, path: &Path) -> Option<Plan> {
        let folder = path.parent().unwrap_or(Path::new("."));
        let plan = load(path).and_then(|config| Plan::check(config, folder));
        let checked = plan.map_err(|error| with_causes(&error)).and_then(|plan| {
            check_plan(&plan).map_err(|error| with_causes(&error))?;
            Ok(plan)
        });
        match checked {
            Ok(plan) => {
                let (servers, policies) = (plan.config.servers.len(), plan.policies.len().max(1));
                self.ok("configuration", format!("{}: {servers} servers, {policies} policies", path.display()));
                Some(plan)
            }
            Err(problem) => {
                self.bad(
                    Status::Failed,
                    "configuration",
                    problem,
                    "correct it; `countersign init` writes one to begin with",
                );
                None
            }
        }
    }

    fn identity(&mut self, plan: &Plan) {
        if plan.config.identity.authenticates() {
            self.ok("identity", "callers are verified");
        } else {
            let detail = "nobody is verified: every caller on this machine is let through to the policies";
            self.bad(Status::Warning, "identity", detail, "make a key: `countersign keys new NAME`");
        }
    }

    fn data_dir(&mut self, path: &Path) {
        let shown = path.display();
        // The first part that is there decides whether the rest can be made.
        let Some(there) = path.ancestors().find(|part| part.exists()) else { return };
        let probe = there.join(format!(".countersign-doctor-{}", std::process::id()));
        let written = std::fs::write(&probe, b"probe").and_then(|()| std::fs::remove_file(&probe));
        if let Err(error) = written {
            let detail = format!("`{shown}`: {error}");
            return self.bad(
                Status::Failed,
                "data directory",
                detail,
                "let the user that runs countersign write there",
            );
        }
        match rustix::fs::statvfs(there) {
            Ok(room) => {
                let free = room.f_bavail.saturating_mul(room.f_frsize);
                let detail = format!("`{shown}`, {} MiB free", free >> 20);
                if free < FREE_BYTES_MIN {
                    self.bad(Status::Warning, "data directory", detail, "make room: a full disk refuses every action");
                } else {
                    self.ok("data directory", detail);
                }
            }
            Err(error) => {
                self.bad(Status::Warning, "data directory", format!("`{shown}`: {error}"), "look at the file system")
            }
        }
    }

    /// Whoever reads the private keys can sign receipts; whoever reads the vault can open digests.
    fn keys(&mut self, data_dir: &Path) {
        let private = [data_dir.join("private"), data_dir.join("vault")];
        let open: Vec<String> = private.iter().flat_map(|folder| open_to_others(folder)).collect();
        if open.is_empty() {
            self.ok("permissions", "keys and vault belong to their owner alone");
        } else {
            let detail = format!("others may read {}", open.join(", "));
            self.bad(
                Status::Failed,
                "permissions",
                detail,
                "chmod 700 the folders and 600 the files; rotate keys that were seen",
            );
        }
    }

    fn clock(&mut self, data_dir: &Path) {
        let seen = std::fs::metadata(data_dir.join("log/checkpoint")).and_then(|about| about.modified());
        let seen_s =
            seen.ok().and_then(|seen| seen.duration_since(SystemTime::UNIX_EPOCH).ok()).map(|seen| seen.as_secs());
        let ahead_s = seen_s.map(|seen_s| seen_s.saturating_sub(SystemClock::new().now().as_secs()));
        match ahead_s.filter(|ahead_s| *ahead_s > CLOCK_TOLERANCE_S) {
            Some(ahead_s) => {
                let detail = format!("the last checkpoint is {ahead_s} s in the future");
                self.bad(Status::Failed, "clock", detail, "set the clock (NTP): tokens, expiries and entries go by it");
            }
            None => self.ok("clock", "not behind what the log has seen"),
        }
    }

    fn log(&mut self, data_dir: &Path) {
        let log = data_dir.join("log");
        if !log.join("checkpoint").exists() {
            return self.ok("log", "none yet; the first start makes it");
        }
        if bytes_below(&log) > VERIFIED_BYTES_MAX {
            let detail = "too long to be verified in passing";
            return self.bad(Status::Warning, "log", detail, "run `countersign receipts verify`");
        }
        match verify_directory(data_dir, &VerifyOptions::default()) {
            Ok(report) if report.problems.is_empty() => self.ok("log", format!("{} entries, in order", report.size)),
            Ok(report) => {
                let detail = format!("{} problems", report.problems.len());
                self.bad(
                    Status::Failed,
                    "log",
                    detail,
                    "run `countersign receipts verify`; keep a copy of the directory",
                );
            }
            Err(error) => self.bad(Status::Failed, "log", with_causes(&error), "run `countersign receipts verify`"),
        }
    }

    fn port(&mut self, key: &str, address: SocketAddr) {
        match TcpListener::bind(address) {
            Ok(_) => self.ok(key, format!("{address} is free")),
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse && is_alive(address) => {
                self.ok(key, format!("an instance runs at {address}"));
            }
            Err(error) => {
                let detail = format!("{address}: {error}");
                self.bad(Status::Failed, key, detail, "stop what listens there, or choose another port");
            }
        }
    }

    fn servers(&mut self, plan: &Plan) {
        for (alias, server) in &plan.config.servers {
            let check = format!("server {alias}");
            let reached = match (server.url.as_ref().or(server.http.as_ref()), &server.command) {
                (Some(url), _) => connect(url),
                (None, Some(command)) => find_program(command.first().map_or("", String::as_str)),
                (None, None) => continue,
            };
            match reached {
                Ok(detail) => self.ok(check, detail),
                Err(detail) => {
                    self.bad(Status::Failed, check, detail, "start it, or correct its entry under `servers`")
                }
            }
        }
    }

    fn print(&self, json: bool) {
        if json {
            println!("{}", serde_json::json!({ "checks": self.0 }));
            return;
        }
        let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        for check in &self.0 {
            let (word, code) = match check.status {
                Status::Ok => ("ok", 32),
                Status::Warning => ("warning", 33),
                Status::Failed => ("FAILED", 31),
            };
            let word = if colour { format!("\x1b[{code}m{word:<7}\x1b[0m") } else { format!("{word:<7}") };
            println!("{word}  {}: {}", check.check, check.detail);
            if let Some(remedy) = check.remedy {
                println!("         {remedy}");
            }
        }
    }
}

/// Files and folders at and directly below `folder` that are open to others than their owner.
fn open_to_others(folder: &Path) -> Vec<String> {
    let below = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let all = std::iter::once(folder.to_owned()).chain(below);
    let open = |path: &PathBuf| std::fs::metadata(path).is_ok_and(|about| about.permissions().mode() & 0o077 != 0);
    all.filter(open).map(|path| format!("`{}`", path.display())).collect()
}

fn bytes_below(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(about) if about.is_dir() => bytes_below(&entry.path()),
            Ok(about) => about.len(),
            Err(_) => 0,
        })
        .sum()
}

/// Whether one of ours answers there.
fn is_alive(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&address, CONNECT_MAX)?;
        stream.set_read_timeout(Some(CONNECT_MAX))?;
        stream.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.take(4_096).read_to_string(&mut answer)?;
        Ok(answer)
    };
    // The admin listener says that it is alive; the other one that it has nothing there, in its own words.
    ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200") || answer.contains("MCP servers are at /mcp/"))
}

fn connect(url: &str) -> Result<String, String> {
    let url: http::Uri = url.parse().map_err(|_| format!("`{url}` is not a URL"))?;
    let port = url.port_u16().unwrap_or(if url.scheme_str() == Some("https") { 443 } else { 80 });
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    let failed = |error: std::io::Error| format!("{host}:{port}: {error}");
    let mut last = format!("{host}:{port}: no address");
    for address in (host, port).to_socket_addrs().map_err(failed)? {
        match TcpStream::connect_timeout(&address, CONNECT_MAX) {
            Ok(_) => return Ok(format!("{host}:{port} takes connections")),
            Err(error) => last = failed(error),
        }
    }
    Err(last)
}

fn find_program(program: &str) -> Result<String, String> {
    let runs = |path: &Path| {
        std::fs::metadata(path).is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0)
    };
    if program.contains('/') {
        return if runs(Path::new(program)) {
            Ok(format!("`{program}` is there"))
        } else {
            Err(format!("`{program}` is no program"))
        };
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(program)).find(|path| runs(path));
    found.map(|path| format!("`{}`", path.display())).ok_or_else(|| format!("`{program}` is not on the PATH"))
}
