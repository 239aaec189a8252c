//! `countersign export deadletter`.

use std::collections::BTreeSet;
use std::process::ExitCode;

use clap::Args;

use super::{EXIT_FAILED, Place, Refused, archive, block_on, named, pusher, replay};
use crate::cli::line::printable;
use crate::export::{DeadLetter, dead_letters};
use crate::record::StoredEntry;

#[derive(Args, Debug)]
pub(in crate::cli) struct Arguments {
    /// The destination.
    name: String,
    /// Send the events again, made anew from the log. The file stays: move it away once they have arrived.
    #[arg(long)]
    resend: bool,
    #[command(flatten)]
    place: Place,
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Refused> {
    let plan = arguments.place.plan()?;
    named(&plan, &arguments.name)?;
    let letters = dead_letters(&plan.data_dir.join("export"), &arguments.name);
    let letters = letters.map_err(|error| Refused::failed(&error))?;
    if !arguments.resend {
        list(&letters, arguments.place.json);
        return Ok(ExitCode::SUCCESS);
    }
    let mut archive = archive(&plan)?;
    let pusher = pusher(&plan, &arguments.name, archive.origin())?;
    let wanted: BTreeSet<(u64, &str)> = letters.iter().map(|letter| (letter.index, &*letter.event_id)).collect();
    let mut items = Vec::new();
    for (index, id) in wanted {
        let bytes = archive.entry(index).map_err(|error| Refused::failed(&error))?;
        let gone = || Refused { code: EXIT_FAILED, what: replay::gone(&archive, index) };
        let bytes = bytes.ok_or_else(gone)?;
        let found = pusher.items(&StoredEntry::new(index, bytes));
        let found = found.map_err(|what| Refused { code: EXIT_FAILED, what })?;
        items.extend(found.into_iter().filter(|item| item.id == id));
    }
    let pushed = block_on(pusher.push(items, |_| ()))?.map_err(|error| Refused::failed(&error))?;
    replay::report(&pushed, arguments.place.json);
    Ok(if pushed.rejected.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FAILED) })
}

fn list(letters: &[DeadLetter], as_json: bool) {
    if as_json {
        println!("{}", serde_json::json!(letters));
        return;
    }
    println!("{} dead letters", letters.len());
    for letter in letters {
        println!("{} entry {} {}", letter.time.to_rfc3339_millis(), letter.index, letter.event_id);
        println!("  {}", printable(&letter.error));
    }
}
