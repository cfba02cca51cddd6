//! One row of the table of routes, as the document of the API tells it.
//!
//! What a route takes follows from the types of its handler: each extractor says which body, query string, segments of the
//! path or header it reads ([`Described`]). What it answers stands in its row. Knows no route and no handler.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{Method, StatusCode};
use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::gateway::http::error::ApiError;
use crate::gateway::http::extract::{Json, Params};

/// The content type of most bodies.
pub const JSON: &str = "application/json";

/// Makes a schema, which may refer to others.
pub type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// Whether what a client sends is read; `None` where nothing of the kind is taken.
#[cfg(test)]
type ReadOutcome = Option<Result<(), ApiError>>;

/// A route, as the document tells it.
#[derive(Clone)]
pub struct ApiRoute {
    /// The method it takes.
    pub method: Method,
    /// The path, with its parameters in braces.
    pub path: &'static str,
    /// The word of its class.
    pub tag: &'static str,
    /// What it takes.
    pub inputs: fn(&mut SchemaGenerator) -> RouteInputs,
    /// What it answers.
    pub answers: RouteAnswers,
    /// Reads a JSON body as the handler does; `None` where it takes none.
    #[cfg(test)]
    pub read_body: fn(&[u8]) -> ReadOutcome,
    /// Reads a query string as the handler does; `None` where it takes none.
    #[cfg(test)]
    pub read_query: fn(&[(String, String)]) -> ReadOutcome,
}

impl ApiRoute {
    /// The route of a handler whose extractors are `T`.
    pub fn of<T: Described>(method: Method, path: &'static str, tag: &'static str, answers: RouteAnswers) -> Self {
        let inputs = |schemas: &mut SchemaGenerator| {
            let mut inputs = RouteInputs::default();
            T::describe(&mut inputs, schemas);
            inputs
        };
        Self {
            method,
            path,
            tag,
            inputs,
            answers,
            #[cfg(test)]
            read_body: T::read_body,
            #[cfg(test)]
            read_query: T::read_query,
        }
    }
}

