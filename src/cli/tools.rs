//! `countersign tools`: what is pinned of the tools of servers, what has changed, and which tools nobody has labelled.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::admin_client::{Access, AdminClient};
use super::{EXIT_FAILED, EXIT_USAGE, fail};
use crate::config::{Plan, load, make_pin_file, signing_key};
use crate::context::ToolTable;
use crate::forward::{ServerPins, ToolPin};
use crate::model::with_causes;

/// How long the running instance may take: it writes one entry.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Args, Debug)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Accepts what a tool became; without a tool, everything that changed at that server.
    Accept(Accept),
    /// Writes what is pinned into a file that you sign: `tool_pins` of a configuration takes it.
    Export(Export),
    /// Lists pinned tools and what became of them. Exit code 1 when one changed and waits to be accepted.
    List(Chosen),
    /// Shows what changed, line by line. Exit code 1 when something did.
    Diff(Chosen),
    /// Lists tools whose results nobody has labelled: their data counts as the highest level.
    Unlabelled(Chosen),
}

#[derive(Args, Debug)]
struct Accept {
    /// The server.
    server: String,
    /// The tool.
    tool: Option<String>,
    #[command(flatten)]
    access: Access,
}

#[derive(Args, Debug)]
struct Export {
    #[command(flatten)]
    chosen: Chosen,
    /// Your private key, PEM.
    #[arg(long, value_name = "KEY")]
    key: PathBuf,
    /// Where the file goes.
    #[arg(long, short, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Args, Debug)]
struct Chosen {
    /// The configuration file.
    #[arg(short, long, default_value = "countersign.yaml")]
    config: PathBuf,
    /// One server.
    #[arg(long)]
    server: Option<String>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// A pinned tool and where it is.
struct Row {
    server: String,
    tool: String,
    pin: ToolPin,
    labelled: bool,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let chosen = match &arguments.command {
        Command::Accept(wanted) => return accept(wanted),
        Command::Export(wanted) => return export(wanted).unwrap_or_else(|problem| fail(EXIT_USAGE, problem)),
        Command::List(chosen) | Command::Diff(chosen) | Command::Unlabelled(chosen) => chosen,
    };
    let rows = match rows(chosen) {
        Ok(rows) => rows,
        Err(problem) => return fail(EXIT_USAGE, problem),
    };
    match &arguments.command {
        Command::Diff(_) => diff(&rows, chosen.json),
        Command::Unlabelled(_) => unlabelled(&rows, chosen.json),
        Command::Accept(_) | Command::Export(_) | Command::List(_) => list(&rows, chosen.json),
    }
}

/// What is pinned now, changes that wait left out, as one signed file.
fn export(wanted: &Export) -> Result<ExitCode, String> {
    let mut servers: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for row in rows(&wanted.chosen)?.into_iter().filter(|row| !row.pin.gone) {
        servers.entry(row.server).or_default().insert(row.tool, row.pin.definition);
    }
    let tools: usize = servers.values().map(BTreeMap::len).sum();
    let mut document = make_pin_file(servers);
    document.sign(&signing_key(&wanted.key)?);
    let path = wanted.out.display();
    std::fs::write(&wanted.out, document.to_text()).map_err(|error| format!("write `{path}`: {error}"))?;
    println!("{path}: {tools} tools");
    Ok(ExitCode::SUCCESS)
}

/// Asks the running instance: the log has to say who accepted.
fn accept(wanted: &Accept) -> ExitCode {
    let body = json!({ "tool": wanted.tool });
    let path = format!("/v1/tools/{}/accept", wanted.server);
    match AdminClient::new(&wanted.access, PATIENCE).and_then(|client| client.send(Some(&body), &path)) {
        Ok(answer) => {
            for tool in answer.get("accepted").and_then(Value::as_array).into_iter().flatten() {
                println!("accepted {}.{}", shown(&wanted.server), shown(tool.as_str().unwrap_or_default()));
            }
            ExitCode::SUCCESS
        }
        Err(error) => fail(EXIT_FAILED, with_causes(&error)),
    }
}

fn rows(chosen: &Chosen) -> Result<Vec<Row>, String> {
    let config = load(&chosen.config).map_err(|error| with_causes(&error))?;
    let folder = chosen.config.parent().unwrap_or(Path::new("."));
    let plan = Plan::check(config, folder).map_err(|error| with_causes(&error))?;
    let mut labels = ToolTable::default();
    let mut rows = Vec::new();
    for (alias, server) in &plan.config.servers {
        labels.insert(alias.as_str().into(), server.tools.clone());
        if chosen.server.as_ref().is_some_and(|wanted| wanted != alias) {
            continue;
        }
        let pins = ServerPins::read(&plan.data_dir, alias).map_err(|error| with_causes(&error))?;
        rows.extend(pins.tools.into_iter().map(|(tool, pin)| {
            let labelled = labels.is_labelled(alias, &tool);
            Row { server: alias.clone(), tool, pin, labelled }
        }));
    }
    Ok(rows)
}

fn list(rows: &[Row], as_json: bool) -> ExitCode {
    if as_json {
        println!("{}", Value::Array(rows.iter().map(json_of).collect()));
    } else {
        for row in rows {
            println!(
                "{:<9} {:<24} {:<40} {}",
                standing(&row.pin),
                shown(&row.server),
                shown(&row.tool),
                row.pin.digest
            );
        }
    }
    code(rows)
}

fn diff(rows: &[Row], as_json: bool) -> ExitCode {
    let changed = || rows.iter().filter(|row| row.pin.changed.is_some());
    if as_json {
        println!("{}", Value::Array(changed().map(json_of).collect()));
        return code(rows);
    }
    for row in changed() {
        let Some(change) = &row.pin.changed else { continue };
        println!("{}.{}: changed, first seen {}", shown(&row.server), shown(&row.tool), change.since);
        let (old, new) = (lines(&row.pin.definition), lines(&change.definition));
        for line in old.iter().filter(|line| !new.contains(line)) {
            println!("- {}", shown(line));
        }
        for line in new.iter().filter(|line| !old.contains(line)) {
            println!("+ {}", shown(line));
        }
    }
    code(rows)
}

fn unlabelled(rows: &[Row], as_json: bool) -> ExitCode {
    let open = || rows.iter().filter(|row| !row.labelled && !row.pin.gone);
    if as_json {
        println!("{}", Value::Array(open().map(|row| json!({ "server": row.server, "tool": row.tool })).collect()));
    } else {
        open().for_each(|row| println!("{}.{}", shown(&row.server), shown(&row.tool)));
    }
    ExitCode::SUCCESS
}

fn code(rows: &[Row]) -> ExitCode {
    if rows.iter().any(|row| row.pin.changed.is_some()) { ExitCode::from(EXIT_FAILED) } else { ExitCode::SUCCESS }
}

const fn standing(pin: &ToolPin) -> &'static str {
    match (&pin.changed, pin.gone) {
        (Some(_), _) => "CHANGED",
        (None, true) => "gone",
        (None, false) => "pinned",
    }
}

fn json_of(row: &Row) -> Value {
    json!({
        "server": row.server, "tool": row.tool, "standing": standing(&row.pin).to_lowercase(), "labelled": row.labelled,
        "pin": row.pin,
    })
}

/// A definition in lines that can be compared.
fn lines(definition: &str) -> Vec<String> {
    let value: Value = serde_json::from_str(definition).unwrap_or_default();
    let text = serde_json::to_string_pretty(&value).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Text of a server on a terminal: nothing in it moves the cursor.
fn shown(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { '\u{fffd}' } else { character }).collect()
}
