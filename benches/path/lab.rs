//! What one run consists of: a folder, a server, and the paths that lead to it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};

use super::Fallible;
use super::child::{Process, free_port};
use super::minimal::Depth;
use super::nginx;
use super::subject::{self, Shape};
use super::timing::now;
use super::wire::{Era, Reply, Target};

/// Something a call can take to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing in between.
    Direct,
    /// A plain reverse proxy.
    Nginx,
    /// The minimal path.
    Minimal(Depth),
    /// The product.
    Countersign(Shape),
}

impl Kind {
    /// Reads a name of `--paths`.
    ///
    /// # Errors
    /// It is none.
    pub(crate) fn read(name: &str) -> Fallible<Self> {
        let known = [
            Self::Direct,
            Self::Nginx,
            Self::Minimal(Depth::Hop),
            Self::Minimal(Depth::Decision),
            Self::Minimal(Depth::Both),
            Self::Minimal(Depth::BothAwsLc),
            Self::Countersign(Shape::EVERYTHING),
            Self::Countersign(Shape::PASS_THROUGH),
        ];
        known.into_iter().find(|kind| kind.name() == name).ok_or_else(|| format!("`{name}` is no path").into())
    }

    /// How it is called in tables.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Nginx => "nginx",
            Self::Minimal(Depth::Hop) => "hop",
            Self::Minimal(Depth::Decision) => "minimal-decision",
            Self::Minimal(Depth::Both) => "minimal",
            Self::Minimal(Depth::BothAwsLc) => "minimal-aws-lc",
            Self::Countersign(Shape { mediation: false, .. }) => "countersign-pass",
            Self::Countersign(_) => "countersign",
        }
    }
}

/// The server of a run and the folder where everything is written. Dropping it removes both.
pub(crate) struct Lab {
    pub(crate) directory: PathBuf,
    pub(crate) upstream: SocketAddr,
    pub(crate) era: Era,
    server: Process,
}

/// A path that answers calls.
pub(crate) struct Started {
    pub(crate) kind: Kind,
    pub(crate) target: Target,
    /// Where it keeps its files.
    pub(crate) directory: PathBuf,
    /// `None` for the direct path.
    pub(crate) process: Option<Process>,
    /// From its start to its first answered call, in nanoseconds.
    pub(crate) first_call_ns: u64,
}

impl Lab {
    /// Makes the folder and starts the server.
    ///
    /// # Errors
    /// Either fails.
    pub(crate) fn set_up(era: Era) -> Fallible<Self> {
        let parent = std::env::var_os("COUNTERSIGN_BENCH_DIR").map_or_else(target_folder, |named| Ok(named.into()))?;
        let directory = parent.join(format!("countersign-bench-{}", std::process::id()));
        std::fs::create_dir_all(&directory)
            .map_err(|error| format!("make the folder `{}`: {error}", directory.display()))?;
        let (server, upstream) = Process::role("the server", &["upstream".into()])?;
        Ok(Self { directory, upstream, era, server })
    }

    /// The process id of the server.
    pub(crate) fn server(&self) -> u32 {
        self.server.id()
    }

    /// How many calls have arrived at the server.
    ///
    /// # Errors
    /// It does not say.
    pub(crate) fn arrived(&self) -> Fallible<u64> {
        let mut stream = TcpStream::connect(self.upstream)?;
        stream.write_all(b"GET /arrived HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")?;
        let (mut bytes, mut joined) = (Vec::new(), Vec::new());
        stream.read_to_end(&mut bytes)?;
        let (reply, _) = Reply::read(&bytes, &mut joined)?.ok_or("the server does not say what arrived")?;
        let counts: serde_json::Value = serde_json::from_slice(reply.body)?;
        Ok(counts.get("calls").and_then(serde_json::Value::as_u64).ok_or("the server does not say what arrived")?)
    }

    /// Starts `kind` in a folder of its own and waits until it answers a call.
    ///
    /// # Errors
    /// Why it cannot be measured.
    pub(crate) fn start(&self, kind: Kind) -> Fallible<Started> {
        let directory = self.directory.join(format!("{}-{}", kind.name(), free_port()?));
        std::fs::create_dir_all(&directory)?;
        let started = now();
        let (mut process, target) = match kind {
            Kind::Direct => (None, self.target(self.upstream)),
            Kind::Nginx => {
                let program = nginx::find().ok_or("nginx is not installed (Debian package `nginx-light`)")?;
                let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
                let mut command = nginx::command(&program, &directory, address, self.upstream)?;
                (Some(Process::start("nginx", &mut command)?), self.target(address))
            }
            Kind::Minimal(depth) => {
                let words = ["minimal", &self.upstream.to_string(), depth.word(), &directory.display().to_string()];
                let (process, address) = Process::role("minimal", &words.map(String::from))?;
                (Some(process), self.target(address))
            }
            Kind::Countersign(shape) => {
                let (mut command, target) = subject::command(shape, &directory, self)?;
                (Some(Process::start("countersign", &mut command)?), target)
            }
        };
        let first_call_ns = match &mut process {
            Some(process) => process.wait_for_call(&target, started).map_err(|error| {
                let said =
                    subject::last_words(&directory).map_or_else(String::new, |said| format!("; it said: {said}"));
                format!("{error}{said}")
            })?,
            None => 0,
        };
        Ok(Started { kind, target, directory, process, first_call_ns })
    }

    fn target(&self, address: SocketAddr) -> Target {
        Target { address, path: "/mcp", bearer: None, era: self.era }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.server.stop();
        drop(std::fs::remove_dir_all(&self.directory));
    }
}

/// The folder that cargo builds in: three above this program, which is `target/PROFILE/deps/path-HASH`. It is on the
/// disk of the working copy, which is rarely held in memory as `/tmp` may be.
///
/// # Errors
/// This program is somewhere else.
pub(crate) fn target_folder() -> Fallible<PathBuf> {
    let own = std::env::current_exe()?;
    let folder = own.ancestors().nth(3).filter(|folder| folder.is_dir());
    Ok(folder.map(Path::to_path_buf).ok_or("this program is not where cargo puts it")?)
}
