//! `countersign config`: check a configuration without starting anything.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;

use super::{EXIT_USAGE, fail};
use crate::config::{ConfigError, Plan, check_policies, load};
use crate::model::with_causes;

#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// Load the configuration and its policies, and say what is wrong.
    Check {
        /// The configuration file.
        #[arg(short, long, default_value = "countersign.yaml")]
        config: PathBuf,
    },
}

pub(super) fn run(command: Command) -> ExitCode {
    let Command::Check { config } = command;
    match check(&config) {
        Ok(plan) => {
            let (servers, policies) = (plan.config.servers.len(), plan.policies.len());
            println!("{}: {servers} servers, {policies} policy files: in order", config.display());
            ExitCode::SUCCESS
        }
        Err(error) => fail(EXIT_USAGE, with_causes(&error)),
    }
}

fn check(path: &Path) -> Result<Plan, ConfigError> {
    let plan = Plan::check(load(path)?, path.parent().unwrap_or(Path::new(".")))?;
    check_policies(&plan)?;
    Ok(plan)
}
