//! The table of targets: what was measured beside what is accepted and what is aimed at.
//!
//! Every ratio is taken within one round; what is shown is the median over rounds. A target that this run cannot tell
//! says why.

use super::growth::Growth;
use super::micro::{DECISION, INSPECTION, Micro, Spread};
use super::report::median;
use super::rounds::{Measured, Point, Run};
use super::starts::Start;

/// The path that the targets are about, and the one that shows what is physically there.
const SUBJECT: &str = "countersign";
const YARDSTICK: &str = "minimal";

/// One target.
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) better: Better,
    pub(crate) accept: f64,
    pub(crate) goal: f64,
    /// The product, or why it was not measured.
    pub(crate) measured: Result<f64, String>,
    /// The minimal path, where it has a figure.
    pub(crate) minimal: Option<f64>,
}

/// Which way a figure should go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Better {
    Less,
    More,
}

impl Row {
    /// The mark that the measured figure earns.
    pub(crate) fn mark(&self) -> &'static str {
        let reaches = |figure: f64, bar: f64| match self.better {
            Better::Less => figure <= bar,
            Better::More => figure >= bar,
        };
        match self.measured {
            Ok(figure) if reaches(figure, self.goal) => "meets goal",
            Ok(figure) if reaches(figure, self.accept) => "meets accept",
            Ok(_) => "misses",
            Err(_) => "not measured",
        }
    }
}

/// All targets for one run.
pub(crate) fn rows(run: &Run, growth: &Growth, micro: &[Micro]) -> Vec<Row> {
    let full = Point::Closed(64);
    let one = Point::Closed(1);
    let open = run.points.iter().copied().find(|point| matches!(point, Point::Open(_))).unwrap_or(one);
    let table = Table { run };
    let throughput = |path: &str| table.ratio(path, "nginx", full, |measured, nginx| measured.rate() / nginx.rate());
    // What is paid for evidence before the act is taken off, or is the measure: one commit, measured just before.
    let commit_us = |measured: &Measured| measured.commit_us().unwrap_or(f64::NAN);
    let alone = |path: &str| {
        table.ratio(path, "direct", one, |measured, direct| added_us(measured, direct, 5_000) - commit_us(measured))
    };
    let price = |path: &str| {
        let nginx = table.ratio("nginx", "direct", one, |nginx, direct| added_us(nginx, direct, 5_000))?;
        table.ratio(path, "direct", one, |measured, direct| {
            added_us(measured, direct, 5_000) / (commit_us(measured) + 3.0 * nginx)
        })
    };
    let mut rows = vec![
        row("throughput at 64 ÷ agentgateway (MCP mode, one rule, no receipts)", Better::More, 0.8, 1.2, |_| {
            Err("agentgateway is not in reach of this repository".into())
        }),
        row("throughput at 64 ÷ nginx", Better::More, 0.33, 0.5, throughput),
        row("processor time per call at 64 ÷ nginx", Better::Less, 5.0, 3.0, |path| {
            table.ratio(path, "nginx", full, |measured, nginx| measured.cpu_ms() / nginx.cpu_ms())
        }),
        row("added p50 at 1 connection, less one commit, µs", Better::Less, 150.0, 80.0, alone),
        row(&format!("added p99 at {}, ms", open.name()), Better::Less, 3.0, 1.5, |path| {
            table.ratio(path, "direct", open, |measured, direct| added_us(measured, direct, 9_900) / 1_000.0)
        }),
        row("memory idle, MB", Better::Less, 40.0, 20.0, |path| {
            table.start(path).map(|start| megabytes(start.idle_mib))
        }),
        row("memory with 1,000 live sessions, MB", Better::Less, 150.0, 80.0, |path| {
            let start = table.start(path)?;
            if start.sessions < 1_000 {
                return Err(format!("a quick run has {} sessions", start.sessions));
            }
            Ok(megabytes(start.sessions_mib))
        }),
        row("start to first answered call, ms", Better::Less, 200.0, 50.0, |path| {
            median(table.start(path)?.first_call_ms.clone()).ok_or_else(|| "it was not started".into())
        }),
        Row {
            minimal: table.ratio("hop", "nginx", full, |hop, nginx| hop.rate() / nginx.rate()).ok(),
            ..row("throughput without policy and receipts ÷ nginx", Better::More, 0.8, 1.0, |path| {
                throughput(if path == SUBJECT { "countersign-pass" } else { path })
            })
        },
        row("one call in flight: added p50 ÷ (commit + 3 × nginx's added p50)", Better::Less, 1.5, 1.2, price),
    ];
    for (name, ratio) in growth.named() {
        let name = &format!("{name}: throughput kept");
        rows.push(Row { minimal: None, ..row(name, Better::More, 0.8, 0.95, |_| ratio.clone()) });
    }
    let single = |name: &str, figure: fn(&Spread) -> Option<f64>| match micro
        .iter()
        .find(|one| one.name == name)
        .map(|one| &one.measured)
    {
        Some(Ok(spread)) => figure(spread).ok_or_else(|| "too quick to be timed one by one".to_owned()),
        Some(Err(why)) => Err(why.clone()),
        None => Err("the section `micro` was not asked for".into()),
    };
    let inspection_us = single(INSPECTION, |spread| Some(spread.median_ns / 1_000.0));
    let decision_ms = single(DECISION, |spread| spread.p99_ns.map(|ns| ns / 1_000_000.0));
    for (name, most, measured) in [
        ("inspection of a result of 10 KiB, µs", 200.0, inspection_us),
        ("p99 of a decision after 50 results of 8 KiB, 100 rules, ms", 0.5, decision_ms),
    ] {
        rows.push(Row { minimal: None, ..row(name, Better::Less, most, most, |_| measured.clone()) });
    }
    rows
}

