//! Edits on JSON text: every byte outside the edited places stays as it is.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use crate::model::json::{Kind, Limits, View, scan, write_string};

/// What happens at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    /// This JSON text stands there, whether something stood there before or not.
    Put(Arc<str>),
    /// The member is taken out with its name and one comma.
    Remove,
}

/// A span of the old text, and what stands there instead.
type Edit = (Range<usize>, String);

/// What changes about the members of one object.
struct Members<'t> {
    object: View<'t>,
    removed: Vec<String>,
    /// Name and JSON text.
    added: Vec<(String, String)>,
}

/// Makes the operations, each at its JSON pointer.
///
/// # Errors
/// When a place is not there, or two edits touch the same bytes.
pub(super) fn edit(text: &str, operations: &[(String, Operation)]) -> Result<String, String> {
    let (text, document) = scan(text.as_bytes(), Limits::default()).map_err(|problem| problem.to_string())?;
    let root = document.root(text);
    let mut edits: Vec<Edit> = Vec::new();
    let mut objects: BTreeMap<usize, Members<'_>> = BTreeMap::new();
    for (pointer, operation) in operations {
        match (operation, root.pointer(pointer)) {
            (Operation::Put(value), Some(place)) => edits.push((place.span(), value.to_string())),
            (Operation::Put(value), None) => {
                let (object, name, text) = room_for(root, pointer, value)?;
                members_of(&mut objects, object).added.push((name, text));
            }
            (Operation::Remove, Some(_)) => {
                let (parent, name) = pointer.rsplit_once('/').ok_or("the parameters as a whole cannot be removed")?;
                let object = root.pointer(parent).filter(|view| view.kind() == Kind::Object);
                let object = object.ok_or_else(|| format!("`{parent}` is not an object"))?;
                members_of(&mut objects, object).removed.push(unescape(name));
            }
            (Operation::Remove, None) => return Err(format!("`{pointer}` is not there")),
        }
    }
    for members in objects.values() {
        members.write(&mut edits);
    }
    apply(text, edits)
}

fn members_of<'m, 't>(objects: &'m mut BTreeMap<usize, Members<'t>>, object: View<'t>) -> &'m mut Members<'t> {
    let start = object.span().start;
    objects.entry(start).or_insert_with(|| Members { object, removed: Vec::new(), added: Vec::new() })
}

/// The object that exists furthest down the pointer, the name of the member to add to it, and that member's text.
fn room_for<'t>(root: View<'t>, pointer: &str, value: &str) -> Result<(View<'t>, String, String), String> {
    let mut object = root;
    let mut names = pointer.split('/').skip(1).map(unescape);
    let not_there = || format!("`{pointer}` is not there");
    let missing = loop {
        let name = names.next().ok_or_else(not_there)?;
        let inside = match object.kind() {
            Kind::Object => object.get(&name),
            Kind::Array => {
                Some(name.parse().ok().and_then(|index| object.children().nth(index)).ok_or_else(not_there)?)
            }
            _ => return Err(format!("`{pointer}` leads through something that is no object")),
        };
        match inside {
            Some(inside) => object = inside,
            None => break name,
        }
    };
    let deeper: Vec<String> = names.collect();
    let mut text = String::new();
    for name in &deeper {
        text.push('{');
        write_string(&mut text, name);
        text.push(':');
    }
    text.push_str(value);
    text.extend(deeper.iter().map(|_| '}'));
    Ok((object, missing, text))
}

fn unescape(name: &str) -> String {
    name.replace("~1", "/").replace("~0", "~")
}

