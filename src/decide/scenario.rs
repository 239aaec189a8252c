//! An action with everything around it, made by hand: for the tests inside policy files, for `policy explain`, and for
//! replaying what was recorded.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use super::explain::Explanation;
use super::input::Input;
use super::results::ResultFacts;
use super::schema::{self, PolicyErrors, PolicySource};
use super::set::PolicySet;
use super::settings::Settings;
use super::tool::CompiledTool;
use crate::model::{
    Action, ActionId, Arguments, Call, Client, Correlation, Credentials, Decision, Digest, Enforcement, Era, Facts,
    FrameKind, Identity, NativeName, Outbound, Peer, SessionContext, SessionId, Signals, Timestamp, ToolDefinition,
    ToolHints, Transport, Usage, Verification,
};

/// An input that owns its parts.
#[derive(Debug)]
pub struct Scenario {
    /// The call.
    pub call: Call,
    /// Who makes it.
    pub identity: Identity,
    /// What is known about the session.
    pub context: SessionContext,
    /// What stands on meters, by the name of the rule or by `policy/rule`.
    pub usage: Vec<Usage>,
    /// What resolvers found out.
    pub facts: Facts,
    /// The tool.
    pub tool: Option<CompiledTool>,
    /// What it returned.
    pub result: Option<ScenarioResult>,
}

/// What a tool returned, in a scenario.
#[derive(Clone, Debug, Default)]
pub struct ScenarioResult {
    /// Its texts.
    pub texts: Vec<String>,
    /// Its level.
    pub level: Option<crate::model::DataLevel>,
    /// Its labels.
    pub labels: Option<Vec<Arc<str>>>,
    /// Whether it reads like an instruction.
    pub instruction_like: Option<bool>,
    /// Whether the tool failed.
    pub is_error: bool,
}

/// The moment of a scenario that names none: a Wednesday at noon, UTC.
pub const NOON: Timestamp = Timestamp::from_secs(1_767_787_200);

impl Scenario {
    /// A tools/call by a verified agent in a session that has just begun, with a tool that takes anything.
    #[must_use]
    pub fn new(server: &str, operation: &str, arguments: &Value) -> Self {
        let text = Bytes::from(arguments.to_string());
        let native = NativeName { server: server.into(), operation: operation.into(), wrapper: None };
        let action = Action {
            id: ActionId::mint(NOON, [0; 10]),
            tool: server.into(),
            operation: operation.into(),
            native,
            method: "tools/call".into(),
            arguments: Arguments { text: text.clone(), offset: Some(0), value: Arc::new(arguments.clone()) },
            destination: None,
            received: NOON,
            jsonrpc_id: Some("1".into()),
            trace: None,
        };
        let call = Call {
            action,
            kind: FrameKind::Action,
            client: client(),
            credentials: Credentials::default(),
            // A change is made on the arguments alone: they are the whole body here.
            outbound: Outbound {
                server: server.into(),
                method: http::Method::POST,
                path: "".into(),
                headers: http::HeaderMap::new(),
                body: text,
            },
            inputs: Vec::new(),
        };
        let identity = Identity { verification: Verification::Jwt, ..Identity::default() };
        Self {
            call,
            identity,
            context: context(),
            usage: Vec::new(),
            facts: Facts::default(),
            tool: Some(tool(any())),
            result: None,
        }
    }

    /// Reads one from YAML or JSON, written like a test of a policy file.
    ///
    /// # Errors
    /// What is wrong in it, each with its line.
    pub fn read(source: &PolicySource, settings: &Settings) -> Result<Self, PolicyErrors> {
        schema::scenario(source, settings)
    }

    /// Gives the tool this schema.
    pub fn with_schema(&mut self, schema: Value) {
        self.tool = Some(tool(schema));
    }

    /// What is decided about it, and what for a result.
    #[must_use]
    pub fn decide(&self, set: &PolicySet) -> Decision {
        let mut call = self.call.clone();
        call.action.destination = call.action.destination.take().or_else(|| set.destination(&call.action));
        set.decide(&Input { call: &call, ..self.input() }).0
    }

    /// Decides, and says of every rule what it answered and why.
    #[must_use]
    pub fn explain(&self, set: &PolicySet) -> Explanation {
        let mut call = self.call.clone();
        call.action.destination = call.action.destination.take().or_else(|| set.destination(&call.action));
        set.explain(&Input { call: &call, ..self.input() })
    }

    /// The input that it is.
    #[must_use]
    pub fn input(&self) -> Input<'_> {
        Input {
            call: &self.call,
            identity: &self.identity,
            context: &self.context,
            usage: &self.usage,
            facts: &self.facts,
            tool: self.tool.as_ref(),
            enforcement: Enforcement::Enforce,
        }
    }
}

impl ScenarioResult {
    /// Lets `look` see the facts.
    pub fn facts<R>(&self, look: impl FnOnce(&ResultFacts<'_>) -> R) -> R {
        let texts: Vec<&str> = self.texts.iter().map(String::as_str).collect();
        let bytes = self.texts.iter().map(String::len).sum::<usize>();
        look(&ResultFacts {
            texts: &texts,
            bytes: u64::try_from(bytes).unwrap_or(u64::MAX),
            is_error: self.is_error,
            level: self.level,
            labels: self.labels.as_deref(),
            instruction_like: self.instruction_like,
        })
    }
}

fn any() -> Value {
    serde_json::json!({"type": "object"})
}

fn tool(input_schema: Value) -> CompiledTool {
    CompiledTool::new(ToolDefinition {
        name: "tool".into(),
        digest: Digest([0; 32]),
        input_schema,
        hints: ToolHints::default(),
        mirrored: Vec::new(),
    })
}

fn client() -> Client {
    Client {
        peer: Peer::Address(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))),
        transport: Transport::McpHttp,
        era: Era::Modern,
        protocol_version: None,
        name: None,
        version: None,
        protocol_session: None,
        meta: None,
        url_elicitation: false,
        accepts_stream: true,
        progress_token: None,
        held: crate::model::Held::default(),
    }
}

fn context() -> SessionContext {
    SessionContext {
        session: SessionId::mint(NOON, [0; 10]),
        correlation: Correlation::SignedToken,
        key: None,
        intact: true,
        drift: None,
        started: NOON,
        now: NOON,
        intent: None,
        history: Arc::from([]),
        action_count: 0,
        level: None,
        labels: Arc::from([]),
        signals: Signals::default(),
        context_hash: Digest([0; 32]),
    }
}
