//! What a person reads, and what a program reads.

use serde_json::{Value, json};

use super::drain::Line;
use super::growth::Growth;
use super::micro::{Micro, Spread};
use super::rounds::{Measured, Run};
use super::targets::Row;

/// The quantiles that are shown, in ten-thousandths.
const QUANTILES: [(u64, &str); 3] = [(5_000, "p50"), (9_900, "p99"), (9_990, "p99.9")];

/// The middle of `figures`, or the mean of the two in the middle. `None` when there are none.
pub(crate) fn median(mut figures: Vec<f64>) -> Option<f64> {
    figures.sort_by(f64::total_cmp);
    let (low, high) = (figures.len().checked_sub(1)? / 2, figures.len() / 2);
    Some((figures.get(low)? + figures.get(high)?) / 2.0)
}

/// Prints a table for each point.
pub(crate) fn print_points(run: &Run) {
    println!();
    for fact in &run.facts {
        println!("{fact}");
    }
    let commits = |share| -> f64 {
        let ns = run.measured.iter().filter_map(|one| one.commit.as_ref()?.quantile_ns(share)).map(|ns| ns as f64);
        median(ns.collect()).unwrap_or(f64::NAN) / 1_000.0
    };
    println!("one fdatasync of an entry: p50 {:.0} µs, p99 {:.0} µs", commits(5_000), commits(9_900));
    for (path, why) in &run.left_out {
        println!("{path}: not measured: {why}");
    }
    for start in &run.starts {
        let times = start.first_call_ms.iter().map(|ms| format!("{ms:.1}")).collect::<Vec<_>>().join(", ");
        println!(
            "{}: first call after {times} ms; memory {:.1} MiB idle, {:.1} MiB with {} sessions",
            start.path, start.idle_mib, start.sessions_mib, start.sessions
        );
    }
    println!(
        "Medians over rounds. Latencies in µs; added: less direct in the same round. CPU: the path's, ms per 1,000"
    );
    println!(
        "calls; client and server: µs per call; other: share of the machine that went to anything else, in %, the"
    );
    println!("kernel's disk threads included.");
    for point in &run.points {
        println!("\n{}", point.name());
        println!(
            "{:17}{:>9}{:>19}{:>8}{:>8}{:>8}{:>9}{:>9}{:>8}{:>8}{:>8}{:>7}{:>7}{:>8}",
            "path",
            "calls/s",
            "[min-max]",
            "p50",
            "p99",
            "p99.9",
            "+p50",
            "+p99",
            "CPU",
            "client",
            "server",
            "MiB",
            "other",
            "failed"
        );
        let mut shown: Vec<&str> = Vec::new();
        for measured in run.measured.iter().filter(|measured| measured.point == *point) {
            if !shown.contains(&measured.path) {
                shown.push(measured.path);
                print_path(run, measured);
            }
        }
    }
    print_disturbance(run);
}

fn print_path(run: &Run, first: &Measured) {
    let here = |path: &str| -> Vec<&Measured> {
        run.measured.iter().filter(|one| one.path == path && one.point == first.point).collect()
    };
    let (all, direct) = (here(first.path), here("direct"));
    let middle =
        |figure: &dyn Fn(&Measured) -> f64| median(all.iter().map(|one| figure(one)).collect()).unwrap_or(f64::NAN);
    let us = |one: &Measured, share| one.quantile_us(share).unwrap_or(f64::NAN);
    let added = |share| {
        let same_round = |one: &&Measured| {
            direct.iter().find(|other| other.round == one.round).map(|other| us(one, share) - us(other, share))
        };
        median(all.iter().filter_map(same_round).collect()).unwrap_or(f64::NAN)
    };
    let per_call_us = |seconds: f64, one: &Measured| seconds * 1e6 / (one.tally.latency.count().max(1) as f64);
    let rates = all.iter().map(|one| one.rate());
    let (least, most) =
        rates.fold((f64::MAX, 0.0), |(least, most): (f64, f64), rate| (least.min(rate), most.max(rate)));
    println!(
        "{:17}{:>9.0}{:>19}{:>8.0}{:>8.0}{:>8.0}{:>9.0}{:>9.0}{:>8.1}{:>8.1}{:>8.1}{:>7.1}{:>7.1}{:>8}",
        first.path,
        middle(&Measured::rate),
        format!("[{least:.0}-{most:.0}]"),
        middle(&|one| us(one, 5_000)),
        middle(&|one| us(one, 9_900)),
        middle(&|one| us(one, 9_990)),
        added(5_000),
        added(9_900),
        middle(&Measured::cpu_ms),
        middle(&|one| per_call_us(one.recording.client_s, one)),
        middle(&|one| per_call_us(one.recording.upstream_s, one)),
        middle(&|one| one.resident_mib),
        middle(&Measured::foreign_percent),
        all.iter().map(|one| one.tally.failed()).sum::<u64>(),
    );
    for one in all {
        if let Some(problem) = &one.tally.problem {
            println!("    round {}: {problem}", one.round + 1);
        }
        if one.tally.unsent > 0 {
            println!("    round {}: {} calls were due and not sent in time", one.round + 1, one.tally.unsent);
        }
        if one.unaccounted != 0 {
            println!("    round {}: arrived at the tool less answered: {}", one.round + 1, one.unaccounted);
        }
        if one.tally.reshaped > 0 {
            println!("    round {}: {} replies in other bytes", one.round + 1, one.tally.reshaped);
        }
        if one.settle_s > 0.5 {
            println!("    round {}: went on working for {:.1} s after the load", one.round + 1, one.settle_s);
        }
    }
}

