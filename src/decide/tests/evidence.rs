//! What people say counts for exactly what they saw, and for nothing else.

use std::sync::Arc;

use crate::context::caller;
use crate::decide::fixture::{Case, OPEN, claim, set};
use crate::decide::{CompiledTool, Evidence, Gate, PolicySet, action_digest};
use crate::model::{
    Approval, ApprovalId, Binding, Digest, Enforcement, ReasonCode, ReceiptId, Timestamp, ToolDefinition, ToolHints,
    Verdict,
};

const STEP_UP: &str = "
policy: { id: p, version: '1' }
rules:
  - { id: pay, match: { operation: pay }, action: STEP_UP }
  - { id: never, match: { operation: drop }, action: DENY, classification: forbidden }
  - { id: not, match: { operation: send }, action: DENY }
";

fn case(operation: &str) -> Case {
    Case::new("bank", operation, "{ \"amount\" : 1e2 }")
}

fn approved(case: &Case, set: &PolicySet) -> Evidence {
    Evidence::Approved(Arc::new(Approval {
        id: ApprovalId::parse("apr_test").unwrap(),
        approver: "ann".into(),
        binding: Binding {
            caller: caller(&case.call, &case.identity),
            action: action_digest(&case.call),
            tool_pin: case.tool.as_ref().map(|tool| tool.definition().digest),
            policy_set: set.hash(),
            expires: Timestamp::from_secs(2_000),
        },
        decision: ReceiptId::parse("rct_test").unwrap(),
    }))
}

fn decided(case: &Case, set: &PolicySet, evidence: &Evidence) -> (Verdict, ReasonCode, bool) {
    let (decision, gate) = set.decide_approved(&case.input(), evidence);
    (decision.verdict, decision.reason_code, matches!(gate, Gate::Open(_)))
}

#[test]
fn an_approval_lets_through_exactly_what_was_approved() {
    let (set, pay) = (set(STEP_UP), case("pay"));
    let yes = approved(&pay, &set);
    assert_eq!(decided(&pay, &set, &yes), (Verdict::Allow, ReasonCode::Approved, true));
    assert_eq!(set.would_run(&pay.input()), pay.call.action.arguments.text);
}

#[test]
fn an_approval_is_stale_after_any_change() {
    let stale = (Verdict::Deny, ReasonCode::ApprovalStale, false);
    let (before, pay) = (set(STEP_UP), case("pay"));
    let yes = approved(&pay, &before);
    let changed = set(&STEP_UP.replace("version: '1'", "version: '2'"));
    assert_eq!(decided(&pay, &changed, &yes), stale, "policies");
    let definition = ToolDefinition {
        name: "x".into(),
        digest: Digest([9; 32]),
        input_schema: serde_json::from_str(OPEN).unwrap(),
        hints: ToolHints::default(),
        mirrored: Vec::new(),
    };
    let pinned = Case { tool: Some(CompiledTool::new(definition)), ..case("pay") };
    assert_eq!(decided(&pinned, &before, &yes), stale, "the tool");
    let mut other = case("pay");
    other.identity.human = Some(claim("mallory"));
    assert_eq!(decided(&other, &before, &yes), stale, "the caller");
    let more = Case::new("bank", "pay", "{ \"amount\" : 1e3 }");
    assert_eq!(decided(&more, &before, &yes), stale, "the arguments");
    let spaced = Case::new("bank", "pay", "{\"amount\":1e2}");
    assert_eq!(decided(&spaced, &before, &yes), stale, "byte for byte");
    let mut late = case("pay");
    late.context.now = Timestamp::from_secs(2_000);
    assert_eq!(decided(&late, &before, &yes), stale, "time");
}

#[test]
fn what_is_refused_stays_refused() {
    let (set, send) = (set(STEP_UP), case("send"));
    let yes = approved(&send, &set);
    assert_eq!(decided(&send, &set, &yes).0, Verdict::Deny);
    assert_eq!(decided(&send, &set, &Evidence::Granted("grt_x".into())).0, Verdict::Deny);
    let glass = Evidence::BreakGlass("ctl_x".into());
    assert_eq!(decided(&send, &set, &glass), (Verdict::Allow, ReasonCode::BreakGlass, true));
    assert_eq!(decided(&case("drop"), &set, &glass).0, Verdict::Deny, "forbidden stays forbidden");
    let mut nobody = case("send");
    nobody.identity.verification = crate::model::Verification::None;
    assert_eq!(decided(&nobody, &set, &glass).1, ReasonCode::IdentityUnverified);
}

#[test]
fn a_suspension_holds_in_shadow_too() {
    let shadow = Case { enforcement: Enforcement::Shadow, ..case("pay") };
    let suspended = Evidence::Suspended("everything is suspended".into());
    assert_eq!(decided(&shadow, &set(STEP_UP), &suspended), (Verdict::Deny, ReasonCode::Suspended, false));
}

#[test]
fn what_depends_on_a_deferred_action_is_deferred() {
    let after = Evidence::DependsOn("act_x".into());
    let deferred = (Verdict::Defer, ReasonCode::DependsOnDeferred, false);
    assert_eq!(decided(&case("pay"), &set(STEP_UP), &after), deferred);
    assert_eq!(decided(&case("send"), &set(STEP_UP), &after).0, Verdict::Deny, "a refusal needs no waiting");
}
