//! MODIFY: what is to be changed, made on the text that came.
//!
//! The client's own bytes are edited at the places that change and nowhere else (design §6): numbers keep their
//! spelling, members their order, unknown members their place. Whatever cannot be done exactly as the policy asks is an
//! error, and the action is refused (resolution G-30): a change that fails must not forward the original.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use super::checks;
use super::input::Input;
use super::mirror;
use super::number::Number;
use super::path::Step;
use super::schema::Change;
use super::settings::{SchemaCheck, Settings};
use super::splice::{self, Operation};
use crate::model::json::{Limits, scan};
use crate::model::{Call, Edit, EditKind, Outbound, Transport};

/// What stands in the place of a value that a rule redacts, as JSON text.
pub(super) const MARKER: &str = "\"[REDACTED]\"";

/// Most places that one decision changes: each is named in the receipt.
const EDITS_MAX: usize = 1_000;

/// The result of a MODIFY.
#[derive(Debug)]
pub(super) struct Modified {
    pub(super) edits: Vec<Edit>,
    /// The parameters as they will run.
    pub(super) arguments: Bytes,
    pub(super) outbound: Outbound,
}

/// Makes `changes` to the parameters of the call.
///
/// # Errors
/// Why it cannot be done, without any value.
pub(super) fn modify<'c>(
    changes: impl Iterator<Item = &'c Change>,
    input: &Input<'_>,
    settings: &Settings,
) -> Result<Modified, String> {
    let call = input.call;
    let arguments = &call.action.arguments;
    let mut operations = Vec::new();
    for change in changes {
        expand(change, &arguments.value, &mut operations)?;
    }
    disjoint(&mut operations)?;
    let before = std::str::from_utf8(&arguments.text).map_err(|_| "the parameters are not text".to_owned())?;
    let after = splice::edit(before, &operations)?;
    let value = reread(&after)?;
    let whole = call.action.whole_with(&value);
    if settings.schema == SchemaCheck::Enforce
        && checks::has_schema(input)
        && let Some(problem) = input.tool.and_then(|tool| checks::problem(tool, &whole))
    {
        return Err(format!("after the change {problem}"));
    }
    let mut outbound = call.outbound.clone();
    if after != before {
        outbound.body = body(call, &after)?;
    }
    if let Some(tool) = input.tool {
        let (before, mirrored) = (call.action.whole_arguments(), &tool.definition().mirrored);
        mirror::rewrite(&mut outbound.headers, mirrored, before, &whole, call.client.era)?;
    }
    let edits = operations.into_iter().map(Edit::from).collect();
    Ok(Modified { edits, arguments: after.into(), outbound })
}

impl From<(String, Operation)> for Edit {
    fn from((pointer, operation): (String, Operation)) -> Self {
        let kind = match operation {
            Operation::Put(text) if &*text == MARKER => EditKind::Redact,
            Operation::Put(text) => EditKind::Set(text),
            Operation::Remove => EditKind::Remove,
        };
        Self { pointer: pointer.into(), kind }
    }
}

/// The places that a change is about, each with what happens there.
fn expand(change: &Change, value: &Value, operations: &mut Vec<(String, Operation)>) -> Result<(), String> {
    let path = match change {
        Change::Cap(path, ..) | Change::Redact(path) | Change::Remove(path) | Change::Set(path, _) => path,
    };
    let creates = matches!(change, Change::Cap(..) | Change::Set(..));
    let mut places = Vec::new();
    places_of(value, &path.steps, String::new(), creates, &mut places)?;
    for (pointer, found) in places {
        let operation = match (change, found) {
            (Change::Set(_, text), _) => Operation::Put(Arc::clone(text)),
            (Change::Cap(_, bound, text), found) => match capped(found, *bound, text, &pointer)? {
                Some(operation) => operation,
                None => continue,
            },
            (Change::Redact(_), Some(_)) => Operation::Put(MARKER.into()),
            (Change::Remove(_), Some(_)) => Operation::Remove,
            (Change::Redact(_) | Change::Remove(_), None) => continue,
        };
        if operations.len() >= EDITS_MAX {
            return Err(format!("more than {EDITS_MAX} places would change"));
        }
        operations.push((pointer, operation));
    }
    Ok(())
}

/// A bound where there is no number is the bound; where there is something else it cannot be one.
fn capped(found: Option<&Value>, bound: Number, text: &Arc<str>, pointer: &str) -> Result<Option<Operation>, String> {
    let number = match found {
        None | Some(Value::Null) => return Ok(Some(Operation::Put(Arc::clone(text)))),
        Some(Value::Number(number)) => Number::of(number),
        Some(_) => None,
    };
    match number.and_then(|number| number.compare(bound)) {
        Some(std::cmp::Ordering::Greater) => Ok(Some(Operation::Put(Arc::clone(text)))),
        Some(_) => Ok(None),
        None => Err(format!("`{pointer}` is not a number")),
    }
}

