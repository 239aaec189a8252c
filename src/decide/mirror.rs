//! Arguments that stand in headers too (MCP 2026-07-28, `x-mcp-header`): a changed argument changes its header, or the
//! server would refuse the call, or worse, believe the old value.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use crate::model::Era;

/// Rewrites the headers of the arguments that differ between `before` and `after`, and no others. `mirrored` is
/// [`crate::model::ToolDefinition::mirrored`].
///
/// # Errors
/// When a value cannot stand in a header.
pub(super) fn rewrite(
    headers: &mut HeaderMap,
    mirrored: &[(String, String)],
    before: &Value,
    after: &Value,
    era: Era,
) -> Result<(), String> {
    for (pointer, suffix) in mirrored {
        let (old, new) = (before.pointer(pointer), after.pointer(pointer));
        if old == new {
            continue;
        }
        let name = HeaderName::try_from(format!("mcp-param-{suffix}").to_ascii_lowercase())
            .map_err(|_| format!("`{pointer}` is mirrored in a header that cannot be named"))?;
        match new {
            None | Some(Value::Null) => drop(headers.remove(name)),
            // Older clients send no such headers; one that is there must still be true.
            Some(_) if era == Era::Legacy && !headers.contains_key(&name) => {}
            Some(value) => {
                let text = plain(value).ok_or_else(|| format!("`{pointer}` cannot stand in a header"))?;
                let value = HeaderValue::try_from(encode(&text))
                    .map_err(|_| format!("`{pointer}` cannot stand in a header"))?;
                headers.insert(name, value);
            }
        }
    }
    Ok(())
}

/// Only strings, integers and truth values are mirrored.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) if number.is_i64() || number.is_u64() => Some(number.to_string()),
        _ => None,
    }
}

/// Visible ASCII with spaces inside stands as it is; everything else, and what looks like the encoding itself, is
/// encoded.
fn encode(text: &str) -> String {
    let visible = text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    let edges = text.starts_with(' ') || text.ends_with(' ');
    let sentinel = text.starts_with("=?base64?") && text.ends_with("?=");
    if visible && !edges && !sentinel {
        text.to_owned()
    } else {
        format!("=?base64?{}?=", BASE64_STANDARD.encode(text))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn encodes_what_a_header_cannot_hold() {
        assert_eq!(encode("eu-west 1"), "eu-west 1");
        assert_eq!(encode("Zürich"), "=?base64?WsO8cmljaA==?=");
        assert_eq!(encode(" x"), "=?base64?IHg=?=");
        assert_eq!(encode("a\nb"), "=?base64?YQpi?=");
        assert_eq!(encode("=?base64?eA==?="), "=?base64?PT9iYXNlNjQ/ZUE9PT89?=");
    }

    #[test]
    fn rewrites_what_changed_and_only_that() {
        let mirrored =
            [("/region".to_owned(), "Region".to_owned()), ("/n".into(), "N".into()), ("/gone".into(), "Gone".into())];
        let before = json!({"region": "us", "n": 5, "gone": "x"});
        let after = json!({"region": "us", "n": 3});
        let mut headers = HeaderMap::new();
        for (name, value) in [("mcp-param-region", "=?base64?dXM=?="), ("mcp-param-n", "5"), ("mcp-param-gone", "x")] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        rewrite(&mut headers, &mirrored, &before, &after, Era::Modern).unwrap();
        assert_eq!(headers["mcp-param-region"], "=?base64?dXM=?=", "as the client wrote it");
        assert_eq!(headers["mcp-param-n"], "3");
        assert!(!headers.contains_key("mcp-param-gone"));
        let mut none = HeaderMap::new();
        rewrite(&mut none, &mirrored, &before, &after, Era::Legacy).unwrap();
        assert!(none.is_empty());
        assert!(rewrite(&mut none, &mirrored, &before, &json!({"n": 1.5}), Era::Modern).is_err());
    }
}
