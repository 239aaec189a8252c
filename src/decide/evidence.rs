//! Decides with what people and controls say besides the policies. Permission stays a value: whoever approves hands in
//! evidence, and only here it becomes a [`Permit`], if it still fits what would run.

use std::sync::Arc;

use super::input::Input;
use super::modify;
use super::permit::{Gate, Permit};
use super::ruling::{Ruling, built_in_policy};
use super::set::PolicySet;
use crate::context::caller;
use crate::model::{
    Approval, Call, Classification, Decision, Digest, Enforcement, Facts, ReasonCode, Severity, Transport, Verdict,
};

/// What people and controls say about one action.
#[derive(Clone, Debug)]
pub enum Evidence {
    /// A person's yes to exactly this action.
    Approved(Arc<Approval>),
    /// Two people opened this scope for a while; the id. Never over what is forbidden, nobody's or malformed.
    BreakGlass(Arc<str>),
    /// It depends on an action that is suspended; that one's id (AARM ).
    DependsOn(Arc<str>),
    /// A standing permission covers it; the id.
    Granted(Arc<str>),
    /// What resolvers found out. Permits nothing: it is part of the input.
    Resolved(Arc<Facts>),
    /// Something that was to prove an approval does not; the sentence says why.
    Stale(Arc<str>),
    /// The kill switch holds it; the sentence says what and by whom. Holds in shadow too.
    Suspended(Arc<str>),
}

/// Digest of what is called with the exact parameters, the same for the same request whatever else came with it:
/// progress tokens, client names and the state of a suspended request are not part of it.
#[must_use]
pub fn action_digest(call: &Call) -> Digest {
    let action = &call.action;
    let body: &[u8] = match call.client.transport {
        Transport::Http => &call.outbound.body,
        Transport::McpHttp | Transport::McpStdio => b"",
    };
    let parameters = match &*action.method {
        // Their parameters hold the envelope too.
        method if call.client.transport != Transport::Http && !matches!(method, "tools/call" | "prompts/get") => {
            let mut members = action.arguments.value.as_object().cloned().unwrap_or_default();
            members.retain(|name, _| !matches!(name.as_str(), "_meta" | "inputResponses" | "requestState"));
            serde_json::to_vec(&members).unwrap_or_default()
        }
        _ => action.arguments.text.to_vec(),
    };
    // Of a wrapper everything runs, not what the inner tool gets of it alone.
    let wrapper = action.native.wrapper.as_ref();
    let (name, whole) = (wrapper.map(|wrapper| &*wrapper.name), wrapper.map(|wrapper| wrapper.arguments.to_string()));
    let parts: [&[u8]; 8] = [
        name.unwrap_or_default().as_bytes(),
        whole.as_deref().unwrap_or_default().as_bytes(),
        action.native.server.as_bytes(),
        action.method.as_bytes(),
        action.native.operation.as_bytes(),
        call.outbound.path.as_bytes(),
        &parameters,
        body,
    ];
    let lengths = parts.map(|part| (part.len() as u64).to_be_bytes());
    let all: Vec<&[u8]> = lengths.iter().zip(parts).flat_map(|(length, part)| [length.as_slice(), part]).collect();
    Digest::of_parts(&all)
}

impl PolicySet {
    /// As [`PolicySet::decide`], with evidence. What the policies allow by themselves needs none; what they refuse
    /// stays refused, but for break-glass.
    #[must_use]
    pub fn decide_approved(&self, input: &Input<'_>, evidence: &Evidence) -> (Decision, Gate) {
        match evidence {
            Evidence::Suspended(why) => return self.refused(input, ReasonCode::Suspended, why, Severity::Critical),
            Evidence::Stale(why) => return self.refused(input, ReasonCode::ApprovalStale, why, Severity::High),
            Evidence::Resolved(_) => return self.decide(input),
            Evidence::Approved(_) | Evidence::BreakGlass(_) | Evidence::DependsOn(_) | Evidence::Granted(_) => {}
        }
        let ruling = self.rule_on(input);
        let waits = matches!(ruling.verdict, Verdict::Defer | Verdict::StepUp);
        let allowed = matches!(ruling.verdict, Verdict::Allow | Verdict::Modify);
        match evidence {
            Evidence::DependsOn(parent) if ruling.verdict != Verdict::Deny => self.after(ruling, input, parent),
            _ if allowed => self.decide(input),
            Evidence::Approved(approval) if waits => match unfit(&approval.binding, input, self.hash()) {
                Some(why) => self.refused(input, ReasonCode::ApprovalStale, why, Severity::High),
                None => {
                    let says = format!("approved by {} ({})", approval.approver, approval.id);
                    self.let_through(ruling, input, ReasonCode::Approved, &says)
                }
            },
            Evidence::Granted(id) if ruling.verdict == Verdict::StepUp => {
                self.let_through(ruling, input, ReasonCode::Granted, &format!("granted by {id}"))
            }
            Evidence::BreakGlass(id) if waits || may_break(&ruling) => {
                let says = format!("let through by break-glass {id}");
                let ruling = Ruling { severity: Severity::Critical, ..ruling };
                self.let_through(ruling, input, ReasonCode::BreakGlass, &says)
            }
            _ => self.decide(input),
        }
    }