/// What a route takes from a request.
#[derive(Default)]
pub struct RouteInputs {
    /// The parameters of the path, in order.
    pub segments: Vec<Schema>,
    /// The query string, as an object.
    pub query: Option<Schema>,
    /// Headers by name.
    pub headers: Vec<(&'static str, Schema)>,
    /// The body by content type.
    pub bodies: Vec<(&'static str, Schema)>,
}

/// What an extractor, or all of a handler's, read from a request.
pub trait Described {
    /// Whether it reads the query string.
    const READS_QUERY: bool = false;

    /// Adds what it reads.
    fn describe(_: &mut RouteInputs, _: &mut SchemaGenerator) {}

    /// See [`ApiRoute::read_body`].
    #[cfg(test)]
    fn read_body(_: &[u8]) -> Option<Result<(), ApiError>> {
        None
    }

    /// See [`ApiRoute::read_query`].
    #[cfg(test)]
    fn read_query(_: &[(String, String)]) -> Option<Result<(), ApiError>> {
        None
    }
}

impl<S> Described for State<S> {}

impl<T: JsonSchema + serde::de::DeserializeOwned> Described for Json<T> {
    fn describe(inputs: &mut RouteInputs, schemas: &mut SchemaGenerator) {
        inputs.bodies.push((JSON, schemas.subschema_for::<T>()));
    }

    #[cfg(test)]
    fn read_body(body: &[u8]) -> Option<Result<(), ApiError>> {
        Some(crate::gateway::http::extract::parse::<T>(body).map(drop))
    }
}

/// A handler that wants to see the refusal of its body itself.
impl<T: JsonSchema + serde::de::DeserializeOwned> Described for Result<Json<T>, ApiError> {
    fn describe(inputs: &mut RouteInputs, schemas: &mut SchemaGenerator) {
        Json::<T>::describe(inputs, schemas);
    }

    #[cfg(test)]
    fn read_body(body: &[u8]) -> Option<Result<(), ApiError>> {
        Json::<T>::read_body(body)
    }
}

impl<T: JsonSchema + serde::de::DeserializeOwned> Described for Params<T> {
    const READS_QUERY: bool = true;

    fn describe(inputs: &mut RouteInputs, schemas: &mut SchemaGenerator) {
        inputs.query = Some(T::json_schema(schemas));
    }

    #[cfg(test)]
    fn read_query(pairs: &[(String, String)]) -> Option<Result<(), ApiError>> {
        Some(crate::gateway::http::parse_error::query::<T>(pairs.to_vec()).map(drop))
    }
}

/// What stands in the path where it has parameters.
pub trait PathSegments {
    /// The schemas of the parameters, in order.
    const SCHEMAS: &'static [SchemaOf];
}

impl PathSegments for String {
    const SCHEMAS: &'static [SchemaOf] = &[SchemaGenerator::subschema_for::<Self>];
}

impl PathSegments for u32 {
    const SCHEMAS: &'static [SchemaOf] = &[SchemaGenerator::subschema_for::<Self>];
}

impl PathSegments for u64 {
    const SCHEMAS: &'static [SchemaOf] = &[SchemaGenerator::subschema_for::<Self>];
}

impl PathSegments for (String, String) {
    const SCHEMAS: &'static [SchemaOf] =
        &[SchemaGenerator::subschema_for::<String>, SchemaGenerator::subschema_for::<String>];
}

impl<T: PathSegments> Described for Result<Path<T>, PathRejection> {
    fn describe(inputs: &mut RouteInputs, schemas: &mut SchemaGenerator) {
        inputs.segments.extend(T::SCHEMAS.iter().map(|schema| schema(schemas)));
    }
}

/// Joins what the extractors of a handler read. axum names them in a tuple, with a marker of its own as the first.
macro_rules! handlers {
    ($(($($extractor:ident),*))+) => {
        $(impl<Marker, $($extractor: Described),*> Described for (Marker, $($extractor,)*) {
            const READS_QUERY: bool = false $(|| $extractor::READS_QUERY)*;

            fn describe(_inputs: &mut RouteInputs, _schemas: &mut SchemaGenerator) {
                $($extractor::describe(_inputs, _schemas);)*
            }

            #[cfg(test)]
            fn read_body(_body: &[u8]) -> Option<Result<(), ApiError>> {
                None$(.or_else(|| $extractor::read_body(_body)))*
            }

            #[cfg(test)]
            fn read_query(_pairs: &[(String, String)]) -> Option<Result<(), ApiError>> {
                None$(.or_else(|| $extractor::read_query(_pairs)))*
            }
        })+
    };
}

handlers! { () (A) (A, B) (A, B, C) (A, B, C, D) (A, B, C, D, E) (A, B, C, D, E, F) }

/// What a route answers where it succeeds.
#[derive(Clone)]
pub struct RouteAnswers {
    /// What the route does, in a sentence.
    pub summary: &'static str,
    /// Each answer: status, content type and schema.
    pub rows: Vec<(StatusCode, &'static str, SchemaOf)>,
}

impl RouteAnswers {
    /// And this one, in JSON.
    pub fn or<T: JsonSchema>(mut self, status: StatusCode) -> Self {
        self.rows.push((status, JSON, SchemaGenerator::subschema_for::<T>));
        self
    }
}

/// Answers 200 with a `T` in JSON.
pub fn answers<T: JsonSchema>(summary: &'static str) -> RouteAnswers {
    answers_as::<T>(summary, JSON)
}

/// Answers 200 with a body of another content type; of a stream, `T` is what each message holds.
pub fn answers_as<T: JsonSchema>(summary: &'static str, content_type: &'static str) -> RouteAnswers {
    RouteAnswers { summary, rows: vec![(StatusCode::OK, content_type, SchemaGenerator::subschema_for::<T>)] }
}
