//! The OpenAPI 3.1 document, made from the table of operations and the schemas beside this file.

use axum::Json;
use serde_json::{Map, Value, json};

use crate::api::{Answer, Operation, operations};

/// The shapes, as JSON Schema.
const SCHEMAS: &str = include_str!("schemas.json");

pub(crate) async fn show() -> Json<Value> {
    Json(document())
}

/// The whole document.
pub(crate) fn document() -> Value {
    let mut paths = Map::new();
    for operation in operations() {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method] = describe(&operation);
    }
    let schemas: Value = serde_json::from_str(SCHEMAS).expect("the schemas in this crate are JSON");
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Baton",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Hands a caller from a voice AI to a human.",
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": schemas,
            "responses": {"Problem": {
                "description": "What is wrong, and what would be right (RFC 9457).",
                "content": {"application/problem+json": {"schema": reference("Problem")}},
            }},
        },
    })
}

fn describe(operation: &Operation) -> Value {
    let mut described = json!({
        "operationId": operation.name,
        "summary": operation.summary,
        "parameters": parameters(operation),
        "responses": {"default": {"$ref": "#/components/responses/Problem"}},
    });
    let (status, answer) = answer(operation.answer);
    described["responses"][status] = answer;
    if let Some(schema) = operation.body {
        described["requestBody"] = json!({"content": {"application/json": {"schema": reference(schema)}}});
    }
    if operation.is_open {
        described["security"] = json!([]);
    }
    described
}

fn parameters(operation: &Operation) -> Vec<Value> {
    let in_path = operation
        .path
        .contains("{id}")
        .then(|| json!({"name": "id", "in": "path", "required": true, "schema": {"type": "string"}}));
    let others = operation.parameters.iter().filter_map(|parameter| parameter.split_once(':')).map(|(place, name)| {
        let kind = if matches!(name, "limit" | "after") { "integer" } else { "string" };
        json!({"name": name, "in": place, "required": name == "sig", "schema": {"type": kind}})
    });
    in_path.into_iter().chain(others).collect()
}

fn answer(answer: Answer) -> (&'static str, Value) {
    let location = json!({"Location": {"description": "Where it can be watched.", "schema": {"type": "string"}}});
    let body = |schema: Value| json!({"application/json": {"schema": schema}});
    match answer {
        Answer::One(schema) => ("200", json!({"description": schema, "content": body(reference(schema))})),
        Answer::List(schema) => {
            let list = json!({
                "type": "object",
                "required": ["items", "next"],
                "properties": {"items": {"type": "array", "items": reference(schema)}, "next": {"type": ["string", "null"]}},
            });
            ("200", json!({"description": "A page.", "content": body(list)}))
        }
        Answer::Accepted(schema) => {
            ("202", json!({"description": schema, "headers": location, "content": body(reference(schema))}))
        }
        Answer::Created(schema) => {
            ("201", json!({"description": schema, "headers": location, "content": body(reference(schema))}))
        }
        Answer::Made(schema) => ("201", json!({"description": schema, "content": body(reference(schema))})),
        Answer::Text(kind) => ("200", json!({"description": kind, "content": {kind: {}}})),
    }
}

fn reference(schema: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{schema}")})
}
