//! `countersign wrap -- CMD`: stands in front of one stdio server, for one stdio client.
//!
//! No listeners: standard input and output are the client. Everything for people goes to standard error.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::{EXIT_FAILED, EXIT_USAGE, fail};
use crate::config::{Config, ConfigError, Core, Plan, ServerConfig, default_data_dir, load};
use crate::identify::current_user;
use crate::intercept::{Drained, StdioClient};
use crate::model::{Credentials, Enforcement, with_causes};

/// The longest line a client may send.
const LINE_BYTES_MAX: usize = 4 << 20;

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The name of the server in receipts and policies; the program's name by default.
    #[arg(long)]
    name: Option<String>,
    /// A configuration for policies, identity and telemetry; its servers and listeners are not used.
    #[arg(short, long)]
    config: Option<PathBuf>,
    /// Carry decisions out; without it they are only recorded.
    #[arg(long)]
    enforce: bool,
    /// Where the log and keys live.
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// The command that runs the server.
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

pub(super) fn run(arguments: Arguments) -> ExitCode {
    let (plan, name) = match plan(arguments) {
        Ok(planned) => planned,
        Err(error) => return fail(EXIT_USAGE, with_causes(&error)),
    };
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => {
            let code = runtime.block_on(serve(plan, name.into()));
            // A read of standard input cannot be cancelled; it must not keep the process.
            runtime.shutdown_background();
            code
        }
        Err(error) => fail(EXIT_FAILED, format!("start the runtime: {error}")),
    }
}

fn plan(arguments: Arguments) -> Result<(Plan, String), ConfigError> {
    let program = arguments.command.first().map(Path::new).and_then(Path::file_stem).map(|name| name.to_string_lossy());
    let plain = |text: &str| -> String {
        text.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).take(64).collect()
    };
    let name = arguments.name.unwrap_or_else(|| plain(&program.unwrap_or_default()));
    let name = if name.is_empty() { "server".to_owned() } else { name };
    let (mut config, folder) = match &arguments.config {
        Some(path) => (load(path)?, path.parent().unwrap_or(Path::new(".")).to_owned()),
        None => (Config { mode: Enforcement::Shadow, ..Config::default() }, PathBuf::from(".")),
    };
    if arguments.enforce {
        config.mode = Enforcement::Enforce;
    }
    // Without listeners nobody could answer.
    (config.approve, config.admin) = (None, crate::console::Config::default());
    config.servers.clear();
    config.servers.insert(name.clone(), ServerConfig { command: Some(arguments.command), ..ServerConfig::default() });
    let base = arguments.data_dir.or_else(|| Some(default_data_dir()?.join("wrap").join(&name)));
    config.data_dir = base.map(|path| std::path::absolute(&path).unwrap_or(path)).or(config.data_dir);
    Ok((Plan::check(config, &folder)?, name))
}

async fn serve(plan: Plan, server: Arc<str>) -> ExitCode {
    let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    let (Ok(mut terminate), Ok(mut interrupt)) = signals else {
        return fail(EXIT_FAILED, "listen for signals");
    };
    let core = match Core::open(&plan, None).await {
        Ok(core) => core,
        Err(error) => {
            return fail(if error.is_configuration() { EXIT_USAGE } else { EXIT_FAILED }, with_causes(&error));
        }
    };
    // The environment is the caller's own word. Without a user of the operating system the caller is nobody.
    let user = current_user().inspect_err(|error| tracing::error!(error = with_causes(error), "who calls")).ok();
    let credentials = Credentials { operating_system_user: user, ..Credentials::default() };
    let client = StdioClient {
        mediate: Arc::clone(&core.mediator),
        server,
        credentials,
        clock: Arc::clone(&core.clock),
        line_bytes_max: LINE_BYTES_MAX,
        wrappers: plan.config.intercept.wrappers.clone(),
    };
    // Clients that do not want to wait for the end of the input's effect send a signal; the log is closed all the same.
    let served = tokio::select! {
        served = client.serve(tokio::io::stdin(), tokio::io::stdout()) => served,
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    };
    let closed = core.close(Drained::All).await;
    match (served, closed) {
        (Ok(()), Ok(())) => ExitCode::SUCCESS,
        (Err(error), _) => fail(EXIT_FAILED, error),
        (_, Err(error)) => fail(EXIT_FAILED, with_causes(&error)),
    }
}
