//! What must be true at the end of the demo. Each is checked on what was found; none is assumed.

use serde_json::Value;

use super::agent::{Step, Teller};
use super::facts::{Decided, Facts, Played, Verified};

/// The largest number of rows that the shipped demo policy lets a query ask for.
const ROWS_MAX: usize = 100;

/// The decisions of the shipped policies about the agent's calls, in their order.
const VERDICTS: [(&str, &str); 9] = [
    ("mail.read_inbox", "ALLOW"),
    ("database.query", "MODIFY"),
    ("files.read_file", "ALLOW"),
    ("mail.send_email", "ALLOW"),
    ("mail.send_email", "DENY"),
    ("database.delete_rows", "DEFER"),
    ("payments.transfer", "STEP_UP"),
    // The invoice: asked about, and decided again with a person's yes.
    ("payments.transfer", "STEP_UP"),
    ("payments.transfer", "ALLOW"),
];

/// One expectation and whether it held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Expectation {
    /// What was expected.
    pub(super) name: &'static str,
    /// It was so.
    pub(super) held: bool,
    /// What was found.
    pub(super) found: String,
}

/// Checks them all.
pub(super) fn expectations(facts: &Facts) -> Vec<Expectation> {
    let expect = |name, held, found: String| Expectation { name, held, found };
    let calls = |played: &Played| played.steps.iter().map(|step| step.order.clone()).collect::<Vec<_>>();
    let harms = |played: &Played| played.effects.harms.len();
    let verdicts: Vec<(&str, &str)> = facts.decisions.iter().map(|d| (d.name.as_str(), d.verdict.as_str())).collect();
    let wanted = wanted(facts);
    let refused = refused(facts);
    let told = refused.iter().filter(|(step, decided)| was_told(step, decided)).count();
    let arrived = &facts.with.effects.arrived;
    let recorded = arrived.iter().filter(|(name, id)| is_recorded(name, id.as_deref(), &facts.decisions)).count();
    let forwarded = facts.decisions.iter().filter(|decided| is_forwarded(&decided.verdict)).count();
    let restart = &facts.restart;
    let rows = facts.with.effects.rows_read;
    let event = |path: &str| facts.event.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
    let ocsf = |path: &str| facts.ocsf.pointer(path).and_then(Value::as_u64).unwrap_or_default();
    vec![
        expect("without the proxy all three harms happen", harms(&facts.without) == 3, describe(&facts.without)),
        expect("with the proxy no harm happens", harms(&facts.with) == 0, describe(&facts.with)),
        expect(
            "the task itself is finished both times",
            facts.without.effects.answered && facts.with.effects.answered,
            format!("without: {}, with: {}", facts.without.effects.answered, facts.with.effects.answered),
        ),
        expect(
            "the agent makes the same calls both times, but for what it read",
            same_calls(&facts.without, &facts.with),
            format!("{} and {} calls", calls(&facts.without).len(), calls(&facts.with).len()),
        ),
        expect("every call is decided as the policies say", verdicts == wanted, format!("{verdicts:?}")),
        expect(
            "every refusal tells the agent the policy and the receipt, or what it waits for",
            refused.len() == 3 && told == refused.len(),
            format!("{told} of {} refusals", refused.len()),
        ),
        expect(
            "nothing reaches a server that the log does not know",
            recorded == arrived.len() && arrived.len() == forwarded,
            format!("{} calls arrived, {recorded} in the log, {forwarded} forwarded", arrived.len()),
        ),
        waited(facts),
        expect("the query is cut to what the policy permits", rows == ROWS_MAX, format!("{rows} rows")),
        expect(
            "after SIGKILL every entry that was exported is still there",
            restart.recovered == restart.known.len() && restart.known.len() >= facts.with.steps.len(),
            format!("{} of {}", restart.recovered, restart.known.len()),
        ),
        expect("the log verifies", facts.verified.holds, standings(&facts.verified)),
        expect(
            "the verifier misses nothing that the SIEM was sent",
            facts.verified.statements.iter().any(|(name, standing, _)| name == "completeness" && standing == "holds"),
            standings(&facts.verified),
        ),
        expect(
            "one flipped byte is found, and the entry named",
            !facts.tampered.verified.holds && facts.tampered.verified.named == Some(facts.tampered.index),
            format!("flipped in {}, named {:?}", facts.tampered.index, facts.tampered.verified.named),
        ),
        expect("the signature to check with openssl is good", facts.check.holds, facts.check.holds.to_string()),
        expect(
            "the refused mail is an event for the SIEM",
            event("/event_type") == "aarm.decision" && event("/decision/result") == "DENY",
            format!("{} {}", event("/event_type"), event("/decision/result")),
        ),
        expect(
            "and the same as OCSF and as CEF",
            ocsf("/class_uid") == 2004 && ocsf("/action_id") == 2 && facts.cef.contains(" act=DENY "),
            format!("class {}, action {}, {} bytes of CEF", ocsf("/class_uid"), ocsf("/action_id"), facts.cef.len()),
        ),
    ]
}

