//! Entries by their kind, and answers by what they say.

use serde_json::Value;

/// The decisions among entries.
pub(crate) fn decisions(entries: &[Value]) -> Vec<&Value> {
    entries.iter().map(|entry| &entry["predicate"]).filter(|predicate| predicate["kind"] == "decision").collect()
}

/// The outcomes among entries.
pub(crate) fn outcomes(entries: &[Value]) -> Vec<&Value> {
    entries.iter().map(|entry| &entry["predicate"]).filter(|predicate| predicate["kind"] == "outcome").collect()
}

/// Whether a refusal reached the model in the form that every client passes on.
pub(crate) fn is_refused(answer: &Value) -> bool {
    answer["result"]["isError"] == true && answer["result"]["_meta"]["countersign/decision"].is_object()
}
