//! `policy check`: everything that is wrong, or probably not meant.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::super::EXIT_FAILED;
use super::super::receipts::print_json;
use super::Which;
use crate::decide::PolicySet;

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
            let place =
                if finding.line > 0 { format!("{}:{}", finding.file, finding.line) } else { finding.file.clone() };
            println!("{level}  {place}: {} [{}] {}", finding.rule, finding.kind, finding.what);
        }
        if let Some(set) = set {
            let (policies, rules) =
                set.policies().fold((0, 0), |(policies, rules), policy| (policies + 1, rules + policy.rules));
            println!("{policies} policies, {rules} rules, set {}", set.hash().to_hex());
        }
    }
    Ok(if failed { ExitCode::from(EXIT_FAILED) } else { ExitCode::SUCCESS })
}
