//! `receipts prove` and `receipts export`: evidence for somebody else.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::{Place, Refused, entries_of, print_json};
use crate::record::Archive;
use crate::record::bundle::{Manifest, write_evidence};
use crate::record::index::{Hit, Wanted};

#[derive(Args, Debug)]
pub(in crate::cli) struct ProveArguments {
    #[command(flatten)]
    place: Place,
    /// A receipt (rct_...), an action (act_...) or the number of an entry.
    id: String,
    /// A new directory for the evidence.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

#[derive(Args, Debug)]
pub(in crate::cli) struct ExportArguments {
    #[command(flatten)]
    place: Place,
    /// The session.
    #[arg(long)]
    session: String,
    /// A new directory for the evidence.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

pub(super) fn prove(arguments: &ProveArguments) -> Result<ExitCode, Refused> {
    let (mut archive, mut index) = arguments.place.open(false)?;
    let hits = entries_of(&mut archive, &mut index, &arguments.id)?;
    write(&mut archive, &format!("Receipt {}.", arguments.id), &hits, &arguments.out, arguments.place.json)
}

pub(super) fn export(arguments: &ExportArguments) -> Result<ExitCode, Refused> {
    let (mut archive, mut index) = arguments.place.open(false)?;
    let hits = index.of(&mut archive, &Wanted::Session(arguments.session.clone()))?;
    if hits.is_empty() {
        return Err(Refused::failed(format!("the log holds no session `{}`", arguments.session)));
    }
    write(&mut archive, &format!("Session {}.", arguments.session), &hits, &arguments.out, arguments.place.json)
}

fn write(archive: &mut Archive, about: &str, hits: &[Hit], out: &Path, json: bool) -> Result<ExitCode, Refused> {
    let places: Vec<u64> = hits.iter().map(|hit| hit.row.index).collect();
    let manifest = write_evidence(archive, about, &places, out)?;
    if json {
        print_json(&manifest);
    } else {
        print(&manifest, out);
    }
    Ok(ExitCode::SUCCESS)
}

fn print(manifest: &Manifest, out: &Path) {
    let wanted = manifest.entries.iter().filter(|item| item.wanted).count();
    let others = manifest.entries.len() - wanted;
    println!("{wanted} entries, and {others} that certify their keys, are in {}", out.display());
    println!("checkpoint of {} entries of {}", manifest.size, manifest.origin);
    println!("root key   {}", manifest.root_key);
    println!("           give this value to the receiver on another way than the evidence");
    println!("verify it  cd '{}' && sh VERIFY.txt", out.display());
}
