//! `countersign init`: a configuration to begin with, from a client's own where there is one.
//!
//! Secrets of the client's configuration go into files of their own, readable by their owner alone; the configuration
//! names the files. Nothing that exists is overwritten.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::client_config::{Imported, read};
use super::{EXIT_FAILED, EXIT_USAGE, fail};
use crate::config::{Plan, load};
use crate::decide::shipped;
use crate::identify::mint;
use crate::model::with_causes;
use crate::net::Secret;

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// A client's configuration with `mcpServers`: their servers become servers behind this proxy.
    #[arg(long, value_name = "MCP.JSON")]
    from: Option<PathBuf>,
    /// The folder to write into.
    #[arg(long, default_value = ".")]
    dir: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// A file to be written.
struct Draft {
    name: String,
    text: String,
    secret: bool,
}

pub(super) fn run(arguments: Arguments) -> ExitCode {
    match init(&arguments) {
        Ok(report) => {
            report.print(arguments.json);
            ExitCode::SUCCESS
        }
        Err((code, problem)) => fail(code, problem),
    }
}

fn init(arguments: &Arguments) -> Result<Report, (u8, String)> {
    let usage = |problem: String| (EXIT_USAGE, problem);
    let imported = match &arguments.from {
        Some(path) => read(path).map_err(usage)?,
        None => Imported::example(),
    };
    if imported.servers.is_empty() {
        return Err(usage(format!("no server could be taken over: {}", imported.notices.join("; "))));
    }
    let (key, hash) = mint().map_err(|error| (EXIT_FAILED, with_causes(&error)))?;
    let mut drafts = vec![
        Draft { name: "countersign.yaml".into(), text: configuration(&imported, &hash.to_string()), secret: false },
        Draft {
            name: "policy.yaml".into(),
            text: shipped("baseline").map(|p| p.text).unwrap_or_default(),
            secret: false,
        },
    ];
    let secrets = imported.secrets.iter().map(|(name, secret)| (format!("secrets/{name}"), secret.expose().to_owned()));
    drafts.extend(secrets.map(|(name, text)| Draft { name, text: text + "\n", secret: true }));
    write(&arguments.dir, &drafts)?;
    // What was written must load: otherwise it is our mistake, and better found here than at the start.
    let path = arguments.dir.join("countersign.yaml");
    let written = load(&path).and_then(|config| Plan::check(config, &arguments.dir));
    let plan = written.map_err(|error| (EXIT_FAILED, with_causes(&error)))?;
    let files = drafts.into_iter().map(|draft| draft.name).collect();
    let client = client(&plan, &key);
    Ok(Report { path, files, notices: imported.notices, client })
}

fn write(folder: &Path, drafts: &[Draft]) -> Result<(), (u8, String)> {
    use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
    if let Some(there) = drafts.iter().map(|draft| folder.join(&draft.name)).find(|path| path.exists()) {
        return Err((EXIT_USAGE, format!("`{}` is there already; choose another folder with --dir", there.display())));
    }
    let failed = |path: &Path, error: std::io::Error| (EXIT_FAILED, format!("write `{}`: {error}", path.display()));
    for draft in drafts {
        let path = folder.join(&draft.name);
        if let Some(parent) = path.parent() {
            let mode = if draft.secret { 0o700 } else { 0o777 };
            let made = std::fs::DirBuilder::new().recursive(true).mode(mode).create(parent);
            made.map_err(|error| failed(&path, error))?;
        }
        let mode = if draft.secret { 0o600 } else { 0o644 };
        let opened = std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&path);
        let written = opened.and_then(|mut file| std::io::Write::write_all(&mut file, draft.text.as_bytes()));
        written.map_err(|error| failed(&path, error))?;
    }
    Ok(())
}

/// A text as YAML: JSON strings are.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn map(entries: &BTreeMap<String, String>) -> String {
    let entries: Vec<String> =
        entries.iter().map(|(name, value)| format!("{}: {}", quoted(name), quoted(value))).collect();
    format!("{{ {} }}", entries.join(", "))
}

fn configuration(imported: &Imported, hash: &str) -> String {
    let mut out = String::from(
        "# Made by `countersign init`. The keys: examples/countersign.yaml; `countersign config check` says what is wrong.\n\n\
         listen: 127.0.0.1:4180\n\n\
         # Everything is forwarded, and what would have been decided is recorded. Then: enforce.\n\
         mode: shadow\n\n\
         identity:\n  api_keys:\n",
    );
    let human = std::env::var("USER").unwrap_or_else(|_| "local".into());
    let mut line = |text: String| {
        out.push_str(&text);
        out.push('\n');
    };
    line(format!("    - {{ name: first, hash: {}, human: {}, agent: agent }}", quoted(hash), quoted(&human)));
    line("\nservers:".into());
    for (alias, server) in &imported.servers {
        line(format!("  {alias}:"));
        match (&server.url, &server.command) {
            (Some(url), _) => line(format!("    url: {}", quoted(url))),
            (None, command) => {
                let words: Vec<String> = command.iter().map(|word| quoted(word)).collect();
                line(format!("    command: [{}]", words.join(", ")));
            }
        }
        if !server.environment.is_empty() {
            line(format!("    environment: {}", map(&server.environment)));
        }
        if !server.pass_environment.is_empty() {
            let names: Vec<String> = server.pass_environment.iter().map(|name| quoted(name)).collect();
            line(format!("    pass_environment: [{}]", names.join(", ")));
        }
        if let Some(folder) = &server.working_directory {
            line(format!("    working_directory: {}", quoted(folder)));
        }
        if !server.credentials.is_empty() {
            line("    credentials:".into());
        }
        for credential in &server.credentials {
            let (header, prefix) = (quoted(&credential.header), quoted(&credential.prefix));
            let file = quoted(&format!("secrets/{}", credential.file));
            line(format!("      - {{ header: {header}, prefix: {prefix}, secret: {{ file: {file} }} }}"));
        }
    }
    line(
        "\n# What no rule speaks about is refused. `countersign config check` says what does not load.\npolicies:"
            .into(),
    );
    line("  - policy.yaml".into());
    out
}

/// The client's configuration from now on.
fn client(plan: &Plan, key: &Secret) -> serde_json::Value {
    let servers = plan.config.servers.keys().map(|alias| {
        let url = format!("http://{}/mcp/{alias}", plan.config.listen);
        let headers = serde_json::json!({ "Authorization": format!("Bearer {}", key.expose()) });
        (alias.clone(), serde_json::json!({ "type": "http", "url": url, "headers": headers }))
    });
    serde_json::json!({ "mcpServers": servers.collect::<serde_json::Map<_, _>>() })
}

/// What was done.
struct Report {
    path: PathBuf,
    files: Vec<String>,
    notices: Vec<String>,
    client: serde_json::Value,
}

impl Report {
    fn print(&self, json: bool) {
        if json {
            let (files, notices) = (&self.files, &self.notices);
            println!("{}", serde_json::json!({ "files": files, "notices": notices, "client": self.client }));
            return;
        }
        let mut told = String::new();
        for file in &self.files {
            let _written = writeln!(told, "wrote {file}");
        }
        for notice in &self.notices {
            let _written = writeln!(told, "note: {notice}");
        }
        eprint!("{told}");
        eprintln!("next: countersign doctor -c {0} && countersign run -c {0}", self.path.display());
        eprintln!("client configuration, with the agent's key (shown this once):");
        println!("{:#}", self.client);
    }
}
