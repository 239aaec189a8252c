//! `countersign control`: the kill switch, break-glass and standing permissions, over the admin API.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::admin_client::{Access, AdminClient};
use super::{EXIT_FAILED, EXIT_USAGE, fail};
use crate::model::with_causes;

#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// List suspensions and break-glasses that are not over.
    List {
        #[command(flatten)]
        common: Common,
    },
    /// Hold everything of an agent, a session, a tool, a server, or everything, from now on.
    Suspend {
        #[command(flatten)]
        common: Common,
        /// agent:ID, session:ID, tool:NAME, server:NAME or all.
        scope: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// End a suspension or a break-glass.
    Resume {
        #[command(flatten)]
        common: Common,
        /// The control: ctl_...
        id: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Ask to let through, for a while, what the policies refuse. A second person confirms.
    BreakGlass {
        #[command(flatten)]
        common: Common,
        /// agent:ID, session:ID, tool:NAME, server:NAME or all.
        scope: String,
        /// Why.
        #[arg(long)]
        reason: String,
        /// Where it is written down.
        #[arg(long)]
        ticket: String,
        /// How long: 1 to 60.
        #[arg(long, default_value_t = 15)]
        minutes: u64,
    },
    /// Confirm a break-glass that somebody else asked for.
    Confirm {
        #[command(flatten)]
        common: Common,
        /// The control: ctl_...
        id: String,
    },
    /// Say what was found in what was done under a break-glass.
    Review {
        #[command(flatten)]
        common: Common,
        /// The control: ctl_...
        id: String,
        /// What was found.
        #[arg(long)]
        reason: String,
    },
    /// List standing permissions.
    Grants {
        #[command(flatten)]
        common: Common,
    },
    /// Take a standing permission back.
    Revoke {
        #[command(flatten)]
        common: Common,
        /// The permission: grt_...
        id: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
}

#[derive(Args, Debug)]
pub(super) struct Common {
    #[command(flatten)]
    access: Access,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(command: Command) -> ExitCode {
    match command {
        Command::List { common } => ask(&common, "/v1/controls", None),
        Command::Grants { common } => ask(&common, "/v1/grants", None),
        Command::Suspend { common, scope, reason } => match read_scope(&scope) {
            Some(scope) => ask(&common, "/v1/controls/suspend", Some(json!({ "scope": scope, "reason": reason }))),
            None => fail(EXIT_USAGE, SCOPES),
        },
        Command::BreakGlass { common, scope, reason, ticket, minutes } => match read_scope(&scope) {
            Some(scope) => {
                let body = json!({ "scope": scope, "reason": reason, "ticket": ticket, "minutes": minutes });
                ask(&common, "/v1/controls/break-glass", Some(body))
            }
            None => fail(EXIT_USAGE, SCOPES),
        },
        Command::Confirm { common, id } => ask(&common, &format!("/v1/controls/{id}/confirm"), Some(json!({}))),
        Command::Resume { common, id, reason } => {
            ask(&common, &format!("/v1/controls/{id}/resume"), Some(json!({ "reason": reason })))
        }
        Command::Review { common, id, reason } => {
            ask(&common, &format!("/v1/controls/{id}/review"), Some(json!({ "reason": reason })))
        }
        Command::Revoke { common, id, reason } => {
            ask(&common, &format!("/v1/grants/{id}/revoke"), Some(json!({ "reason": reason })))
        }
    }
}

const SCOPES: &str = "the scope is agent:ID, session:ID, tool:NAME, server:NAME or all";

fn read_scope(text: &str) -> Option<Value> {
    match text.split_once(':') {
        None if text == "all" => Some(json!({ "kind": "all" })),
        Some((kind @ ("agent" | "server" | "session" | "tool"), value)) if !value.is_empty() => {
            Some(json!({ "kind": kind, "value": value }))
        }
        _ => None,
    }
}

fn ask(common: &Common, path: &str, body: Option<Value>) -> ExitCode {
    let client = match AdminClient::new(&common.access, Duration::from_secs(30)) {
        Ok(client) => client,
        Err(problem) => return fail(EXIT_USAGE, with_causes(&problem)),
    };
    let answer = match client.send(body.as_ref(), path) {
        Ok(answer) => answer,
        Err(problem) => return fail(EXIT_FAILED, with_causes(&problem)),
    };
    if common.json {
        println!("{answer:#}");
        return ExitCode::SUCCESS;
    }
    let items =
        answer.get("items").and_then(Value::as_array).map_or_else(|| std::slice::from_ref(&answer), Vec::as_slice);
    if items.is_empty() {
        println!("nothing holds");
    }
    for item in items {
        let members = item.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
        let words: Vec<String> = members.map(|(_, value)| shown(value)).collect();
        println!("{}", words.join("  "));
    }
    ExitCode::SUCCESS
}

/// A value for a terminal: nothing in it can move the cursor.
fn shown(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Object(members) => members.values().map(shown).collect::<Vec<_>>().join(":"),
        other => other.to_string(),
    };
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
