//! What a decision is made from.

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

use crate::model::{Call, Enforcement, Identity, SessionContext, ToolDefinition};

/// Everything that a decision may depend on, beside the policy set itself (AARM ): same input, same decision.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The call.
    pub call: &'a Call,
    /// Who makes it.
    pub identity: &'a Identity,
    /// What is known about the session, the time included.
    pub context: &'a SessionContext,
    /// The tool as its server listed it; `None` when it did not.
    pub tool: Option<&'a CompiledTool>,
    /// Whether decisions about this server, agent or team are carried out.
    pub enforcement: Enforcement,
}

/// A tool definition with its schema ready for use. Made once when a list is pinned, shared by every call.
#[derive(Debug)]
pub struct CompiledTool {
    definition: ToolDefinition,
    validator: Result<Validator, String>,
}

/// Most values in one schema. A schema is written by the server; this bounds what it can make this process do.
const SCHEMA_VALUES_MAX: usize = 10_000;

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
        Self { definition, validator }
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
    if values(schema) > SCHEMA_VALUES_MAX {
        return Err(format!("the schema holds more than {SCHEMA_VALUES_MAX} values"));
    }
    let patterns = PatternOptions::fancy_regex().backtrack_limit(BACKTRACK_MAX);
    jsonschema::options().offline().with_pattern_options(patterns).build(schema).map_err(|error| {
        // The text of a server: bounded, in one line.
        let text = error.to_string();
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect()
    })
}

fn values(value: &Value) -> usize {
    match value {
        Value::Array(elements) => 1 + elements.iter().map(values).sum::<usize>(),
        Value::Object(members) => 1 + members.values().map(values).sum::<usize>(),
        _ => 1,
    }
}
