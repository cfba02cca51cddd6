//! Error → status, code, retryable, committed. The one table, without a wildcard arm: a new error does not compile
//! until its row is here.
//!
//! `retryable` says that the same request may succeed later unchanged; where `committed` is `unknown`, unchanged
//! includes its request id.

use axum::http::StatusCode;

use super::ApiError;
use crate::api::Committed;
use crate::engine::Refusal;
use crate::routing::{self, RouteError};

/// One row.
pub(super) struct ErrorRow {
    pub status: StatusCode,
    pub code: &'static str,
    pub retryable: bool,
    pub committed: Committed,
    /// First words of the message, as Qdrant's clients know them.
    pub class: &'static str,
}

const WRONG_INPUT: &str = "Wrong input";
const FORBIDDEN: &str = "Forbidden";
const NOT_FOUND: &str = "Not found";
const CONFLICT: &str = "Conflict";
const UNAVAILABLE: &str = "Service unavailable";
const TOO_MANY: &str = "Too many requests";
const TIMEOUT: &str = "Timeout";
const INTERNAL: &str = "Service internal error";

pub(super) fn row(error: &ApiError) -> ErrorRow {
    match error {
        ApiError::Malformed { .. } => input(StatusCode::BAD_REQUEST, "malformed_json", WRONG_INPUT),
        ApiError::Misfit { unknown: true, .. } => input(StatusCode::BAD_REQUEST, "unknown_field", WRONG_INPUT),
        ApiError::Misfit { .. } => input(StatusCode::BAD_REQUEST, "invalid_input", WRONG_INPUT),
        ApiError::BodyCut { .. } => retry(StatusCode::REQUEST_TIMEOUT, "body_incomplete", TIMEOUT),
        ApiError::MalformedRequest { .. } => input(StatusCode::BAD_REQUEST, "malformed_request", WRONG_INPUT),
        ApiError::MemoryBudget => retry(StatusCode::SERVICE_UNAVAILABLE, "memory_budget", UNAVAILABLE),
        ApiError::ForeignHost { .. } => input(StatusCode::FORBIDDEN, "foreign_host", FORBIDDEN),
        ApiError::CrossSite { .. } => input(StatusCode::FORBIDDEN, "cross_site", FORBIDDEN),
        ApiError::BodyTooLarge { .. } => input(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", WRONG_INPUT),
        ApiError::MediaType { .. } => input(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", WRONG_INPUT),
        ApiError::LimitExceeded { .. } => input(StatusCode::BAD_REQUEST, "limit_exceeded", WRONG_INPUT),
        ApiError::Refused(refusal) => refused(refusal),
        ApiError::PointNotFound { .. } => input(StatusCode::NOT_FOUND, "point_not_found", NOT_FOUND),
        ApiError::UnknownPath { .. } => input(StatusCode::NOT_FOUND, "path_not_found", NOT_FOUND),
        ApiError::MethodNotAllowed { .. } => input(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", WRONG_INPUT),
        ApiError::NodeNotFound { .. } => input(StatusCode::NOT_FOUND, "node_not_found", NOT_FOUND),
        ApiError::ShardNotFound { .. } => input(StatusCode::NOT_FOUND, "shard_not_found", NOT_FOUND),
        ApiError::OperationNotFound { .. } => input(StatusCode::NOT_FOUND, "operation_not_found", NOT_FOUND),
        ApiError::NodeConflict { .. } => input(StatusCode::CONFLICT, "node_conflict", CONFLICT),
        ApiError::NodeUnreachable { .. } => retry(StatusCode::BAD_GATEWAY, "node_unreachable", UNAVAILABLE),
        ApiError::Guard { code, .. } => input(StatusCode::CONFLICT, code, CONFLICT),
        ApiError::NotPossible { .. } => input(StatusCode::CONFLICT, "not_possible", CONFLICT),
        ApiError::OperationFailed { .. } => {
            input(StatusCode::CONFLICT, "operation_failed", CONFLICT).fate(Committed::Yes)
        }
        ApiError::FaultsOff => input(StatusCode::NOT_FOUND, "faults_off", NOT_FOUND),
        ApiError::TooManyRequests { .. } => retry(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", TOO_MANY),
        ApiError::Route(error) | ApiError::Write { error, .. } => routed(error),
        ApiError::Internal { .. } => {
            input(StatusCode::INTERNAL_SERVER_ERROR, "internal", INTERNAL).fate(Committed::Unknown)
        }
    }
}

/// The row of an error of routing.
pub(super) fn routed(error: &RouteError) -> ErrorRow {
    let row = match error {
        RouteError::CollectionNotFound { .. } => input(StatusCode::NOT_FOUND, "collection_not_found", NOT_FOUND),
        RouteError::CollectionReplaced { .. } => retry(StatusCode::CONFLICT, "collection_replaced", CONFLICT),
        RouteError::CollectionExists { .. } => input(StatusCode::CONFLICT, "collection_exists", CONFLICT),
        RouteError::BadName(_) => input(StatusCode::BAD_REQUEST, "invalid_input", WRONG_INPUT),
        RouteError::Refused { refusal } => refused(refusal),
        RouteError::NoLeader { .. } => retry(StatusCode::SERVICE_UNAVAILABLE, "no_leader", UNAVAILABLE),
        RouteError::NoQuorum { .. } => retry(StatusCode::SERVICE_UNAVAILABLE, "no_quorum", UNAVAILABLE),
        RouteError::Stale { .. } => retry(StatusCode::SERVICE_UNAVAILABLE, "too_stale", UNAVAILABLE),
        RouteError::TokenLapsed { .. } => input(StatusCode::CONFLICT, "token_lapsed", CONFLICT),
        RouteError::AnswerTooLarge { .. } => input(StatusCode::BAD_REQUEST, "answer_too_large", WRONG_INPUT),
        RouteError::Unknown { .. } => retry(StatusCode::SERVICE_UNAVAILABLE, "outcome_unknown", UNAVAILABLE),
        RouteError::NotEverywhere { .. } => input(StatusCode::SERVICE_UNAVAILABLE, "not_everywhere", UNAVAILABLE),
        RouteError::PartialWrite { failed, .. } => partial(failed.iter().map(|(_, error)| error.as_ref())),
        RouteError::Deadline { .. } => retry(StatusCode::REQUEST_TIMEOUT, "deadline_exceeded", TIMEOUT),
        RouteError::Overloaded { .. } => retry(StatusCode::TOO_MANY_REQUESTS, "overloaded", TOO_MANY),
        RouteError::Stopped { .. } => retry(StatusCode::SERVICE_UNAVAILABLE, "replica_stopped", UNAVAILABLE),
        RouteError::NotFormed => retry(StatusCode::SERVICE_UNAVAILABLE, "starting", UNAVAILABLE),
        RouteError::WrongCluster { .. } => input(StatusCode::MISDIRECTED_REQUEST, "wrong_cluster", CONFLICT),
        RouteError::Unreadable { .. } => input(StatusCode::INTERNAL_SERVER_ERROR, "unreadable_request", INTERNAL),
        RouteError::Internal { .. } => input(StatusCode::INTERNAL_SERVER_ERROR, "internal", INTERNAL),
    };
    row.fate(match error.committed() {
        routing::Committed::No => Committed::No,
        routing::Committed::Yes => Committed::Yes,
        routing::Committed::Unknown => Committed::Unknown,
    })
}

fn refused(refusal: &Refusal) -> ErrorRow {
    match refusal {
        Refusal::CollectionNotFound { .. } | Refusal::CollectionDropped { .. } => {
            input(StatusCode::NOT_FOUND, "collection_not_found", NOT_FOUND)
        }
        Refusal::CollectionDiffers { .. } => input(StatusCode::CONFLICT, "collection_exists", CONFLICT),
        Refusal::VersionMismatch { .. } => input(StatusCode::PRECONDITION_FAILED, "version_mismatch", CONFLICT),
        Refusal::RequestReused => input(StatusCode::UNPROCESSABLE_ENTITY, "request_id_reused", WRONG_INPUT),
        Refusal::RequestExpired => retry(StatusCode::REQUEST_TIMEOUT, "request_expired", TIMEOUT),
        Refusal::TooManyRequestIds { .. } => retry(StatusCode::TOO_MANY_REQUESTS, "too_many_request_ids", TOO_MANY),
        Refusal::Invalid { .. } => input(StatusCode::BAD_REQUEST, "invalid_input", WRONG_INPUT),
        Refusal::NotSupported { .. } => input(StatusCode::NOT_IMPLEMENTED, "not_supported", "Not supported"),
        Refusal::Undecodable { .. } | Refusal::Undecided => {
            input(StatusCode::INTERNAL_SERVER_ERROR, "internal", INTERNAL)
        }
    }
}

/// One status for whatever the parts failed of: a 4xx of one part would say that nothing was written. A retry under the
/// same request id completes the parts that may still succeed; without any, the rest is refused for good.
fn partial<'a>(failed: impl Iterator<Item = &'a RouteError>) -> ErrorRow {
    let retryable = failed.map(routed).any(|row| row.retryable);
    let status = if retryable { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::CONFLICT };
    ErrorRow { retryable, ..input(status, "partial_write", "Partial write") }
}

fn input(status: StatusCode, code: &'static str, class: &'static str) -> ErrorRow {
    ErrorRow { status, code, retryable: false, committed: Committed::No, class }
}

fn retry(status: StatusCode, code: &'static str, class: &'static str) -> ErrorRow {
    ErrorRow { retryable: true, ..input(status, code, class) }
}

impl ErrorRow {
    fn fate(self, committed: Committed) -> Self {
        Self { committed, ..self }
    }
}
