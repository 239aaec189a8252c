//! Does the product slow down with what it holds? Two instances, one with little and one with much, at the same load,
//! interleaved.

use serde_json::json;

use super::Fallible;
use super::arguments::Arguments;
use super::connection::Connection;
use super::lab::{Kind, Lab, Started};
use super::report::median;
use super::rounds::{self, Point};
use super::subject::Shape;
use super::wire::Era;

/// The load: as many connections as the targets speak of.
const POINT: Point = Point::Closed(64);
/// Live sessions of the instance that has many.
const SESSIONS: usize = 10_000;

/// Throughput with much divided by throughput with little, or why it is not known.
pub(crate) struct Growth {
    pub(crate) sessions: Result<f64, String>,
    pub(crate) rules: Result<f64, String>,
    pub(crate) destinations: Result<f64, String>,
}

impl Growth {
    /// Nothing was measured.
    pub(crate) fn left_out(why: &str) -> Self {
        Self { sessions: Err(why.into()), rules: Err(why.into()), destinations: Err(why.into()) }
    }

    /// All three with their names.
    pub(crate) fn named(&self) -> [(&'static str, &Result<f64, String>); 3] {
        [
            ("1 to 10,000 live sessions", &self.sessions),
            ("10 to 10,000 rules", &self.rules),
            ("1 to 10 destinations", &self.destinations),
        ]
    }

    /// For `--json`.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        let one = |ratio: &Result<f64, String>| match ratio {
            Ok(ratio) => json!(ratio),
            Err(why) => json!({ "not_measured": why }),
        };
        self.named().map(|(name, ratio)| (name.to_owned(), one(ratio))).into_iter().collect()
    }
}

/// Measures all three.
///
/// # Errors
/// The server or the client fails.
pub(crate) fn run(arguments: &Arguments) -> Fallible<Growth> {
    let everything = Shape::EVERYTHING;
    let told = |ratio: Fallible<f64>| ratio.map_err(|error| error.to_string());
    let sessions = if arguments.era == Era::Modern {
        Err("the modern era has no sessions to open".into())
    } else {
        told(compare(arguments, everything, everything, SESSIONS))
    };
    let rules = told(compare(arguments, Shape { rules: 10, ..everything }, Shape { rules: 10_000, ..everything }, 0));
    let destinations = told(compare(arguments, everything, Shape { destinations: 10, ..everything }, 0));
    Ok(Growth { sessions, rules, destinations })
}

fn compare(arguments: &Arguments, little: Shape, much: Shape, sessions: usize) -> Fallible<f64> {
    let lab = Lab::set_up(arguments.era)?;
    let (little, much) = (lab.start(Kind::Countersign(little))?, lab.start(Kind::Countersign(much))?);
    for _ in 0..sessions {
        // The session lives on when its connection is closed: nothing has ended it.
        Connection::open(&much.target)?.call()?;
    }
    let mut ratios = Vec::new();
    for round in 0..arguments.rounds {
        eprintln!("growth: round {} of {}", round + 1, arguments.rounds);
        let rate = |path: &Started| -> Fallible<f64> {
            let measured = rounds::measure(&lab, path, POINT, round, arguments)?;
            match measured.tally.problem.clone() {
                Some(problem) => Err(problem.into()),
                None => Ok(measured.rate()),
            }
        };
        let (first, second) = if round % 2 == 0 { (&little, &much) } else { (&much, &little) };
        let (first, second) = (rate(first)?, rate(second)?);
        ratios.push(if round % 2 == 0 { second / first } else { first / second });
    }
    median(ratios).ok_or_else(|| "there was no round".into())
}
