//! The bench checks itself: its arithmetic, its reading of the wire, and that every path it brings along carries every
//! call exactly once. No figure is looked at.

use std::time::Duration;

use super::Fallible;
use super::lab::{Kind, Lab};
use super::load::{self, Load};
use super::minimal::Depth;
use super::wire::Era;
use super::{histogram, wire};

/// Checks everything that does not need the product.
///
/// # Errors
/// What is wrong.
pub(crate) fn run() -> Fallible<()> {
    histogram::check()?;
    wire::check()?;
    load::check()?;
    for era in [Era::Legacy, Era::Modern] {
        for kind in [
            Kind::Direct,
            Kind::Nginx,
            Kind::Minimal(Depth::Hop),
            Kind::Minimal(Depth::Decision),
            Kind::Minimal(Depth::Both),
            Kind::Minimal(Depth::BothAwsLc),
        ] {
            if kind == Kind::Nginx && super::nginx::find().is_none() {
                println!("nginx: left out, it is not installed");
                continue;
            }
            carries(era, kind)?;
        }
    }
    println!("bench: ok; nothing was measured: `cargo bench` does that");
    Ok(())
}

fn carries(era: Era, kind: Kind) -> Fallible<()> {
    let lab = Lab::set_up(era)?;
    let mut path = lab.start(kind)?;
    for rate in [None, Some(2_000)] {
        let arrived = lab.arrived()?;
        let load = Load {
            connections: 8,
            rate,
            warm_up: Duration::from_millis(20),
            length: Duration::from_millis(100),
            seed: 0,
        };
        let (tally, (), ()) = load::run(&path.target, load, || (), || ())?;
        let arrived = lab.arrived()? - arrived;
        if tally.failed() > 0 || tally.reshaped > 0 || arrived != tally.answered || tally.latency.count() == 0 {
            return Err(format!(
                "{} ({era:?}): {} answered, {arrived} arrived, {} recorded, {} failed: {:?}",
                kind.name(),
                tally.answered,
                tally.latency.count(),
                tally.failed(),
                tally.problem
            )
            .into());
        }
    }
    if let Kind::Minimal(Depth::Decision | Depth::Both | Depth::BothAwsLc) = kind {
        if let Some(process) = &mut path.process {
            process.stop();
        }
        let (entries, calls) = (entries(&path.directory)?, lab.arrived()?);
        // An outcome that nobody waits for may be missing at the end; a decision may not.
        if entries > 2 * calls || entries < 2 * calls - 8 * u64::from(kind == Kind::Minimal(Depth::Decision)) {
            return Err(format!("{} ({era:?}): {entries} entries for {calls} calls", kind.name()).into());
        }
    }
    Ok(())
}

/// Entries in the journal of a minimal path: lines that end before the zeros.
fn entries(directory: &std::path::Path) -> Fallible<u64> {
    let mut lines = 0;
    for file in std::fs::read_dir(directory)? {
        lines += std::fs::read(file?.path())?.iter().filter(|byte| **byte == b'\n').count() as u64;
    }
    Ok(lines)
}