fn row(name: &str, better: Better, accept: f64, goal: f64, figure: impl Fn(&str) -> Result<f64, String>) -> Row {
    Row { name: name.into(), better, accept, goal, measured: figure(SUBJECT), minimal: figure(YARDSTICK).ok() }
}

fn megabytes(mib: f64) -> f64 {
    mib * 1.048_576
}

/// What the path adds to a quantile of the direct latency, in microseconds.
fn added_us(measured: &Measured, direct: &Measured, per_ten_thousand: u64) -> f64 {
    let us = |measured: &Measured| measured.quantile_us(per_ten_thousand).unwrap_or(f64::NAN);
    us(measured) - us(direct)
}

fn what_failed(measured: &Measured) -> String {
    let tally = &measured.tally;
    match &tally.problem {
        Some(problem) => format!("{} calls failed: {problem}", tally.failed()),
        None if tally.unsent > 0 => {
            format!("the rate is too high for it: {} calls were not sent in time", tally.unsent)
        }
        None => format!("arrived at the tool less answered: {}", measured.unaccounted),
    }
}

struct Table<'a> {
    run: &'a Run,
}

impl Table<'_> {
    /// The median over rounds of what `figure` makes of `path` and `reference` in the same round.
    fn ratio(
        &self,
        path: &str,
        reference: &str,
        point: Point,
        figure: impl Fn(&Measured, &Measured) -> f64,
    ) -> Result<f64, String> {
        let (measured, references) = (self.at(path, point)?, self.at(reference, point)?);
        let same_round = measured
            .iter()
            .filter_map(|one| references.iter().find(|other| other.round == one.round).map(|other| figure(one, other)));
        median(same_round.collect()).ok_or_else(|| "no round has both".into())
    }

    /// What is known of `path` at `point`, when no call of it failed.
    fn at(&self, path: &str, point: Point) -> Result<Vec<&Measured>, String> {
        let all: Vec<_> = self.run.measured.iter().filter(|one| one.path == path && one.point == point).collect();
        if let Some(bad) = all.iter().find(|one| one.tally.failed() > 0 || one.unaccounted != 0) {
            return Err(format!("{path}: {}", what_failed(bad)));
        }
        if all.is_empty() {
            return Err(self.why_not(path));
        }
        Ok(all)
    }

    fn start(&self, path: &str) -> Result<&Start, String> {
        self.run.starts.iter().find(|start| start.path == path).ok_or_else(|| self.why_not(path))
    }

    fn why_not(&self, path: &str) -> String {
        let left_out = self.run.left_out.iter().find(|(name, _)| name == path);
        left_out.map_or_else(|| format!("`{path}` was not asked for"), |(_, why)| why.clone())
    }
}
