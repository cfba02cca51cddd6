//! Error → status, code, retryable, committed. The one table, without a wildcard arm: a new error does not compile
//! until its row is here.
//!
//! `retryable` says that the same request may succeed later unchanged; where `committed` is `unknown`, unchanged
//! includes its request id.

use axum::http::StatusCode;

use super::ApiError;
use crate::api::{Committed, ErrorCode};
use crate::engine::Refusal;
use crate::routing::{self, RouteError};

/// One row.
pub(super) struct ErrorRow {
    pub status: StatusCode,
    pub code: ErrorCode,
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
        ApiError::Malformed { .. } => input(StatusCode::BAD_REQUEST, ErrorCode::MalformedJson, WRONG_INPUT),
        ApiError::Misfit { unknown: true, .. } => input(StatusCode::BAD_REQUEST, ErrorCode::UnknownField, WRONG_INPUT),
        ApiError::Misfit { .. } => input(StatusCode::BAD_REQUEST, ErrorCode::InvalidInput, WRONG_INPUT),
        ApiError::BodyCut { .. } => retry(StatusCode::REQUEST_TIMEOUT, ErrorCode::BodyIncomplete, TIMEOUT),
        ApiError::MalformedRequest { .. } => input(StatusCode::BAD_REQUEST, ErrorCode::MalformedRequest, WRONG_INPUT),
        ApiError::MemoryBudget => retry(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::MemoryBudget, UNAVAILABLE),
        ApiError::ForeignHost { .. } => input(StatusCode::FORBIDDEN, ErrorCode::ForeignHost, FORBIDDEN),
        ApiError::CrossSite { .. } => input(StatusCode::FORBIDDEN, ErrorCode::CrossSite, FORBIDDEN),
        ApiError::BodyTooLarge { .. } => input(StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::BodyTooLarge, WRONG_INPUT),
        ApiError::MediaType { .. } => {
            input(StatusCode::UNSUPPORTED_MEDIA_TYPE, ErrorCode::UnsupportedMediaType, WRONG_INPUT)
        }
        ApiError::LimitExceeded { .. } => input(StatusCode::BAD_REQUEST, ErrorCode::LimitExceeded, WRONG_INPUT),
        ApiError::Refused(refusal) => refused(refusal),
        ApiError::PointNotFound { .. } => input(StatusCode::NOT_FOUND, ErrorCode::PointNotFound, NOT_FOUND),
        ApiError::UnknownPath { .. } => input(StatusCode::NOT_FOUND, ErrorCode::PathNotFound, NOT_FOUND),
        ApiError::MethodNotAllowed { .. } => {
            input(StatusCode::METHOD_NOT_ALLOWED, ErrorCode::MethodNotAllowed, WRONG_INPUT)
        }
        ApiError::NodeNotFound { .. } => input(StatusCode::NOT_FOUND, ErrorCode::NodeNotFound, NOT_FOUND),
        ApiError::ShardNotFound { .. } => input(StatusCode::NOT_FOUND, ErrorCode::ShardNotFound, NOT_FOUND),
        ApiError::OperationNotFound { .. } => input(StatusCode::NOT_FOUND, ErrorCode::OperationNotFound, NOT_FOUND),
        ApiError::NodeConflict { .. } => input(StatusCode::CONFLICT, ErrorCode::NodeConflict, CONFLICT),
        ApiError::NodeUnreachable { .. } => retry(StatusCode::BAD_GATEWAY, ErrorCode::NodeUnreachable, UNAVAILABLE),
        ApiError::Guard { code, .. } => input(StatusCode::CONFLICT, *code, CONFLICT),
        ApiError::NotPossible { .. } => input(StatusCode::CONFLICT, ErrorCode::NotPossible, CONFLICT),
        ApiError::OperationFailed { .. } => {
            input(StatusCode::CONFLICT, ErrorCode::OperationFailed, CONFLICT).fate(Committed::Yes)
        }
        ApiError::FaultsOff => input(StatusCode::NOT_FOUND, ErrorCode::FaultsOff, NOT_FOUND),
        ApiError::TooManyRequests { .. } => retry(StatusCode::TOO_MANY_REQUESTS, ErrorCode::TooManyRequests, TOO_MANY),
        ApiError::Route(error) | ApiError::Write { error, .. } => routed(error),
        ApiError::Internal { .. } => {
            input(StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::Internal, INTERNAL).fate(Committed::Unknown)
        }
    }
}

