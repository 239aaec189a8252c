//! The variables of an expression: only those it looks at, from the facts that typed tests see.

use std::sync::Arc;

use cel::common::types::{CelBool, CelDouble, CelInt, CelList, CelNull, CelString, CelUInt};
use cel::common::value::Val;
use serde_json::Value;

use super::check::{Member, Uses};
use super::object::{Members, Object};
use crate::decide::condition::Test;
use crate::decide::datum::{self, Datum};
use crate::decide::explain;
use crate::decide::field::{Field, Sinks};
use crate::decide::input::Input;
use crate::decide::number::Number;
use crate::decide::path::Overrun;
use crate::decide::results::ResultFacts;
use crate::decide::settings::Settings;

/// Most values that an expression is given: more than the arguments of any tool that a rule can be written for.
const VALUES_MAX: u64 = 4_096;
/// Most text that an expression is given, bytes.
const BYTES_MAX: u64 = 1 << 20;
/// Deepest value; goes with the scanner's own bound on arguments.
const DEPTH_MAX: usize = 64;

/// What an expression is evaluated on.
pub(super) struct Bound<'s> {
    pub(super) variables: Vec<(&'static str, Box<dyn Val>)>,
    /// The first field that nobody knows.
    pub(super) unknown: Option<&'s str>,
    pub(super) sizes: Sizes,
}

/// How much it is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sizes {
    pub(super) values: u64,
    pub(super) bytes: u64,
    /// Elements of the longest list.
    pub(super) longest: u64,
}

/// A value, with what people are shown of it.
type Shown = (Box<dyn Val>, String);

impl<'s> Bound<'s> {
    /// # Errors
    /// It is too much.
    pub(super) fn of(
        uses: &'s Uses,
        input: &Input<'_>,
        result: Option<&ResultFacts<'_>>,
        settings: &Settings,
        mut seen: Option<&mut Vec<String>>,
    ) -> Result<Self, Overrun> {
        let mut bound = Self { variables: Vec::new(), unknown: None, sizes: Sizes::default() };
        let action = &input.call.action;
        let names = [
            ("tool", &*action.tool),
            ("server", &*action.native.server),
            ("operation", &*action.operation),
            ("method", &*action.method),
        ];
        for (name, value) in names.into_iter().filter(|(name, _)| uses.names.contains(name)) {
            bound.variables.push((name, bound.sizes.text(value)?));
        }
        if let Some(parameters) = &uses.parameters {
            let object = bound.sizes.parameters(parameters.as_deref(), input)?;
            if let Some(seen) = seen.as_deref_mut() {
                seen.push(format!("arguments = {}", explain::shown(&Datum::Json(&action.arguments.value))));
            }
            // Under both names that the language has for them.
            bound.variables.push(("parameters", Box::new(object.clone())));
            bound.variables.push(("arguments", Box::new(object)));
        }
        let mut roots: Vec<(&'static str, Members)> = Vec::new();
        for (place, (label, field)) in uses.places.iter().zip(&uses.fields) {
            let value = bound.sizes.field(field, place, input, result, settings)?;
            if let Some(seen) = seen.as_deref_mut() {
                let shown = value.as_ref().map_or_else(|| "(unknown)".to_owned(), |(_, shown)| shown.clone());
                seen.push(format!("{label} = {shown}"));
            }
            let at = roots.iter().position(|(root, _)| *root == place.root);
            if at.is_none() {
                roots.push((place.root, Members::new()));
            }
            let members = match at {
                Some(at) => roots.get_mut(at),
                None => roots.last_mut(),
            };
            match (value, members) {
                (Some((value, _)), Some((_, members))) => drop(members.insert(place.name.clone(), value)),
                _ => bound.unknown = bound.unknown.or(Some(label)),
            }
        }
        let objects =
            roots.into_iter().map(|(root, members)| (root, Box::new(Object(Arc::new(members))) as Box<dyn Val>));
        bound.variables.extend(objects);
        Ok(bound)
    }
}

impl Sizes {
    const fn count(&mut self, bytes: usize) -> Result<(), Overrun> {
        self.values += 1;
        self.bytes += bytes as u64;
        if self.values > VALUES_MAX || self.bytes > BYTES_MAX { Err(Overrun) } else { Ok(()) }
    }

    fn text(&mut self, text: &str) -> Result<Box<dyn Val>, Overrun> {
        self.count(text.len())?;
        Ok(Box::new(CelString::from(text.to_owned())))
    }

    fn list(&mut self, elements: Vec<Box<dyn Val>>) -> Box<dyn Val> {
        self.longest = self.longest.max(elements.len() as u64);
        Box::new(CelList::from(elements))
    }