/// Whether a verdict lets the call through.
pub(super) fn is_forwarded(verdict: &str) -> bool {
    matches!(verdict, "ALLOW" | "MODIFY")
}

/// The steps that were not forwarded, with their decisions.
fn refused(facts: &Facts) -> Vec<(&Step, &Decided)> {
    let pairs = facts.with.steps.iter().zip(&facts.decisions);
    pairs.filter(|(_, decided)| !is_forwarded(&decided.verdict)).collect()
}

fn was_told(step: &Step, decided: &Decided) -> bool {
    let receipt = step.result.decision.as_ref().and_then(|decision| decision.get("receipt_id")).and_then(Value::as_str);
    let said = |part: &str| step.result.text.contains(part);
    let detail = |name: &str| step.result.decision.as_ref()?.get(name)?.as_str();
    let read = match detail("approval_id") {
        Some(approval) => said(approval) && detail("status") == Some("pending"),
        None => said(&decided.policy) && said(&decided.receipt_id) && said("Do not retry unchanged"),
    };
    step.result.is_error && read && receipt == Some(&decided.receipt_id)
}

fn is_recorded(name: &str, action_id: Option<&str>, decisions: &[Decided]) -> bool {
    // What a person approved is decided twice, the second time with the approval.
    let mut matching = decisions.iter().filter(|decided| Some(decided.action_id.as_str()) == action_id);
    matching.any(|decided| decided.name == name && is_forwarded(&decided.verdict))
}

/// The decisions that there must be: without a yes the invoice is not decided again.
fn wanted(facts: &Facts) -> &'static [(&'static str, &'static str)] {
    let decided = if facts.waited.answer == "approved" { VERDICTS.len() } else { VERDICTS.len() - 1 };
    VERDICTS.get(..decided).unwrap_or_default()
}

/// Nothing before the answer, one payment after a yes and none after anything else.
fn waited(facts: &Facts) -> Expectation {
    let (waited, paid) = (&facts.waited, facts.with.effects.paid);
    let asked = waited.first.is_error && waited.paid_before == 0;
    let approved = waited.answer == "approved";
    Expectation {
        name: "a payment that waits runs once, after a person said yes and not before",
        held: asked && waited.second.is_error != approved && paid == usize::from(approved),
        found: format!("{}, {paid} payments", waited.answer),
    }
}

/// The same tools in the same order, wanted by the same; arguments too, where they do not hold what was read.
fn same_calls(one: &Played, other: &Played) -> bool {
    let outline = |played: &Played| -> Vec<(String, String, Teller)> {
        played.steps.iter().map(|step| (step.order.name(), step.order.summary.clone(), step.teller)).collect()
    };
    outline(one) == outline(other)
}

/// How the verifier's statements stand, in one line.
pub(super) fn standings(verified: &Verified) -> String {
    let mut grouped: Vec<(&str, Vec<&str>)> = Vec::new();
    for (name, standing, _) in &verified.statements {
        match grouped.iter_mut().find(|(word, _)| word == standing) {
            Some((_, names)) => names.push(name),
            None => grouped.push((standing, vec![name])),
        }
    }
    let said = |(word, names): &(&str, Vec<&str>)| match *word {
        "holds" => format!("{} hold", names.join(", ")),
        word => format!("{} {word}", names.join(", ")),
    };
    let groups: Vec<String> = grouped.iter().map(said).collect();
    groups.join("; ")
}

