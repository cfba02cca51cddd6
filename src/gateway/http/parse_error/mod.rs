//! What is wrong with a request, in plain words: the one place where the messages of parsers are turned into ours.
//!
//! Comes in: a body or a query string that could not be read as its type. Goes out: the member and what is wrong with it,
//! without a word that only a programmer of Quiver knows. A good request never comes here but for its query string, which
//! is short: bodies are read again, slowly, only once they have failed.

mod members;
mod reader;
mod syntax;
mod wanted;
mod wrappers;
mod wrong;

use axum::extract::path::ErrorKind;
use axum::extract::rejection::PathRejection;
use serde::de::DeserializeOwned;
use serde::de::value::MapDeserializer;

use super::error::ApiError;
use crate::gateway::http::strict_json::Strict;
use wrappers::{Context, ExplainingReader};

/// What is wrong with a body that failed with `error`.
pub(in crate::gateway) fn explain<T: DeserializeOwned>(body: &[u8], error: &serde_json::Error) -> ApiError {
    // The body is read once more, by a slower reader that notes where it is.
    let mut parser = serde_json::Deserializer::from_slice(body);
    let context = Context::of_json();
    let read = T::deserialize(Strict::new(ExplainingReader::new(&mut parser, &context)));
    let (line, column) = (error.line(), error.column());
    let Err(wrong) = read else {
        // Only what follows its end is wrong.
        let told = if error.is_data() { "it cannot be read" } else { &error.to_string() };
        return ApiError::Malformed { path: String::new(), line, column, reason: syntax::plain(told) };
    };
    let (path, reason) = (wrong.path(), wrong.reason());
    // Text that is no JSON and JSON that does not fit are two errors for the client.
    match wrong.is_syntax() {
        true => ApiError::Malformed { path, line, column, reason },
        false => ApiError::Misfit { path, line, column, reason, unknown: wrong.is_unknown_member() },
    }
}

/// Reads the pairs of a query string as a `T`.
///
/// # Errors
/// What is wrong with it.
pub(in crate::gateway) fn query<T: DeserializeOwned>(pairs: Vec<(String, String)>) -> Result<T, ApiError> {
    let context = Context::of_query();
    let pairs = MapDeserializer::<_, serde::de::value::Error>::new(pairs.into_iter());
    T::deserialize(Strict::new(ExplainingReader::new(pairs, &context))).map_err(|wrong| {
        let (path, reason) = (wrong.path(), wrong.reason());
        let is_told = path.is_empty() || wrong.is_unknown_member();
        ApiError::invalid("query string", if is_told { reason } else { format!("`{path}`: {reason}") })
    })
}

impl From<PathRejection> for ApiError {
    fn from(rejection: PathRejection) -> Self {
        Self::invalid("path", explain_path(&rejection))
    }
}

/// What is wrong with a path.
fn explain_path(rejection: &PathRejection) -> String {
    let PathRejection::FailedToDeserializePathParams(failed) = rejection else {
        return "it cannot be read".to_owned();
    };
    match failed.kind() {
        ErrorKind::ParseErrorAtKey { value, .. }
        | ErrorKind::ParseErrorAtIndex { value, .. }
        | ErrorKind::ParseError { value, .. } => format!("`{}` is no whole number", wrong::short(value)),
        ErrorKind::InvalidUtf8InPathParam { .. } => "it is no UTF-8".to_owned(),
        _ => "it cannot be read".to_owned(),
    }
}
