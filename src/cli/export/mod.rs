//! `countersign export`: where destinations stand, and deliveries by hand. All of it works while an instance runs: nothing
//! here moves a cursor.
//!
//! Exit codes: 0 done, 1 a destination did not take what it got, 2 usage or configuration.

mod backfill;
mod deadletter;
mod estimate;
mod replay;
mod status;
mod test;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{EXIT_FAILED, EXIT_USAGE, fail};
use crate::config::{Plan, load};
use crate::export::{ExporterConfig, Pusher};
use crate::model::with_causes;
use crate::record::Archive;

#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// How many events and bytes a day each destination gets, and would get in other schemas.
    Estimate(estimate::Arguments),
    /// Where every destination stands in the log.
    Status(Place),
    /// Send one event that says that it is a test, and read it back where the receiver can be asked.
    Test(test::Arguments),
    /// Send entries again, with the ids that they had.
    Replay(replay::Arguments),
    /// Write the files of a past time again: the same names, the same bytes.
    Backfill(backfill::Arguments),
    /// Show the events that a destination rejected, or send them again.
    Deadletter(deadletter::Arguments),
}

/// Which configuration, and how to print.
#[derive(Args, Debug)]
pub(super) struct Place {
    /// The configuration file.
    #[arg(short, long, default_value = "countersign.yaml")]
    config: PathBuf,
    /// The data directory, when it is not that of the configuration.
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(command: Command) -> ExitCode {
    let done = match command {
        Command::Estimate(arguments) => estimate::run(&arguments),
        Command::Status(place) => status::run(&place),
        Command::Test(arguments) => test::run(&arguments),
        Command::Replay(arguments) => replay::run(&arguments),
        Command::Backfill(arguments) => backfill::run(&arguments),
        Command::Deadletter(arguments) => deadletter::run(&arguments),
    };
    done.unwrap_or_else(|Refused { code, what }| fail(code, what))
}

/// Why a command ends without doing what was asked.
struct Refused {
    code: u8,
    what: String,
}

impl Refused {
    fn usage(what: impl Into<String>) -> Self {
        Self { code: EXIT_USAGE, what: what.into() }
    }

    fn failed(error: &dyn std::error::Error) -> Self {
        Self { code: EXIT_FAILED, what: with_causes(error) }
    }
}

impl Place {
    fn plan(&self) -> Result<Plan, Refused> {
        let folder = self.config.parent().unwrap_or(Path::new("."));
        let plan = load(&self.config).and_then(|config| Plan::check(config, folder));
        let mut plan = plan.map_err(|error| Refused::usage(with_causes(&error)))?;
        if let Some(dir) = &self.data_dir {
            plan.data_dir.clone_from(dir);
        }
        Ok(plan)
    }
}

/// The destination of this name.
fn named<'a>(plan: &'a Plan, name: &str) -> Result<&'a ExporterConfig, Refused> {
    let exporters = &plan.config.telemetry.exporters;
    exporters.iter().find(|exporter| exporter.name() == name).ok_or_else(|| {
        let names: Vec<&str> = exporters.iter().map(ExporterConfig::name).collect();
        Refused::usage(format!("no exporter is named `{name}`; there are: {}", names.join(", ")))
    })
}

fn pusher(plan: &Plan, name: &str, origin: &str) -> Result<Pusher, Refused> {
    let exporter = named(plan, name)?;
    let pusher = Pusher::open(&plan.config.telemetry, exporter, &plan.data_dir, origin);
    pusher.map_err(|error| Refused::usage(with_causes(&error)))
}

fn archive(plan: &Plan) -> Result<Archive, Refused> {
    Archive::open(&plan.data_dir).map_err(|error| Refused::failed(&error))
}

/// Runs a delivery on a runtime of its own.
fn block_on<T>(work: impl Future<Output = T>) -> Result<T, Refused> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    Ok(runtime.map_err(|error| Refused::failed(&error))?.block_on(work))
}
