//! The tests inside a policy file, run: at every load, and by `policy test`.

use super::results::ResultRuling;
use super::schema::{self, Expectation, PolicyError, PolicySource, Test};
use super::set::PolicySet;
use super::settings::{Settings, UnverifiedIdentity};
use crate::model::Usage;

/// How one test of a file came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestReport {
    /// The file.
    pub file: String,
    /// The line of the test.
    pub line: u64,
    /// Its name.
    pub name: String,
    /// The rule that decided, if one did.
    pub rule: Option<String>,
    /// What is wrong; `None` when it passed.
    pub failure: Option<String>,
}

/// Runs the tests of one file. The policy stands alone, with the settings of this deployment but the domains that each
/// test names: a test says the same everywhere.
#[must_use]
pub fn run_tests(source: &PolicySource, settings: &Settings) -> Vec<TestReport> {
    schema::tests(source, settings).into_iter().map(|test| run(source, settings, test)).collect()
}

/// The tests that fail, as mistakes of the file.
pub(super) fn failures(source: &PolicySource, settings: &Settings) -> Vec<PolicyError> {
    let failed = run_tests(source, settings).into_iter().filter_map(|report| {
        let failure = report.failure?;
        Some(PolicyError {
            file: report.file,
            line: report.line,
            what: format!("the test `{}` fails: {failure}", report.name),
            advice: "correct the rules or the test".into(),
        })
    });
    failed.collect()
}

fn run(source: &PolicySource, settings: &Settings, test: Test) -> TestReport {
    let Test { name, line, mut scenario, expectation, internal_domains } = test;
    let mut report = TestReport { file: source.name.clone(), line, name, rule: None, failure: None };
    // What a deployment adds around its policies is not what the file is about.
    let settings = Settings {
        categories: settings.categories.clone(),
        privileges: settings.privileges.clone(),
        identity: UnverifiedIdentity::Flag,
        internal_domains,
        ..Settings::default()
    };
    let mut errors = Vec::new();
    let set = PolicySet::build(std::slice::from_ref(source), &settings, &mut errors);
    if let Some(error) = errors.first() {
        report.failure = Some(error.what.clone());
        return report;
    }
    // Meters that the test does not speak of stand at zero.
    let named = std::mem::take(&mut scenario.usage);
    scenario.usage = set.all_meters().map(|meter| usage(&meter.name, &named)).collect();
    if let Some(result) = &scenario.result {
        let ruling = result.facts(|facts| set.decide_result(&scenario.input(), Some(facts)));
        report.failure = compare_result(&ruling, &expectation);
        return report;
    }
    let decision = scenario.decide(&set);
    report.rule = decision.policy.rule_id.as_deref().map(str::to_owned);
    let rule = report.rule.as_deref().unwrap_or("default");
    let wrong = expectation.verdict.is_some_and(|verdict| verdict != decision.verdict)
        || expectation.rule.as_deref().is_some_and(|expected| expected != rule)
        || expectation.reason_code.as_deref().is_some_and(|code| code != decision.reason_code.as_str());
    if wrong {
        let decided = decision.verdict.as_str();
        report.failure =
            Some(format!("{decided} by `{rule}` ({}): {}", decision.reason_code.as_str(), decision.reason));
    }
    report
}

fn usage(meter: &std::sync::Arc<str>, named: &[Usage]) -> Usage {
    let short = meter.split_once('/').map_or("", |(_, rule)| rule);
    let found = named.iter().find(|usage| *usage.meter == **meter || &*usage.meter == short);
    let (count, sum_milli) = found.map_or((0, 0), |usage| (usage.count, usage.sum_milli));
    Usage { meter: std::sync::Arc::clone(meter), count, sum_milli }
}

fn compare_result(ruling: &ResultRuling, expectation: &Expectation) -> Option<String> {
    let (word, rule) = match ruling {
        ResultRuling::Pass => ("PASS", None),
        ResultRuling::Redact(redaction) => ("REDACT", redaction.rules.first().cloned()),
        ResultRuling::Withhold(withheld) => ("WITHHOLD", withheld.policy.rule_id.as_deref().map(str::to_owned)),
    };
    let rule = rule.as_deref().map(|rule| rule.rsplit('/').next().unwrap_or(rule)).unwrap_or("default");
    let wrong = expectation.result.is_some_and(|expected| expected != word)
        || expectation.rule.as_deref().is_some_and(|expected| expected != rule);
    wrong.then(|| format!("{word} by `{rule}`"))
}
