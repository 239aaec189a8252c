//! `countersign demo`: the product in one screen, offline, with nothing to configure.
//!
//! A small office of four MCP servers and an agent that obeys a poisoned mail are played twice: directly, and through a
//! proxy that is this same executable in a process of its own. A payment that the user wants waits for a person. Then the proxy is killed and started again, its log
//! verified, a copy of the log tampered with, and everything that was expected is checked. It speaks to loopback only
//! and writes into one directory. It must never claim what it did not check: the exit code is 0 only if every
//! expectation held.

mod agent;
mod answer;
mod client;
mod events;
mod evidence;
mod expect;
mod facts;
mod failure;
mod office;
mod orders;
mod person;
mod play;
mod protocol;
mod proxy;
mod report;
mod server;
mod story;
mod tools;
mod workplace;

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

use failure::Failure;
use person::Answers;
use story::{Colour, Left};
use workplace::Workplace;

use super::{EXIT_FAILED, EXIT_USAGE, fail};

/// The shipped policies that the demo runs under.
const POLICIES: [(&str, &str); 1] = [("demo.yaml", include_str!("../../../policies/demo.yaml"))];

/// How a user puts the proxy before a server of their own, and what `run` then prints with a key made for it.
const OWN_SERVER: [&str; 3] = [
    "countersign run --upstream http://127.0.0.1:3000/mcp",
    r#"{"mcpServers":{"tools":{"type":"http","url":"http://127.0.0.1:4180/mcp/tools","#,
    r#"  "headers":{"Authorization":"Bearer <the key it has made>"}}}}"#,
];

/// Arguments of `countersign demo`.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Arguments {
    /// Answer every question with yes, by API: nothing waits for you. Without a terminal this is always so.
    #[arg(long)]
    yes: bool,
    /// Print one JSON document instead of text.
    #[arg(long)]
    json: bool,
    /// Keep everything that is written, the log too, in this new or empty directory.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

/// Plays the demo. The exit code is 0 when every expectation held, 1 when one did not or it could not be played, 2 when
/// the directory named is not one to write into.
pub(super) fn run(arguments: Arguments) -> ExitCode {
    match demo(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(EXIT_FAILED),
        Err(failure) => {
            let code = if matches!(failure, Failure::NotEmpty(_)) { EXIT_USAGE } else { EXIT_FAILED };
            fail(code, format!("demo: {}", crate::model::with_causes(&failure)))
        }
    }
}

/// Whether every expectation held.
fn demo(arguments: &Arguments) -> Result<bool, Failure> {
    let place = Workplace::new(arguments.data_dir.as_deref())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|source| Failure::Spawn { operation: "make a runtime beside", source })?;
    let facts = runtime.block_on(async {
        tokio::select! {
            facts = play::play(&place, answers(arguments)) => facts,
            // Dropping the play kills the proxy.
            () = told_to_stop() => Err(Failure::Interrupted),
        }
    })?;
    let expectations = expect::expectations(&facts);
    let root = place.check_path("");
    let directory = if place.is_kept() { place.root() } else { root.as_path() };
    let left = Left { directory, all: place.is_kept() };
    let text = if arguments.json {
        format!("{:#}\n", report::report(&facts, &expectations, &left))
    } else {
        story::story(&facts, &expectations, &left, colour())
    };
    let written = std::io::stdout().write_all(text.as_bytes());
    written.map_err(|source| Failure::Spawn { operation: "print the story of", source })?;
    Ok(expectations.iter().all(|expectation| expectation.held))
}

/// Who answers what waits for a person: somebody has to be there to be asked.
fn answers(arguments: &Arguments) -> Answers {
    let watched = std::io::stdout().is_terminal() && std::io::stderr().is_terminal();
    if arguments.yes || arguments.json || !watched { Answers::ByApi } else { Answers::InConsole }
}

/// Ctrl-C or SIGTERM.
async fn told_to_stop() {
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        },
        Err(_) => drop(tokio::signal::ctrl_c().await),
    }
}

/// Colour only for a person at a terminal who did not ask for none (<https://no-color.org>).
fn colour() -> Colour {
    let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let capable = std::env::var_os("TERM").is_none_or(|term| term != "dumb");
    if std::io::stdout().is_terminal() && wanted && capable { Colour::On } else { Colour::Off }
}
