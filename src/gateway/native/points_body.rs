//! The body of `POST /vectors`, in either of its forms, as the points it writes.
//!
//! The content type says which: JSON, or the binary form of [`crate::api`] for bulk writes. Behind this room there is no
//! difference between the two.

use std::collections::BTreeMap;

use axum::extract::{FromRef, FromRequest, Request};
use schemars::{SchemaGenerator, json_schema};

use super::{convert, request};
use crate::api::{self, BadPoints, BinaryPoint, POINTS_CONTENT_TYPE, PointsHead, Upsert};
use crate::engine::{Payload, PointWrite, Refusal};
use crate::gateway::http::error::ApiError;
use crate::gateway::http::extract;
use crate::gateway::http::extract::Json;
use crate::gateway::http::request_body;
use crate::gateway::openapi::api_route::{Described, RouteInputs};
use crate::gateway::state::GatewayState;

/// Points to write, and how.
pub(in crate::gateway) struct PointsBody {
    pub(in crate::gateway) head: PointsHead,
    pub(in crate::gateway) points: Vec<PointWrite>,
}

impl<S> FromRequest<S> for PointsBody
where
    S: Send + Sync,
    GatewayState: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        if !extract::is_of_type(request.headers(), POINTS_CONTENT_TYPE) {
            return Json::<Upsert>::from_request(request, state).await.map(|Json(upsert)| Self::from(upsert));
        }
        let state = GatewayState::from_ref(state);
        // The memory of the body is held until its points are read out of it.
        let (body, _room) = request_body::whole(request, &state.limits, &state.budget).await?;
        let head = |head: &[u8]| extract::parse(head).map_err(|error| error.to_string());
        let (head, points) = api::decode_points(&body, head).map_err(refused)?;
        // Before the points are taken apart further: the same check that JSON meets.
        request::check_batch(&state, "vectors", points.len())?;
        let name = convert::vector_name(head.using.clone());
        Ok(Self { points: points.into_iter().map(|point| write(&name, point)).collect(), head })
    }
}

impl Described for PointsBody {
    fn describe(inputs: &mut RouteInputs, schemas: &mut SchemaGenerator) {
        Json::<Upsert>::describe(inputs, schemas);
        let layout =
            "A JSON head, and ids, vectors and payloads in columns: `src/api/binary.rs` says it byte for byte.";
        inputs.bodies.push((POINTS_CONTENT_TYPE, json_schema!({"description": layout, "format": "binary"})));
    }

    #[cfg(test)]
    fn read_body(body: &[u8]) -> Option<Result<(), ApiError>> {
        Json::<Upsert>::read_body(body)
    }
}

impl From<Upsert> for PointsBody {
    fn from(upsert: Upsert) -> Self {
        let Upsert { collection, vectors, consistency, request_id, timeout_ms } = upsert;
        let head = PointsHead { collection, using: None, consistency, request_id, timeout_ms };
        Self { head, points: vectors.into_iter().map(PointWrite::from).collect() }
    }
}

fn write(name: &str, point: BinaryPoint<'_>) -> PointWrite {
    let BinaryPoint { id, vector, payload } = point;
    let payload = if payload.is_empty() { Payload::default() } else { Payload::from_text(payload) };
    PointWrite { id, vectors: BTreeMap::from([(name.to_owned(), vector)]), payload, if_version: None }
}

fn refused(bad: BadPoints) -> ApiError {
    let (position, field, reason) = (bad.position, bad.field.to_owned(), bad.to_string());
    ApiError::Refused(Refusal::Invalid { position, field, reason })
}
