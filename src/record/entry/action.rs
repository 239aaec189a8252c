//! The block `action`: what was asked, by which program, with which arguments.

use serde::{Deserialize, Serialize};

use super::parameters::{FORWARDED_TEXT_MAX, PARAMETERS_TEXT_MAX, ParametersSource};
use super::{ClientBlock, Domain, ParametersBlock, ParametersMode, SaltKey, Text, clip, clip_cow};
use crate::model::{Call, Destination, Digest, Timestamp};
use crate::record::redact;

/// Names that operators give: servers, methods, versions. Bytes inside the JSON string.
const NAME_MAX: usize = 128;
/// Operations may be resource URIs.
const OPERATION_MAX: usize = 512;

/// What was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionBlock<'a> {
    /// Minted by the interceptor; also sent to the server.
    pub action_id: Text<'a>,
    /// Bytes of the body of the request.
    pub bytes: u64,
    /// The program that sent it.
    pub client: ClientBlock<'a>,
    /// Where the effect goes; null when it cannot be told.
    pub destination: Option<DestinationBlock<'a>>,
    /// What kind of effect the tool has; null when nobody says.
    pub effect: Option<EffectBlock<'a>>,
    /// The arguments that were forwarded; null unless they were changed.
    pub forwarded_parameters: Option<ParametersBlock<'a>>,
    /// The JSON-RPC id as written; null for plain HTTP and notifications.
    pub jsonrpc_id: Option<Text<'a>>,
    /// `tools/call` and its kin, or the HTTP method.
    pub method: Text<'a>,
    /// The names before mapping.
    pub native: NativeBlock<'a>,
    /// The operation.
    pub operation: Text<'a>,
    /// The arguments as they came.
    pub parameters: ParametersBlock<'a>,
    /// When the last byte of the request had arrived.
    pub received: Timestamp,
    /// What the agent's host says about the step this action belongs to; null when it says nothing.
    pub step: Option<StepBlock<'a>>,
    /// The tool.
    pub tool: Text<'a>,
    /// Digest of the pinned definition of the tool; null when it is not known.
    pub tool_pin: Option<Digest>,
    /// W3C trace context; null when the client sent none.
    pub trace: Option<TraceBlock<'a>>,
}

/// Where the effect of an action goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DestinationBlock<'a> {
    /// `external` or `internal`.
    pub class: Text<'a>,
    /// Host or domain.
    pub name: Text<'a>,
}

/// What kind of effect a tool has, by the operator's registry or the server's hints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the manual documents each member")]
pub struct EffectBlock<'a> {
    pub category: Option<Text<'a>>,
    pub destructive: Option<bool>,
    pub idempotent: Option<bool>,
    pub open_world: Option<bool>,
    pub read_only: Option<bool>,
    pub source: Text<'a>,
}

/// The names an action came with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the manual documents each member")]
pub struct NativeBlock<'a> {
    pub operation: Text<'a>,
    pub server: Text<'a>,
    pub wrapper: Option<Text<'a>>,
}

/// What the agent's host says about a step. Self-reported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the manual documents each member")]
pub struct StepBlock<'a> {
    pub id: Option<Text<'a>>,
    pub model: Option<ModelBlock<'a>>,
    pub reasoning: Option<Text<'a>>,
    pub turn_id: Option<Text<'a>>,
    #[serde(rename = "type")]
    pub step_type: Option<Text<'a>>,
}

/// The language model behind a step. Self-reported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the manual documents each member")]
pub struct ModelBlock<'a> {
    pub id: Option<Text<'a>>,
    pub provider: Option<Text<'a>>,
}

/// W3C trace context.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceBlock<'a> {
    /// The span that the client sent: 16 hexadecimal digits.
    pub parent_span_id: Text<'a>,
    /// The span of this action, when the product makes one.
    pub span_id: Option<Text<'a>>,
    /// 32 hexadecimal digits.
    pub trace_id: Text<'a>,
}

/// What an [`ActionBlock`] is made from.
#[derive(Clone, Copy, Debug)]
pub struct ActionFacts<'a> {
    /// The call.
    pub call: &'a Call,
    /// The arguments after a MODIFY.
    pub forwarded: Option<&'a [u8]>,
    /// How much of the arguments is kept.
    pub mode: ParametersMode,
    /// The pinned definition of the tool.
    pub tool_pin: Option<Digest>,
}

impl<'a> ActionBlock<'a> {
    /// The block, and the texts that `commit` mode puts into the vault: label and text.
    #[must_use]
    pub fn of(facts: &ActionFacts<'a>, salts: &SaltKey) -> (Self, Vec<(&'static str, String)>) {
        let ActionFacts { call, forwarded, mode, tool_pin } = *facts;
        let action = &call.action;
        let parameters = |domain, label, bytes, text_max| {
            let source = ParametersSource { action: &action.id, bytes, domain, label, mode, text_max };
            let (block, vault) = ParametersBlock::of(&source, salts);
            (block, vault.map(|text| (label, text)))
        };
        let (came, vault) = parameters(Domain::Parameters, "parameters", &action.arguments.text, PARAMETERS_TEXT_MAX);
        let changed = forwarded.map(|bytes| parameters(Domain::Forwarded, "forwarded", bytes, FORWARDED_TEXT_MAX));
        let (forwarded_parameters, vault_forwarded) = changed.unzip();
        let block = Self {
            action_id: action.id.as_str().into(),
            bytes: call.outbound.body.len() as u64,
            client: ClientBlock::of(&call.client),
            destination: action.destination.as_ref().map(DestinationBlock::of),
            effect: None,
            forwarded_parameters,
            jsonrpc_id: action.jsonrpc_id.as_deref().map(|id| clean(id, NAME_MAX)),
            method: clean(&action.method, NAME_MAX),
            native: NativeBlock {
                operation: clean(&action.native.operation, OPERATION_MAX),
                server: clip(&action.native.server, NAME_MAX),
                wrapper: action.native.wrapper.as_ref().map(|wrapper| clip(&wrapper.name, NAME_MAX)),
            },
            operation: clean(&action.operation, OPERATION_MAX),
            parameters: came,
            received: action.received,
            step: None,
            tool: clip(&action.tool, NAME_MAX),
            tool_pin,
            trace: action.trace.as_ref().map(|(trace, span)| TraceBlock {
                parent_span_id: clip(span, 32),
                span_id: None,
                trace_id: clip(trace, 64),
            }),
        };
        (block, vault.into_iter().chain(vault_forwarded.flatten()).collect())
    }
}

impl<'a> DestinationBlock<'a> {
    fn of(destination: &'a Destination) -> Self {
        Self { class: destination.class().into(), name: clean(destination.name(), NAME_MAX) }
    }
}

/// Without secrets, and short enough.
fn clean(text: &str, max: usize) -> Text<'_> {
    clip_cow(redact::text(text).text, max)
}
