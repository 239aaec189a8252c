//! What the bench was asked to do: command line and environment.

use std::path::PathBuf;
use std::time::Duration;

use super::Fallible;
use super::wire::Era;

/// What is printed for `--help`.
pub(crate) const USAGE: &str = "\
usage: cargo bench [-- [SECTION ...] [OPTION ...]]

sections (all of them when none is named; `growth` only without --quick)
  path            direct, nginx, minimal and countersign side by side; the table of targets
  growth          countersign with few and many sessions, rules and destinations
  micro           single operations
  export          a receiver that is down, its backlog, and how late events are (only when named)

options
  --quick         1 s a point, two rounds (for continuous integration)
  --era ERA       legacy (default): initialize and sessions; modern: MCP 2026-07-28
  --paths A,B     which paths, of direct, nginx, hop, minimal-decision, minimal, minimal-aws-lc,
                  countersign, countersign-pass
                  (default: direct,nginx,minimal,countersign)
  --patient       waits for a quiet machine before each point, and measures again what was disturbed
  --json FILE     writes everything that was measured

environment
  COUNTERSIGN_BIN            the binary under test (else target/dist/countersign, else target/release/countersign)
  COUNTERSIGN_BENCH_SECONDS  length of a point (default 5)
  COUNTERSIGN_BENCH_ROUNDS   rounds (default 3)
  COUNTERSIGN_BENCH_RATE     calls per second of the open loop (default 4000)
  COUNTERSIGN_BENCH_KAFKA    HOST:PORT/TOPIC of a broker, for `export` (with --features kafka)
  COUNTERSIGN_BENCH_DIR      where logs are written; must be the kind of disk that matters (default: the target folder)
  NGINX_BIN                  nginx, when it is not in PATH or /usr/sbin";

/// One part of the bench.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    Export,
    Growth,
    Micro,
    Path,
}

/// Everything the bench can be told.
#[derive(Clone, Debug)]
pub(crate) struct Arguments {
    pub(crate) sections: Vec<Section>,
    pub(crate) paths: Vec<String>,
    pub(crate) era: Era,
    pub(crate) quick: bool,
    /// Wait for a quiet machine, and measure disturbed points again.
    pub(crate) patient: bool,
    pub(crate) json: Option<PathBuf>,
    /// Length of a point.
    pub(crate) length: Duration,
    /// Time before each point in which nothing is recorded.
    pub(crate) warm_up: Duration,
    pub(crate) rounds: usize,
    /// Calls per second of the open loop, all connections together.
    pub(crate) rate: u32,
    /// Started by `cargo bench`; `cargo test` leaves this out.
    pub(crate) measure: bool,
    pub(crate) help: bool,
}

impl Arguments {
    /// Reads command line and environment.
    ///
    /// # Errors
    /// An argument or a value that is not known.
    pub(crate) fn read(words: &[String]) -> Fallible<Self> {
        let mut read = Self {
            sections: Vec::new(),
            paths: ["direct", "nginx", "minimal", "countersign"].map(String::from).to_vec(),
            era: Era::Legacy,
            quick: false,
            patient: false,
            json: None,
            length: Duration::from_secs(number("COUNTERSIGN_BENCH_SECONDS", 5)?.max(1)),
            warm_up: Duration::from_secs(1),
            rounds: usize::try_from(number("COUNTERSIGN_BENCH_ROUNDS", 3)?.max(1))?,
            rate: u32::try_from(number("COUNTERSIGN_BENCH_RATE", 4_000)?.max(1))?,
            measure: false,
            help: false,
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("`{word}` needs a value"));
            match word.as_str() {
                "path" => read.sections.push(Section::Path),
                "growth" => read.sections.push(Section::Growth),
                "micro" => read.sections.push(Section::Micro),
                "export" => read.sections.push(Section::Export),
                "--bench" => read.measure = true,
                "--quick" => read.quick = true,
                "--patient" => read.patient = true,
                "--era" => read.era = Era::read(value()?)?,
                "--paths" => read.paths = value()?.split(',').map(String::from).collect(),
                "--json" => read.json = Some(PathBuf::from(value()?)),
                "--help" | "-h" => read.help = true,
                other => return Err(format!("unknown argument `{other}`\n\n{USAGE}").into()),
            }
        }
        if read.quick {
            read.length = Duration::from_secs(1);
            read.warm_up = Duration::from_millis(300);
            read.rounds = 2;
        }
        if read.sections.is_empty() {
            read.sections = vec![Section::Path, Section::Growth, Section::Micro];
            read.sections.retain(|section| !read.quick || *section != Section::Growth);
        }
        Ok(read)
    }
}

fn number(name: &str, otherwise: u64) -> Fallible<u64> {
    match std::env::var(name) {
        Ok(text) => text.parse().map_err(|_| format!("`{name}` is `{text}`, which is no whole number").into()),
        Err(_) => Ok(otherwise),
    }
}
