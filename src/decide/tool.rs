//! A tool's own schema, made ready and bounded.

use std::collections::HashMap;

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

use crate::model::ToolDefinition;

/// A tool definition with its schema ready for use. Made once when a list is pinned, shared by every call.
#[derive(Debug)]
pub struct CompiledTool {
    definition: ToolDefinition,
    validator: Result<Validator, String>,
    quarantined: bool,
}

/// Most values in one schema with every reference written out. A schema is written by the server, and a short one can
/// unfold to more work than a year holds; this bounds what it can make this process do.
const UNFOLDED_VALUES_MAX: u64 = 100_000;

/// Longest way down through values and references: what checks a schema walks down it, for each level of the arguments.
const UNFOLDED_DEPTH_MAX: usize = 48;

/// Most steps back in one search with a pattern that needs them, about a millisecond.
const BACKTRACK_MAX: usize = 10_000;

impl CompiledTool {
    /// Prepares a definition. Total: a schema that cannot be used leaves the tool with an unknown schema, and
    /// [`Self::problem`] says why.
    ///
    /// JSON Schema 2020-12 unless `$schema` names another draft. References outside the document are never followed:
    /// nothing is fetched, and a schema that has one cannot be used. `format` is not asserted, as 2020-12 has it.
    #[must_use]
    pub fn new(definition: ToolDefinition) -> Self {
        let validator = compile(&definition.input_schema);
        Self { definition, validator, quarantined: false }
    }

    /// The same, refused until an operator accepts that it changed.
    #[must_use]
    pub fn quarantined(self) -> Self {
        Self { quarantined: true, ..self }
    }

    /// Whether it changed since it was pinned, and nobody has accepted that.
    #[must_use]
    pub const fn is_quarantined(&self) -> bool {
        self.quarantined
    }

    /// The definition.
    #[must_use]
    pub const fn definition(&self) -> &ToolDefinition {
        &self.definition
    }

    /// Why the schema cannot be used.
    #[must_use]
    pub fn problem(&self) -> Option<&str> {
        self.validator.as_ref().err().map(String::as_str)
    }

    pub(super) fn validator(&self) -> Option<&Validator> {
        self.validator.as_ref().ok()
    }
}

fn compile(schema: &Value) -> Result<Validator, String> {
    if !schema.is_object() {
        return Err("the schema is not an object".into());
    }
    Unfolding::of(schema)?;
    let patterns = PatternOptions::fancy_regex().backtrack_limit(BACKTRACK_MAX);
    jsonschema::options().offline().with_pattern_options(patterns).build(schema).map_err(|error| {
        // The text of a server: bounded, in one line.
        let text = error.to_string();
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect()
    })
}

/// Measures a schema with its references written out. A reference that leads back to where it stands ends there: how
/// often it is followed depends on the arguments, which are bounded in depth.
struct Unfolding<'s> {
    root: &'s Value,
    anchors: HashMap<&'s str, &'s Value>,
    /// Size by the address of a value; `None` while it is being measured.
    sizes: HashMap<*const Value, Option<u64>>,
}

impl<'s> Unfolding<'s> {
    fn of(root: &'s Value) -> Result<(), String> {
        let mut anchors = HashMap::new();
        name_anchors(root, &mut anchors);
        let mut unfolding = Self { root, anchors, sizes: HashMap::new() };
        match unfolding.size(root, 0)? {
            size if size > UNFOLDED_VALUES_MAX => {
                Err(format!("the schema unfolds to more than {UNFOLDED_VALUES_MAX} values"))
            }
            _ => Ok(()),
        }
    }

    fn size(&mut self, value: &'s Value, depth: usize) -> Result<u64, String> {
        if depth > UNFOLDED_DEPTH_MAX {
            return Err(format!("the schema is more than {UNFOLDED_DEPTH_MAX} levels deep"));
        }
        if !value.is_array() && !value.is_object() {
            return Ok(1);
        }
        let address = std::ptr::from_ref(value);
        if let Some(known) = self.sizes.get(&address) {
            return Ok(known.unwrap_or(1));
        }
        self.sizes.insert(address, None);
        let mut size: u64 = 1;
        match value {
            Value::Array(elements) => {
                for element in elements {
                    size = size.saturating_add(self.size(element, depth + 1)?);
                }
            }
            Value::Object(members) => {
                for (name, member) in members {
                    let target = match (name.as_str(), member) {
                        ("$ref" | "$dynamicRef" | "$recursiveRef", Value::String(target)) => self.find(target)?,
                        // A schema inside the schema with a name of its own changes what references mean.
                        ("$id", Value::String(_)) if depth > 0 => return Err("the schema has an inner `$id`".into()),
                        (_, member) => member,
                    };
                    size = size.saturating_add(self.size(target, depth + 1)?);
                }
            }
            _ => {}
        }
        self.sizes.insert(address, Some(size));
        Ok(size)
    }

    fn find(&self, reference: &str) -> Result<&'s Value, String> {
        let target = match reference.strip_prefix('#') {
            Some("") => Some(self.root),
            Some(pointer) if pointer.starts_with('/') => self.root.pointer(pointer),
            Some(anchor) => self.anchors.get(anchor).copied(),
            None => None,
        };
        target.ok_or_else(|| "the schema refers to something outside itself".into())
    }
}

fn name_anchors<'s>(value: &'s Value, anchors: &mut HashMap<&'s str, &'s Value>) {
    match value {
        Value::Array(elements) => elements.iter().for_each(|element| name_anchors(element, anchors)),
        Value::Object(members) => {
            for (name, member) in members {
                match (name.as_str(), member) {
                    ("$anchor" | "$dynamicAnchor", Value::String(anchor)) => drop(anchors.insert(anchor, value)),
                    (_, member) => name_anchors(member, anchors),
                }
            }
        }
        _ => {}
    }
}