    /// The parameters: those of these names, or all. One that is not there counts as its declared default.
    fn parameters(&mut self, names: Option<&[Box<str>]>, input: &Input<'_>) -> Result<Object, Overrun> {
        let arguments = input.call.action.arguments.value.as_object();
        let mut members = Members::new();
        let Some(names) = names else {
            for (name, value) in arguments.into_iter().flatten() {
                members.insert(name.as_str().into(), self.json(value, 0)?);
            }
            return Ok(Object(Arc::new(members)));
        };
        let declared = input.tool.and_then(|tool| tool.definition().input_schema.get("properties"));
        for name in names {
            let given = arguments.and_then(|arguments| arguments.get(&**name));
            let value = given.or_else(|| declared.and_then(|declared| declared.get(&**name)?.get("default")));
            if let Some(value) = value {
                members.insert(name.clone(), self.json(value, 0)?);
            }
        }
        Ok(Object(Arc::new(members)))
    }

    fn json(&mut self, value: &Value, depth: usize) -> Result<Box<dyn Val>, Overrun> {
        if depth > DEPTH_MAX {
            return Err(Overrun);
        }
        Ok(match value {
            Value::Array(elements) => {
                self.count(0)?;
                let elements: Result<Vec<_>, Overrun> =
                    elements.iter().map(|element| self.json(element, depth + 1)).collect();
                self.list(elements?)
            }
            Value::Bool(flag) => self.flag(*flag)?,
            Value::Null => self.null()?,
            Value::Number(number) => {
                self.count(0)?;
                match (number.as_i64(), number.as_u64(), number.as_f64()) {
                    (Some(number), _, _) => Box::new(CelInt::from(number)),
                    (None, Some(number), _) => Box::new(CelUInt::from(number)),
                    (None, None, Some(number)) => Box::new(CelDouble::from(number)),
                    (None, None, None) => return Err(Overrun),
                }
            }
            Value::Object(object) => {
                self.count(0)?;
                let mut members = Members::new();
                for (name, value) in object {
                    self.bytes += name.len() as u64;
                    members.insert(name.as_str().into(), self.json(value, depth + 1)?);
                }
                Box::new(Object(Arc::new(members)))
            }
            Value::String(text) => self.text(text)?,
        })
    }

    fn flag(&mut self, flag: bool) -> Result<Box<dyn Val>, Overrun> {
        self.count(0)?;
        Ok(Box::new(CelBool::from(flag)))
    }

    fn null(&mut self) -> Result<Box<dyn Val>, Overrun> {
        self.count(0)?;
        Ok(Box::new(CelNull))
    }

    /// The value of a field with what people are shown of it; `None`: nobody knows it.
    fn field(
        &mut self,
        field: &Field,
        place: &Member,
        input: &Input<'_>,
        result: Option<&ResultFacts<'_>>,
        settings: &Settings,
    ) -> Result<Option<Shown>, Overrun> {
        let mut data: Vec<Datum<'_>> = Vec::new();
        let mut visit = |datum| data.push(datum);
        match field {
            Field::Context(field) => datum::context(*field, &Test::Exists, input, &mut visit),
            Field::Fact(name) => {
                visit(input.facts.at(name, input.context.now).map_or(Datum::Unknown, Datum::Json));
            }
            Field::Identity(field) => datum::identity(*field, input.identity, settings, &mut visit),
            Field::Provenance(..) => {
                datum::provenance(&pointer(&place.name), Sinks::All, &input.context.signals, &mut visit);
            }
            Field::Result(field) => match result {
                Some(facts) => datum::result(*field, facts, &mut visit),
                None => visit(Datum::Unknown),
            },
            Field::Signal(field) => visit(datum::signal(*field, &input.context.signals)),
            // Parameters are bound as a whole, and a rule's limit has no name here.
            Field::Meter(_) | Field::Parameter(_) => return Ok(None),
        }
        if data.iter().any(|datum| matches!(datum, Datum::Unknown)) {
            return Ok(None);
        }
        let mut shown = Vec::new();
        let mut values = Vec::with_capacity(data.len());
        for datum in &data {
            explain::saw(&mut shown, datum);
            values.push(self.datum(datum)?);
        }
        let shown = shown.join(", ");
        if place.many {
            self.count(0)?;
            return Ok(Some((self.list(values), format!("[{shown}]"))));
        }
        Ok(values.pop().map(|value| (value, shown)))
    }

    fn datum(&mut self, datum: &Datum<'_>) -> Result<Box<dyn Val>, Overrun> {
        match datum {
            Datum::Absent | Datum::Unknown => self.null(),
            Datum::Destination(destination) => self.text(destination.name()),
            Datum::Flag(flag) => self.flag(*flag),
            Datum::Json(value) => self.json(value, 0),
            Datum::Level(level) => self.text(level.map_or("NONE", |level| level.as_str())),
            Datum::Number(Number::Integer(number)) => {
                self.count(0)?;
                Ok(Box::new(CelInt::from(i64::try_from(*number).map_err(|_| Overrun)?)))
            }
            Datum::Number(Number::Float(number)) => {
                self.count(0)?;
                Ok(Box::new(CelDouble::from(*number)))
            }
            Datum::Prior(prior) => self.text(&format!("{}.{}", prior.tool, prior.operation)),
            Datum::Text(text) => self.text(text),
        }
    }
}

/// The JSON pointer that `provenance["/to/0"]` or `provenance.to` is about.
fn pointer(name: &str) -> String {
    if name.starts_with('/') { name.to_owned() } else { format!("/{}", name.replace('~', "~0")) }
}
