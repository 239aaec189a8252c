//! The texts of an answer.

use crate::model::json::{Kind, Limits, View, scan};

/// Members whose text is what a model reads.
const TEXTS: &[&str] = &["text"];

/// Members that hold data.
const DATA: &[&str] = &["structuredContent"];

/// The texts of an answer, each a document of its own: the texts of an MCP result and its structured content as JSON; of
/// any other JSON text and of any other body, all of it.
#[must_use]
pub fn parts(body: &[u8]) -> Vec<String> {
    let Ok((text, document)) = scan(body, Limits { depth_max: 128, values_max: 1_048_576 }) else {
        return vec![String::from_utf8_lossy(body).into_owned()];
    };
    let root = document.root(text);
    let result = root.get("jsonrpc").and_then(|_| root.get("result").or_else(|| root.get("error")));
    let Some(result) = result else { return vec![text.to_owned()] };
    let mut parts = Vec::new();
    collect(result, "", &mut parts);
    // A result without any text, such as a list of names, is data as a whole.
    if parts.is_empty() { vec![result.text().to_owned()] } else { parts }
}

fn collect(value: View<'_>, name: &str, parts: &mut Vec<String>) {
    if DATA.contains(&name) {
        parts.push(value.text().to_owned());
        return;
    }
    match value.kind() {
        Kind::Array => value.children().for_each(|child| collect(child, "", parts)),
        Kind::Object => value.members().for_each(|(name, member)| collect(member, &name, parts)),
        Kind::String if TEXTS.contains(&name) => parts.extend(value.as_str().map(std::borrow::Cow::into_owned)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_texts_and_data_out_of_answers() {
        let mcp = br#"{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"a\nb"},{"type":"image","data":"AA=="}],"structuredContent":{"x":1}}}"#;
        assert_eq!(parts(mcp), ["a\nb", r#"{"x":1}"#]);
        assert_eq!(parts(br#"{"jsonrpc":"2.0","id":1,"result":{"names":["n"]}}"#), [r#"{"names":["n"]}"#]);
        assert_eq!(parts(br#"{"x":1}"#), [r#"{"x":1}"#]);
        assert_eq!(parts(b"plain"), ["plain"]);
    }
}