/// The row of an error of routing.
pub(super) fn routed(error: &RouteError) -> ErrorRow {
    let row = match error {
        RouteError::CollectionNotFound { .. } => input(StatusCode::NOT_FOUND, ErrorCode::CollectionNotFound, NOT_FOUND),
        RouteError::CollectionReplaced { .. } => retry(StatusCode::CONFLICT, ErrorCode::CollectionReplaced, CONFLICT),
        RouteError::CollectionExists { .. } => input(StatusCode::CONFLICT, ErrorCode::CollectionExists, CONFLICT),
        RouteError::BadName(_) => input(StatusCode::BAD_REQUEST, ErrorCode::InvalidInput, WRONG_INPUT),
        RouteError::Refused { refusal } => refused(refusal),
        RouteError::NoLeader { .. } => retry(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::NoLeader, UNAVAILABLE),
        RouteError::NoQuorum { .. } => retry(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::NoQuorum, UNAVAILABLE),
        RouteError::Stale { .. } => retry(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::TooStale, UNAVAILABLE),
        RouteError::TokenLapsed { .. } => input(StatusCode::CONFLICT, ErrorCode::TokenLapsed, CONFLICT),
        RouteError::AnswerTooLarge { .. } => input(StatusCode::BAD_REQUEST, ErrorCode::AnswerTooLarge, WRONG_INPUT),
        RouteError::Unknown { .. } => retry(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::OutcomeUnknown, UNAVAILABLE),
        RouteError::NotEverywhere { .. } => {
            input(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::NotEverywhere, UNAVAILABLE)
        }
        RouteError::PartialWrite { failed, .. } => partial(failed.iter().map(|(_, error)| error.as_ref())),
        RouteError::Deadline { .. } => retry(StatusCode::REQUEST_TIMEOUT, ErrorCode::DeadlineExceeded, TIMEOUT),
        RouteError::Overloaded { .. } => retry(StatusCode::TOO_MANY_REQUESTS, ErrorCode::Overloaded, TOO_MANY),
        RouteError::Stopped { .. } => retry(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::ReplicaStopped, UNAVAILABLE),
        RouteError::NotFormed => retry(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Starting, UNAVAILABLE),
        RouteError::WrongCluster { .. } => input(StatusCode::MISDIRECTED_REQUEST, ErrorCode::WrongCluster, CONFLICT),
        RouteError::Unreadable { .. } => {
            input(StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::UnreadableRequest, INTERNAL)
        }
        RouteError::Internal { .. } => input(StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::Internal, INTERNAL),
    };
    // Routing knows what became of a write. It overrules what the row assumes.
    row.fate(match error.committed() {
        routing::Committed::No => Committed::No,
        routing::Committed::Yes => Committed::Yes,
        routing::Committed::Unknown => Committed::Unknown,
    })
}

fn refused(refusal: &Refusal) -> ErrorRow {
    match refusal {
        Refusal::CollectionNotFound { .. } | Refusal::CollectionDropped { .. } => {
            input(StatusCode::NOT_FOUND, ErrorCode::CollectionNotFound, NOT_FOUND)
        }
        Refusal::CollectionDiffers { .. } => input(StatusCode::CONFLICT, ErrorCode::CollectionExists, CONFLICT),
        Refusal::VersionMismatch { .. } => input(StatusCode::PRECONDITION_FAILED, ErrorCode::VersionMismatch, CONFLICT),
        Refusal::RequestReused => input(StatusCode::UNPROCESSABLE_ENTITY, ErrorCode::RequestIdReused, WRONG_INPUT),
        Refusal::RequestExpired => retry(StatusCode::REQUEST_TIMEOUT, ErrorCode::RequestExpired, TIMEOUT),
        Refusal::TooManyRequestIds { .. } => {
            retry(StatusCode::TOO_MANY_REQUESTS, ErrorCode::TooManyRequestIds, TOO_MANY)
        }
        Refusal::Invalid { .. } => input(StatusCode::BAD_REQUEST, ErrorCode::InvalidInput, WRONG_INPUT),
        Refusal::NotSupported { .. } => input(StatusCode::NOT_IMPLEMENTED, ErrorCode::NotSupported, "Not supported"),
        Refusal::Undecodable { .. } | Refusal::Undecided => {
            input(StatusCode::INTERNAL_SERVER_ERROR, ErrorCode::Internal, INTERNAL)
        }
    }
}

/// One status for all parts that failed: the 4xx of one part would say that nothing was written. If a part may still
/// succeed, a retry under the same request id completes it. Otherwise what is missing is refused for good.
fn partial<'a>(failed: impl Iterator<Item = &'a RouteError>) -> ErrorRow {
    let retryable = failed.map(routed).any(|row| row.retryable);
    let status = if retryable { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::CONFLICT };
    ErrorRow { retryable, ..input(status, ErrorCode::PartialWrite, "Partial write") }
}

fn input(status: StatusCode, code: ErrorCode, class: &'static str) -> ErrorRow {
    ErrorRow { status, code, retryable: false, committed: Committed::No, class }
}

fn retry(status: StatusCode, code: ErrorCode, class: &'static str) -> ErrorRow {
    ErrorRow { retryable: true, ..input(status, code, class) }
}

impl ErrorRow {
    fn fate(self, committed: Committed) -> Self {
        Self { committed, ..self }
    }
}
