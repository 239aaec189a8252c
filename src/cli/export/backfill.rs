//! `countersign export backfill`.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::{EXIT_FAILED, Place, Refused, archive, block_on};
use crate::cli::receipts::{Progress, parse_time};
use crate::export::files::Backfill;
use crate::model::{Clock as _, with_causes};
use crate::net::SystemClock;

#[derive(Args, Debug)]
pub(in crate::cli) struct Arguments {
    /// `batch_export`, or the name of a destination of the type `security_lake`.
    #[arg(default_value = "batch_export")]
    name: String,
    /// From when on: `2026-11-20`, `2026-11-20T18:00:00Z`, or `7d` before now. Whole files are written.
    #[arg(long)]
    from: String,
    /// Until when; now by default.
    #[arg(long)]
    to: Option<String>,
    #[command(flatten)]
    place: Place,
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Refused> {
    let plan = arguments.place.plan()?;
    let time = |text: &str| parse_time(text).map_err(|error| Refused::usage(format!("`{text}`: {error}")));
    let now = SystemClock::new().now();
    let (from, to) = (time(&arguments.from)?, arguments.to.as_deref().map(time).transpose()?.unwrap_or(now));
    let mut log = archive(&plan)?;
    let progress = Progress::new("written");
    // A client of HTTP belongs to the runtime that it is made on.
    let done = block_on(async {
        let backfill = Backfill::open(&plan.config.telemetry, &arguments.name, &plan.data_dir);
        let backfill = backfill.map_err(|error| Refused::usage(with_causes(&error)))?;
        let written = backfill.write(&mut log, (from, to), now, &|done, total| progress.tell(done, total)).await;
        written.map_err(|error| Refused { code: EXIT_FAILED, what: error.to_string() })
    })?;
    progress.end();
    let done = done?;
    if arguments.place.json {
        println!("{}", json!({ "files": done.files, "events": done.events, "entries": done.entries }));
    } else {
        println!("{} files hold {} events of {} entries", done.files, done.events, done.entries);
    }
    Ok(ExitCode::SUCCESS)
}
