//! `receipts verify`: a whole log, or evidence that somebody handed over.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde::{Deserialize, Serialize};

use super::super::{EXIT_FAILED, EXIT_INCOMPLETE};
use super::archived::{At, read_place};
use super::{Place, Progress, Refused, holds_log, print_json};
use crate::model::Digest;
use crate::record::bundle::{MANIFEST, verify_evidence};
use crate::record::checkpoint::parse_verifier_key;
use crate::record::verify::{Aspect, Problem, Verdict, remembered};
use crate::record::{PublicKey, Report, VerifyOptions, verify_directory};

/// Incomplete actions that are listed for people; `--json` has all.
const SHOWN_MAX: usize = 20;

#[derive(Args, Debug)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    at: At,
    /// Where the log is that this one continues, when it continues one: `s3://bucket/prefix/`, or a directory.
    #[arg(long, value_name = "PLACE")]
    predecessor: Option<String>,
    /// The root key, from somewhere else than the directory: a file (PEM or verifier key), or a verifier key itself.
    #[arg(long, value_name = "FILE|VKEY")]
    root_key: Option<String>,
    /// A checkpoint that was kept somewhere else. May be given several times.
    #[arg(long, value_name = "FILE")]
    checkpoint: Vec<PathBuf>,
    /// What a SIEM was sent: one JSON object a line, with `index` and `leaf_hash`.
    #[arg(long, value_name = "FILE")]
    siem: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Refused> {
    let archived = if arguments.at.is_given() { Some(arguments.at.read()?) } else { None };
    let dir = match &archived {
        Some(archived) => archived.directory.clone(),
        None => arguments.place.dir()?,
    };
    let root_key = arguments.root_key.as_deref().map(root_key).transpose()?;
    if dir.join(MANIFEST).exists() && !dir.join("instance.json").exists() {
        return evidence(&dir, root_key.as_ref(), arguments.place.json);
    }
    if !holds_log(&dir) {
        let dir = dir.display();
        return Err(Refused::usage(format!("`{dir}` holds no log and no evidence: name a directory with --data-dir")));
    }
    let mut known = Vec::new();
    for path in &arguments.checkpoint {
        let note = read(path)?;
        known
            .push(remembered(&dir, &note).map_err(|reason| Refused::usage(format!("`{}`: {reason}", path.display())))?);
    }
    let progress = Progress::new("verified");
    let shown = Progress::new("verified");
    let options = VerifyOptions {
        root_key,
        remembered: known,
        siem: arguments.siem.as_deref().map(siem).transpose()?,
        progress: Some(Box::new(move |done, total| shown.tell(done, total))),
        keep_payloads: false,
    };
    let report = verify_directory(&dir, &options);
    progress.end();
    let mut report = report?;
    if let Some(place) = &arguments.predecessor {
        check_predecessor(&mut report, place, arguments.at.config())?;
    }
    if arguments.place.json {
        print_json(&Verified { verdict: report.verdict(), report: &report });
    } else {
        print(&report);
    }
    Ok(match report.verdict() {
        Verdict::InOrder => ExitCode::SUCCESS,
        Verdict::Incomplete => ExitCode::from(EXIT_INCOMPLETE),
        Verdict::Fault => ExitCode::from(EXIT_FAILED),
    })
}

/// Verifies the log that this one continues, and that it is the one that is meant.
fn check_predecessor(report: &mut Report, place: &str, config: Option<&Path>) -> Result<(), Refused> {
    let read = read_place(place, config)?;
    let remembered = report.predecessor.iter().map(|of| (of.size, of.root)).collect();
    let before = verify_directory(&read.directory, &VerifyOptions { remembered, ..VerifyOptions::default() })?;
    let what = match &report.predecessor {
        None => "this log does not say that it continues another".to_owned(),
        Some(of) if of.origin != before.origin => format!("this log continues {}, not {}", of.origin, before.origin),
        Some(of) if of.size > before.size => {
            format!("{} had {} entries when it was continued, and {} are there", of.origin, of.size, before.size)
        }
        Some(_) if before.verdict() != Verdict::Fault => return Ok(()),
        Some(of) => {
            let first = before.problems.first().map(ToString::to_string).unwrap_or_default();
            format!("{} has faults: {first}", of.origin)
        }
    };
    report.problems.push(Problem { index: None, file: None, what, aspect: Aspect::Log });
    report.problems_total += 1;
    Ok(())
}

