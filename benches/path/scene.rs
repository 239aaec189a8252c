//! One call in the middle of a session, with everything that a decision about it is made from.

use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use countersign::context::{Awaited, Classifier, Secrets, Sessions, ToolTable, classification};
use countersign::decide::{CompiledTool, Input, PolicySet, PolicySource, Settings};
use countersign::intercept::{Arrival, read_line};
use countersign::model::json::{Limits, scan};
use countersign::model::{
    ActionId, AgentIdentity, Call, Claim, Credentials, Decision, Digest, Enforcement, Facts, Identity, Outcome,
    OutcomeStatus, Peer, ResultSummary, ResultText, SessionContext, Timestamp, ToolDefinition, ToolHints, Verdict,
    Verification,
};
use countersign::record::entry::{
    ActionBlock, ActionFacts, Blocks, ContextBlock, DecisionBlock, EntryHeader, IdentityBlock, LogBlock, Member,
    ParametersMode, SaltKey, SessionBlock, TimeBlock, write_blocks,
};
use countersign::record::{Sealed, SigningKey, seal};
use serde_json::json;

use super::Fallible;
use super::micro::call_text;
use super::subject::policy;

/// Earlier actions of the session, each with a result.
const EARLIER: u64 = 50;
/// The size of each of these results.
const RESULT_BYTES: usize = 8 << 10;
/// When the call arrives.
const NOW: Timestamp = Timestamp::from_secs(1_795_209_298);

/// What is there when a call is decided.
pub(crate) struct Scene {
    pub(crate) call: Call,
    pub(crate) identity: Identity,
    pub(crate) policies: PolicySet,
    pub(crate) tool: CompiledTool,
    sessions: Sessions,
    key: SigningKey,
    salts: SaltKey,
}

impl Scene {
    /// A session of many calls under the policy of the bench with so many rules.
    ///
    /// # Errors
    /// The policy does not compile, or the call cannot be read.
    pub(crate) fn set_up(rules: usize) -> Fallible<Self> {
        let source = PolicySource { name: "bench.policy.yaml".into(), text: policy(rules) };
        let policies =
            PolicySet::compile(&[source], &Settings::default()).map_err(|errors| format!("bench policy: {errors}"))?;
        let definition = ToolDefinition {
            name: "echo".into(),
            digest: Digest::of(b"echo"),
            input_schema: json!({
                "type": "object", "properties": { "text": { "type": "string" } }, "required": ["text"]
            }),
            hints: ToolHints::default(),
            mirrored: Vec::new(),
        };
        let scene = Self {
            call: Self::call(&Bytes::from(call_text()))?,
            identity: identity(),
            policies,
            tool: CompiledTool::new(definition),
            sessions: Sessions::new(
                countersign::context::Config::default(),
                Classifier::new(&classification::Config::default(), ToolTable::default())?,
                &Secrets::new(&[1; 32]),
            ),
            key: SigningKey::generate()?,
            salts: SaltKey::new(&countersign::net::random_bytes()?),
        };
        for _ in 0..EARLIER {
            scene.take_in(&ResultText::whole(result_text(RESULT_BYTES)));
        }
        Ok(scene)
    }

    /// An action whose result has come, with everything that a session does with both.
    pub(crate) fn take_in(&self, text: &ResultText) {
        let session = self.sessions.find(&self.call, &self.identity);
        let mut call = self.call.clone();
        call.action.id = ActionId::mint(NOW, countersign::net::random_bytes().unwrap_or([0; 10]));
        session.observe(&call, None).decided(&call.action, Verdict::Allow, true);
        Awaited::new(session, call.action)
            .complete(outcome(), text, |outcome, facts| drop(black_box((outcome, facts))));
    }

    /// The call as the interceptor reads it.
    ///
    /// # Errors
    /// It does not read it.
    pub(crate) fn call(text: &Bytes) -> Fallible<Call> {
        let arrival = Arrival {
            server: "bench".into(),
            action: ActionId::mint(NOW, [7; 10]),
            received: NOW,
            limits: Limits::default(),
        };
        let peer = Peer::Address(SocketAddr::from(([127, 0, 0, 1], 40_000)));
        read_line(text.clone(), arrival, peer, Credentials::default()).map_err(|(problem, _)| problem.into())
    }

