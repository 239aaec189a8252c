//! One run, decided call by call.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};

use super::problem::Problem;
use super::trajectory::{Called, Kind, Run, Step};
use crate::context::{self, Awaited, Classifier, Secrets, Session, Sessions, ToolTable, classification};
use crate::decide::{Input, PolicySet};
use crate::model::{
    Action, ActionId, AgentIdentity, Arguments, Call, Claim, Client, Clock, Credentials, Enforcement, Era, Facts,
    FrameKind, Identity, NativeName, Outbound, Outcome, Peer, ResultText, Timestamp, Transport, Verdict, Verification,
};
use crate::net::SystemClock;

/// What is needed to replay runs.
pub(super) struct Replay<'p> {
    policies: &'p PolicySet,
    lexicon: bool,
    clock: SystemClock,
}

/// What became of one run.
#[derive(Clone, Debug)]
pub(super) struct Replayed {
    /// In the order of the calls.
    pub(super) decisions: Vec<Decided>,
}

/// What became of one call.
#[derive(Clone, Debug)]
pub(super) struct Decided {
    pub(super) tool: String,
    pub(super) verdict: Verdict,
    pub(super) rule: String,
    pub(super) reason: String,
    /// Values that say where the effect goes, with what is known of their origin.
    pub(super) sinks: Vec<(String, &'static str)>,
    /// An approval that was asked for and that no earlier approval of the run covers.
    pub(super) fresh_approval: bool,
    pub(super) microseconds: u64,
}

/// The alias of the one server.
const SERVER: &str = "tools";

/// Seconds between two calls.
const PAUSE_S: u64 = 5;

/// Sessions kept at once: a run is over before the next one begins.
const SESSIONS_MAX: usize = 16;

/// Seconds from one run to the next. The store lets the longest idle session go, so time must not go back between runs.
const RUN_S: u64 = 86_400;

/// A fixed moment to begin with: the same input gives the same verdicts.
const BEGIN_S: u64 = 1_767_225_600;

impl<'p> Replay<'p> {
    /// # Errors
    /// Never in practice: the classification is the default one.
    pub(super) fn new(policies: &'p PolicySet, lexicon: bool) -> Result<Self, Problem> {
        Classifier::new(&classification::Config::default(), ToolTable::default())?;
        Ok(Self { policies, lexicon, clock: SystemClock::new() })
    }

    /// A store of sessions, one for each worker.
    pub(super) fn sessions(&self) -> Option<Sessions> {
        let mut config = context::Config { sessions_max: SESSIONS_MAX, ..context::Config::default() };
        config.drift.attack_lexicon = self.lexicon;
        let classifier = Classifier::new(&classification::Config::default(), ToolTable::default()).ok()?;
        // Fixed, so that two replays agree; nothing of a replay is kept.
        Some(Sessions::new(config, classifier, &Secrets::new(&[0x42; 32])))
    }

    /// `number`: the place of the run among those that share `sessions`.
    pub(super) fn run(&self, run: &Run, number: usize, sessions: &Option<Sessions>) -> Replayed {
        let mut playing = Playing {
            replay: self,
            sessions: sessions.as_ref(),
            run,
            identity: identity(),
            now: Timestamp::from_secs(BEGIN_S + RUN_S * number as u64),
            calls: 0,
            granted: BTreeSet::new(),
            decisions: Vec::new(),
        };
        run.steps.iter().for_each(|step| playing.step(step));
        Replayed { decisions: playing.decisions }
    }
}

/// A run while it is played.
struct Playing<'r> {
    replay: &'r Replay<'r>,
    sessions: Option<&'r Sessions>,
    run: &'r Run,
    identity: Identity,
    now: Timestamp,
    calls: usize,
    granted: BTreeSet<(String, String)>,
    decisions: Vec<Decided>,
}

