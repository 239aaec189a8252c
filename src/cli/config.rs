//! `countersign config`: check a configuration without starting anything.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;

use super::{EXIT_FAILED, EXIT_USAGE, fail};
use crate::config::{BuildError, Plan, check_plan, load};
use crate::model::with_causes;

#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// Build everything that a start would, but the log and the ports, and say what is wrong.
    Check {
        /// The configuration file.
        #[arg(short, long, default_value = "countersign.yaml")]
        config: PathBuf,
    },
}

pub(super) fn run(command: Command) -> ExitCode {
    let Command::Check { config } = command;
    // Keys of issuers and certificates are watched by tasks once they are built.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(EXIT_FAILED, format!("start the runtime: {error}")),
    };
    let _inside = runtime.enter();
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
    check_plan(&plan)?;
    Ok(plan)
}
