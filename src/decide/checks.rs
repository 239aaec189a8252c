//! What is checked before any rule: somebody acts, the agent may reach the server, and the arguments are what the tool
//! says it takes. Each failure is an ordinary decision with a reason and a receipt.

use super::input::Input;
use super::ruling::Ruling;
use super::settings::{SchemaCheck, Settings, UnknownSchema, UnverifiedIdentity};
use super::tool::CompiledTool;
use crate::model::{Digest, ReasonCode, Verdict};

/// Longest JSON pointer in a reason, bytes. A pointer can hold member names that the caller made up.
const POINTER_BYTES_MAX: usize = 120;

/// The first check that fails.
pub(super) fn refuse<'s>(input: &Input<'_>, settings: &Settings, set: Digest) -> Option<Ruling<'s>> {
    let deny = |code, reason: String| Some(Ruling::built_in(Verdict::Deny, code, reason, set));
    let identity = input.identity;
    // AARM: both the identity and the settings must say that an unverified caller may go on.
    let flagged = settings.identity == UnverifiedIdentity::Flag && identity.flagged;
    if !identity.verification.is_verified() && !flagged {
        return deny(ReasonCode::IdentityUnverified, "the caller could not be verified".into());
    }
    let server = &input.call.action.native.server;
    let listed = identity.agent.as_ref().and_then(|agent| agent.listed);
    if listed == Some(false) || (settings.listed_agents_only && listed.is_none()) {
        return deny(ReasonCode::AgentNotListed, "the agent is not in the inventory".into());
    }
    if identity.servers.as_ref().is_some_and(|servers| !servers.contains(server)) {
        let reason = format!("the inventory does not let this agent reach `{}`", shown(server));
        return deny(ReasonCode::AgentNotListed, reason);
    }
    let action = &input.call.action;
    // Through a wrapper an agent could reach what the inventory keeps from it.
    let inner = action.native.wrapper.as_ref().map(|_| &action.tool).filter(|tool| *tool != server);
    if let (Some(inner), Some(servers)) = (inner, &identity.servers)
        && !servers.contains(inner)
    {
        let reason = format!("the inventory does not let this agent reach `{}`", shown(inner));
        return deny(ReasonCode::AgentNotListed, reason);
    }
    // AARM
    if !input.context.intact {
        return deny(ReasonCode::ContextUnavailable, "what is known about the session cannot be kept or read".into());
    }
    if input.tool.is_some_and(CompiledTool::is_quarantined) {
        let reason = "the tool is not what it was when it was pinned; an operator has to accept the change";
        return deny(ReasonCode::ToolChanged, reason.into());
    }
    if !has_schema(input) || settings.schema == SchemaCheck::Off {
        return None;
    }
    let validator = input.tool.and_then(CompiledTool::validator);
    if validator.is_none() {
        let what = match input.tool {
            Some(_) => "the tool's schema cannot be used",
            None => "the server does not list this tool",
        };
        let verdict = match settings.unknown_schema {
            UnknownSchema::Allow => return None,
            UnknownSchema::Defer => Verdict::Defer,
            UnknownSchema::Deny => Verdict::Deny,
        };
        return Some(Ruling::built_in(verdict, ReasonCode::SchemaUnknown, what.into(), set));
    }
    if settings.schema == SchemaCheck::Enforce {
        // AARM
        let problem = problem(input.tool?, action.whole_arguments())?;
        return deny(ReasonCode::ArgumentsInvalid, problem);
    }
    None
}

/// Whether the action is one that a schema belongs to. Prompts and resources have none; a plain HTTP tool's paths are
/// the operator's own.
pub(super) fn has_schema(input: &Input<'_>) -> bool {
    &*input.call.action.method == "tools/call"
}

/// What is wrong with the arguments: where, and by which keyword. Never the value: the text goes to the agent, into
/// receipts and into events.
pub(super) fn problem(tool: &CompiledTool, arguments: &serde_json::Value) -> Option<String> {
    let error = tool.validator()?.validate(arguments).err()?;
    let pointer = error.instance_path().as_str();
    let place =
        if pointer.is_empty() { "the arguments as a whole".to_owned() } else { format!("`{}`", shown(pointer)) };
    Some(format!("{place} does not fit the tool's schema: `{}`", error.kind().keyword()))
}

/// Text from outside, in one bounded line.
fn shown(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        if out.len() + character.len_utf8() > POINTER_BYTES_MAX {
            out.push('…');
            break;
        }
        out.push(if character.is_control() || character == '`' { '\u{fffd}' } else { character });
    }
    out
}
