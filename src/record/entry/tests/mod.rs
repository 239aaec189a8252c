//! Every kind of entry: canonical, bounded, and as the manual says.

use std::sync::Arc;

use bytes::Bytes;

use super::*;
use crate::model::json::{self, is_canonical};
use crate::model::*;
use crate::record::samples;

fn salts() -> SaltKey {
    SaltKey::new(&[7; 32])
}

fn time() -> TimeBlock<'static> {
    TimeBlock {
        boot_id: "b0".into(),
        mono_ns: "18446744073709551615".into(),
        run_id: "run_1".into(),
        wall: Timestamp::from_micros(1_795_209_298_000_001),
    }
}

fn log() -> LogBlock<'static> {
    LogBlock { epoch: 2, origin: "localhost/1".into(), run_first: 9 }
}

fn session() -> SessionBlock<'static> {
    SessionBlock {
        chain: 1,
        close: false,
        id: "sess_abc123".into(),
        prev: Some(Digest::of(b"previous")),
        prev_origin: None,
        seq: 17,
        vault_day: Some("2026-11-20".into()),
    }
}

fn canonical(payload: &[u8]) -> bool {
    json::scan(payload, json::Limits::default()).is_ok_and(|(text, document)| is_canonical(document.root(text)))
}

/// Everything that is recorded when an action was decided and has ended.
struct Recorded {
    call: Call,
    identity: Identity,
    context: SessionContext,
    decision: Decision,
    outcome: Outcome,
    forwarded: Option<Vec<u8>>,
    mode: ParametersMode,
}

impl Recorded {
    fn new(arguments: &str) -> Self {
        Self {
            call: samples::call(1, arguments),
            identity: samples::identity(),
            context: samples::context("sess_abc123"),
            decision: samples::decision(Verdict::Allow),
            outcome: samples::outcome(OutcomeStatus::Success),
            forwarded: None,
            mode: ParametersMode::Redacted,
        }
    }

    fn payload(&self, kind: Kind) -> Vec<u8> {
        let facts = ActionFacts {
            call: &self.call,
            forwarded: self.forwarded.as_deref(),
            mode: self.mode,
            tool_pin: Some(Digest::of(b"tool")),
        };
        let salts = salts();
        let (action, _) = ActionBlock::of(&facts, &salts);
        let subject_hex = action.parameters.hash.hex_digits();
        let id = &self.call.action.id;
        let mut blocks = Blocks::new();
        blocks.add(Member::Action, &action).unwrap();
        blocks.add(Member::Context, &ContextBlock::of(&self.context, self.decision.verdict, id, &salts)).unwrap();
        blocks.add(Member::Decision, &DecisionBlock::of(&self.decision, &self.context.signals, None)).unwrap();
        blocks.add(Member::Identity, &IdentityBlock::of(&self.identity)).unwrap();
        let outcome = OutcomeBlock::of(&self.outcome, standing(&self.decision), Digest::of(b"decision"), id, &salts);
        if kind == Kind::Outcome {
            blocks.add(Member::Outcome, &outcome).unwrap();
            blocks.remove(Member::Context);
        }
        let header = EntryHeader {
            kind: kind.as_str(),
            log: &log(),
            receipt_id: "rct_1",
            session: &session(),
            subject: id.as_str(),
            subject_hex,
            time: &time(),
        };
        write_blocks(&header, &blocks).unwrap()
    }
}

