//! What a list of tools says: definitions, what is pinned of them, and the list without those that are not shown.

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::model::json::{Kind, Limits, scan};
use crate::model::{Digest, ToolDefinition, ToolHints};

/// What is pinned of a definition: all that a model reads and that arguments are checked against.
const PINNED: &[&str] = &["annotations", "description", "inputSchema", "name", "outputSchema", "title"];

/// One tool of a list.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The tool.
    pub definition: ToolDefinition,
    /// What is pinned of it: JSON, members in alphabetical order.
    pub pinned: String,
}

/// The tools of one page of a list. What has no name is none.
pub(super) fn read_page(result: &Value) -> Vec<Listed> {
    result.get("tools").and_then(Value::as_array).into_iter().flatten().filter_map(read_tool).collect()
}

/// One tool; `None` when it has no name.
pub(super) fn read_tool(tool: &Value) -> Option<Listed> {
    let name = tool.get("name")?.as_str()?;
    let hint = |name: &str| tool.get("annotations").and_then(|hints| hints.get(name)).and_then(Value::as_bool);
    let input_schema = tool.get("inputSchema").cloned().unwrap_or(Value::Bool(true));
    let members = PINNED.iter().filter_map(|member| Some(((*member).to_owned(), sorted(tool.get(*member)?))));
    let pinned = Value::Object(members.collect::<Map<_, _>>()).to_string();
    let definition = ToolDefinition {
        name: name.into(),
        digest: Digest::of(pinned.as_bytes()),
        mirrored: mirrored(&input_schema),
        input_schema,
        hints: ToolHints {
            read_only: hint("readOnlyHint"),
            destructive: hint("destructiveHint"),
            idempotent: hint("idempotentHint"),
            open_world: hint("openWorldHint"),
        },
    };
    Some(Listed { definition, pinned })
}

/// The answer to `tools/list` without the tools that `hides` names; `None` when there are none of them. What stays, stays
/// byte for byte.
pub(super) fn without(answer: &Bytes, hides: impl Fn(&str) -> bool) -> Option<Bytes> {
    let (text, document) = scan(answer, Limits::default()).ok()?;
    let tools = document.root(text).pointer("/result/tools").filter(|tools| tools.kind() == Kind::Array)?;
    let hidden = |tool: &crate::model::json::View<'_>| {
        tool.get("name").and_then(|name| name.as_str().map(|name| hides(&name))).unwrap_or(false)
    };
    let all = tools.children().count();
    let kept: Vec<&str> = tools.children().filter(|tool| !hidden(tool)).map(|tool| tool.text()).collect();
    if kept.len() == all {
        return None;
    }
    let span = tools.span();
    let (before, after) = (text.get(..span.start)?, text.get(span.end..)?);
    Some(format!("{before}[{}]{after}", kept.join(",")).into())
}

/// A value with its members in alphabetical order: a server may list them in another order the next time.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(elements) => Value::Array(elements.iter().map(sorted).collect()),
        Value::Object(members) => {
            let mut names: Vec<&String> = members.keys().collect();
            names.sort_unstable();
            names.into_iter().filter_map(|name| Some((name.clone(), sorted(members.get(name)?)))).collect()
        }
        other => other.clone(),
    }
}

/// Arguments that the tool mirrors in headers (`x-mcp-header`, MCP 2026-07-28): reachable through `properties` alone.
fn mirrored(schema: &Value) -> Vec<(String, String)> {
    fn walk(schema: &Value, pointer: &str, depth: usize, found: &mut Vec<(String, String)>) {
        let Some(properties) = schema.get("properties").and_then(Value::as_object).filter(|_| depth < 16) else {
            return;
        };
        for (name, property) in properties {
            let pointer = format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
            if let Some(header) = property.get("x-mcp-header").and_then(Value::as_str) {
                found.push((pointer.clone(), header.to_owned()));
            }
            walk(property, &pointer, depth + 1, found);
        }
    }
    let mut found = Vec::new();
    walk(schema, "", 0, &mut found);
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_what_a_server_says_about_a_tool() {
        let tool = json!({
            "name": "t",
            "inputSchema": { "properties": { "a": { "properties": { "b": { "x-mcp-header": "B" } } } } },
            "annotations": { "readOnlyHint": true },
        });
        let Listed { definition, pinned } = read_tool(&tool).unwrap();
        assert_eq!((definition.hints.read_only, definition.hints.destructive), (Some(true), None));
        assert_eq!(definition.mirrored, [("/a/b".to_owned(), "B".to_owned())]);
        assert!(pinned.starts_with(r#"{"annotations":{"readOnlyHint":true},"inputSchema""#), "{pinned}");
        assert!(read_tool(&json!({ "description": "no name" })).is_none());
    }

    #[test]
    fn the_order_of_members_and_what_no_model_reads_is_not_pinned() {
        let one = read_tool(&json!({ "name": "t", "inputSchema": { "a": 1, "b": { "c": [1, 2], "d": 3 } } })).unwrap();
        let other: Value =
            serde_json::from_str(r#"{"_meta":{"n":7},"inputSchema":{"b":{"d":3,"c":[1,2]},"a":1},"name":"t"}"#)
                .unwrap();
        assert_eq!(read_tool(&other).unwrap().definition.digest, one.definition.digest);
        let third = read_tool(&json!({ "name": "t", "title": "T", "inputSchema": {} })).unwrap();
        assert_ne!(third.definition.digest, one.definition.digest);
    }

    #[test]
    fn a_list_loses_what_is_hidden_and_nothing_else() {
        let list = Bytes::from_static(
            br#"{ "id":1, "result": {"tools": [ {"name":"a"} , {"name":"b", "x": 1.0} ], "ttlMs":5}}"#,
        );
        let shown = without(&list, |name| name == "a").unwrap();
        assert_eq!(shown, r#"{ "id":1, "result": {"tools": [{"name":"b", "x": 1.0}], "ttlMs":5}}"#);
        assert_eq!(without(&list, |_| false), None);
        assert_eq!(without(&Bytes::from_static(b"{}"), |_| true), None);
    }
}