/// The report for programs.
#[derive(Serialize)]
struct Verified<'a> {
    verdict: Verdict,
    #[serde(flatten)]
    report: &'a Report,
}

pub(super) fn print(report: &Report) {
    println!("log           {}", report.origin);
    println!("entries       {} under the checkpoint, {} behind it", report.size, report.tail);
    for (name, assertion) in report.assertions() {
        println!("{name:<12}  {:<5}  {}", assertion.standing.as_str(), assertion.sentence);
    }
    if let Some(of) = &report.predecessor {
        println!("predecessor   {}, up to {} entries", of.origin, of.size);
    }
    for (name, count) in &report.unknown_kinds {
        println!("unknown       {count} entries of kind `{name}`, of a later version");
    }
    for (name, count) in &report.unknown_members {
        println!("unknown       member `{name}` in {count} entries, of a later version");
    }
    for problem in &report.problems {
        println!("FAULT         {problem}");
    }
    if report.problems_total > report.problems.len() as u64 {
        println!("FAULT         and {} more", report.problems_total - report.problems.len() as u64);
    }
    for open in report.incomplete.iter().take(SHOWN_MAX) {
        println!("no outcome    entry {}: {} ({})", open.index, open.receipt_id, open.action_id);
    }
    if report.incomplete_total > SHOWN_MAX as u64 {
        println!("no outcome    and {} more", report.incomplete_total - SHOWN_MAX as u64);
    }
}

fn evidence(dir: &Path, root_key: Option<&PublicKey>, json: bool) -> Result<ExitCode, Refused> {
    let evidence = verify_evidence(dir, root_key)?;
    if json {
        print_json(&evidence);
    } else {
        let manifest = &evidence.manifest;
        println!("evidence      {}", manifest.about);
        println!("log           {}, checkpoint of {} entries", manifest.origin, manifest.size);
        let key = if evidence.pinned { "the pinned root key" } else { "a root key that only the evidence names:" };
        if evidence.problems.is_empty() {
            let count = manifest.entries.len();
            println!(
                "integrity     holds  {count} entries are as they were signed, by keys that lead to {key} {}",
                manifest.root_key
            );
            println!("completeness  open   that the log was not cut off or forked after this checkpoint is not shown");
        }
        evidence.problems.iter().for_each(|problem| println!("FAULT         {problem}"));
    }
    Ok(if evidence.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FAILED) })
}

fn read(path: &Path) -> Result<Vec<u8>, Refused> {
    std::fs::read(path).map_err(|error| Refused::usage(format!("read `{}`: {error}", path.display())))
}

/// A PEM file, a file with a verifier key, or a verifier key.
pub(super) fn root_key(text: &str) -> Result<PublicKey, Refused> {
    let content = if Path::new(text).exists() {
        String::from_utf8_lossy(&read(Path::new(text))?).into_owned()
    } else {
        text.to_owned()
    };
    let key = PublicKey::from_pem(&content).or_else(|| parse_verifier_key(&content).ok().map(|(_, key)| key));
    let wanted = "neither a file with a public key (PEM or verifier key) nor a verifier key; `keys/root.vkey` is one";
    key.ok_or_else(|| Refused::usage(format!("--root-key `{text}` is {wanted}")))
}

/// One line of what a SIEM gives back.
#[derive(Deserialize)]
struct Sent {
    index: u64,
    leaf_hash: Digest,
}

fn siem(path: &Path) -> Result<Vec<(u64, Digest)>, Refused> {
    let text =
        String::from_utf8(read(path)?).map_err(|_| Refused::usage(format!("`{}` is not text", path.display())))?;
    let lines = text.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty());
    let sent = lines.map(|(line, number): (&str, usize)| {
        let sent: Sent = serde_json::from_str(line)
            .map_err(|error| Refused::usage(format!("`{}`, line {number}: {error}", path.display())))?;
        Ok((sent.index, sent.leaf_hash))
    });
    sent.collect()
}
