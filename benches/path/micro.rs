//! Single operations, one thread, nothing beside them: what a call is made of.

use std::fs::File;
use std::hint::black_box;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use countersign::model::json::{Limits, scan};
use ed25519_dalek::{Signer, SigningKey};
use sha2::{Digest, Sha256};

use super::Fallible;
use super::lab::Lab;
use super::minimal;
use super::render;
use super::seams::{self, Operation};
use super::timing::{now, ns_between};
use super::wire::{CallText, Era, Target, filler};

/// The operation that a target is about.
pub(crate) const INSPECTION: &str = "inspect a result of 10 KiB";
/// The operation whose slowest hundredth a target is about.
pub(crate) const DECISION: &str = "decide in a session with 50 results of 8 KiB and 100 rules, entry included";
/// Long enough for the clock to be exact, short enough that most samples are not interrupted.
const SAMPLE: Duration = Duration::from_micros(200);
/// An operation that takes this long is a sample by itself.
const SINGLE: Duration = Duration::from_micros(20);
/// Samples of each operation.
const SAMPLES: usize = 2_000;
/// Most time for one operation: slow ones have fewer samples.
const OPERATION_MAX: Duration = Duration::from_secs(2);
/// A decision entry with its envelope is about this long.
pub(crate) const ENTRY_BYTES: usize = 1_536;
/// The file that is appended to, round and round.
const FILE_BYTES: usize = 16 << 20;

/// One operation.
pub(crate) struct Micro {
    pub(crate) name: &'static str,
    /// What it takes, or why that is not known.
    pub(crate) measured: Result<Spread, String>,
}

/// Nanoseconds for one time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    pub(crate) median_ns: f64,
    pub(crate) p10_ns: f64,
    pub(crate) p90_ns: f64,
    /// Known where each sample is one operation: a mean of many hides the slow ones.
    pub(crate) p99_ns: Option<f64>,
}

/// Measures all operations.
///
/// # Errors
/// What an operation needs cannot be made.
pub(crate) fn run() -> Fallible<Vec<Micro>> {
    let lab = Lab::set_up(Era::Legacy)?;
    let mut operations: Vec<(&'static str, Result<Operation, String>)> = vec![
        ("scan a call of 1 KiB (model::json::scan)", Ok(scan_call()?)),
        ("parse the same call, serde_json typed, arguments raw", Ok(parse_call()?)),
        ("SHA-256 of 1 KiB", Ok(sha_256())),
        ("ed25519 signature of 32 bytes, ed25519-dalek", Ok(sign_dalek()?)),
        ("ed25519 signature of 32 bytes, aws-lc-rs through rustls", Ok(sign_aws_lc()?)),
        ("append 1.5 KiB to a file, no fdatasync", Ok(append(&lab, false)?)),
        ("append 1.5 KiB to a zero-filled file, fdatasync", Ok(append(&lab, true)?)),
    ];
    operations.extend(seams::operations(&lab.directory));
    operations.extend(render::operations());
    let mut all = Vec::new();
    for (name, operation) in operations {
        eprintln!("micro: {name}");
        all.push(Micro { name, measured: operation.map(measure) });
    }
    Ok(all)
}

fn measure(mut operation: Operation) -> Spread {
    let (start, mut turns) = (now(), 0_u64);
    while ns_between(start, now()) < 20_000_000 {
        operation();
        turns += 1;
    }
    let once_ns = ns_between(start, now()) / turns;
    let ns = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    let times = if once_ns >= ns(SINGLE) { 1 } else { (ns(SAMPLE) / once_ns.max(1)).max(1) };
    let (begin, mut samples) = (now(), Vec::new());
    while samples.len() < SAMPLES && now().saturating_duration_since(begin) < OPERATION_MAX {
        let start = now();
        for _ in 0..times {
            operation();
        }
        samples.push(ns_between(start, now()) as f64 / times as f64);
    }
    samples.sort_by(f64::total_cmp);
    let share = |percent: usize| samples.get(samples.len() * percent / 100).copied().unwrap_or(f64::NAN);
    let p99_ns = (times == 1).then(|| share(99));
    Spread { median_ns: share(50), p10_ns: share(10), p90_ns: share(90), p99_ns }
}

/// The JSON text of the call that the client makes.
pub(crate) fn call_text() -> Vec<u8> {
    let target = Target { address: ([127, 0, 0, 1], 1).into(), path: "/mcp", bearer: None, era: Era::Legacy };
    let mut call = CallText::new(&target, None);
    call.patch(1_234_567_890_123_456);
    let request = call.request;
    let start = request.windows(4).position(|part| part == b"\r\n\r\n").map_or(0, |end| end + 4);
    request.get(start..).unwrap_or_default().to_vec()
}

fn scan_call() -> Fallible<Operation> {
    let text = call_text();
    // What is refused early is quick to read: the text must be good.
    scan(&text, Limits::default())?;
    Ok(Box::new(move || drop(black_box(scan(black_box(&text), Limits::default()).map(|(_, document)| document)))))
}

fn parse_call() -> Fallible<Operation> {
    #[derive(serde::Deserialize)]
    struct Message<'a> {
        #[serde(borrow)]
        id: &'a serde_json::value::RawValue,
        method: &'a str,
        #[serde(borrow)]
        params: Params<'a>,
    }
    #[derive(serde::Deserialize)]
    struct Params<'a> {
        name: &'a str,
        #[serde(borrow)]
        arguments: &'a serde_json::value::RawValue,
    }
    let text = call_text();
    serde_json::from_slice::<Message<'_>>(&text)?;
    Ok(Box::new(move || {
        let message: Option<Message<'_>> = serde_json::from_slice(black_box(&text)).ok();
        let parts = message.map(|message| (message.id, message.method, message.params.name, message.params.arguments));
        black_box(parts);
    }))
}

fn sha_256() -> Operation {
    let text = filler(1_024);
    Box::new(move || {
        black_box(Sha256::digest(black_box(&text)));
    })
}

fn sign_dalek() -> Fallible<Operation> {
    let key = SigningKey::from_bytes(&countersign::net::random_bytes()?);
    Ok(Box::new(move || {
        black_box(key.sign(black_box(&[7; 32])));
    }))
}

fn sign_aws_lc() -> Fallible<Operation> {
    let signer = minimal::aws_lc_signer(&SigningKey::from_bytes(&countersign::net::random_bytes()?))?;
    Ok(Box::new(move || drop(black_box(signer.sign(black_box(&[7; 32]))))))
}

fn append(lab: &Lab, durable: bool) -> Fallible<Operation> {
    let mut file = File::create(lab.directory.join(format!("append-{durable}")))?;
    file.write_all(&vec![0; FILE_BYTES])?;
    file.sync_all()?;
    let (entry, mut at) = (vec![b'e'; ENTRY_BYTES], 0);
    Ok(Box::new(move || {
        let written = file.write_all_at(&entry, at as u64);
        if durable {
            drop(black_box(file.sync_data()));
        }
        at = if written.is_err() || at + 2 * ENTRY_BYTES > FILE_BYTES { 0 } else { at + ENTRY_BYTES };
    }))
}