    /// The parameters as they will run when an action that waits is let through: what an approver must see.
    #[must_use]
    pub fn would_run(&self, input: &Input<'_>) -> bytes::Bytes {
        let ruling = self.rule_on(input);
        match self.changed(&ruling, input) {
            Ok(Some(modified)) => modified.arguments,
            Ok(None) | Err(_) => input.call.action.arguments.text.clone(),
        }
    }

    fn changed(&self, ruling: &Ruling<'_>, input: &Input<'_>) -> Result<Option<modify::Modified>, String> {
        if ruling.modifiers.is_empty() {
            return Ok(None);
        }
        let changes = ruling.modifiers.iter().flat_map(|rule| &rule.rule.changes);
        modify::modify(changes, input, self.settings()).map(Some)
    }

    fn let_through(&self, ruling: Ruling<'_>, input: &Input<'_>, code: ReasonCode, says: &str) -> (Decision, Gate) {
        let shadow = input.enforcement == Enforcement::Shadow;
        let modified = match self.changed(&ruling, input) {
            Ok(modified) => modified,
            Err(problem) => {
                let gate = if shadow { Gate::Open(Permit::shadow(input.call)) } else { Gate::Closed };
                return (ruling.unmodifiable(&problem).into_decision(input.enforcement, self.hash()), gate);
            }
        };
        let reason = format!("{says}: {}", ruling.reason);
        let verdict = if modified.is_some() { Verdict::Modify } else { Verdict::Allow };
        let mut decision = Ruling { reason, code, verdict, ..ruling }.into_decision(input.enforcement, self.hash());
        let permit = match modified {
            _ if shadow => Permit::shadow(input.call),
            Some(modified) => {
                decision.edits = modified.edits;
                Permit::modified(input.call, modified.outbound, modified.arguments)
            }
            None => Permit::unchanged(input.call),
        };
        (decision, Gate::Open(permit))
    }

    /// What would run waits for another action to end first.
    fn after(&self, ruling: Ruling<'_>, input: &Input<'_>, parent: &str) -> (Decision, Gate) {
        let shadow = input.enforcement == Enforcement::Shadow;
        let gate = if shadow { Gate::Open(Permit::shadow(input.call)) } else { Gate::Closed };
        let ruling = Ruling {
            verdict: Verdict::Defer,
            classification: Classification::ContextDependentDefer,
            code: ReasonCode::DependsOnDeferred,
            reason: format!("depends on {parent}, which is suspended"),
            severity: Severity::Medium,
            ..ruling
        };
        (ruling.into_decision(input.enforcement, self.hash()), gate)
    }

    /// A refusal that holds whatever the mode: it is no policy that is tried out.
    fn refused(&self, input: &Input<'_>, code: ReasonCode, why: &str, severity: Severity) -> (Decision, Gate) {
        let mut ruling = Ruling::built_in(Verdict::Deny, code, why.to_owned(), self.hash());
        (ruling.severity, ruling.policy) = (severity, built_in_policy(code.as_str(), self.hash()));
        let shadow = input.enforcement == Enforcement::Shadow && code != ReasonCode::Suspended;
        let gate = if shadow { Gate::Open(Permit::shadow(input.call)) } else { Gate::Closed };
        let enforcement = if shadow { Enforcement::Shadow } else { Enforcement::Enforce };
        (ruling.into_decision(enforcement, self.hash()), gate)
    }
}

/// Why an approval does not hold for what would run now.
fn unfit(binding: &crate::model::Binding, input: &Input<'_>, policy_set: Digest) -> Option<&'static str> {
    let pin = input.tool.map(|tool| tool.definition().digest);
    let checks = [
        (binding.policy_set == policy_set, "the policies changed since it was asked"),
        (binding.tool_pin == pin, "the tool changed since it was asked"),
        (binding.caller == caller(input.call, input.identity), "somebody else asked"),
        (binding.action == action_digest(input.call), "something else was asked"),
        (input.context.now < binding.expires, "the approval has expired"),
    ];
    checks.into_iter().find(|(holds, _)| !holds).map(|(_, why)| why)
}

/// What break-glass may override: what a rule or the default refused, and nothing that is forbidden.
fn may_break(ruling: &Ruling<'_>) -> bool {
    ruling.classification != Classification::Forbidden
        && matches!(ruling.code, ReasonCode::DefaultPosture | ReasonCode::PolicyRule)
}
