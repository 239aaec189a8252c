//! `countersign keys`: credentials for agents.

use std::process::ExitCode;

use clap::Subcommand;

use super::{EXIT_FAILED, fail};
use crate::identify::mint;

#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// Make an API key: the key for the agent, and the hash for the configuration.
    New {
        /// A name for the key, as it will stand in receipts.
        name: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(command: Command) -> ExitCode {
    let Command::New { name, json } = command;
    let (key, hash) = match mint() {
        Ok(minted) => minted,
        Err(error) => return fail(EXIT_FAILED, crate::model::with_causes(&error)),
    };
    if json {
        println!("{}", serde_json::json!({ "name": name, "key": key.expose(), "hash": hash }));
    } else {
        println!("key, for the agent (shown this once):\n  {}", key.expose());
        println!("entry for the configuration, under identity.api_keys:\n  - {{ name: {name}, hash: \"{hash}\" }}");
    }
    ExitCode::SUCCESS
}