/// Says so when the figures are worth little: the paths that do not write have no share in what went to others.
fn print_disturbance(run: &Run) {
    let quiet = |one: &&Measured| matches!(one.path, "direct" | "nginx" | "hop");
    let disturbed = run.measured.iter().filter(quiet).map(Measured::foreign_percent).fold(0.0, f64::max);
    if disturbed > 5.0 {
        println!(
            "\nNot a quiet machine: up to {disturbed:.0} % of it went to others. Compare nothing but orders of magnitude."
        );
    }
}

/// Prints the targets.
pub(crate) fn print_targets(rows: &[Row]) {
    println!("\n{:73}{:>13}{:>9}{:>10}{:>8}  ", "target", "countersign", "minimal", "accept", "goal");
    for row in rows {
        let sign = if row.better == super::targets::Better::More { "≥" } else { "≤" };
        let minimal = row.minimal.map_or_else(String::new, figure);
        let measured = row.measured.as_ref().map_or_else(|_| "-".into(), |measured| figure(*measured));
        let (accept, goal) = (format!("{sign} {}", figure(row.accept)), format!("{sign} {}", figure(row.goal)));
        let why = row.measured.as_ref().err().map_or_else(String::new, |why| format!(": {why}"));
        println!("{:73}{measured:>13}{minimal:>9}{accept:>10}{goal:>8}  {}{why}", row.name, row.mark());
    }
}

/// Three digits are what is known.
fn figure(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// Prints what became of throughput when there was more of everything.
pub(crate) fn print_growth(growth: &Growth) {
    println!("\nthroughput with much ÷ with little, 64 connections");
    for (name, ratio) in growth.named() {
        match ratio {
            Ok(ratio) => println!("{name:40}{:>8}", figure(*ratio)),
            Err(why) => println!("{name:40}not measured: {why}"),
        }
    }
}

/// Prints the single operations.
pub(crate) fn print_micro(micro: &[Micro]) {
    println!("\n{:78}{:>10}{:>10}{:>10}{:>10}", "operation, ns", "median", "p10", "p90", "p99");
    for one in micro {
        match &one.measured {
            Ok(spread) => {
                let p99 = spread.p99_ns.map_or_else(|| "-".into(), |p99_ns| format!("{p99_ns:.0}"));
                let Spread { median_ns, p10_ns, p90_ns, .. } = spread;
                println!("{:78}{median_ns:>10.0}{p10_ns:>10.0}{p90_ns:>10.0}{p99:>10}", one.name);
            }
            Err(why) => println!("{:78}not measured: {why}", one.name),
        }
    }
}

/// What the exporter does.
pub(crate) fn print_drain(lines: &[Line]) {
    println!();
    for Line { name, measured, target } in lines {
        println!("{name}\n    {measured}{}{target}", if target.is_empty() { "" } else { "    target: " });
    }
}

/// Everything that a run gave.
pub(crate) fn run_json(run: &Run) -> Value {
    let points = run.measured.iter().map(|one| {
        let latency = QUANTILES.map(|(share, name)| (name.to_owned(), json!(one.quantile_us(share))));
        json!({
            "path": one.path,
            "point": one.point.name(),
            "round": one.round + 1,
            "calls": one.tally.latency.count(),
            "calls_per_second": one.rate(),
            "latency_us": serde_json::Map::from_iter(latency),
            "cpu_ms_per_1000_calls": one.cpu_ms(),
            "client_cpu_s": one.recording.client_s,
            "server_cpu_s": one.recording.upstream_s,
            "stolen_s": one.recording.stolen_s,
            "foreign_percent": one.foreign_percent(),
            "resident_mib": one.resident_mib,
            "settle_s": one.settle_s,
            "fdatasync_p50_us": one.commit_us(),
            "reshaped": one.tally.reshaped,
            "wrong": one.tally.wrong,
            "broken": one.tally.broken,
            "unsent": one.tally.unsent,
            "arrived_less_answered": one.unaccounted,
            "problem": one.tally.problem,
        })
    });
    let starts = run.starts.iter().map(|start| {
        json!({
            "path": start.path,
            "first_call_ms": start.first_call_ms,
            "idle_mib": start.idle_mib,
            "sessions": start.sessions,
            "sessions_mib": start.sessions_mib,
        })
    });
    json!({
        "facts": run.facts,
        "left_out": run.left_out.iter().map(|(path, why)| json!({ "path": path, "why": why })).collect::<Vec<_>>(),
        "starts": starts.collect::<Vec<_>>(),
        "points": points.collect::<Vec<_>>(),
    })
}

/// The targets.
pub(crate) fn targets_json(rows: &[Row]) -> Value {
    rows.iter()
        .map(|row| {
            json!({
                "target": row.name,
                "measured": row.measured.as_ref().ok(),
                "not_measured": row.measured.as_ref().err(),
                "minimal": row.minimal,
                "accept": row.accept,
                "goal": row.goal,
                "mark": row.mark(),
            })
        })
        .collect()
}

/// The single operations.
pub(crate) fn micro_json(micro: &[Micro]) -> Value {
    micro
        .iter()
        .map(|one| match &one.measured {
            Ok(spread) => {
                json!({
                    "operation": one.name, "median_ns": spread.median_ns, "p10_ns": spread.p10_ns, "p90_ns": spread.p90_ns,
                    "p99_ns": spread.p99_ns,
                })
            }
            Err(why) => json!({ "operation": one.name, "not_measured": why }),
        })
        .collect()
}