fn describe(played: &Played) -> String {
    let harms: Vec<String> = played.effects.harms.iter().map(super::office::Harm::describe).collect();
    if harms.is_empty() { "none".to_owned() } else { harms.join("; ") }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::super::client::ToolResult;
    use super::super::facts::{Check, Restart, Tampered};
    use super::super::office::{Harm, Office};
    use super::super::person::Waited;
    use super::super::{agent, server};
    use super::*;

    /// What a good run finds. The agent's calls are real; the proxy's part is put in their place.
    async fn good() -> Facts {
        let office = Arc::new(Office::open());
        let servers = server::Servers::start(Arc::clone(&office)).await.unwrap();
        let steps = agent::work(|domain| servers.url(domain), None).await.unwrap();
        let without = Played { steps, effects: office.effects() };
        let decided = |(at, (name, verdict)): (usize, &(&str, &str))| Decided {
            index: at as u64,
            action_id: format!("act_{at}"),
            receipt_id: format!("rct_{at}"),
            name: (*name).to_owned(),
            verdict: (*verdict).to_owned(),
            policy: "demo".into(),
            reason: String::new(),
        };
        let decisions: Vec<Decided> = VERDICTS.iter().enumerate().map(decided).collect();
        let mut with = without.clone();
        with.effects.harms.clear();
        with.effects.rows_read = ROWS_MAX;
        with.effects.arrived.truncate(4);
        with.effects.paid = 1;
        for (at, (_, action)) in with.effects.arrived.iter_mut().enumerate() {
            *action = Some(format!("act_{at}"));
        }
        with.effects.arrived.push(("payments.transfer".into(), Some("act_8".into())));
        for (at, step) in with.steps.iter_mut().enumerate().skip(4) {
            step.result.is_error = true;
            step.result.text = format!("no (policy demo, receipt rct_{at}). Do not retry unchanged.");
            step.result.decision = Some(json!({"receipt_id": format!("rct_{at}")}));
        }
        let statement = ("completeness".to_owned(), "holds".to_owned(), String::new());
        Facts {
            without,
            with,
            waited: approved(),
            decisions,
            restart: Restart { known: vec![(0, String::new()); 9], recovered: 9, ready_ms: 1 },
            verified: Verified { holds: true, statements: vec![statement], ..Verified::default() },
            tampered: Tampered { index: 4, verified: Verified { named: Some(4), ..Verified::default() } },
            check: Check { index: 4, command: String::new(), holds: true },
            event: json!({"event_type": "aarm.decision", "decision": {"result": "DENY"}}),
            ocsf: json!({"class_uid": 2004, "action_id": 2}),
            cef: "CEF:0|a|b|1|c|d|7|rt=1 act=DENY cat=x".into(),
            took_ms: 1,
        }
    }

    /// A payment that waited and was approved.
    fn approved() -> Waited {
        let told = |is_error| ToolResult { text: String::new(), is_error, decision: None };
        Waited { first: told(true), paid_before: 0, answer: "approved".into(), second: told(false) }
    }

    /// What must make which expectation fail.
    type Spoil = (&'static str, fn(&mut Facts));

    const SPOILS: [Spoil; 20] = [
        ("without the proxy", |facts| drop(facts.without.effects.harms.pop())),
        ("no harm", |facts| facts.with.effects.harms.push(Harm::AuditDeleted { rows: 1 })),
        ("task itself", |facts| facts.with.effects.answered = false),
        ("same calls", |facts| drop(facts.with.steps.pop())),
        ("policies say", |facts| facts.decisions[6].verdict = "DENY".into()),
        ("tells the agent", |facts| facts.with.steps[5].result.text = "no".into()),
        ("log does not know", |facts| facts.with.effects.arrived[2].1 = None),
        ("log does not know", |facts| {
            facts.with.effects.arrived.push(("mail.send_email".into(), Some("act_4".into())))
        }),
        ("runs once", |facts| facts.with.effects.paid = 2),
        ("runs once", |facts| facts.waited.paid_before = 1),
        ("runs once", |facts| facts.waited.answer = "denied".into()),
        ("cut to", |facts| facts.with.effects.rows_read = 240),
        ("SIGKILL", |facts| facts.restart.recovered = 8),
        ("log verifies", |facts| facts.verified.holds = false),
        ("misses nothing", |facts| facts.verified.statements[0].1 = "open".into()),
        ("flipped", |facts| facts.tampered.verified.named = Some(5)),
        ("openssl", |facts| facts.check.holds = false),
        ("event for the SIEM", |facts| facts.event = Value::Null),
        ("as OCSF", |facts| facts.ocsf = Value::Null),
        ("as OCSF", |facts| facts.cef = facts.cef.replace("DENY", "ALLOW")),
    ];

    #[tokio::test]
    async fn each_expectation_can_fail_and_does_when_it_should() {
        let good = good().await;
        for expectation in expectations(&good) {
            assert!(expectation.held, "{expectation:?}");
        }
        for (name, spoil) in SPOILS {
            let mut facts = good.clone();
            spoil(&mut facts);
            let failed: Vec<_> = expectations(&facts).into_iter().filter(|expectation| !expectation.held).collect();
            assert!(failed.iter().any(|expectation| expectation.name.contains(name)), "{name}: {failed:?}");
        }
        let covered = |name: &str| SPOILS.iter().any(|(part, _)| name.contains(part));
        assert!(expectations(&good).iter().all(|expectation| covered(expectation.name)), "one that was never tried");
    }
}
