//! The command line: one file a subcommand.
//!
//! Exit codes: 0 done, 1 a check failed, 2 usage or configuration, 3 evidence incomplete.

mod admin_client;
mod approvals;
mod client_config;
mod config;
mod control;
mod demo;
mod doctor;
mod export;
mod init;
mod keys;
mod line;
mod policy;
mod receipts;
mod run;
mod tools;
mod wrap;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// A check failed.
pub const EXIT_FAILED: u8 = 1;
/// Usage or configuration.
pub const EXIT_USAGE: u8 = 2;
/// Evidence is incomplete.
pub const EXIT_INCOMPLETE: u8 = 3;

/// Decides every tool call of your agents before it runs, and keeps evidence that others can verify.
#[derive(Parser, Debug)]
#[command(name = "countersign", version, about, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// See what waits for a person, and answer it.
    #[command(subcommand)]
    Approvals(approvals::Command),
    /// Check the configuration.
    #[command(subcommand)]
    Config(config::Command),
    /// Suspend, resume, break glass, and take standing permissions back.
    #[command(subcommand)]
    Control(control::Command),
    /// Everything in one minute, offline, without configuration.
    Demo(demo::Arguments),
    /// Look at everything that a start needs, and say what to do about what is wrong.
    Doctor(doctor::Arguments),
    /// Write a configuration and a key to begin with, from a client's own configuration if there is one.
    Init(init::Arguments),
    /// Where destinations stand; test them, send events again.
    #[command(subcommand)]
    Export(export::Command),
    /// Make API keys for agents, and tokens for the admin API.
    #[command(subcommand)]
    Keys(keys::Command),
    /// Check, test, explain and try policies.
    #[command(subcommand)]
    Policy(policy::Command),
    /// List, show, verify and prove receipts.
    #[command(subcommand)]
    Receipts(receipts::Command),
    /// Stand in front of servers.
    Run(run::Arguments),
    /// Show what is pinned of tools, what has changed, and which tools nobody has labelled.
    Tools(tools::Arguments),
    /// Stand in front of one stdio server, for one stdio client.
    Wrap(wrap::Arguments),
}

/// Runs the command that the process was started with.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let code = if error.use_stderr() { EXIT_USAGE } else { 0 };
            // Nobody is left to tell when even this cannot be printed.
            let _printed = error.print();
            return ExitCode::from(code);
        }
    };
    tell_operators();
    match arguments.command {
        Command::Approvals(command) => approvals::run(command),
        Command::Config(command) => config::run(command),
        Command::Control(command) => control::run(command),
        Command::Demo(arguments) => demo::run(arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Init(arguments) => init::run(arguments),
        Command::Export(command) => export::run(command),
        Command::Keys(command) => keys::run(command),
        Command::Policy(command) => policy::run(command),
        Command::Receipts(command) => receipts::run(command),
        Command::Run(arguments) => run::run(arguments),
        Command::Tools(arguments) => tools::run(&arguments),
        Command::Wrap(arguments) => wrap::run(arguments),
    }
}

/// Lets the operator's log lines out, on standard error: warnings, unless `RUST_LOG` asks for other ones.
fn tell_operators() {
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::WARN.into()).from_env_lossy();
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Fails only when somebody was told before; the lines go there then.
    let _already_told = lines.with_ansi(std::io::stderr().is_terminal()).try_init();
}

/// Prints what is wrong, for people, and gives the exit code.
fn fail(code: u8, problem: impl std::fmt::Display) -> ExitCode {
    eprintln!("countersign: {problem}");
    ExitCode::from(code)
}
