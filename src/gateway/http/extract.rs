//! Request bodies and query strings in, typed values out; answers out as JSON, serialised once.
//!
//! A body that has arrived is parsed straight into its type. Only a body that fails is parsed a second time,
//! by [`parse_error`], so that errors name the item and the field at no cost to good requests.

use axum::extract::{FromRef, FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::{ApiError, quoted};
use crate::gateway::http::parse_error;
use crate::gateway::http::response_body::Refusable;
use crate::gateway::http::strict_json::Strict;
use crate::gateway::http::{low_priority, request_body};
use crate::gateway::state::GatewayState;
use crate::routing::Held;

/// A JSON body of type `T`, at most [`Limits::body_bytes`](crate::gateway::Limits::body_bytes) long.
pub struct Json<T>(pub T);

impl<S, T> FromRequest<S> for Json<T>
where
    S: Send + Sync,
    T: DeserializeOwned,
    GatewayState: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        check_type(request.headers())?;
        let state = GatewayState::from_ref(state);
        let (body, _room) = request_body::whole(request, &state.limits, &state.budget).await?;
        parse(&body).map(Self)
    }
}

/// Whether the body says it is of this type, and not encoded any further.
pub fn is_of_type(headers: &HeaderMap, wanted: &str) -> bool {
    let coded = headers.get(header::CONTENT_ENCODING).is_some_and(|coding| coding != "identity");
    let found = headers.get(header::CONTENT_TYPE).and_then(|found| found.to_str().ok()).unwrap_or_default();
    !coded && found.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(wanted)
}

/// A query string of type `T`.
pub struct Params<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let unreadable = |_| ApiError::invalid("query string", "is no list of names and values, as in a=1&b=2");
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri).map_err(unreadable)?;
        parse_error::query(pairs).map(Self)
    }
}

/// Parses a body; the whole of it must be one JSON object.
///
/// # Errors
/// [`ApiError::Malformed`] where it is no JSON, [`ApiError::Misfit`] where it is JSON of another shape.
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    let mut parser = serde_json::Deserializer::from_slice(body);
    let parsed = T::deserialize(Strict::new(&mut parser)).and_then(|parsed| parser.end().map(|()| parsed));
    parsed.map_err(|error| parse_error::explain::<T>(body, &error))
}

/// Returns an error where the body is said to be anything but JSON. A body without a type is taken for JSON.
fn check_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let text = |name| headers.get(name).map(|value: &HeaderValue| quoted(&String::from_utf8_lossy(value.as_bytes())));
    // No coding is undone here, so a coded body is refused rather than misread.
    if let Some(found) = text(header::CONTENT_ENCODING).filter(|coding| !coding.eq_ignore_ascii_case("identity")) {
        return Err(ApiError::MediaType { header: "Content-Encoding", found, expected: "identity" });
    }
    let Some(found) = text(header::CONTENT_TYPE) else { return Ok(()) };
    // Parameters of the type, such as a charset, are ignored.
    let essence = found.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json")) {
        return Ok(());
    }
    Err(ApiError::MediaType { header: "Content-Type", found, expected: "application/json" })
}

/// What `make` answers to a read. A large answer is made on the thread of low priority, where it holds up nobody.
pub async fn made(held: Held, make: impl FnOnce() -> Response + Send + 'static) -> Response {
    let is_large = held.is_large();
    // The answer to a read may be refused. Its place among the large answers is free once it is made.
    let make = move || {
        let mut response = make();
        response.extensions_mut().insert(Refusable);
        drop(held);
        response
    };
    // A small answer is not worth the way through another thread.
    if !is_large {
        return make();
    }
    low_priority::done(make)
        .await
        .unwrap_or_else(|| ApiError::Internal { reason: "an answer could not be made".to_owned() }.into_response())
}

/// An answer of `status` with `value` as its JSON body.
pub fn answer<T: Serialize>(status: StatusCode, value: &T) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => {
            (status, [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
        }
        Err(error) => {
            ApiError::Internal { reason: format!("an answer could not be serialised: {error}") }.into_response()
        }
    }
}
