//! `countersign run`: stands in front of servers.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::line::Lines;
use super::{EXIT_FAILED, EXIT_USAGE, fail};
use crate::config::{App, Config, ConfigError, Plan, ServerConfig, load};
use crate::identify::{ApiKey, mint};
use crate::model::{Enforcement, with_causes};

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The configuration file.
    #[arg(short, long, conflicts_with = "upstream")]
    config: Option<PathBuf>,
    /// Without a configuration: the URL of one MCP server, or the command line that runs it, in quotes.
    #[arg(long, value_name = "URL|CMD")]
    upstream: Option<String>,
    /// With --upstream: carry decisions out instead of only recording them.
    #[arg(long, requires = "upstream")]
    enforce: bool,
    /// Only record what would have been decided; forward everything.
    #[arg(long, conflicts_with = "enforce")]
    shadow: bool,
    /// Where the log, keys and state live.
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// Where agents connect.
    #[arg(long)]
    listen: Option<String>,
    /// Where health, metrics and the admin API are.
    #[arg(long)]
    admin_listen: Option<String>,
    /// Print no line for each call.
    #[arg(short, long)]
    quiet: bool,
}

/// What is printed for the person who started `run --upstream`.
struct Hint {
    alias: String,
    key: String,
}

pub(super) fn run(arguments: Arguments) -> ExitCode {
    let (plan, hint) = match plan(&arguments) {
        Ok(planned) => planned,
        Err(error) => return fail(EXIT_USAGE, with_causes(&error)),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(EXIT_FAILED, format!("start the runtime: {error}")),
    };
    runtime.block_on(serve(plan, hint, arguments.quiet))
}

fn plan(arguments: &Arguments) -> Result<(Plan, Option<Hint>), ConfigError> {
    let (mut config, folder, hint) = match (&arguments.config, &arguments.upstream) {
        (_, Some(upstream)) => {
            let (config, hint) = without_file(upstream, arguments.enforce)?;
            (config, PathBuf::from("."), Some(hint))
        }
        (path, None) => {
            let path = path.clone().unwrap_or_else(|| PathBuf::from("countersign.yaml"));
            let folder = path.parent().unwrap_or(Path::new(".")).to_owned();
            (load(&path)?, folder, None)
        }
    };
    if arguments.shadow {
        config.mode = Enforcement::Shadow;
    }
    if let Some(path) = &arguments.data_dir {
        config.data_dir = Some(std::path::absolute(path).unwrap_or_else(|_| path.clone()));
    }
    if let Some(listen) = &arguments.listen {
        config.listen.clone_from(listen);
    }
    if let Some(listen) = &arguments.admin_listen {
        config.admin.listen.clone_from(listen);
    }
    Ok((Plan::check(config, &folder)?, hint))
}

/// The configuration of somebody who has none: one server, one key made now, the shipped policies, shadow.
fn without_file(upstream: &str, enforce: bool) -> Result<(Config, Hint), ConfigError> {
    let broken = |problem: String| ConfigError::Value { key: "--upstream".into(), problem };
    let (key, hash) = mint().map_err(|error| broken(with_causes(&error)))?;
    let is_url = upstream.starts_with("http://") || upstream.starts_with("https://");
    let server = if is_url {
        ServerConfig { url: Some(upstream.to_owned()), ..ServerConfig::default() }
    } else {
        let words = upstream.split_whitespace().map(str::to_owned).collect();
        ServerConfig { command: Some(words), ..ServerConfig::default() }
    };
    let human = std::env::var("USER").unwrap_or_else(|_| "local".into());
    let mut config =
        Config { mode: if enforce { Enforcement::Enforce } else { Enforcement::Shadow }, ..Config::default() };
    config.servers.insert("tools".into(), server);
    config.identity.api_keys.push(ApiKey {
        name: "local".into(),
        hash,
        human: Some(human),
        service: None,
        agent: Some("local-agent".into()),
        role: None,
        scope: Vec::new(),
        expires: None,
    });
    Ok((config, Hint { alias: "tools".into(), key: key.expose().to_owned() }))
}

async fn serve(plan: Plan, hint: Option<Hint>, quiet: bool) -> ExitCode {
    let lines = Arc::new(Lines::new());
    let shadow = plan.config.mode == Enforcement::Shadow;
    let observer = if quiet { None } else { Some(Arc::clone(&lines) as _) };
    let app = match App::build(plan, observer).await {
        Ok(app) => app,
        Err(error) => {
            return fail(if error.is_configuration() { EXIT_USAGE } else { EXIT_FAILED }, with_causes(&error));
        }
    };
    // Listened for before anybody is told where we are: whoever knows may end us.
    let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()), signal(SignalKind::hangup()));
    let (Ok(mut terminate), Ok(mut interrupt), Ok(mut hangup)) = signals else {
        return fail(EXIT_FAILED, "listen for signals");
    };
    let policies = app.core.reloader.handle();
    announce(&app, hint.as_ref(), shadow);
    let stop = async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => return,
                _ = interrupt.recv() => return,
                _ = hangup.recv() => policies.ask(),
            }
        }
    };
    let ended = app.run(stop).await;
    eprintln!("countersign: {}", lines.summary());
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(EXIT_FAILED, with_causes(&error)),
    }
}

fn announce(app: &App, hint: Option<&Hint>, shadow: bool) {
    let scheme = if app.has_tls() { "https" } else { "http" };
    let mode = if shadow { "shadow: everything is forwarded, decisions are only recorded" } else { "enforce" };
    eprintln!("countersign {} on {scheme}://{}  ({mode})", env!("CARGO_PKG_VERSION"), app.address());
    eprintln!("health and metrics on http://{}", app.admin_address());
    eprintln!("log {}  data {}", app.core.origin(), app.core.data_dir().display());
    for line in &app.core.notices {
        eprintln!("{line}");
    }
    let Some(hint) = hint else { return };
    eprintln!("client configuration:");
    println!(
        "{{\"mcpServers\":{{\"{}\":{{\"type\":\"http\",\"url\":\"{scheme}://{}/mcp/{}\",\"headers\":{{\"Authorization\":\"Bearer {}\"}}}}}}}}",
        hint.alias,
        app.address(),
        hint.alias,
        hint.key
    );
}
