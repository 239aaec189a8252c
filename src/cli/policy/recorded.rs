//! Actions as the log has them, made ready to be decided again.
//!
//! The log keeps what a decision was made from, but for what was redacted, cut, or kept as a digest only; and not the
//! tool's schema. What is decided again is therefore close to what was decided, and said to be so.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value, json};

use crate::config::default_data_dir;
use crate::decide::{PolicySource, Scenario, Settings};
use crate::model::with_causes;
use crate::record::entry::Kind;
use crate::record::{Archive, open_envelope};

/// Where the log is.
#[derive(Args, Debug)]
pub(super) struct Place {
    /// The data directory, or a copy of one. Default: `$XDG_STATE_HOME/countersign`.
    #[arg(long, visible_alias = "receipts", value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

/// One decision of the log.
pub(super) struct Recorded {
    /// What its entry says.
    pub(super) predicate: Value,
}

impl Place {
    pub(super) fn open(&self) -> Result<Archive, String> {
        let dir = self.data_dir.clone().or_else(default_data_dir);
        let dir = dir.ok_or("neither XDG_STATE_HOME nor HOME is set: use --data-dir")?;
        Archive::open(&dir).map_err(|error| with_causes(&error))
    }

    /// Every decision of the log, in its order.
    pub(super) fn decisions(&self) -> Result<Vec<Recorded>, String> {
        let mut archive = self.open()?;
        let mut found = Vec::new();
        for index in 0..archive.end() {
            let Some(entry) = archive.entry(index).map_err(|error| with_causes(&error))? else { continue };
            let Some(predicate) =
                predicate(&entry).filter(|predicate| text(predicate, "/kind") == Kind::Decision.as_str())
            else {
                continue;
            };
            found.push(Recorded { predicate });
        }
        Ok(found)
    }
}

/// Signals that the log mentions only where they are true.
const FALSE_UNLESS_SAID: &[&str] = &[
    "commanded_by_content",
    "effect_ordered_by_content",
    "goal_restatement",
    "instruction_like",
    "link_fetch",
    "link_same_host",
    "session_instruction_like",
    "sink_prose_only",
    "sink_synthesised",
];

/// The same, where there was an intent to compare with.
const COMPARED: &[&str] = &["credential_use", "delegated_intent", "drift_detected", "privilege_escalation"];

/// The predicate of an entry, as JSON.
pub(super) fn predicate(entry: &[u8]) -> Option<Value> {
    let envelope = open_envelope(entry).ok()?;
    let mut statement: Value = serde_json::from_slice(&envelope.payload).ok()?;
    statement.get_mut("predicate").map(Value::take)
}

/// A text of a predicate; empty where there is none.
pub(super) fn text<'v>(predicate: &'v Value, pointer: &str) -> &'v str {
    predicate.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

impl Recorded {
    pub(super) fn text(&self, pointer: &str) -> &str {
        text(&self.predicate, pointer)
    }

    /// `tool.operation`.
    pub(super) fn name(&self) -> String {
        format!("{}.{}", self.text("/action/tool"), self.text("/action/operation"))
    }

    /// The arguments, unless only a digest or a part of them was kept.
    pub(super) fn arguments(&self) -> Option<Value> {
        serde_json::from_str(self.predicate.pointer("/action/parameters/text")?.as_str()?).ok()
    }

    /// The action with everything around it.
    ///
    /// # Errors
    /// Why it cannot be decided again.
    pub(super) fn scenario(&self, settings: &Settings) -> Result<Scenario, String> {
        let arguments = self.arguments().ok_or("the log keeps no arguments of it, or not all")?;
        let document = json!({
            "action": {
                "server": self.text("/action/native/server"),
                "tool": self.text("/action/tool"),
                "operation": self.text("/action/operation"),
                "method": self.text("/action/method"),
                "parameters": arguments,
            },
            "identity": self.identity(),
            "context": self.context(),
            "signals": self.signals(),
            "provenance": self.provenance(),
        });
        let name = self.text("/receipt_id").to_owned();
        let source = PolicySource { name, text: document.to_string() };
        Scenario::read(&source, settings).map_err(|errors| errors.to_string())
    }

