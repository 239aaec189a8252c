//! Calls, identities and contexts for the tests of this stage.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use super::{CompiledTool, Input, PolicySet, PolicySource, Scenario, Settings};
use crate::model::{
    ActionId, AgentIdentity, Arguments, Call, Claim, Correlation, DataLevel, Decision, Enforcement, Facts, Identity,
    Peer, PriorAction, SessionContext, SessionId, Timestamp, Usage, Verdict, Verification, Wrapper,
};

/// A tools/call with this text as its arguments, inside a body with odd spacing.
pub(super) fn call(server: &str, operation: &str, arguments: &str) -> Call {
    let head =
        format!(r#"{{"jsonrpc":"2.0", "id":1,"method":"tools/call","params":{{"name":"{operation}","arguments": "#);
    let body = Bytes::from(format!("{head}{arguments} }} }}"));
    let text = body.slice(head.len()..head.len() + arguments.len());
    let value: Value = serde_json::from_str(arguments).unwrap();
    let Scenario { mut call, .. } = Scenario::new(server, operation, &value);
    call.action.id = ActionId::parse("act_test").unwrap();
    call.action.received = Timestamp::from_secs(1_000);
    call.action.arguments = Arguments { text, offset: Some(head.len()), value: Arc::new(value) };
    call.client.peer = Peer::Address(SocketAddr::from(([127, 0, 0, 1], 5_000)));
    call.outbound.body = body;
    call
}

/// A wrapper that gives the inner tool all of its arguments.
pub(super) fn wrapper(name: &str) -> Arc<Wrapper> {
    Arc::new(Wrapper { name: name.into(), arguments: Arc::new(serde_json::json!({})), inner: "".into() })
}

pub(super) fn claim(value: &str) -> Claim {
    Claim { value: value.into(), verification: Verification::Jwt }
}

/// A verified agent without role.
pub(super) fn identity() -> Identity {
    Identity {
        human: Some(claim("ann")),
        agent: Some(AgentIdentity { id: claim("helper"), instance: None, version: None, listed: None }),
        verification: Verification::Jwt,
        ..Identity::default()
    }
}

pub(super) fn context() -> SessionContext {
    SessionContext {
        session: SessionId::parse("sess_test").unwrap(),
        correlation: Correlation::ProtocolSession,
        started: Timestamp::from_secs(900),
        now: Timestamp::from_secs(1_000),
        ..Scenario::new("", "", &Value::Null).context
    }
}

/// A tool that takes any object and declares nothing, or what `schema` says.
pub(super) fn tool(schema: &str) -> CompiledTool {
    let mut scenario = Scenario::new("", "", &Value::Null);
    scenario.with_schema(serde_json::from_str(schema).unwrap());
    scenario.tool.unwrap()
}

/// An earlier action that was forwarded and brought confidential data.
pub(super) fn prior(tool: &str, operation: &str, seconds_ago: u64) -> Arc<PriorAction> {
    Arc::new(PriorAction {
        id: ActionId::parse("act_prior").unwrap(),
        tool: tool.into(),
        operation: operation.into(),
        verdict: Verdict::Allow,
        forwarded: true,
        confirmed: false,
        at: Timestamp::from_secs(1_000 - seconds_ago),
        level: Some(DataLevel::Confidential),
        success: Some(true),
    })
}

pub(super) const OPEN: &str = r#"{"type":"object"}"#;

pub(super) fn source(text: &str) -> PolicySource {
    PolicySource { name: "test.yaml".into(), text: text.into() }
}

pub(super) fn set(text: &str) -> PolicySet {
    set_with(text, &Settings { internal_domains: vec!["corp.example".into()], ..Settings::default() })
}

pub(super) fn set_with(text: &str, settings: &Settings) -> PolicySet {
    PolicySet::compile(&[source(text)], settings).unwrap_or_else(|errors| panic!("{errors}\n{text}"))
}

/// The whole of an input, to be changed before it is decided on.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) call: Call,
    pub(super) identity: Identity,
    pub(super) context: SessionContext,
    pub(super) usage: Vec<Usage>,
    pub(super) facts: Facts,
    pub(super) tool: Option<CompiledTool>,
    pub(super) enforcement: Enforcement,
}

impl Case {
    pub(super) fn new(server: &str, operation: &str, arguments: &str) -> Self {
        Self {
            call: call(server, operation, arguments),
            identity: identity(),
            context: context(),
            usage: Vec::new(),
            facts: Facts::default(),
            tool: Some(tool(OPEN)),
            enforcement: Enforcement::Enforce,
        }
    }

    pub(super) fn input(&self) -> Input<'_> {
        Input {
            call: &self.call,
            identity: &self.identity,
            context: &self.context,
            usage: &self.usage,
            facts: &self.facts,
            tool: self.tool.as_ref(),
            enforcement: self.enforcement,
        }
    }

    pub(super) fn decide(&self, set: &PolicySet) -> (Decision, super::Gate) {
        set.decide(&self.input())
    }
}
