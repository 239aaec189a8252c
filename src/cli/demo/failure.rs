//! What can keep the demo from being played to its end.

use std::io;
use std::path::{Path, PathBuf};

/// Why the demo stopped. An expectation that did not hold is not here: the demo goes on and says so.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// A server did not answer as MCP asks.
    #[error("`{url}`: {problem}")]
    Client {
        /// Whom the client spoke to.
        url: String,
        /// What went wrong.
        problem: String,
    },
    /// Nothing more was exported.
    #[error("the events of the agent's calls did not arrive within {0} s")]
    Events(u64),
    /// Something with a file or directory.
    #[error("{operation} `{path}`")]
    File {
        /// What was tried.
        operation: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why it did not work.
        source: io::Error,
    },
    /// Somebody pressed Ctrl-C, or asked the process to end.
    #[error("interrupted")]
    Interrupted,
    /// No loopback port.
    #[error("listen on a loopback port")]
    Listen(#[source] io::Error),
    /// The log does not hold what it must.
    #[error("read the log: {0}")]
    Log(&'static str),
    /// The directory named with `--data-dir` holds something.
    #[error("`{0}` is not empty; name a new directory with --data-dir")]
    NotEmpty(PathBuf),
    /// The proxy ended, or never became ready.
    #[error("the proxy {problem}; it said: {said}")]
    Proxy {
        /// What it did.
        problem: String,
        /// The end of its log.
        said: String,
    },
    /// The operating system gave no random bytes.
    #[error(transparent)]
    Random(#[from] crate::net::RandomError),
    /// The proxy's process.
    #[error("{operation} the proxy's process")]
    Spawn {
        /// What was tried.
        operation: &'static str,
        /// Why it did not work.
        source: io::Error,
    },
}

impl Failure {
    /// [`Failure::File`].
    pub(super) fn file(operation: &'static str, path: &Path, source: io::Error) -> Self {
        Self::File { operation, path: path.to_owned(), source }
    }
}
