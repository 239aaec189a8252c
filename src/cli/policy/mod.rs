//! `countersign policy`: what policies would have decided.

mod backtest;

use std::process::ExitCode;

use clap::Subcommand;

#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// Decide recorded runs again, and count.
    Backtest(backtest::Arguments),
}

pub(super) fn run(command: Command) -> ExitCode {
    match command {
        Command::Backtest(arguments) => backtest::run(&arguments),
    }
}
