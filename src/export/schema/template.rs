//! What a schema writes for one kind of event: a tree of members, made once from the lines of a table.

use super::Scene;
use super::expression::Expression;
use super::table::Line;
use super::value::Value;
use crate::model::json::write_string;

/// What is done with what is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unknown {
    /// It is written as null, so that its absence is seen.
    Null,
    /// It is left out, and so is an object without members: for schemas that refuse null.
    LeftOut,
}

/// The members of an event and where they come from.
#[derive(Clone, Debug)]
pub(super) struct Template {
    root: Vec<Branch>,
    unknown: Unknown,
}

#[derive(Clone, Debug)]
struct Branch {
    /// The member's name; empty in lists.
    name: String,
    /// The same as JSON, with its colon.
    key: String,
    /// What becomes of it when nothing below it is known.
    absence: Absence,
    shape: Shape,
}

/// What becomes of a member of which nothing is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Absence {
    /// What the schema does with unknown things.
    Usual,
    /// It is null, whatever the schema does.
    Null,
    /// The object that it stands in is as unknown as it is.
    TakesAll,
}

#[derive(Clone, Debug)]
enum Shape {
    Leaf(Expression),
    List(Vec<Branch>),
    Object(Vec<Branch>),
}

impl Template {
    /// Members of which dots in targets make objects, and `[0]` lists. Behind a name, `?` and `!`: null when nothing
    /// below it is known; `*`: the object around it is unknown when this is.
    ///
    /// # Errors
    /// A sentence that names the line that cannot be read.
    pub(super) fn nested<'a>(lines: impl Iterator<Item = Line<'a>>, unknown: Unknown) -> Result<Self, String> {
        let mut root = Vec::new();
        for line in lines {
            let expression = Expression::parse(line.expression)?;
            insert(&mut root, &steps(line.target), expression);
        }
        Ok(Self { root, unknown })
    }

    /// Members without a hierarchy: targets are names, dots included.
    ///
    /// # Errors
    /// As [`Self::nested`].
    pub(super) fn flat<'a>(lines: impl Iterator<Item = Line<'a>>) -> Result<Self, String> {
        let mut root = Vec::new();
        for line in lines {
            let step = Step { name: line.target, absence: Absence::Usual, list: None };
            insert(&mut root, &[step], Expression::parse(line.expression)?);
        }
        Ok(Self { root, unknown: Unknown::LeftOut })
    }

    /// Appends the event as a JSON object.
    pub(super) fn write(&self, scene: &Scene<'_>, out: &mut String) {
        if !self.object(&self.root, scene, out) {
            out.push_str("{}");
        }
    }

    /// The members of a flat template that are known, in order.
    pub(super) fn members<'a>(&'a self, scene: &Scene<'a>) -> impl Iterator<Item = (&'a str, Value<'a>)> {
        let members: Vec<_> = self
            .root
            .iter()
            .filter_map(|branch| match &branch.shape {
                Shape::Leaf(expression) => Some((branch.name.as_str(), expression.value(scene))),
                Shape::List(_) | Shape::Object(_) => None,
            })
            .filter(|(_, value)| !matches!(value, Value::Null))
            .collect();
        members.into_iter()
    }

    /// Whether anything below is known. Writes nothing when not.
    fn object(&self, branches: &[Branch], scene: &Scene<'_>, out: &mut String) -> bool {
        self.group(branches, ('{', '}'), scene, out)
    }

    fn group(&self, branches: &[Branch], (open, close): (char, char), scene: &Scene<'_>, out: &mut String) -> bool {
        let start = out.len();
        out.push(open);
        let mut known = false;
        for branch in branches {
            let before = out.len();
            if before > start + 1 {
                out.push(',');
            }
            out.push_str(&branch.key);
            let wrote = match &branch.shape {
                Shape::Leaf(expression) => expression.write(scene, out),
                Shape::Object(inside) => self.object(inside, scene, out),
                Shape::List(inside) => self.group(inside, ('[', ']'), scene, out),
            };
            known |= wrote;
            match branch.absence {
                _ if wrote => {}
                Absence::TakesAll => {
                    out.truncate(start);
                    return false;
                }
                Absence::Null => {
                    out.truncate(before + usize::from(before > start + 1) + branch.key.len());
                    out.push_str("null");
                }
                Absence::Usual if self.unknown == Unknown::LeftOut => out.truncate(before),
                Absence::Usual => {}
            }
        }
        out.push(close);
        if !known && self.unknown == Unknown::LeftOut {
            out.truncate(start);
        }
        known
    }
}

/// One part of a target.
#[derive(Clone, Copy)]
struct Step<'a> {
    name: &'a str,
    absence: Absence,
    /// The place in a list.
    list: Option<&'a str>,
}

fn steps(target: &str) -> Vec<Step<'_>> {
    let step = |part| {
        let (part, list) = match str::strip_suffix(part, "]").and_then(|rest| rest.split_once('[')) {
            Some((name, place)) => (name, Some(place)),
            None => (part, None),
        };
        let name = part.trim_end_matches(['?', '!', '*']);
        let absence = match part.bytes().last() {
            Some(b'?' | b'!') => Absence::Null,
            Some(b'*') => Absence::TakesAll,
            _ => Absence::Usual,
        };
        Step { name, absence, list }
    };
    target.split('.').map(step).collect()
}

fn insert(branches: &mut Vec<Branch>, steps: &[Step<'_>], expression: Expression) {
    let Some((step, rest)) = steps.split_first() else { return };
    let Some(branch) = find_or_add(branches, step.name, step.absence) else { return };
    let inside = match step.list {
        None => Some(branch),
        Some(place) => elements(branch).and_then(|elements| find_or_add(elements, place, Absence::Usual)),
    };
    let Some(branch) = inside else { return };
    // In a list the place is no name.
    if step.list.is_some() {
        branch.key.clear();
    }
    if rest.is_empty() {
        branch.shape = Shape::Leaf(expression);
        return;
    }
    if !matches!(branch.shape, Shape::Object(_)) {
        branch.shape = Shape::Object(Vec::new());
    }
    if let Shape::Object(members) = &mut branch.shape {
        insert(members, rest, expression);
    }
}

fn elements(branch: &mut Branch) -> Option<&mut Vec<Branch>> {
    if !matches!(branch.shape, Shape::List(_)) {
        branch.shape = Shape::List(Vec::new());
    }
    match &mut branch.shape {
        Shape::List(elements) => Some(elements),
        Shape::Leaf(_) | Shape::Object(_) => None,
    }
}

fn find_or_add<'a>(branches: &'a mut Vec<Branch>, name: &str, absence: Absence) -> Option<&'a mut Branch> {
    let place = branches.iter().position(|branch| branch.name == name).unwrap_or_else(|| {
        let mut key = String::new();
        write_string(&mut key, name);
        key.push(':');
        branches.push(Branch { name: name.to_owned(), key, absence, shape: Shape::Object(Vec::new()) });
        branches.len() - 1
    });
    let branch = branches.get_mut(place)?;
    if absence != Absence::Usual {
        branch.absence = absence;
    }
    Some(branch)
}
