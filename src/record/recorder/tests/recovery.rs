//! What a run closes that an earlier one left open.

use super::*;

#[tokio::test]
async fn open_decisions_are_closed_once_after_a_crash() {
    let mut bench = Bench::new();
    let (recorder, _) = bench.start();
    let mut done = decide(&recorder, "s1", 1, Verdict::Allow).await;
    done.durable().await.unwrap();
    done.complete(samples::outcome(OutcomeStatus::Success)).durable().await.unwrap();
    let mut open = decide(&recorder, "s1", 2, Verdict::Modify).await;
    open.durable().await.unwrap();
    let mut refused = decide(&recorder, "s1", 3, Verdict::Deny).await;
    refused.durable().await.unwrap();
    let (open_receipt, before) = (open.receipt().to_string(), recorder.size());
    bench.crash();
    drop((open, recorder));

    let (recorder, recovered) = bench.start();
    assert_eq!(recovered, Recovered { open: 1, scanned: before });
    let seen = audit(&recorder);
    let recoveries = of_kind(&seen, Kind::Recovery);
    assert_eq!(recoveries.len(), 1);
    let recovery = recoveries[0].predicate();
    let lost = seen.iter().find(|entry| entry.predicate().receipt_id == open_receipt).unwrap();
    assert_eq!(recovery.recovery.as_ref().unwrap().decision_leaf, lost.leaf);
    assert_eq!(recovery.action, lost.predicate().action);
    assert_eq!(recovery.outcome.as_ref().unwrap().status, OutcomeStatus::Unknown);
    assert_eq!(recoveries[0].statement.subject, lost.statement.subject);

    bench.crash();
    drop(recorder);
    let (recorder, recovered) = bench.start();
    assert_eq!(recovered.open, 0, "closed by the run before");
    assert!(recovered.scanned < before, "only the last run was read");
    recorder.control(ControlFact::stop()).await.unwrap();
    recorder.log().close().await.unwrap();
    drop(recorder);
    let (recorder, recovered) = bench.start();
    assert_eq!(recovered, Recovered::default(), "nothing is read after an orderly end");
    assert_eq!(of_kind(&audit(&recorder), Kind::Recovery).len(), 1);
}

#[tokio::test]
async fn a_crash_at_any_moment_of_recovery_loses_nothing() {
    let mut bench = Bench::new();
    let (recorder, _) = bench.start();
    let mut open = Vec::new();
    for number in 0..12 {
        let mut decided = decide(&recorder, "s1", number, Verdict::Allow).await;
        decided.durable().await.unwrap();
        // As a process that is killed: no outcome is enqueued, but the place is given back.
        decided.forget_open();
        open.push(decided.action().to_string());
    }
    bench.crash();
    drop(recorder);
    let mut completed_starts = 0;
    for power_off_at in 1.. {
        bench.disk.power_off_at(power_off_at);
        let started = bench.try_start();
        completed_starts += u64::from(started.is_ok());
        bench.crash();
        drop(started);
        if completed_starts == 3 {
            break;
        }
    }
    let (recorder, _) = bench.start();
    let seen = audit(&recorder);
    let mut closed: Vec<String> = of_kind(&seen, Kind::Recovery)
        .iter()
        .map(|entry| entry.predicate().action.as_ref().unwrap().action_id.to_string())
        .collect();
    closed.sort_unstable();
    open.sort_unstable();
    assert_eq!(closed, open, "every open decision is closed exactly once");
}