impl Playing<'_> {
    /// All calls of a step are decided before any of its results is seen.
    fn step(&mut self, step: &Step) {
        let mut waiting = Vec::new();
        for called in &step.calls {
            self.now = Timestamp::from_micros(self.now.as_micros() + PAUSE_S * 1_000_000);
            let call = self.call(called);
            if let Some(session) = self.decide(&call) {
                waiting.push(Awaited::new(session, call.action));
            }
        }
        for (awaited, result) in waiting.into_iter().zip(step.results.iter().map(Some).chain(std::iter::repeat(None))) {
            // The replay follows the record: what was not forwarded here was forwarded there.
            let answer = result.map_or_else(ResultText::nothing, |text| ResultText::whole(message(text)));
            awaited.complete(Outcome::passed_on("record", self.now, self.now), &answer, |_, _| {});
        }
    }

    fn decide(&mut self, call: &Call) -> Option<Arc<Session>> {
        let clock = &self.replay.clock;
        let session = self.sessions?.find(call, &self.identity);
        let begun = clock.monotonic_ns();
        let observed = session.observe(call, None);
        let enforcement = Enforcement::Enforce;
        let input = Input {
            call,
            identity: &self.identity,
            context: observed.context(),
            usage: &[],
            facts: Facts::NONE,
            tool: None,
            enforcement,
        };
        let (decision, gate) = self.replay.policies.decide(&input);
        let microseconds = clock.monotonic_ns().saturating_sub(begun) / 1_000;
        let sinks: Vec<(String, &'static str)> = observed
            .context()
            .signals
            .provenance
            .iter()
            .filter(|provenance| provenance.sink)
            .map(|provenance| (value(call, &provenance.pointer), provenance.origin.as_str()))
            .collect();
        observed.decided(&call.action, decision.verdict, matches!(gate, crate::decide::Gate::Open(_)));
        let tool = call.action.operation.to_string();
        let asks = matches!(decision.verdict, Verdict::StepUp | Verdict::Defer);
        let mut fresh_approval = false;
        if asks {
            let values = sinks.iter().map(|(value, _)| value.clone()).chain(sinks.is_empty().then(String::new));
            for value in values {
                fresh_approval |= self.granted.insert((tool.clone(), value));
            }
            // A person agrees to what the user asked for, and refuses what an attacker did.
            if self.run.kind != Kind::Attack {
                session.approved(&call.action.id);
            }
        }
        let rule = decision.policy.rule_id.as_deref().unwrap_or("default");
        self.decisions.push(Decided {
            tool,
            verdict: decision.verdict,
            rule: format!("{}/{rule}", decision.policy.policy_id),
            reason: decision.reason.to_string(),
            sinks,
            fresh_approval,
            microseconds,
        });
        Some(session)
    }

    fn call(&mut self, called: &Called) -> Call {
        let number = self.calls;
        self.calls += 1;
        // The user's words come with the first call, as a host sends them.
        let meta = (number == 0).then(|| Bytes::from(json!({"countersign/intent": self.run.intent}).to_string()));
        let text = Bytes::from(called.arguments.to_string());
        let operation: Arc<str> = called.tool.as_str().into();
        let mut random = [0; 10];
        random.iter_mut().zip((number as u64).to_be_bytes()).for_each(|(to, from)| *to = from);
        let mut call = Call {
            action: Action {
                id: ActionId::mint(self.now, random),
                tool: SERVER.into(),
                operation: Arc::clone(&operation),
                native: NativeName { server: SERVER.into(), operation, wrapper: None },
                method: "tools/call".into(),
                arguments: Arguments { text: text.clone(), offset: Some(0), value: Arc::new(called.arguments.clone()) },
                destination: None,
                received: self.now,
                jsonrpc_id: None,
                trace: None,
            },
            kind: FrameKind::Action,
            inputs: Vec::new(),
            client: client(&self.run.id, meta),
            credentials: Credentials::default(),
            outbound: Outbound {
                server: SERVER.into(),
                method: http::Method::POST,
                path: "".into(),
                headers: http::HeaderMap::new(),
                body: text,
            },
        };
        call.action.destination = self.replay.policies.destination(&call.action);
        call
    }
}

fn value(call: &Call, pointer: &str) -> String {
    match call.action.arguments.value.pointer(pointer) {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}

/// An MCP result with this text.
fn message(text: &str) -> Bytes {
    json!({"jsonrpc": "2.0", "id": 1, "result": {"content": [{"type": "text", "text": text}]}}).to_string().into()
}

fn client(run: &str, meta: Option<Bytes>) -> Client {
    Client {
        peer: Peer::Address(SocketAddr::from((Ipv4Addr::LOCALHOST, 1))),
        transport: Transport::McpHttp,
        era: Era::Legacy,
        protocol_version: None,
        name: None,
        version: None,
        protocol_session: Some(run.into()),
        meta,
        url_elicitation: false,
        accepts_stream: false,
        progress_token: None,
        held: crate::model::Held::default(),
    }
}

/// Whoever ran the agent: verified, since identity is not what is tested.
fn identity() -> Identity {
    let claim = |value: &str| Claim { value: value.into(), verification: Verification::ApiKey };
    Identity {
        human: Some(claim("recorded-user")),
        agent: Some(AgentIdentity { id: claim("recorded-agent"), instance: None, version: None, listed: None }),
        verification: Verification::ApiKey,
        ..Identity::default()
    }
}