#[test]
fn decisions_and_outcomes_are_canonical_and_round_trip() {
    for kind in [Kind::Decision, Kind::Outcome] {
        for mode in
            [ParametersMode::Redacted, ParametersMode::Inline, ParametersMode::Commit, ParametersMode::DigestOnly]
        {
            let mut recorded = Recorded::new(r#"{"query": "SELECT 1", "n": 1e400}"#);
            recorded.mode = mode;
            recorded.forwarded = Some(br#"{"query":"SELECT 1","limit":100}"#.to_vec());
            let payload = recorded.payload(kind);
            assert!(canonical(&payload), "{}", String::from_utf8_lossy(&payload));
            let read = read_payload(&payload).unwrap();
            assert_eq!(read.unknown, Vec::<String>::new());
            assert_eq!(write_statement(&read.statement).unwrap(), payload, "the two writers agree");
            assert_eq!(read.statement.predicate.kind(), Some(kind));
            let action = read.statement.predicate.action.unwrap();
            assert_eq!(action.parameters.hash.to_hex(), read.statement.subject[0].digest.sha256);
            assert_eq!(action.parameters.mode, mode);
        }
    }
}

#[test]
fn arguments_stand_as_they_were_written() {
    let text = r#"{ "amount": 10.50, "id": 123456789012345678901, "note": "é\n\"x\"" }"#;
    let parameters = |mode| {
        let mut recorded = Recorded::new(text);
        recorded.mode = mode;
        let payload = recorded.payload(Kind::Decision);
        read_payload(&payload).unwrap().statement.predicate.action.unwrap().parameters
    };
    let redacted = parameters(ParametersMode::Redacted);
    assert_eq!(redacted.text.as_deref(), Some(text));
    assert_eq!((redacted.bytes, redacted.count, redacted.truncated), (text.len() as u64, Some(3), false));
    let salt = salts().salt(&samples::action_id(1), "parameters");
    assert_eq!(redacted.hash, Domain::Parameters.commit(salt, text.as_bytes()));

    let committed = parameters(ParametersMode::Commit);
    assert_eq!(committed.text, None);
    let fields = committed.fields.unwrap();
    let salt = salts().salt(&samples::action_id(1), "field:/amount");
    assert_eq!((&*fields[0].ptr, fields[0].c), ("/amount", commit_field(salt, "/amount", "10.50")));
    assert_eq!(parameters(ParametersMode::DigestOnly).count, None);
}

#[test]
fn no_secret_reaches_an_entry() {
    let canary = "ghp_CanaryCanaryCanaryCanary0123456789";
    let arguments = format!(r#"{{"query":"use {canary}","password":"hunter2-canary"}}"#);
    for mode in [ParametersMode::Redacted, ParametersMode::Inline, ParametersMode::Commit, ParametersMode::DigestOnly] {
        let mut recorded = Recorded::new(&arguments);
        recorded.mode = mode;
        recorded.forwarded = Some(arguments.clone().into_bytes());
        let secret: Arc<str> = format!("password={canary}").into();
        recorded.call.action.operation = format!("https://u:{canary}@h.example/x").into();
        recorded.call.action.native.operation = secret.clone();
        recorded.call.action.destination = Some(Destination::External(secret.clone()));
        recorded.call.action.jsonrpc_id = Some(secret.clone());
        recorded.decision.reason = secret.clone();
        recorded.decision.edits = vec![Edit { pointer: secret.clone(), kind: EditKind::Set(secret.clone()) }];
        recorded.context.intent = Some(Intent { text: secret.clone(), source: IntentSource::Host, class: None });
        recorded.identity.problem = Some(secret.clone());
        recorded.outcome.error = Some(secret);
        for kind in [Kind::Decision, Kind::Outcome] {
            let payload = String::from_utf8(recorded.payload(kind)).unwrap();
            assert!(!payload.contains("Canary") && !payload.contains("hunter2"), "{mode:?} {payload}");
        }
    }
    let mut recorded = Recorded::new(&arguments);
    recorded.mode = ParametersMode::Inline;
    let read = read_payload(&recorded.payload(Kind::Decision)).unwrap();
    let parameters = read.statement.predicate.action.unwrap().parameters;
    assert_eq!((parameters.mode, parameters.redactions), (ParametersMode::Redacted, 2));
}

/// Every text and list as long as somebody could make it, and each byte escaped.
fn huge(fill: &str) -> Recorded {
    let long: Arc<str> = fill.repeat(4_000).into();
    let id = |prefix: &str| format!("{prefix}{}", "\\".repeat(120));
    let mut recorded = Recorded::new(&serde_json::to_string(&*fill.repeat(30_000)).unwrap());
    recorded.forwarded = Some(recorded.call.action.arguments.text.to_vec());
    recorded.call.action.id = ActionId::parse(&id("act_")).unwrap();
    for text in [&mut recorded.call.action.tool, &mut recorded.call.action.operation, &mut recorded.call.action.method]
    {
        *text = long.clone();
    }
    let wrapper = Wrapper { name: long.clone(), arguments: Arc::default(), inner: long.clone() };
    recorded.call.action.native =
        NativeName { server: long.clone(), operation: long.clone(), wrapper: Some(wrapper.into()) };
    recorded.call.action.destination = Some(Destination::External(long.clone()));
    recorded.call.action.jsonrpc_id = Some(long.clone());
    recorded.call.action.trace = Some((long.clone(), long.clone()));
    let client = &mut recorded.call.client;
    for text in [&mut client.name, &mut client.version, &mut client.protocol_version] {
        *text = Some(long.clone());
    }
    let claim = Claim { value: long.clone(), verification: Verification::OperatingSystem };
    let identity = &mut recorded.identity;
    for text in
        [&mut identity.problem, &mut identity.issuer, &mut identity.owner, &mut identity.team, &mut identity.tenant]
    {
        *text = Some(long.clone());
    }
    for part in [&mut identity.human, &mut identity.service, &mut identity.session, &mut identity.role] {
        *part = Some(claim.clone());
    }
    identity.agent = Some(AgentIdentity {
        id: claim,
        instance: Some(long.clone()),
        version: Some(long.clone()),
        listed: Some(false),
    });
    identity.scope = vec![long.clone(); 500];
    identity.delegation = vec![
        Delegation {
            delegatee: long.clone(),
            delegator: long.clone(),
            expires_at: Some(Timestamp::from_secs(1)),
            issued_at: Some(Timestamp::from_secs(1)),
            scope: long.clone(),
        };
        100
    ];
    let context = &mut recorded.context;
    context.intent = Some(Intent { text: long.clone(), source: IntentSource::SignedToken, class: Some(long.clone()) });
    let provenance = Provenance { pointer: long.clone(), origin: Origin::Synthesised, sink: true, witness: None };
    let witness = Some(Witness { result: 1 << 53, action: long.clone(), operation: long.clone() });
    let short = Provenance { pointer: "/a".into(), witness, ..provenance.clone() };
    context.signals.provenance = std::iter::repeat_n([provenance, short], 50).flatten().collect();
    context.labels = vec![long.clone(); 100].into();
    let mut prior = PriorAction::clone(&context.history[0]);
    (prior.id, prior.tool, prior.operation) = (ActionId::parse(&id("act_")).unwrap(), long.clone(), long.clone());
    context.history = std::iter::repeat_with(|| Arc::new(prior.clone())).take(100).collect();
    huge_decision(&mut recorded.decision, &long);
    recorded.outcome.error = Some(long.clone());
    recorded.outcome.upstream = long.clone();
    recorded.outcome.server_version = Some(long);
    recorded
}

fn huge_decision(decision: &mut Decision, long: &Arc<str>) {
    // An action that is allowed repeats fewer earlier ones.
    decision.verdict = Verdict::Modify;
    decision.reason = long.clone();
    (decision.policy.policy_id, decision.policy.rule_id) = (long.clone(), Some(long.clone()));
    decision.policy.version = long.clone();
    decision.approvers = vec![long.clone(); 100];
    (decision.exception, decision.confidence) = (Some(long.clone()), Some(PartsPerMillion(1_000_000)));
    decision.tags = vec![long.clone(); 100];
    decision.effect = ContextEffect { level: Some(DataLevel::Restricted), labels: vec![long.clone(); 100] };
    decision.meters = (0..100)
        .map(|n| Metered {
            amount_milli: u64::MAX,
            meter: if n % 2 == 0 { format!("p/{n}").into() } else { long.clone() },
        })
        .collect();
    decision.edits = vec![Edit { pointer: long.clone(), kind: EditKind::Redact }; 100];
    decision.matched = (0..1_000)
        .map(|n| MatchedRule {
            action: Verdict::StepUp,
            policy_id: format!("policy-{n}").into(),
            rule_id: if n % 2 == 0 { long.clone() } else { format!("rule-{n}").into() },
            shadow: true,
        })
        .collect();
}

/// Room for what is null here: approval, deferral, step.
const LATER_BYTES: usize = 3_000;

/// Base64, the frame, and two signatures with their key ids.
fn entry_bytes(payload: &[u8]) -> usize {
    payload.len().div_ceil(3) * 4 + 120 + 2 * 190
}

#[test]
fn the_longest_entry_fits_a_tile() {
    for fill in ["\u{1}", "\"", "a", "é", "\u{10ffff}", "\\n "] {
        for mode in [ParametersMode::Redacted, ParametersMode::Commit] {
            let mut recorded = huge(fill);
            recorded.mode = mode;
            for kind in [Kind::Decision, Kind::Outcome] {
                let payload = recorded.payload(kind);
                assert!(payload.len() + LATER_BYTES <= PAYLOAD_BYTES_MAX, "{fill:?} {mode:?}: {}", payload.len());
                assert!(entry_bytes(&payload) < 65_535);
                assert!(canonical(&payload));
                assert_eq!(read_payload(&payload).unwrap().unknown, Vec::<String>::new());
            }
        }
    }
    let read = read_payload(&huge("a").payload(Kind::Decision)).unwrap().statement.predicate;
    let (context, decision) = (read.context.unwrap(), read.decision.unwrap());
    assert_eq!((context.prior_actions.len(), decision.rules_total), (20, 1_000));
    let mut allowed = huge("a");
    allowed.decision.verdict = Verdict::Allow;
    let allowed = read_payload(&allowed.payload(Kind::Decision)).unwrap().statement.predicate.context.unwrap();
    assert_eq!(allowed.prior_actions, context.prior_actions[15..]);
    assert!(read.action.unwrap().parameters.truncated && context.intent.unwrap().truncated);
    let many = (0..40).map(|n| format!(r#""{n:064}":"{}""#, "v".repeat(99))).collect::<Vec<_>>().join(",");
    let mut recorded = huge("\u{1}");
    recorded.mode = ParametersMode::Commit;
    recorded.call.action.arguments.text = Bytes::from(format!("{{{many}}}"));
    recorded.forwarded = Some(format!("{{{many}}}").into_bytes());
    let payload = recorded.payload(Kind::Decision);
    assert!(payload.len() + LATER_BYTES <= PAYLOAD_BYTES_MAX, "{}", payload.len());
    assert_eq!(
        read_payload(&payload).unwrap().statement.predicate.action.unwrap().parameters.fields.unwrap().len(),
        40
    );
}

proptest::proptest! {
    #[test]
    fn no_input_makes_an_entry_too_long(
        text in "\\PC{0,300}",
        arguments in proptest::collection::vec(0_u8..=255, 0..20_000),
        rules in 0_usize..400,
        scopes in 0_usize..200,
    ) {
        let mut recorded = Recorded::new("{}");
        let text: Arc<str> = text.into();
        recorded.call.action.arguments.text = Bytes::from(arguments);
        recorded.call.action.operation = text.clone();
        recorded.decision.reason = text.clone();
        recorded.decision.matched =
            vec![MatchedRule { action: Verdict::Deny, policy_id: text.clone(), rule_id: text.clone(), shadow: false }; rules];
        recorded.identity.scope = vec![text.clone(); scopes];
        recorded.outcome.error = Some(text);
        for kind in [Kind::Decision, Kind::Outcome] {
            let payload = recorded.payload(kind);
            proptest::prop_assert!(payload.len() <= PAYLOAD_BYTES_MAX);
            proptest::prop_assert!(canonical(&payload));
        }
    }
}

#[test]
fn agreement_says_where_shadow_differs() {
    for (verdict, enforced, status, expected) in [
        (Verdict::Allow, true, OutcomeStatus::Success, Agreement::Match),
        (Verdict::Modify, true, OutcomeStatus::ToolError, Agreement::Match),
        (Verdict::Allow, false, OutcomeStatus::Success, Agreement::Match),
        (Verdict::Deny, false, OutcomeStatus::Success, Agreement::Mismatch),
        (Verdict::Modify, false, OutcomeStatus::Success, Agreement::Mismatch),
        (Verdict::Allow, true, OutcomeStatus::Unknown, Agreement::Unknown),
    ] {
        assert_eq!(agreement(verdict, enforced, status), expected, "{verdict:?} {enforced} {status:?}");
    }
    assert!(is_permitted(Verdict::Deny, false) && !is_permitted(Verdict::StepUp, true));
}

#[test]
fn later_members_are_reported_and_everything_else_is_refused() {
    let payload = String::from_utf8(Recorded::new("{}").payload(Kind::Decision)).unwrap();
    let added = payload.replacen(r#","v":1}"#, r#","v":1,"weather":"fine"}"#, 1);
    assert_eq!(read_payload(added.as_bytes()).unwrap().unknown, ["/predicate/weather"]);
    let nested = payload.replacen(r#""shadow":false}"#, r#""shadow":false,"zeal":1}"#, 1);
    assert_eq!(read_payload(nested.as_bytes()).unwrap().unknown, ["/predicate/decision/rules/0/zeal"]);
    let kind = payload.replacen(r#""kind":"decision""#, r#""kind":"tomorrow""#, 1);
    assert_eq!(read_payload(kind.as_bytes()).unwrap().statement.predicate.kind(), None);

    for (from, to) in [
        (r#""subject":["#, r#""subject" :["#),
        (r#""v":1}"#, r#""v":2}"#),
        (r#""name":"act_1"}"#, r#""name":"act_1","x":1}"#),
        ("receipt/v1", "receipt/v2"),
        (r#""predicateType""#, r#""a":1,"predicateType""#),
        (r#""seq":17"#, r#""seq":17,"seq":18"#),
    ] {
        let changed = payload.replacen(from, to, 1);
        assert_ne!(changed, payload, "{from}");
        assert!(read_payload(changed.as_bytes()).is_err(), "{to}");
    }
}

#[test]
fn outlines_are_quick_to_read() {
    let payload = Recorded::new("{}").payload(Kind::Decision);
    let outline = Outline::read(&payload).unwrap().predicate;
    assert_eq!((&*outline.kind, outline.session.unwrap().seq, outline.log.run_first), ("decision", 17, 9));
    assert_eq!(outline.action.unwrap().action_id, "act_1");
}

mod kinds;
mod manual;
