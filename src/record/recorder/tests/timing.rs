//! What an entry costs.

use super::*;

/// Prints what an entry costs; figures are printed, not asserted: the machine is shared.
#[tokio::test]
async fn timing() {
    let bench = Bench::new();
    let (recorder, _) = bench.start();
    let text = format!(r#"{{"query":"{}"}}"#, "select something from somewhere ".repeat(30));
    let call = samples::call(1, &text);
    let (decision, identity, context) =
        (samples::decision(Verdict::Allow), samples::identity(), samples::context("s1"));
    let chain = recorder.chain(&context.session);
    let clock = crate::net::SystemClock::new();
    let (mut build_ns, mut redact_ns, mut outcome_ns) = (0, 0, 0);
    let rounds = 200;
    for _ in 0..rounds {
        let begun = clock.monotonic_ns();
        std::hint::black_box(crate::record::redact::json_or_text(text.as_bytes()));
        redact_ns += clock.monotonic_ns() - begun;
        let reservation = recorder.reserve().await.unwrap();
        let facts = DecisionFacts {
            call: &call,
            identity: &identity,
            context: &context,
            decision: &decision,
            forwarded: None,
            tool: None,
            parameters_mode: ParametersMode::Redacted,
            after: None,
        };
        let begun = clock.monotonic_ns();
        let mut decided = recorder.decided(reservation, &chain, facts);
        build_ns += clock.monotonic_ns() - begun;
        decided.durable().await.unwrap();
        let begun = clock.monotonic_ns();
        let appended = decided.complete(samples::outcome(OutcomeStatus::Success));
        outcome_ns += clock.monotonic_ns() - begun;
        appended.durable().await.unwrap();
    }
    println!(
        "1 KiB of arguments: redact {} ns, decision with signature {} ns, outcome with signature {} ns",
        redact_ns / rounds,
        build_ns / rounds,
        outcome_ns / rounds
    );
    assert_eq!(audit(&recorder).len() as u64, 3 + 2 * rounds);
}
