//! Where in the parameters a rule looks: `to`, `filter.limit`, `recipients[*].email`, `**.password`, `/a.b/c`.

use serde_json::Value;

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// `name`, or `[3]`: a member of an object, or by number an element of an array.
    Key(Box<str>),
    /// `*`: every member or element.
    Every,
    /// `**`: this value and everything below it.
    Deep,
}

/// A path into the parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Path {
    pub(super) steps: Vec<Step>,
}

/// Longest path: deeper than the deepest document that is accepted makes no sense.
const STEPS_MAX: usize = 64;

impl Path {
    /// Reads a path. A leading `/` makes it a JSON pointer (RFC 6901), where dots are letters.
    ///
    /// # Errors
    /// What is wrong, for the person who wrote it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let steps = match text.strip_prefix('/') {
            Some(pointer) => pointer.split('/').map(|name| step(&unescape(name))).collect(),
            None => dotted(text)?,
        };
        let deep = steps.iter().filter(|step| **step == Step::Deep).count();
        if steps.len() > STEPS_MAX || deep > 1 {
            return Err(format!("a path has at most {STEPS_MAX} steps, and one `**`"));
        }
        if steps.last() == Some(&Step::Deep) {
            return Err("a path cannot end with `**`".into());
        }
        Ok(Self { steps })
    }

    /// Whether the path leads to every value there is (`**.*`), so that what is inside an object or list is visited
    /// by itself.
    pub(super) fn is_everything(&self) -> bool {
        self.steps.ends_with(&[Step::Deep, Step::Every])
    }

    /// Whether the path names one member of an object, so that it can be added or taken out.
    pub(super) fn ends_in_name(&self) -> bool {
        matches!(self.steps.last(), Some(Step::Key(name)) if name.parse::<usize>().is_err())
    }

    /// What a JSON Schema says about the value this path leads to; `None` when it says nothing.
    pub(super) fn declared<'s>(&self, schema: &'s Value) -> Option<&'s Value> {
        self.steps.iter().try_fold(schema, |schema, step| match step {
            Step::Key(name) => {
                let property = schema.get("properties").and_then(|properties| properties.get(&**name));
                property.or_else(|| name.parse::<usize>().ok().and_then(|_| schema.get("items")))
            }
            Step::Every => schema.get("items"),
            Step::Deep => None,
        })
    }
}

fn step(name: &str) -> Step {
    match name {
        "*" => Step::Every,
        "**" => Step::Deep,
        name => Step::Key(name.into()),
    }
}

fn unescape(name: &str) -> String {
    name.replace("~1", "/").replace("~0", "~")
}

fn dotted(text: &str) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    for part in text.split('.') {
        let (name, mut brackets) = part.split_at(part.find('[').unwrap_or(part.len()));
        if !name.is_empty() {
            steps.push(step(name));
        } else if brackets.is_empty() {
            return Err(format!("`{text}` has an empty step"));
        }
        while !brackets.is_empty() {
            let inner = brackets.strip_prefix('[').and_then(|rest| rest.split_once(']'));
            let Some((index, rest)) = inner else { return Err(format!("`{text}` has an unclosed `[`")) };
            if index != "*" && index.parse::<usize>().is_err() {
                return Err(format!("`[{index}]` must be `[*]` or a number"));
            }
            steps.push(step(index));
            brackets = rest;
        }
    }
    Ok(steps)
}

/// What stands at a path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Place<'v> {
    /// A value.
    Value(&'v Value),
    /// Nothing, in an object or array that could hold it.
    Absent,
    /// Something that cannot hold what the path asks for, such as a text where an object should be.
    Misshapen,
}

/// The work on a decision passed its bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Overrun;

/// Counts down the values that may still be looked at.
#[derive(Debug)]
pub(super) struct Budget(pub(super) u32);

impl Budget {
    pub(super) const fn spend(&mut self) -> Result<(), Overrun> {
        match self.0.checked_sub(1) {
            Some(left) => {
                self.0 = left;
                Ok(())
            }
            None => Err(Overrun),
        }
    }
}

/// Calls `visit` for everything that `steps` lead to from `value`.
pub(super) fn walk<'v>(
    value: &'v Value,
    steps: &[Step],
    budget: &mut Budget,
    visit: &mut dyn FnMut(Place<'v>) -> Result<(), Overrun>,
) -> Result<(), Overrun> {
    budget.spend()?;
    let Some((step, rest)) = steps.split_first() else { return visit(Place::Value(value)) };
    match (step, value) {
        // An optional object that is left out by writing null holds nothing.
        (Step::Key(_) | Step::Every, Value::Null) => visit(Place::Absent),
        (Step::Key(name), Value::Object(members)) => match members.get(&**name) {
            Some(member) => walk(member, rest, budget, visit),
            None => visit(Place::Absent),
        },
        (Step::Key(name), Value::Array(elements)) => match name.parse::<usize>() {
            Ok(index) => match elements.get(index) {
                Some(element) => walk(element, rest, budget, visit),
                None => visit(Place::Absent),
            },
            Err(_) => visit(Place::Misshapen),
        },
        (Step::Every, Value::Array(elements)) => {
            elements.iter().try_for_each(|element| walk(element, rest, budget, visit))
        }
        (Step::Every, Value::Object(members)) => {
            members.values().try_for_each(|member| walk(member, rest, budget, visit))
        }
        (Step::Key(_) | Step::Every, _) => visit(Place::Misshapen),
        (Step::Deep, _) => deep(value, rest, budget, visit),
    }
}

