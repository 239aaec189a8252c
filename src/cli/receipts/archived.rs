//! Logs in archives: read where they are or fetched, verified, continued by another log.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::{Progress, Refused, holds_log, print_json, verify};
use crate::config::{default_data_dir, load};
use crate::export::archive::{Archived, Place};
use crate::model::with_causes;
use crate::net::random_bytes;
use crate::record::verify::Verdict;
use crate::record::{Archive, VerifyOptions, state_predecessor, verify_directory};

/// Where an archive is.
#[derive(Args, Debug)]
pub(super) struct At {
    /// The archive: `s3://bucket/prefix/`, or a directory. The keys of a bucket come from the usual variables.
    #[arg(long, value_name = "PLACE")]
    archive: Option<String>,
    /// A configuration whose archive of the same place says how the bucket is reached.
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// `receipts fetch`.
#[derive(Args, Debug)]
pub(in crate::cli) struct FetchArguments {
    #[command(flatten)]
    at: At,
    /// Where to: a directory that is not there yet. All commands about receipts read it with `--data-dir`.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// `receipts continue`.
#[derive(Args, Debug)]
pub(in crate::cli) struct ContinueArguments {
    #[command(flatten)]
    at: At,
    /// The data directory of the new instance, which has no log yet. Default: `$XDG_STATE_HOME/countersign`.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The root key of the archived log, from somewhere else than the archive: a file, or a verifier key.
    #[arg(long, value_name = "FILE|VKEY")]
    root_key: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// An archived log, and the temporary directory that it was fetched to.
pub(super) struct Read {
    pub(super) directory: PathBuf,
    _scratch: Scratch,
}

impl At {
    /// Whether an archive was named.
    pub(super) const fn is_given(&self) -> bool {
        self.archive.is_some()
    }

    /// The configuration, when one was named.
    pub(super) fn config(&self) -> Option<&Path> {
        self.config.as_deref()
    }

    /// The archived log, to be read until the result is dropped.
    pub(super) fn read(&self) -> Result<Read, Refused> {
        let scratch = Scratch::new()?;
        let archived = self.fetch(&scratch.0)?;
        Ok(Read { directory: archived.directory, _scratch: scratch })
    }

    fn fetch(&self, into: &Path) -> Result<Archived, Refused> {
        let address = self.archive.as_deref().ok_or_else(|| Refused::usage("name the archive with --archive"))?;
        read(address, self.config.as_deref(), into)
    }
}

/// Reads an archive; what is fetched goes below `into`.
fn read(address: &str, config: Option<&Path>, into: &Path) -> Result<Archived, Refused> {
    let config = config.map(load).transpose().map_err(|error| Refused::usage(with_causes(&error)))?;
    let exporters = config.map(|config| config.telemetry.exporters).unwrap_or_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(|error| Refused::failed(error.to_string()))?;
    let (progress, shown) = (Progress::new("fetched"), Progress::new("fetched"));
    let tell = move |done, total| shown.tell(done, total);
    let archived = runtime.block_on(Place::new(address, &exporters).read(into, &tell));
    progress.end();
    archived.map_err(|error| Refused::failed(format!("`{address}`: {}", with_causes(&error))))
}

/// The predecessor's log at a place: what a successor says about it must be so.
pub(super) fn read_place(address: &str, config: Option<&Path>) -> Result<Read, Refused> {
    let scratch = Scratch::new()?;
    let archived = read(address, config, &scratch.0)?;
    Ok(Read { directory: archived.directory, _scratch: scratch })
}

pub(super) fn fetch(arguments: &FetchArguments) -> Result<ExitCode, Refused> {
    let out = &arguments.out;
    if out.exists() {
        return Err(Refused::usage(format!("`{}` is there already: name a new directory with --out", out.display())));
    }
    let out = std::path::absolute(out).map_err(|error| Refused::failed(error.to_string()))?;
    let archived = arguments.at.fetch(&out)?;
    if !archived.fetched {
        let directory = archived.directory.display();
        return Err(Refused::usage(format!("nothing to fetch: read `{directory}` with --data-dir")));
    }
    println!("{}", out.display());
    Ok(ExitCode::SUCCESS)
}

pub(super) fn continue_with(arguments: &ContinueArguments) -> Result<ExitCode, Refused> {
    let dir = arguments.data_dir.clone().or_else(default_data_dir);
    let dir = dir.ok_or_else(|| Refused::usage("neither XDG_STATE_HOME nor HOME is set: use --data-dir"))?;
    if holds_log(&dir) {
        return Err(Refused::usage(format!(
            "`{}` holds a log already: only a new one can continue another",
            dir.display()
        )));
    }
    let read = arguments.at.read()?;
    let root_key = arguments.root_key.as_deref().map(verify::root_key).transpose()?;
    let report = verify_directory(&read.directory, &VerifyOptions { root_key, ..VerifyOptions::default() })?;
    if report.verdict() == Verdict::Fault {
        verify::print(&report);
        return Err(Refused::failed("the archived log has faults: nothing was written"));
    }
    let archive = Archive::open_committed(&read.directory)?;
    std::fs::create_dir_all(&dir).map_err(|error| Refused::failed(format!("make `{}`: {error}", dir.display())))?;
    state_predecessor(&dir, &archive)?;
    if arguments.json {
        print_json(&serde_json::json!({ "origin": report.origin, "size": report.size, "root": report.root }));
    } else {
        println!("a log that begins in {} will continue {} behind entry {}", dir.display(), report.origin, report.size);
    }
    Ok(ExitCode::SUCCESS)
}

/// A directory for what is fetched, gone when the command ends.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self, Refused> {
        let random: [u8; 8] = random_bytes().map_err(|error| Refused::failed(error.to_string()))?;
        let name = format!("countersign-archive-{:016x}", u64::from_ne_bytes(random));
        Ok(Self(std::env::temp_dir().join(name)))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A directory archive is read where it is: then there is none.
        drop(std::fs::remove_dir_all(&self.0));
    }
}
