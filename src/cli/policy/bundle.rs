//! `policy bundle` and `policy sign`: policies that two people answer for.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::Which;
use crate::config::{BUNDLE_KIND, make_bundle, signing_key};
use crate::decide::PolicySet;
use crate::model::with_causes;
use crate::record::SignedDocument;

#[derive(Args, Debug)]
pub(in crate::cli) struct BundleArguments {
    #[command(flatten)]
    which: Which,
    /// The number of the bundle: higher than every one that was in force.
    #[arg(long)]
    serial: u64,
    /// The author's private key, PEM.
    #[arg(long, value_name = "KEY")]
    key: PathBuf,
    /// Where the bundle goes.
    #[arg(long, short, value_name = "BUNDLE")]
    out: PathBuf,
}

#[derive(Args, Debug)]
pub(in crate::cli) struct SignArguments {
    /// The bundle.
    bundle: PathBuf,
    /// The approver's private key, PEM.
    #[arg(long, value_name = "KEY")]
    key: PathBuf,
}

/// Only what loads, and whose tests pass, is worth a signature.
pub(super) fn bundle(arguments: &BundleArguments) -> Result<ExitCode, String> {
    let (sources, settings) = arguments.which.sources()?;
    let set = PolicySet::compile(&sources, &settings).map_err(|errors| errors.to_string())?;
    let mut document = make_bundle(arguments.serial, &sources);
    document.sign(&signing_key(&arguments.key)?);
    write(&arguments.out, &document)?;
    let rules: usize = set.policies().map(|policy| policy.rules).sum();
    let (path, serial, files) = (arguments.out.display(), arguments.serial, sources.len());
    println!("{path}: serial {serial}, {files} files, {rules} rules; an approver signs next");
    Ok(ExitCode::SUCCESS)
}

pub(super) fn sign(arguments: &SignArguments) -> Result<ExitCode, String> {
    let path = &arguments.bundle;
    let text = std::fs::read(path).map_err(|error| format!("read `{}`: {error}", path.display()))?;
    let document = SignedDocument::read(BUNDLE_KIND, &text);
    let mut document = document.map_err(|error| format!("`{}`: {}", path.display(), with_causes(&error)))?;
    document.sign(&signing_key(&arguments.key)?);
    write(path, &document)?;
    println!("{}: signed", path.display());
    Ok(ExitCode::SUCCESS)
}

/// Whole or not at all.
fn write(path: &Path, document: &SignedDocument) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("write `{}`: {error}", path.display());
    let new = path.with_extension("new");
    std::fs::write(&new, document.to_text()).map_err(failed)?;
    std::fs::rename(&new, path).map_err(failed)
}