impl Members<'_> {
    /// The edits that take members out, each with one comma, and put new ones behind the last that stays.
    fn write(&self, edits: &mut Vec<Edit>) {
        let members: Vec<_> = self.object.members().collect();
        let stays = |name: &str| !self.removed.iter().any(|removed| removed == name);
        let mut kept_end: Option<usize> = None;
        let mut run: Option<Range<usize>> = None;
        for (name, value) in &members {
            let (start, end) = (value.key_span().start, value.span().end);
            if !stays(name) {
                run = Some(run.map_or(start..end, |run| run.start..end));
                continue;
            }
            // Up to the next name: the comma behind the run goes, the one before it stays.
            if let Some(run) = run.take() {
                edits.push((run.start..start, String::new()));
            }
            kept_end = Some(end);
        }
        if let Some(run) = run {
            // Nothing follows: the comma before the run goes.
            edits.push((kept_end.unwrap_or(run.start)..run.end, String::new()));
        }
        if self.added.is_empty() {
            return;
        }
        let mut text = String::new();
        for (position, (name, value)) in self.added.iter().enumerate() {
            if position > 0 || kept_end.is_some() {
                text.push(',');
            }
            write_string(&mut text, name);
            text.push(':');
            text.push_str(value);
        }
        let at = kept_end.unwrap_or(self.object.span().start + 1);
        edits.push((at..at, text));
    }
}

fn apply(text: &str, mut edits: Vec<Edit>) -> Result<String, String> {
    // What is put at a place stands before what is taken out from there on.
    edits.sort_by_key(|(span, _)| (span.start, span.end));
    let mut out = String::with_capacity(text.len() + edits.iter().map(|(_, new)| new.len()).sum::<usize>());
    let mut at = 0;
    for (span, new) in edits {
        let kept = text.get(at..span.start).ok_or("two changes touch the same bytes")?;
        out.push_str(kept);
        out.push_str(&new);
        at = span.end;
    }
    out.push_str(text.get(at..).unwrap_or_default());
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(pointer: &str, text: &str) -> (String, Operation) {
        (pointer.into(), Operation::Put(text.into()))
    }

    fn remove(pointer: &str) -> (String, Operation) {
        (pointer.into(), Operation::Remove)
    }

    #[test]
    fn changes_only_the_places_it_is_told_to() {
        let text = r#"{ "a" : 1e2, "b":[ 12345678901234567890123 , {"x~/y":"\u0041"} ] ,"c": null }"#;
        for (operations, expected) in [
            (vec![put("/a", "7")], text.replace("1e2", "7")),
            (vec![put("/b/1/x~0~1y", "0")], text.replace(r#""\u0041""#, "0")),
            (vec![remove("/a")], text.replace(r#""a" : 1e2, "#, "")),
            (vec![remove("/c")], text.replace(r#" ,"c": null"#, "")),
            (vec![remove("/b"), remove("/c")], r#"{ "a" : 1e2 }"#.to_owned()),
            (vec![remove("/a"), remove("/b"), remove("/c")], "{  }".to_owned()),
            (vec![remove("/a"), remove("/c")], text.replace(r#""a" : 1e2, "#, "").replace(r#" ,"c": null"#, "")),
            (vec![put("/d", "[]")], text.replace("null }", r#"null,"d":[] }"#)),
            (vec![put("/d", "1"), remove("/c")], text.replace(r#" ,"c": null"#, r#","d":1"#)),
            (vec![put("/b/1/n/m", "1")], text.replace(r#""\u0041""#, r#""\u0041","n":{"m":1}"#)),
        ] {
            assert_eq!(edit(text, &operations).unwrap(), expected, "{operations:?}");
        }
        assert_eq!(edit("{ }", &[put("/a", "1"), put("/b", "2")]).unwrap(), r#"{"a":1,"b":2 }"#);
        let all = [put("/z", "1"), remove("/a")];
        assert_eq!(edit(r#"{"a":0}"#, &all).unwrap(), r#"{"z":1}"#);
    }

    #[test]
    fn says_no_to_what_cannot_be_done() {
        for operations in [
            vec![remove("/zz")],
            vec![remove("")],
            vec![put("/a/b", "1")],
            vec![put("/list/7", "1")],
            vec![remove("/list/0")],
            vec![put("/a", "1"), put("/a", "2")],
        ] {
            assert!(edit(r#"{"a":1,"list":[1]}"#, &operations).is_err(), "{operations:?}");
        }
    }
}