    fn identity(&self) -> Value {
        let mut out = Map::new();
        for (name, pointer) in [
            ("human", "/identity/human"),
            ("service", "/identity/service"),
            ("agent", "/identity/agent/id"),
            ("session", "/identity/session"),
            ("role", "/identity/role"),
        ] {
            let value = text(&self.predicate, &format!("{pointer}/value"));
            let verification = text(&self.predicate, &format!("{pointer}/verification"));
            if !value.is_empty() && !matches!(verification, "asserted" | "none") {
                out.insert(name.into(), value.into());
            }
        }
        for name in ["owner", "team", "tenant", "issuer"] {
            let value = text(&self.predicate, &format!("/identity/{name}"));
            if !value.is_empty() {
                out.insert(name.into(), value.into());
            }
        }
        if let Some(scope) = self
            .predicate
            .pointer("/identity/scope")
            .filter(|scope| scope.as_array().is_some_and(|list| !list.is_empty()))
        {
            out.insert("scope".into(), scope.clone());
        }
        if matches!(self.text("/identity/verification"), "asserted" | "none") {
            out.insert("verified".into(), false.into());
        }
        out.into()
    }

    fn context(&self) -> Value {
        let mut out = Map::new();
        out.insert("now".into(), self.text("/action/received").into());
        for (name, pointer) in [
            ("intent", "/context/intent/text"),
            ("intent_class", "/context/intent/class"),
            ("intent_source", "/context/intent/source"),
            ("level", "/context/level/value"),
            ("level_source", "/context/level/source"),
            ("correlation", "/context/correlation"),
        ] {
            let value = self.text(pointer);
            if !value.is_empty() {
                out.insert(name.into(), value.into());
            }
        }
        if let Some(labels) = self
            .predicate
            .pointer("/context/labels")
            .filter(|labels| labels.as_array().is_some_and(|list| !list.is_empty()))
        {
            out.insert("labels".into(), labels.clone());
        }
        let prior = self.predicate.pointer("/context/prior_actions").and_then(Value::as_array);
        let prior: Vec<Value> = prior
            .into_iter()
            .flatten()
            .map(|prior| {
                let mut row = json!({
                    "tool": prior.get("tool"), "operation": prior.get("operation"), "forwarded": prior.get("forwarded"),
                    "decision": prior.get("result"),
                });
                if let (Some(level), Some(row)) =
                    (prior.get("level").filter(|level| level.is_string()), row.as_object_mut())
                {
                    row.insert("level".into(), level.clone());
                }
                row
            })
            .collect();
        if !prior.is_empty() {
            out.insert("prior_actions".into(), prior.into());
        }
        out.insert("action_count".into(), self.predicate.pointer("/context/action_count").cloned().unwrap_or(0.into()));
        out.into()
    }

    /// Where values came from, as far as the log keeps it.
    fn provenance(&self) -> Value {
        let entries = self.predicate.pointer("/decision/provenance").and_then(Value::as_array);
        let entry = |entry: &Value| {
            let sink = entry.get("sink").and_then(Value::as_bool).unwrap_or(false);
            Some((text(entry, "/pointer").to_owned(), json!({"origin": entry.get("origin")?, "sink": sink})))
        };
        Value::Object(entries.into_iter().flatten().filter_map(entry).collect())
    }

    /// Signals, with fractions instead of millionths. What is null is unknown, and stays so; what is absent is false, as
    /// the manual's page on the log says.
    fn signals(&self) -> Value {
        let recorded = self.predicate.pointer("/decision/signals").and_then(Value::as_object);
        let known = recorded
            .into_iter()
            .flatten()
            .filter(|(_, value)| value.is_boolean() || value.is_number() || value.is_string());
        let mut out = Map::new();
        if self.predicate.pointer("/decision/signals/effect").is_some() {
            let compared = self.predicate.pointer("/decision/signals/scope_expansion").is_some_and(Value::is_boolean);
            let names = FALSE_UNLESS_SAID.iter().chain(COMPARED.iter().filter(|_| compared));
            out.extend(names.map(|name| ((*name).to_owned(), Value::Bool(false))));
        }
        for (name, value) in known {
            match (name.strip_suffix("_ppm"), value.as_f64()) {
                (Some(name), Some(ppm)) => out.insert(name.to_owned(), json!(ppm / 1e6)),
                _ => out.insert(name.clone(), value.clone()),
            };
        }
        out.into()
    }
}
