//! JSON bodies of the demo's own routes, in and out.
//!
//! Axum's own JSON type turns on a feature of `serde_json` that gives some keys of an object a special meaning, in the
//! whole process. So it is not used.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::demo::supervisor::refused::Refused;
use crate::gateway::http::extract::answer;

/// A body of JSON.
pub(crate) struct Json<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refused> {
        // A browser lets a page of another site send this type only if the server agrees first, and this one does not.
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        if !kind.is_some_and(|kind| kind.starts_with("application/json")) {
            return Err(Refused::Conflict("send the body as `application/json`".to_owned()));
        }
        let wrong = |error: String| Refused::Conflict(format!("the body is not what is expected: {error}"));
        let body = Bytes::from_request(request, state).await.map_err(|error| wrong(error.body_text()))?;
        serde_json::from_slice(&body).map(Self).map_err(|error| wrong(error.to_string()))
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        answer(StatusCode::OK, &self.0)
    }
}
