//! The canonical form of RFC 8785 (JCS), for the documents that this product writes.
//!
//! Signed payloads hold ASCII member names, strings, integers within ±(2^53 − 1), truth values and null, never floats.
//! Within these bounds sorted members without white space are the canonical form, and a text can be checked for it
//! without being rewritten.

use super::{Kind, View};

/// The largest integer that every JSON reader holds exactly: 2^53 − 1.
const INTEGER_MAX: u64 = 9_007_199_254_740_991;

/// Whether the text of `value` is its own RFC 8785 form, within the bounds of the module: member names in ASCII,
/// integers only.
#[must_use]
pub fn is_canonical(value: View<'_>) -> bool {
    match value.kind() {
        Kind::Bool | Kind::Null => true,
        Kind::Number => canonical_integer(value.text()),
        Kind::String => value.as_str().is_some_and(|string| same_string(&string, value.text())),
        Kind::Array => {
            let inside: usize = value.children().map(|element| element.span().len() + 1).sum();
            value.span().len() == inside.max(1) + 1 && value.children().all(is_canonical)
        }
        Kind::Object => canonical_object(value),
    }
}

fn canonical_object(object: View<'_>) -> bool {
    let mut previous: Option<std::borrow::Cow<'_, str>> = None;
    let mut inside = 0;
    for (name, value) in object.members() {
        let ascending = previous.is_none_or(|previous| *previous < *name);
        // One byte for the colon and one for the comma or the closing brace: anything more is white space.
        inside += value.key_span().len() + value.span().len() + 2;
        let plain_name = name.is_ascii() && value.key_span().len() == name.len() + 2;
        if !ascending || !plain_name || !is_canonical(value) {
            return false;
        }
        previous = Some(name);
    }
    object.span().len() == inside.max(1) + 1
}

fn canonical_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    plain && text != "-0" && digits.parse::<u64>().is_ok_and(|number| number <= INTEGER_MAX)
}

fn same_string(string: &str, text: &str) -> bool {
    let mut written = String::with_capacity(text.len());
    write_string(&mut written, string);
    written == text
}

/// Appends `string` with its quotes, escaped as RFC 8785 §3.2.2.2 says.
pub fn write_string(out: &mut String, string: &str) {
    out.push('"');
    for character in string.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control @ '\0'..='\u{1f}' => out.push_str(&format!("\\u{:04x}", u32::from(control))),
            other => out.push(other),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::super::{Limits, scan};
    use super::*;

    fn canonical(text: &str) -> bool {
        let (text, document) = scan(text.as_bytes(), Limits::default()).unwrap();
        is_canonical(document.root(text))
    }

    #[test]
    fn tells_the_canonical_form() {
        for text in [r#"{"a":[1,-2,{}],"b":"é\n\u0001/","c":null}"#, "[]", "{}", "9007199254740991", r#"[[],[1],""]"#]
        {
            assert!(canonical(text), "{text}");
        }
        for text in [
            r#"{"b":1,"a":2}"#,
            r#"{"a": 1}"#,
            "[1, 2]",
            "[ ]",
            "{ }",
            "1.0",
            "1e2",
            "-0",
            "9007199254740992",
            r#""\u0041""#,
            r#""\/""#,
            r#"{"\u0061":1}"#,
            r#"{"é":1}"#,
        ] {
            assert!(!canonical(text), "{text}");
        }
    }
}
