//! `countersign keys`: credentials for agents, and for the people who watch over them.

use std::process::ExitCode;

use clap::Subcommand;

use super::{EXIT_FAILED, fail};
use crate::console;
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
    /// Make a token for the admin API: the token for the person, and the hash for the configuration.
    Admin {
        /// Whose it is, as it will stand in entries: ann@example.com.
        name: String,
        /// What it permits.
        #[arg(long, default_value = "approver", value_parser = ["viewer", "approver", "admin"])]
        role: String,
        /// The tenant it is confined to.
        #[arg(long)]
        tenant: Option<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(command: Command) -> ExitCode {
    match command {
        Command::New { name, json } => agent(&name, json),
        Command::Admin { name, role, tenant, json } => admin(&name, &role, tenant.as_deref(), json),
    }
}

fn admin(name: &str, role: &str, tenant: Option<&str>, json: bool) -> ExitCode {
    let (token, hash) = match console::mint() {
        Ok(minted) => minted,
        Err(error) => return fail(EXIT_FAILED, crate::model::with_causes(&error)),
    };
    if json {
        let entry = serde_json::json!({ "name": name, "role": role, "tenant": tenant, "hash": hash });
        println!("{}", serde_json::json!({ "token": token.expose(), "entry": entry }));
        return ExitCode::SUCCESS;
    }
    let tenant = tenant.map(|tenant| format!(", tenant: {tenant}")).unwrap_or_default();
    println!("token, for the person (shown this once):\n  {}", token.expose());
    println!("entry for the configuration, under admin.tokens:");
    println!("  - {{ name: {name}, role: {role}{tenant}, hash: \"{hash}\" }}");
    ExitCode::SUCCESS
}

fn agent(name: &str, json: bool) -> ExitCode {
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