/// Calls `visit` with the JSON pointer of every value that `steps` lead to; with nothing where nothing stands.
pub(super) fn pointers(
    value: &Value,
    steps: &[Step],
    budget: &mut Budget,
    visit: &mut dyn FnMut(Option<&str>),
) -> Result<(), Overrun> {
    let mut wanted = Vec::new();
    walk(value, steps, budget, &mut |place| {
        match place {
            Place::Value(value) => wanted.push(std::ptr::from_ref(value)),
            Place::Absent | Place::Misshapen => visit(None),
        }
        Ok(())
    })?;
    if !wanted.is_empty() {
        name_places(value, &mut String::new(), &wanted, budget, visit)?;
    }
    Ok(())
}

/// The pointers of the values at these addresses: one document is never moved while it is walked.
fn name_places(
    value: &Value,
    pointer: &mut String,
    wanted: &[*const Value],
    budget: &mut Budget,
    visit: &mut dyn FnMut(Option<&str>),
) -> Result<(), Overrun> {
    budget.spend()?;
    if wanted.contains(&std::ptr::from_ref(value)) {
        visit(Some(pointer));
    }
    let length = pointer.len();
    let mut step = |name: &str, inner: &Value| {
        pointer.push('/');
        pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
        let done = name_places(inner, pointer, wanted, budget, visit);
        pointer.truncate(length);
        done
    };
    match value {
        Value::Array(elements) => {
            elements.iter().enumerate().try_for_each(|(index, element)| step(&index.to_string(), element))
        }
        Value::Object(members) => members.iter().try_for_each(|(name, member)| step(name, member)),
        _ => Ok(()),
    }
}

/// Everything at any depth that the rest of the path leads to. What is not there is not absent: it need not be.
fn deep<'v>(
    value: &'v Value,
    rest: &[Step],
    budget: &mut Budget,
    visit: &mut dyn FnMut(Place<'v>) -> Result<(), Overrun>,
) -> Result<(), Overrun> {
    walk(value, rest, budget, &mut |place| match place {
        Place::Value(_) => visit(place),
        Place::Absent | Place::Misshapen => Ok(()),
    })?;
    match value {
        Value::Array(elements) => elements.iter().try_for_each(|element| deep(element, rest, budget, visit)),
        Value::Object(members) => members.values().try_for_each(|member| deep(member, rest, budget, visit)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn places(path: &str, value: &Value) -> Vec<String> {
        let mut found = Vec::new();
        let path = Path::parse(path).unwrap();
        walk(value, &path.steps, &mut Budget(1_000), &mut |place| {
            found.push(match place {
                Place::Value(value) => value.to_string(),
                Place::Absent => "absent".into(),
                Place::Misshapen => "misshapen".into(),
            });
            Ok(())
        })
        .unwrap();
        found
    }

    #[test]
    fn leads_to_values() {
        let value = json!({"to": [{"email": 1}, {"name": 2}, "x"], "a.b": {"c": 3}, "n": null, "p": {"q": {"q": 4}}});
        assert_eq!(places("to[*].email", &value), ["1", "absent", "misshapen"]);
        assert_eq!(places("to[1].name", &value), ["2"]);
        assert_eq!(places("to.1.name", &value), ["2"]);
        assert_eq!(places("/a.b/c", &value), ["3"]);
        assert_eq!(places("n.x", &value), ["absent"]);
        assert_eq!(places("**.q", &value), ["{\"q\":4}", "4"]);
        assert_eq!(places("p.*.q", &value), ["4"]);
        assert_eq!(places("zz", &value), ["absent"]);
    }

    #[test]
    fn refuses_paths_that_cannot_be_meant() {
        for text in ["", "a..b", "a[", "a[x]", "a.**", "**.a.**.b"] {
            assert!(Path::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn finds_what_a_schema_declares() {
        let schema = json!({"properties": {"to": {"items": {"properties": {"email": {"default": "x"}}}}}});
        let declared = |path: &str| Path::parse(path).unwrap().declared(&schema).cloned();
        assert_eq!(declared("to[*].email"), Some(json!({"default": "x"})));
        assert!(declared("to").is_some() && declared("cc").is_none() && declared("to[*].name").is_none());
    }

    #[test]
    fn stops_when_its_budget_is_spent() {
        let value = json!([0, 1, 2, 3]);
        let path = Path::parse("*").unwrap();
        assert_eq!(walk(&value, &path.steps, &mut Budget(4), &mut |_| Ok(())), Err(Overrun));
    }
}
