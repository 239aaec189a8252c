//! What a MODIFY rule changes. AARM's five shapes lead to four changes: set, cap, remove, redact.

use super::Change;
use super::error::Problems;
use super::section::{self, Section, unknown_key};
use super::yaml::{Node, Yaml};
use crate::decide::number::Number;
use crate::decide::path::Path;
use crate::model::json::write_string;

const KEYS: &[&str] = &["set", "cap", "remove", "redact", "add_filter", "parameters", "params"];

const LATER: &[(&str, &str)] = &[("replace", "write `set`")];

/// Longest value that a rule can put into the parameters, bytes of JSON.
const VALUE_BYTES_MAX: usize = 64 << 10;

/// Reads `modifications`: a map of changes, or a list of such maps.
pub(super) fn read(node: &Node, problems: &mut Problems<'_>) -> Vec<Change> {
    let mut changes = Vec::new();
    for element in node.elements() {
        let Some(mut section) = Section::open(element, "modifications", problems) else { continue };
        for (key, value) in section.take_rest() {
            match key.name.as_str() {
                "set" | "add_filter" | "parameters" | "params" => values(value, problems, &mut changes, set),
                "cap" => values(value, problems, &mut changes, cap),
                "remove" => paths(value, "remove", problems, &mut changes),
                "redact" => paths(value, "redact", problems, &mut changes),
                name => match name.strip_prefix("parameters.").or_else(|| name.strip_prefix("params.")) {
                    Some(name) => {
                        changes.extend(path(name, key.line, problems).and_then(|path| set(path, value, problems)))
                    }
                    None => unknown_key(key, "modifications", KEYS, LATER, problems),
                },
            }
        }
    }
    if changes.is_empty() {
        problems.add(node.line, "`modifications` changes nothing", "say what to set, cap, remove or redact");
    }
    changes
}

type Reader = fn(Path, &Node, &mut Problems<'_>) -> Option<Change>;

fn values(node: &Node, problems: &mut Problems<'_>, changes: &mut Vec<Change>, reader: Reader) {
    let Some(mut section) = Section::open(node, "modifications", problems) else { return };
    for (key, value) in section.take_rest() {
        changes.extend(path(&key.name, key.line, problems).and_then(|path| reader(path, value, problems)));
    }
}

fn set(path: Path, node: &Node, problems: &mut Problems<'_>) -> Option<Change> {
    let mut text = String::new();
    let written = write(&mut text, node);
    if written.is_none() || text.len() > VALUE_BYTES_MAX {
        problems.add(
            node.line,
            "the value cannot be written as JSON",
            format!("write a plain value of at most {VALUE_BYTES_MAX} bytes"),
        );
        return None;
    }
    Some(Change::Set(path, text.into()))
}

fn cap(path: Path, node: &Node, problems: &mut Problems<'_>) -> Option<Change> {
    let bound = match node.value {
        Yaml::Integer(number) => Some(Number::Integer(i128::from(number))),
        Yaml::Large(number) => Some(Number::Integer(i128::from(number))),
        Yaml::Float(number) => Some(Number::Float(number)),
        _ => None,
    };
    let mut text = String::new();
    match (bound, write(&mut text, node)) {
        (Some(bound), Some(())) => Some(Change::Cap(path, bound, text.into())),
        _ => {
            problems.add(node.line, "`cap` needs a number", "write the largest number that may pass");
            None
        }
    }
}

fn paths(node: &Node, what: &'static str, problems: &mut Problems<'_>, changes: &mut Vec<Change>) {
    for element in node.elements() {
        let Some(text) = section::text(element, what, problems) else { continue };
        let outside = ["result.", "trace.", "sink.", "context."].iter().any(|prefix| text.starts_with(prefix));
        if outside {
            let what = format!("`{text}` is not part of the action");
            problems.add(element.line, what, "before an action runs only its parameters can be changed");
            continue;
        }
        let name = text.strip_prefix("parameters.").unwrap_or(text);
        let Some(path) = path(name, element.line, problems) else { continue };
        if what == "remove" && !path.ends_in_name() {
            problems.add(
                element.line,
                format!("`{text}` does not name a member"),
                "elements of lists cannot be removed; redact them",
            );
            continue;
        }
        changes.push(if what == "remove" { Change::Remove(path) } else { Change::Redact(path) });
    }
}

fn path(text: &str, line: u64, problems: &mut Problems<'_>) -> Option<Path> {
    match Path::parse(text) {
        Ok(path) => Some(path),
        Err(problem) => {
            problems.add(line, problem, "write `name`, `outer.inner`, `list[*].name` or `/json/pointer`");
            None
        }
    }
}

/// The JSON text of a YAML value.
pub(super) fn write(out: &mut String, node: &Node) -> Option<()> {
    match &node.value {
        Yaml::Null => out.push_str("null"),
        Yaml::Flag(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Yaml::Integer(number) => out.push_str(&number.to_string()),
        Yaml::Large(number) => out.push_str(&number.to_string()),
        Yaml::Float(number) => out.push_str(&serde_json::Number::from_f64(*number)?.to_string()),
        Yaml::Text(text) => write_string(out, text),
        Yaml::List(elements) => {
            out.push('[');
            for (position, element) in elements.iter().enumerate() {
                if position > 0 {
                    out.push(',');
                }
                write(out, element)?;
            }
            out.push(']');
        }
        Yaml::Map(entries) => {
            out.push('{');
            for (position, (key, value)) in entries.iter().enumerate() {
                if position > 0 {
                    out.push(',');
                }
                write_string(out, &key.name);
                out.push(':');
                write(out, value)?;
            }
            out.push('}');
        }
    }
    Some(())
}
