//! `countersign policy`: policies before they are in force, and after.
//!
//! Exit codes: 0 in order, 1 a check or test failed, 2 usage, or policies that do not load.

mod backtest;
mod bundle;
mod check;
mod explain;
mod learn;
mod logged;
mod recorded;
mod shadow;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{EXIT_USAGE, fail};
use crate::config::{Plan, PolicyFiles, load};
use crate::decide::{PolicySet, PolicySource, Settings};
use crate::model::with_causes;

#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// Load policies, and say what is wrong in them or probably not meant, with file and line.
    Check(check::Arguments),
    /// Run the tests inside policy files.
    Test(check::Arguments),
    /// Say of an action, or of a recorded one, what every rule answered and why.
    Explain(explain::Arguments),
    /// Put policies into one file with a serial and sign it as its author.
    Bundle(bundle::BundleArguments),
    /// Sign a bundle as the one who approves it.
    Sign(bundle::SignArguments),
    /// Decide what the log recorded, or recorded runs, again: what would be decided otherwise.
    Backtest(backtest::Arguments),
    /// Propose a policy from what agents did. Never applied.
    Learn(learn::Arguments),
    /// Report what shadow would have refused.
    Shadow(shadow::Arguments),
}

/// Which policies.
#[derive(Args, Debug)]
struct Which {
    /// Policy files, or folders of them; those of the configuration if none are named.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The configuration: its settings, and its policies unless files are named.
    #[arg(short, long)]
    config: Option<PathBuf>,
}

pub(super) fn run(command: Command) -> ExitCode {
    let done = match command {
        Command::Check(arguments) => check::check(&arguments),
        Command::Test(arguments) => check::test(&arguments),
        Command::Bundle(arguments) => bundle::bundle(&arguments),
        Command::Sign(arguments) => bundle::sign(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Backtest(arguments) => return backtest::run(&arguments),
        Command::Learn(arguments) => learn::run(&arguments),
        Command::Shadow(arguments) => shadow::run(&arguments),
    };
    done.unwrap_or_else(|problem| fail(EXIT_USAGE, problem))
}

impl Which {
    fn files(&self) -> Result<PolicyFiles, String> {
        let default = PathBuf::from("countersign.yaml");
        let config = self.config.clone().or_else(|| default.exists().then_some(default));
        let mut files = match config {
            Some(path) => {
                let config = load(&path).map_err(|error| with_causes(&error))?;
                let plan = Plan::check(config, path.parent().unwrap_or(Path::new(".")));
                PolicyFiles::of(&plan.map_err(|error| with_causes(&error))?)
            }
            None => PolicyFiles { paths: Vec::new(), bundle: None, settings: Settings::default() },
        };
        if !self.files.is_empty() {
            files.paths.clone_from(&self.files);
            files.bundle = None;
        }
        Ok(files)
    }

    fn sources(&self) -> Result<(Vec<PolicySource>, Settings), String> {
        let files = self.files()?;
        let sources = files.sources().map_err(|error| with_causes(&error))?;
        Ok((sources, files.settings))
    }

    fn set(&self) -> Result<PolicySet, String> {
        let (sources, settings) = self.sources()?;
        PolicySet::compile(&sources, &settings).map_err(|errors| errors.to_string())
    }
}
