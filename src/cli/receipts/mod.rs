//! `countersign receipts`: what happened, whether the record of it holds, and evidence of it for others.
//!
//! Exit codes: 0 done, 1 a check failed or there is no such receipt, 2 usage, or no log there, 3 evidence is incomplete:
//! actions without outcome, or entries that no checkpoint covers yet.

mod archived;
mod list;
mod prove;
mod session;
mod show;
mod table;
mod time;
mod verify;

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{EXIT_FAILED, EXIT_INCOMPLETE, EXIT_USAGE, fail};
use crate::config::default_data_dir;
use crate::model::{Timestamp, with_causes};
use crate::record::index::{Hit, Index, Wanted};
use crate::record::{Archive, RecordError};

#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// List decisions, newest first.
    List(list::Arguments),
    /// Show one action: who, what, decision, approval, outcome, and proof.
    Show(show::Arguments),
    /// Show every entry of a session in order, and whether one is missing.
    Session(session::Arguments),
    /// Verify a whole log, or evidence that was handed over; say what that proves and what it does not.
    Verify(verify::Arguments),
    /// Fetch the log that is in an archive to a new directory, to be read with `--data-dir`.
    Fetch(archived::FetchArguments),
    /// Begin the log of a new instance as the continuation of an archived one, whose host is lost. Verifies that first.
    Continue(archived::ContinueArguments),
    /// Write one action's entries with everything that openssl needs to verify them.
    Prove(prove::ProveArguments),
    /// Write a session's entries with everything that openssl needs to verify them.
    Export(prove::ExportArguments),
}

/// Where the log is, and how to print.
#[derive(Args, Debug)]
struct Place {
    /// The data directory, or a copy of one. Default: `$XDG_STATE_HOME/countersign`.
    #[arg(long, visible_alias = "dir", value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(command: Command) -> ExitCode {
    let done = match command {
        Command::List(arguments) => list::run(&arguments),
        Command::Show(arguments) => show::run(&arguments),
        Command::Session(arguments) => session::run(&arguments),
        Command::Verify(arguments) => verify::run(&arguments),
        Command::Fetch(arguments) => archived::fetch(&arguments),
        Command::Continue(arguments) => archived::continue_with(&arguments),
        Command::Prove(arguments) => prove::prove(&arguments),
        Command::Export(arguments) => prove::export(&arguments),
    };
    done.unwrap_or_else(|Refused { code, what }| fail(code, what))
}

/// Why a command ends without doing what was asked.
#[derive(Debug)]
struct Refused {
    code: u8,
    what: String,
}

impl Refused {
    fn usage(what: impl Into<String>) -> Self {
        Self { code: EXIT_USAGE, what: what.into() }
    }

    fn failed(what: impl Into<String>) -> Self {
        Self { code: EXIT_FAILED, what: what.into() }
    }
}

impl From<RecordError> for Refused {
    fn from(error: RecordError) -> Self {
        let code = match error {
            RecordError::Uncommitted { .. } => EXIT_INCOMPLETE,
            RecordError::Evidence { .. } => EXIT_USAGE,
            _ => EXIT_FAILED,
        };
        Self { code, what: with_causes(&error) }
    }
}

impl Place {
    /// The directory, which must be there.
    fn dir(&self) -> Result<PathBuf, Refused> {
        let dir = self.data_dir.clone().or_else(default_data_dir);
        let dir = dir.ok_or_else(|| Refused::usage("neither XDG_STATE_HOME nor HOME is set: use --data-dir"))?;
        if dir.is_dir() {
            return Ok(dir);
        }
        Err(Refused::usage(format!(
            "there is no directory `{}`: name the data directory with --data-dir",
            dir.display()
        )))
    }

    /// The log and its index, up to date.
    fn open(&self, rebuild: bool) -> Result<(Archive, Index), Refused> {
        let dir = self.dir()?;
        if !holds_log(&dir) {
            let dir = dir.display();
            return Err(Refused::usage(format!("`{dir}` holds no log: name the data directory with --data-dir")));
        }
        let mut archive = Archive::open(&dir)?;
        let progress = Progress::new("indexed");
        let tell = |done, total| progress.tell(done, total);
        let index = if rebuild { Index::rebuild(&mut archive, &tell) } else { Index::open(&mut archive, &tell) };
        progress.end();
        Ok((archive, index?))
    }
}

fn holds_log(dir: &Path) -> bool {
    dir.join("instance.json").exists() || dir.join("log").exists() || dir.join("keys").exists()
}

/// The entries that an id names: all of an action, or one that belongs to no action.
fn entries_of(archive: &mut Archive, index: &mut Index, id: &str) -> Result<Vec<Hit>, Refused> {
    let wanted = match id.parse() {
        Ok(place) => Wanted::Index(place),
        Err(_) if id.starts_with("act_") => Wanted::Action(id.to_owned()),
        Err(_) => Wanted::Receipt(id.to_owned()),
    };
    let hits = index.of(archive, &wanted)?;
    let Some(first) = hits.first() else {
        return Err(Refused::failed(format!(
            "the log holds no `{id}`; give a receipt (rct_...), an action (act_...) or the number of an entry"
        )));
    };
    match first.row.action_id.clone() {
        Some(action) => Ok(index.of(archive, &Wanted::Action(action))?),
        None => Ok(hits),
    }
}

/// A time on the command line: a day, a time in UTC, or how long ago.
///
/// # Errors
/// A sentence that says what to write.
pub(super) fn parse_time(text: &str) -> Result<Timestamp, String> {
    time::parse(text)
}

/// Progress of long work, on a terminal and nowhere else.
pub(super) struct Progress {
    verb: &'static str,
    shown: bool,
}

impl Progress {
    pub(super) fn new(verb: &'static str) -> Self {
        Self { verb, shown: std::io::stderr().is_terminal() }
    }

    pub(super) fn tell(&self, done: u64, total: u64) {
        if self.shown {
            eprint!("\r{} {done} of {total} entries", self.verb);
        }
    }

    pub(super) fn end(&self) {
        if self.shown {
            eprint!("\r\x1b[K");
        }
    }
}

/// Prints a document; nobody is left to tell when it cannot be printed.
pub(super) fn print_json(value: &impl serde::Serialize) {
    println!("{}", serde_json::to_string_pretty(value).unwrap_or_default());
}
