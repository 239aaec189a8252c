//! `/v1/openapi.json`: the description of this API for programs, made from tables. A test holds them against the routes.
//!
//! Members are written `name:type`, with `!` where they are required; the type is one of JSON Schema, `time`, the name of
//! a schema, words with `|` between them, or any of these behind `[]` for a list of them.

mod operations;
mod schemas;

use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Map, Value, json};

use super::Role;
use operations::OPERATIONS;
use schemas::SCHEMAS;

/// One operation of the API.
struct Operation {
    method: &'static str,
    /// Under `/v1`.
    path: &'static str,
    /// The role that it takes.
    role: Role,
    /// One sentence.
    what: &'static str,
    /// Parameters of the query.
    query: &'static [&'static str],
    /// Members of the body.
    body: &'static [&'static str],
    /// The type of the answer; empty where there is none.
    answer: &'static str,
}

pub(super) fn routes() -> Router {
    Router::new().route("/openapi.json", get(async || Json(document())))
}

fn document() -> Value {
    let mut paths = Map::new();
    for operation in OPERATIONS {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            path.insert(operation.method.to_owned(), operation.describe());
        }
    }
    let schemas: Map<String, Value> =
        SCHEMAS.iter().map(|(name, members)| ((*name).to_owned(), object(members))).collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Countersign admin API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What people see and decide. A token that is confined to a tenant gets what belongs to it.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/v1" }],
        "security": [{ "token": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": { "token": {
                "type": "http",
                "scheme": "bearer",
                "description": "A named token: `countersign keys admin NAME --role ROLE`. Never in a URL.",
            } },
            "schemas": schemas,
            "responses": { "Problem": {
                "description": "RFC 9457",
                "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
            } },
        },
    })
}

impl Operation {
    fn describe(&self) -> Value {
        let in_path =
            self.path.split('{').skip(1).filter_map(|part| part.split_once('}')).map(
                |(name, _)| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }),
            );
        let in_query = self.query.iter().map(|member| {
            let (name, schema, required) = read(member);
            json!({ "name": name, "in": "query", "required": required, "schema": schema })
        });
        let mut described = json!({
            "operationId": self.id(),
            "summary": self.what,
            "description": format!("Takes the role `{}`.", self.role.as_str()),
            "responses": { "default": { "$ref": "#/components/responses/Problem" } },
        });
        let parameters: Vec<Value> = in_path.chain(in_query).collect();
        if !parameters.is_empty() {
            put(&mut described, "parameters", json!(parameters));
        }
        if !self.body.is_empty() {
            let content = json!({ "application/json": { "schema": object(self.body) } });
            put(&mut described, "requestBody", json!({ "required": true, "content": content }));
        }
        let (status, answer) = match self.answer {
            "" => ("204", json!({ "description": "Done" })),
            answer => {
                let status = if answer == "SessionToken" { "201" } else { "200" };
                let content = json!({ "application/json": { "schema": schema(answer) } });
                (status, json!({ "description": "Done", "content": content }))
            }
        };
        if let Some(responses) = described.get_mut("responses") {
            put(responses, status, answer);
        }
        described
    }

    /// `get_approvals_id`.
    fn id(&self) -> String {
        let words = self.path.split(['/', '{', '}', '-']).filter(|word| !word.is_empty());
        std::iter::once(self.method).chain(words).collect::<Vec<_>>().join("_")
    }
}

fn put(object: &mut Value, name: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(name.to_owned(), value);
    }
}

fn object(members: &[&'static str]) -> Value {
    let read: Vec<_> = members.iter().map(|member| read(member)).collect();
    let required: Vec<&str> = read.iter().filter(|(_, _, required)| *required).map(|(name, _, _)| *name).collect();
    let properties: Map<String, Value> =
        read.iter().map(|(name, schema, _)| ((*name).to_owned(), schema.clone())).collect();
    json!({ "type": "object", "properties": properties, "required": required })
}

/// Name, schema, and whether it is required.
fn read(member: &'static str) -> (&'static str, Value, bool) {
    let (written, required) = member.strip_suffix('!').map_or((member, false), |member| (member, true));
    let (name, kind) = written.split_once(':').unwrap_or((written, "string"));
    (name, schema(kind), required)
}

fn schema(kind: &str) -> Value {
    if let Some(of) = kind.strip_prefix("[]") {
        return json!({ "type": "array", "items": schema(of) });
    }
    if kind.contains('|') {
        return json!({ "type": "string", "enum": kind.split('|').collect::<Vec<_>>() });
    }
    match kind {
        "time" => json!({ "type": "string", "format": "date-time" }),
        kind if kind.starts_with(char::is_uppercase) => json!({ "$ref": format!("#/components/schemas/{kind}") }),
        kind => json!({ "type": kind }),
    }
}

#[cfg(test)]
mod tests;
