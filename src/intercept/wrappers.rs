//! Tools that run other tools: `mcp_tool{mcp_server_name, mcp_tool_name, ...}`, `Skill{skill}`.
//!
//! A rule about the inner tool must hold however the tool is reached, so that the inner tool is the action before any
//! rule is asked (AARM ). The names it came by are kept, and the bytes are not touched.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Malformed;
use crate::model::json::{Kind, Limits, View, scan};
use crate::model::{Action, Arguments, Wrapper};

/// Wrappers inside wrappers that are resolved. Deeper is refused: no agent needs it.
const DEPTH_MAX: usize = 4;

/// Longest name of an inner tool or server.
const NAME_BYTES_MAX: usize = 256;

/// One entry under `intercept.wrappers`: a tool that runs another one, and which of its arguments say which.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct WrapperTool {
    /// The name of the wrapper tool.
    pub name: String,
    /// The argument with the name of the inner tool. It must be there.
    pub operation: String,
    /// The argument with the name of the inner tool's server, if the wrapper has one.
    #[serde(default)]
    pub tool: Option<String>,
    /// The argument that holds the inner tool's arguments. Not set: the inner tool has those of the wrapper.
    #[serde(default)]
    pub arguments: Option<String>,
}

/// What a wrapper is known by everywhere, if the operator says nothing else.
#[must_use]
pub(super) fn known_wrappers() -> Vec<WrapperTool> {
    let text = |text: &str| Some(text.to_owned());
    let mcp_tool = WrapperTool {
        name: "mcp_tool".into(),
        operation: "mcp_tool_name".into(),
        tool: text("mcp_server_name"),
        arguments: None,
    };
    let skill = WrapperTool { name: "Skill".into(), operation: "skill".into(), tool: None, arguments: None };
    vec![mcp_tool, skill]
}

/// Puts the inner tool of a wrapper in the wrapper's place. Anything else is left as it is.
///
/// # Errors
/// [`Malformed::Parameters`]: it cannot be told which tool would run.
pub(super) fn resolve(action: &mut Action, wrappers: &[WrapperTool]) -> Result<(), Malformed> {
    if &*action.method != "tools/call" {
        return Ok(());
    }
    for _ in 0..DEPTH_MAX {
        let Some(wrapper) = wrappers.iter().find(|wrapper| *wrapper.name == *action.operation) else { return Ok(()) };
        unwrap_one(action, wrapper)?;
    }
    match wrappers.iter().any(|wrapper| *wrapper.name == *action.operation) {
        true => Err(Malformed::Parameters(format!("more than {DEPTH_MAX} wrapper tools in each other"))),
        false => Ok(()),
    }
}

fn unwrap_one(action: &mut Action, wrapper: &WrapperTool) -> Result<(), Malformed> {
    let wrong = |what: &str| Malformed::Parameters(format!("`{}`: {what}", wrapper.name));
    let text = action.arguments.text.clone();
    let (text, document) = scan(&text, Limits::default()).map_err(Malformed::Json)?;
    let root = document.root(text);
    let name = |member: &str| -> Result<Arc<str>, Malformed> {
        let value = root.get(member).and_then(|value| value.as_str());
        let fits = |value: &str| !value.is_empty() && value.len() <= NAME_BYTES_MAX;
        let value = value.filter(|value| fits(value));
        value.map(|value| Arc::from(&*value)).ok_or_else(|| wrong(&format!("`{member}` must name what it runs")))
    };
    let operation = name(&wrapper.operation)?;
    let tool = match &wrapper.tool {
        Some(member) if root.get(member).is_some() => Some(name(member)?),
        _ => None,
    };
    let mut pointer = action.native.wrapper.as_ref().map_or_else(String::new, |outer| outer.inner.to_string());
    let mut arguments = action.arguments.clone();
    if let Some(member) = &wrapper.arguments {
        // What stands beside them would be seen by no rule.
        let known = |key: &str| {
            [Some(&wrapper.operation), wrapper.tool.as_ref(), Some(member)].contains(&Some(&key.to_owned()))
        };
        if root.members().any(|(key, _)| !known(&key)) {
            return Err(wrong("an argument that is not in its entry under `intercept.wrappers`"));
        }
        arguments = match root.get(member) {
            Some(inner) if inner.kind() == Kind::Object => slice(&action.arguments, inner)?,
            None => Arguments::none(),
            Some(_) => return Err(wrong(&format!("`{member}` must be an object"))),
        };
        pointer.push('/');
        pointer.push_str(&member.replace('~', "~0").replace('/', "~1"));
    }
    let outer = action.native.wrapper.take();
    let outermost = outer.map_or_else(
        || (Arc::clone(&action.operation), Arc::clone(&action.arguments.value)),
        |outer| (Arc::clone(&outer.name), Arc::clone(&outer.arguments)),
    );
    let inner = pointer.into();
    action.native.wrapper = Some(Arc::new(Wrapper { name: outermost.0, arguments: outermost.1, inner }));
    action.native.operation = Arc::clone(&operation);
    action.operation = operation;
    if let Some(tool) = tool {
        action.tool = tool;
    }
    action.arguments = arguments;
    Ok(())
}

/// The part of the arguments at `inner`.
fn slice(outer: &Arguments, inner: View<'_>) -> Result<Arguments, Malformed> {
    let span = inner.span();
    let value: Value = serde_json::from_str(inner.text())
        .map_err(|_| Malformed::Parameters("a number in the parameters is out of range".into()))?;
    let offset = outer.offset.map(|offset| offset + span.start);
    Ok(Arguments { text: outer.text.slice(span), offset, value: Arc::new(value) })
}
