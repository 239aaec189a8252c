//! `countersign config`: check a configuration without starting anything.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Subcommand;

use super::{EXIT_USAGE, fail};
use crate::config::{BuildError, Plan, check_policies, load};
use crate::identify;
use crate::model::with_causes;
use crate::net::SystemClock;

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

fn check(path: &Path) -> Result<Plan, BuildError> {
    let plan = Plan::check(load(path)?, path.parent().unwrap_or(Path::new(".")))?;
    check_policies(&plan)?;
    plan.config.telemetry.check()?;
    let agents = plan.config.agents.as_deref();
    identify::build(&plan.config.identity, agents, Arc::new(SystemClock::new()))?;
    Ok(plan)
}
