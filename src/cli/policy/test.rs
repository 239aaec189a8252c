//! `policy test`: the tests inside policy files.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::super::EXIT_FAILED;
use super::super::receipts::print_json;
use super::Which;
use crate::decide::{TestReport, run_tests};

#[derive(Args, Debug)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    which: Which,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    let (sources, settings) = arguments.which.sources()?;
    let reports: Vec<TestReport> = sources.iter().flat_map(|source| run_tests(source, &settings)).collect();
    let failed: Vec<&TestReport> = reports.iter().filter(|report| report.failure.is_some()).collect();
    if arguments.json {
        let rows: Vec<_> = reports
            .iter()
            .map(|report| {
                json!({"file": report.file, "line": report.line, "name": report.name, "rule": report.rule, "failure": report.failure})
            })
            .collect();
        print_json(&json!({"tests": reports.len(), "failed": failed.len(), "results": rows}));
    } else {
        for report in &failed {
            let why = report.failure.as_deref().unwrap_or_default();
            println!("FAILED  {}:{}: `{}`: {why}", report.file, report.line, report.name);
        }
        println!("{} tests in {} files, {} failed", reports.len(), sources.len(), failed.len());
    }
    // A file that does not load has no tests; that is no success.
    let compiled = crate::decide::PolicySet::compile(&sources, &settings);
    match compiled {
        Err(errors) if failed.is_empty() => Err(errors.to_string()),
        _ => Ok(if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FAILED) }),
    }
}
