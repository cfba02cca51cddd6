//! `GET /openapi.json`: the document of the native API, in OpenAPI 3.1.
//!
//! ```text
//! table of routes ─▶ ApiRoute (extractors, answers) ─▶ schemas of the wire types, their comments, defaults, limits ─▶ JSON
//! ```
//! Comes in: the rows of the table and this gateway's limits. Goes out: one JSON object, made when it is first asked for.
//! Nothing of the API is written here: it stands in `crate::api`, in the handlers' types and in the table.

pub mod api_route;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use axum::body::Bytes;
use axum::http::StatusCode;
use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use self::api_route::{ApiRoute, JSON, RouteInputs};
use crate::api::ErrorBody;
use crate::api::schema::X_LIMIT;
use crate::gateway::http::limits::Limits;

/// The document of a table of routes.
pub struct ApiDocument {
    routes: Vec<ApiRoute>,
    limits: Limits,
    made: OnceLock<Bytes>,
}

impl ApiDocument {
    /// The document of these routes, under these limits.
    pub fn new(routes: Vec<ApiRoute>, limits: Limits) -> Self {
        Self { routes, limits, made: OnceLock::new() }
    }

    /// The document as JSON text.
    pub fn text(&self) -> Bytes {
        self.made.get_or_init(|| document(&self.routes, &self.limits).to_string().into()).clone()
    }
}

/// The document as a JSON object.
pub fn document(routes: &[ApiRoute], limits: &Limits) -> Value {
    // OpenAPI 3.1 reads this draft of JSON Schema, and keeps the types of a document in one place.
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut schemas = settings.into_generator();
    // The operations of each path.
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for route in routes {
        let method = route.method.as_str().to_lowercase();
        paths.entry(route.path).or_default().insert(method, operation(route, &mut schemas));
    }
    // What all of them may answer where they fail.
    let error = schemas.subschema_for::<ErrorBody>();
    let failed = |description: &str| json!({"description": description, "content": {JSON: {"schema": error}}});
    let responses = json!({
        "Refused": failed("The request cannot be served as it is: `code` and `details` say why."),
        "Failed": failed("The request could not be served now: `retryable` and `committed` say what to do."),
    });
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Quiver",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The native HTTP API. `GET /reference` tells what the requests mean.",
            "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {"schemas": schemas.take_definitions(true), "responses": responses},
    });
    finish(&mut document, limits);
    document
}

/// One operation of a path.
fn operation(route: &ApiRoute, schemas: &mut SchemaGenerator) -> Value {
    let inputs = (route.inputs)(schemas);
    let mut operation = json!({
        "operationId": operation_id(route),
        "summary": route.answers.summary,
        "tags": [route.tag],
        "parameters": parameters(route.path, &inputs),
        "responses": responses(route, schemas),
    });
    if !inputs.bodies.is_empty() {
        let content = inputs.bodies.iter().map(|(kind, schema)| ((*kind).to_owned(), json!({"schema": schema})));
        operation["requestBody"] = json!({"required": true, "content": content.collect::<Map<_, _>>()});
    }
    operation
}

/// Such as `post_quiver_v1_search_batch`.
fn operation_id(route: &ApiRoute) -> String {
    let words = route.path.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let method = route.method.as_str().to_lowercase();
    std::iter::once(method.as_str()).chain(words).collect::<Vec<_>>().join("_")
}

/// The parameters in the path, the query string and the headers.
fn parameters(path: &str, inputs: &RouteInputs) -> Vec<Value> {
    // The names in the path and the segments that the handler reads have the same order.
    let names = path.split('{').skip(1).filter_map(|rest| rest.split_once('}')).map(|(name, _)| name);
    let segments = names.zip(&inputs.segments);
    let segments =
        segments.map(|(name, schema)| json!({"name": name, "in": "path", "required": true, "schema": schema}));
    let headers = inputs.headers.iter();
    let headers = headers.map(|(name, schema)| json!({"name": name, "in": "header", "schema": schema}));
    let query = inputs.query.as_ref().and_then(|query| query.get("properties")).and_then(Value::as_object);
    let query = query.into_iter().flatten().map(|(name, schema)| {
        let mut schema = schema.clone();
        // A query string has no `null`; what is absent is not said.
        drop_null(&mut schema);
        let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
        json!({"name": name, "in": "query", "description": description.unwrap_or_default(), "schema": schema})
    });
    segments.chain(query).chain(headers).collect()
}

fn drop_null(schema: &mut Value) {
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|kind| kind != "null");
        // A list of one type is written as that type.
        if let [only] = &types[..] {
            schema["type"] = only.clone();
        }
    }
    if let Some(said) = schema.as_object_mut() {
        said.retain(|keyword, value| keyword != "default" || !value.is_null());
    }
    if let Some(Value::Array(words)) = schema.get_mut("enum") {
        words.retain(|word| !word.is_null());
    }
    if let Some(Value::Array(forms)) = schema.get_mut("anyOf") {
        forms.retain(|form| form.get("type").is_none_or(|kind| kind != "null"));
    }
}

/// The answers by status; several of one status are one of several.
fn responses(route: &ApiRoute, schemas: &mut SchemaGenerator) -> Value {
    let mut by_status: BTreeMap<StatusCode, BTreeMap<&str, Vec<Schema>>> = BTreeMap::new();
    for (status, kind, schema) in &route.answers.rows {
        by_status.entry(*status).or_default().entry(kind).or_default().push(schema(schemas));
    }
    let mut responses = Map::new();
    // A route may answer in several forms under one status.
    for (status, contents) in by_status {
        let content = contents.into_iter().map(|(kind, mut forms)| {
            let schema = if forms.len() == 1 { json!(forms.remove(0)) } else { json!({"anyOf": forms}) };
            (kind.to_owned(), json!({"schema": schema}))
        });
        let description = status.canonical_reason().unwrap_or_default();
        let content = content.collect::<Map<_, _>>();
        responses.insert(status.as_str().to_owned(), json!({"description": description, "content": content}));
    }
    // Every route can fail, and all failures have one form.
    for (range, name) in [("4XX", "Refused"), ("5XX", "Failed")] {
        responses.insert(range.to_owned(), json!({"$ref": format!("#/components/responses/{name}")}));
    }
    responses.into()
}

/// Puts this gateway's limits where a bound is one of them, and takes the marks of links to Rust's items out of texts.
fn finish(value: &mut Value, limits: &Limits) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| finish(item, limits)),
        Value::Object(members) => {
            if let Some(Value::String(text)) = members.get_mut("description") {
                *text = text.replace("[`", "`").replace("`]", "`");
            }
            set_bound(members, limits);
            members.values_mut().for_each(|member| finish(member, limits));
        }
        _ => {}
    }
}

fn set_bound(schema: &mut Map<String, Value>, limits: &Limits) {
    let Some(name) = schema.get(X_LIMIT).and_then(Value::as_str) else { return };
    let (bound, default) = match name {
        "max_batch" => (limits.batch as u64, None),
        "max_limit" => (limits.limit as u64, None),
        "max_searches" => (limits.searches as u64, None),
        "max_timeout" => (limits.max_timeout.as_millis() as u64, Some(limits.default_timeout.as_millis() as u64)),
        other => unreachable!("`{other}` is no limit of a gateway"),
    };
    // The type carries the default of the limit, and this gateway may have another.
    for member in ["maximum", "maxItems"] {
        if let Some(there) = schema.get_mut(member) {
            *there = bound.into();
        }
    }
    if let Some(default) = default {
        schema.insert("default".to_owned(), default.into());
    }
}