    /// What is known about the session before the call.
    pub(crate) fn context(&self) -> SessionContext {
        self.sessions.find(&self.call, &self.identity).observe(&self.call, None).context().clone()
    }

    /// What the decision is made from.
    pub(crate) const fn input<'a>(&'a self, context: &'a SessionContext) -> Input<'a> {
        Input {
            call: &self.call,
            identity: &self.identity,
            context,
            usage: &[],
            facts: Facts::NONE,
            tool: Some(&self.tool),
            enforcement: Enforcement::Enforce,
        }
    }

    /// The entry of the decision, signed.
    ///
    /// # Errors
    /// It cannot be serialised.
    pub(crate) fn entry(&self, context: &SessionContext, decision: &Decision) -> Fallible<Sealed> {
        let id = &self.call.action.id;
        let facts = ActionFacts {
            call: &self.call,
            forwarded: None,
            mode: ParametersMode::Redacted,
            tool_pin: Some(self.tool.definition().digest),
        };
        let (action, _) = ActionBlock::of(&facts, &self.salts);
        let mut blocks = Blocks::new();
        blocks.add(Member::Action, &action)?;
        blocks.add(Member::Context, &ContextBlock::of(context, decision.verdict, id, &self.salts))?;
        blocks.add(Member::Decision, &DecisionBlock::of(decision, &context.signals, None))?;
        blocks.add(Member::Identity, &IdentityBlock::of(&self.identity))?;
        let header = EntryHeader {
            kind: "decision",
            log: &LogBlock { epoch: 1, origin: "localhost/bench".into(), run_first: 0 },
            receipt_id: "rcpt_0",
            session: &SessionBlock {
                chain: 1,
                close: false,
                id: context.session.as_str().into(),
                prev: Some(Digest::of(b"before")),
                prev_origin: None,
                seq: EARLIER,
                vault_day: Some("2026-11-20".into()),
            },
            subject: id.as_str(),
            subject_hex: action.parameters.hash.hex_digits(),
            time: &TimeBlock { boot_id: "boot".into(), mono_ns: "1".into(), run_id: "run".into(), wall: NOW },
        };
        Ok(seal(&write_blocks(&header, &blocks)?, &[&self.key]))
    }
}

/// An answer of about `bytes` with what results hold: records with names, mail addresses, amounts and prose.
pub(crate) fn result_text(bytes: usize) -> Bytes {
    let mut rows = String::new();
    for number in 0.. {
        let row = format!(
            "Customer {number}: Ada Example {number} <ada.{number}@customer.example>, invoice INV-2026-{number:05}, 1,{:03}.50 EUR due. \
             Please see https://portal.example/orders/{number} before calling back.\\n",
            number % 1_000
        );
        if rows.len() + row.len() > bytes {
            break;
        }
        rows.push_str(&row);
    }
    Bytes::from(format!(
        r#"{{"jsonrpc":"2.0","id":1,"result":{{"content":[{{"type":"text","text":"{rows}"}}],"isError":false}}}}"#
    ))
}

fn outcome() -> Outcome {
    Outcome {
        status: OutcomeStatus::Success,
        started: NOW,
        completed: NOW,
        upstream: "127.0.0.1:1".into(),
        http_status: Some(200),
        error_code: None,
        error: None,
        result: ResultSummary::default(),
        server_version: None,
    }
}

/// The arguments inside the text of a call.
///
/// # Errors
/// There are none.
pub(crate) fn argument_text(call: &[u8]) -> Fallible<Vec<u8>> {
    let (text, document) = scan(call, Limits::default())?;
    let arguments = document.root(text).pointer("/params/arguments").ok_or("a call without arguments")?;
    Ok(arguments.text().as_bytes().to_vec())
}

fn identity() -> Identity {
    let claim = |value: &str| Claim { value: value.into(), verification: Verification::ApiKey };
    let part = |value: &str| Some(claim(value));
    Identity {
        human: part("bench@example.com"),
        service: part("bench"),
        agent: Some(AgentIdentity { id: claim("bench-agent"), instance: None, version: None, listed: None }),
        verification: Verification::ApiKey,
        credential: Some(Digest::of(b"key")),
        issuer: Some(Arc::from("bench")),
        ..Identity::default()
    }
}
