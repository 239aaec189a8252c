//! `policy check`: everything that is wrong, or probably not meant. `policy test`: the tests inside policy files.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::super::EXIT_FAILED;
use super::super::receipts::print_json;
use super::Which;
use crate::decide::{PolicySet, TestReport, run_tests};

#[derive(Args, Debug)]
pub(in crate::cli) struct Arguments {
    #[command(flatten)]
    which: Which,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What is wrong in the files.
pub(super) fn check(arguments: &Arguments) -> Result<ExitCode, String> {
    let (sources, settings) = arguments.which.sources()?;
    let compiled = PolicySet::compile(&sources, &settings);
    let (errors, findings, set) = match &compiled {
        Ok(set) => (Vec::new(), set.findings(), Some(set)),
        Err(errors) => (errors.iter().cloned().collect(), Vec::new(), None),
    };
    let failed = !errors.is_empty() || findings.iter().any(|finding| finding.mistake);
    if arguments.json {
        let errors: Vec<_> = errors
            .iter()
            .map(|error| json!({"file": error.file, "line": error.line, "what": error.what, "advice": error.advice}))
            .collect();
        let hash = set.map(|set| set.hash().to_hex());
        print_json(&json!({"in_order": !failed, "policy_set": hash, "errors": errors, "findings": findings}));
    } else {
        errors.iter().for_each(|error| println!("error    {error}"));
        for finding in &findings {
            let level = if finding.mistake { "error  " } else { "warning" };
            println!(
                "{level}  {}: {} [{}] {}",
                place(&finding.file, finding.line),
                finding.rule,
                finding.kind,
                finding.what
            );
        }
        if let Some(set) = set {
            let (policies, rules) =
                set.policies().fold((0, 0), |(policies, rules), policy| (policies + 1, rules + policy.rules));
            println!("{policies} policies, {rules} rules, set {}", set.hash().to_hex());
        }
    }
    Ok(exit(failed))
}

/// How the tests inside the files come out.
pub(super) fn test(arguments: &Arguments) -> Result<ExitCode, String> {
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
            println!("FAILED  {}: `{}`: {why}", place(&report.file, report.line), report.name);
        }
        println!("{} tests in {} files, {} failed", reports.len(), sources.len(), failed.len());
    }
    // A file that does not load has no tests; that is no success.
    match PolicySet::compile(&sources, &settings) {
        Err(errors) if failed.is_empty() => Err(errors.to_string()),
        _ => Ok(exit(!failed.is_empty())),
    }
}

fn place(file: &str, line: u64) -> String {
    if line > 0 { format!("{file}:{line}") } else { file.to_owned() }
}

fn exit(failed: bool) -> ExitCode {
    if failed { ExitCode::from(EXIT_FAILED) } else { ExitCode::SUCCESS }
}