type Found<'v> = (String, Option<&'v Value>);

/// JSON pointers to everything the steps lead to, and with `creates` to the one member that is not there yet.
fn places_of<'v>(
    value: &'v Value,
    steps: &[Step],
    pointer: String,
    creates: bool,
    places: &mut Vec<Found<'v>>,
) -> Result<(), String> {
    if places.len() > EDITS_MAX {
        return Err(format!("more than {EDITS_MAX} places would change"));
    }
    let Some((step, rest)) = steps.split_first() else {
        places.push((pointer, Some(value)));
        return Ok(());
    };
    let below = |name: &str| format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
    match (step, value) {
        (Step::Key(name), Value::Object(members)) => match members.get(&**name) {
            Some(member) => places_of(member, rest, below(name), creates, places)?,
            None if creates => places.push((missing(below(name), rest)?, None)),
            None => {}
        },
        (Step::Key(name), Value::Array(elements)) => {
            match name.parse::<usize>().ok().and_then(|index| elements.get(index)) {
                Some(element) => places_of(element, rest, below(name), creates, places)?,
                None if creates => return Err(format!("`{pointer}` has no element `{name}`")),
                None => {}
            }
        }
        (Step::Every | Step::Deep, value) => {
            if *step == Step::Deep {
                // What is not there at some depth is not created there.
                places_of(value, rest, pointer.clone(), false, places)?;
            }
            let (rest, creates) = if *step == Step::Deep { (steps, false) } else { (rest, creates) };
            match value {
                Value::Array(elements) => {
                    for (index, element) in elements.iter().enumerate() {
                        places_of(element, rest, below(&index.to_string()), creates, places)?;
                    }
                }
                Value::Object(members) => {
                    for (name, member) in members {
                        places_of(member, rest, below(name), creates, places)?;
                    }
                }
                _ => {}
            }
        }
        (Step::Key(_), _) if creates => return Err(format!("`{pointer}` is not an object")),
        (Step::Key(_), _) => {}
    }
    Ok(())
}

/// The pointer to a member whose parents do not exist either.
fn missing(pointer: String, rest: &[Step]) -> Result<String, String> {
    rest.iter().try_fold(pointer, |pointer, step| match step {
        Step::Key(name) if name.parse::<usize>().is_err() => {
            Ok(format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1")))
        }
        _ => Err(format!("`{pointer}` is not there")),
    })
}

/// No two changes may touch the same place, nor one inside the other (ACS §6.3, resolution G-30). The same change
/// twice is one change.
fn disjoint(operations: &mut Vec<(String, Operation)>) -> Result<(), String> {
    // Sorted by path and not by letters, so that what lies inside follows what it lies in at once.
    operations.sort_by(|left, right| left.0.split('/').cmp(right.0.split('/')));
    operations.dedup();
    for pair in operations.windows(2) {
        let [(outer, _), (inner, _)] = pair else { continue };
        let overlaps = inner.strip_prefix(outer.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if overlaps {
            return Err(format!("two changes overlap at `{inner}`"));
        }
    }
    Ok(())
}

/// What will run is read as strictly as what came.
fn reread(text: &str) -> Result<Value, String> {
    scan(text.as_bytes(), Limits::default()).map_err(|problem| format!("the result is not valid: {problem}"))?;
    serde_json::from_str(text).map_err(|_| "the result is not valid".to_owned())
}

/// The whole body with the new parameters in the place of the old ones.
fn body(call: &Call, arguments: &str) -> Result<Bytes, String> {
    let (body, old) = (&call.outbound.body, &call.action.arguments);
    if let Some(offset) = old.offset {
        let end = offset.saturating_add(old.text.len());
        let parts = (body.get(..offset), body.get(offset..end), body.get(end..));
        let (Some(head), Some(middle), Some(tail)) = parts else {
            return Err("the parameters do not stand where they should".into());
        };
        if middle != old.text {
            return Err("the parameters do not stand where they should".into());
        }
        return Ok([head, arguments.as_bytes(), tail].concat().into());
    }
    // A call without `arguments` gets them; there is no other place in a message for parameters to stand.
    let text = std::str::from_utf8(body).map_err(|_| "the body is not text".to_owned())?;
    let has_arguments = matches!(&*call.action.method, "tools/call" | "prompts/get");
    if call.client.transport == Transport::Http || !has_arguments || &*old.text != b"{}" {
        return Err("the parameters do not stand in the body as one piece".into());
    }
    let put = ("/params/arguments".to_owned(), Operation::Put(arguments.into()));
    let (text, document) = scan(text.as_bytes(), Limits::default()).map_err(|problem| problem.to_string())?;
    if document.root(text).pointer("/params/arguments").is_some() {
        return Err("the parameters do not stand where they should".into());
    }
    splice::edit(text, &[put]).map(Bytes::from)
}
