//! `countersign policy backtest`: replays recorded runs through the code that serves live traffic.
//!
//! A run is a request of a user and the calls of an agent with their results. Every run gets a session of its own; its
//! calls are observed and decided exactly as live ones are, and nothing is forwarded.

mod problem;
mod replay;
mod report;
mod tally;
mod trajectory;

#[cfg(test)]
mod tests;

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};

use clap::Args;

use crate::cli::{EXIT_FAILED, EXIT_USAGE, fail};
use crate::decide::{PolicySet, PolicySource, SchemaCheck, Settings, UnknownSchema, shipped_default};
use problem::Problem;
use replay::Replay;
use tally::Report;

#[derive(Args, Debug)]
pub(in crate::cli) struct Arguments {
    /// Recorded runs, one JSON object a line; gzip is accepted.
    #[arg(long, value_name = "FILE")]
    trajectories: Option<PathBuf>,
    #[command(flatten)]
    logged: super::logged::Arguments,
    /// Policies to decide with. Without any: the shipped ones that a start without a configuration uses.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    policies: Vec<PathBuf>,
    /// Write the figures as JSON: to a file, or instead of the text.
    #[arg(long, value_name = "OUT", num_args = 0..=1)]
    json: Option<Option<PathBuf>>,
    /// Without looking for wording that is addressed to a machine.
    #[arg(long)]
    no_lexicon: bool,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let Some(trajectories) = &arguments.trajectories else {
        let done = super::logged::run(&arguments.logged, &arguments.policies, arguments.json.is_some());
        return done.unwrap_or_else(|problem| fail(EXIT_USAGE, problem));
    };
    match backtest(arguments, trajectories) {
        Ok(report) => match written(arguments, &report) {
            Ok(()) => ExitCode::SUCCESS,
            Err(problem) => fail(EXIT_FAILED, problem),
        },
        Err(problem) => fail(EXIT_USAGE, problem),
    }
}

fn backtest(arguments: &Arguments, trajectories: &Path) -> Result<Report, Problem> {
    let policies = compile(&arguments.policies)?;
    let runs = trajectory::read(trajectories)?;
    let replay = Replay::new(&policies, !arguments.no_lexicon)?;
    let done = AtomicUsize::new(0);
    let shown = std::io::stderr().is_terminal();
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(runs.len().max(1));
    let each = runs.len().div_ceil(workers).max(1);
    // Results come back in the order of the file, whoever was quicker.
    let replayed = std::thread::scope(|scope| {
        let work = runs.chunks(each).enumerate().map(|(worker, part)| {
            let (replay, done, all) = (&replay, &done, runs.len());
            scope.spawn(move || {
                let sessions = replay.sessions();
                let one = |(number, run)| {
                    let replayed = replay.run(run, worker * each + number, &sessions);
                    progress(done.fetch_add(1, Ordering::Relaxed) + 1, all, shown);
                    replayed
                };
                part.iter().enumerate().map(one).collect::<Vec<_>>()
            })
        });
        let work: Vec<_> = work.collect();
        work.into_iter().map(|worker| worker.join().unwrap_or_default()).collect::<Vec<_>>().concat()
    });
    if shown {
        eprintln!();
    }
    if replayed.len() != runs.len() {
        return Err(Problem::Lost { replayed: replayed.len(), runs: runs.len() });
    }
    Ok(Report::of(trajectories, &policies, &runs, &replayed))
}

/// Runs that pass between two lines of progress.
const PROGRESS_EVERY: usize = 50;

fn progress(done: usize, all: usize, shown: bool) {
    if shown && (done.is_multiple_of(PROGRESS_EVERY) || done == all) {
        eprint!("\r{done} of {all} runs");
    }
}

fn written(arguments: &Arguments, report: &Report) -> Result<(), Problem> {
    match &arguments.json {
        None => print(&report.text()),
        Some(None) => print(&format!("{}\n", report.json())),
        Some(Some(path)) => {
            let text = format!("{}\n", report.json());
            std::fs::write(path, text).map_err(|source| Problem::Write { path: path.clone(), source })?;
            print(&report.text());
        }
    }
    Ok(())
}

/// Prints. Who stops reading has seen enough.
fn print(text: &str) {
    let _printed = std::io::stdout().write_all(text.as_bytes());
}

/// The policies, with settings that let a tool without a schema through to the rules: recorded runs have none.
fn compile(paths: &[PathBuf]) -> Result<PolicySet, Problem> {
    let read = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).map_err(|source| Problem::Read { path: path.clone(), source })?;
        Ok(PolicySource { name: name(path), text })
    };
    let sources = if paths.is_empty() {
        shipped_default()
    } else {
        paths.iter().map(read).collect::<Result<Vec<_>, Problem>>()?
    };
    let settings = Settings { schema: SchemaCheck::Off, unknown_schema: UnknownSchema::Allow, ..Settings::default() };
    PolicySet::compile(&sources, &settings).map_err(Problem::Policies)
}

fn name(path: &Path) -> String {
    path.display().to_string()
}
