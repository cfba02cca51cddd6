//! The one error of the gateway, and the one body that tells of it.
//!
//! Comes in: what routing and the shards refuse, and what the gateway itself refuses. Goes out: a status and the body
//! of the API. Which error has which status and code stands in `table`; what else is told of it, in `details`.
//! A handler returns its error as a response extension. The middleware knows the request's id and writes the body.

mod details;
mod table;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::response::{IntoResponse, Response};

use super::limits::LimitName;
use crate::api::{self, ErrorCode};
use crate::engine::{FilterError, PointId, Refusal, RequestId};
use crate::routing::{BadToken, RouteError};

/// Most characters of what a client sent that an error repeats, of a string in `details`, and of a message.
const MAX_QUOTED: usize = 200;
const MAX_DETAIL: usize = 1_000;
const MAX_MESSAGE: usize = 2_000;

/// Why a request was not served.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ApiError {
    /// The body is no JSON.
    #[error("the body is no valid JSON: {reason} at line {line} column {column}{}", inside(.path))]
    Malformed {
        /// The member it stopped in, such as `vectors[2].vector[7]`; empty where that is unknown.
        path: String,
        /// Where it stopped, from 1.
        line: usize,
        /// Where it stopped, from 1.
        column: usize,
        /// What is wrong.
        reason: String,
    },
    /// The body is JSON, but not of the shape asked for.
    #[error("{reason} at line {line} column {column}{}", inside(.path))]
    Misfit {
        /// The member, such as `vectors[2].id`; empty where it is the body itself.
        path: String,
        /// Where it stopped, from 1.
        line: usize,
        /// Where it stopped, from 1.
        column: usize,
        /// What is wrong.
        reason: String,
        /// Whether that is a member which the request does not have.
        unknown: bool,
    },
    /// The body ended, or time ran out, before it was whole.
    #[error("the body did not arrive whole: {reason}")]
    BodyCut {
        /// What happened.
        reason: String,
    },
    /// The request is no proper HTTP.
    #[error("the request is no proper HTTP: {reason}")]
    MalformedRequest {
        /// What is wrong.
        reason: String,
    },
    /// The bodies that arrive at once take all the memory that there is for them.
    #[error("the requests that arrive at once take all the memory that there is for them; retry soon")]
    MemoryBudget,
    /// The request names a host that this process does not go by.
    #[error(
        "this process does not go by the name `{host}`: call it by its address, or start it with --allow-host and that name"
    )]
    ForeignHost {
        /// What `Host` says.
        host: String,
    },
    /// A page of another site sends it.
    #[error("a page of {origin} may not change anything here: send it from no browser, or from a page of this address")]
    CrossSite {
        /// What `Origin` says.
        origin: String,
    },
    /// The body is larger than allowed.
    #[error("the body is larger than {limit} bytes; send smaller batches")]
    BodyTooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The body is of a type or coding that is not understood.
    #[error("{header} `{found}` is not understood: send `{expected}`")]
    MediaType {
        /// The header that says so.
        header: &'static str,
        /// What it says.
        found: String,
        /// What it should say.
        expected: &'static str,
    },
    /// More was asked for than a limit allows.
    #[error("`{field}` is {value}, more than the limit `{limit}` of {allowed}")]
    LimitExceeded {
        /// The member that asks.
        field: Cow<'static, str>,
        /// What it asks for.
        value: u64,
        /// The limit's name.
        limit: LimitName,
        /// What it allows.
        allowed: u64,
    },
    /// The gateway's own checks, or an engine rule applied before anything was proposed.
    #[error("{0}")]
    Refused(Refusal),
    /// There is no point of this id.
    #[error("{}collection `{collection}` has no point {id}", position.map(|at| format!("item {at}: ")).unwrap_or_default())]
    PointNotFound {
        /// Place of the search that names it in a batch, from 0.
        position: Option<usize>,
        /// Where it was looked for.
        collection: String,
        /// The id.
        id: PointId,
        /// Who looked for it, and at which state, where that is known of it alone.
        shards: Vec<api::Evidence>,
    },
    /// There is no such path.
    #[error("there is no `{path}`")]
    UnknownPath {
        /// The path asked for.
        path: String,
    },
    /// The path exists, but not for this method.
    #[error("`{path}` does not take {method}{}{allowed}", if allowed.is_empty() { "" } else { ", only " })]
    MethodNotAllowed {
        /// The method used.
        method: String,
        /// The path asked for.
        path: String,
        /// The methods that the path takes, in words; empty where they are not known.
        allowed: String,
    },
    /// Fault injection is for tests.
    #[error("fault injection is off: start the node with --test-faults to allow it, never in production")]
    FaultsOff,
    /// More requests are in flight than allowed.
    #[error("{limit} requests are being served at once, which is the limit `in_flight`; retry after a pause")]
    TooManyRequests {
        /// The limit.
        limit: usize,
    },
    /// A read, or a change of a collection, failed in routing or in a shard.
    #[error("{0}")]
    Route(#[from] RouteError),
    /// A write of points failed in routing or in a shard.
    #[error("{error}")]
    Write {
        /// Why.
        error: RouteError,
        /// The name the write had, under which it can be repeated safely.
        request: RequestId,
    },
    /// The cluster has no such node.
    #[error("the cluster has no node `{node}`; `quiver node list` shows those it has")]
    NodeNotFound {
        /// The name asked for.
        node: String,
    },
    /// The cluster has no such shard.
    #[error("the cluster has no shard {shard}")]
    ShardNotFound {
        /// The number asked for.
        shard: u32,
    },
    /// There is no such operation, or it ended so long ago that it was dropped.
    #[error("there is no operation `{operation}`, or it ended long ago")]
    OperationNotFound {
        /// The name asked for.
        operation: String,
    },
    /// A node of that name cannot be had this way.
    #[error("node `{node}`: {reason}")]
    NodeConflict {
        /// The node.
        node: String,
        /// What stands against it.
        reason: String,
    },
    /// Nobody answers where a node is said to be.
    #[error("no node answers at {host}:{port}: {reason}; start it with --join and try again")]
    NodeUnreachable {
        /// Where.
        host: String,
        /// Where.
        port: u16,
        /// What was met.
        reason: String,
    },
    /// It would lose a majority or the last copy of something.
    #[error("refused: {reason}")]
    Guard {
        /// Of a majority, or of data.
        code: ErrorCode,
        /// What would be lost, and the way out.
        reason: String,
    },
    /// The rules of the map do not allow it.
    #[error("{reason}")]
    NotPossible {
        /// Why, with the way out.
        reason: String,
    },
    /// An operation that was waited for has failed.
    #[error("operation {operation} failed: {reason}")]
    OperationFailed {
        /// Its name.
        operation: String,
        /// Why.
        reason: String,
    },
    /// A fault of Quiver.
    #[error("{reason}")]
    Internal {
        /// What was met.
        reason: String,
    },
}

impl ApiError {
    /// A member of the request, outside any item of a batch, is wrong.
    pub fn invalid(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Refused(Refusal::invalid(field, reason))
    }

    /// A member asks for what is not implemented.
    pub fn not_supported(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Refused(Refusal::NotSupported { field: field.into(), reason: reason.into() })
    }

    /// Why a body broke off. What its sender wrote wrongly will be wrong again; what was lost on the way may come next time.
    pub fn broken_body(error: &(dyn Error + 'static)) -> Self {
        let mut causes = std::iter::successors(Some(error), |error| (*error).source());
        let kind = causes.find_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind);
        match kind {
            Some(io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) => {
                Self::MalformedRequest { reason: "its body is not in proper pieces".to_owned() }
            }
            _ => Self::BodyCut { reason: error.to_string() },
        }
    }

    /// The stable word for it.
    pub fn code(&self) -> &'static str {
        table::row(self).code.as_str()
    }

    /// Whether the same request may succeed later unchanged.
    pub fn retryable(&self) -> bool {
        table::row(self).retryable
    }

    /// How long a client had better wait, where waiting helps against too much load.
    pub fn retry_after(&self) -> Option<Duration> {
        let overloaded =
            table::row(self).status == axum::http::StatusCode::TOO_MANY_REQUESTS || matches!(self, Self::MemoryBudget);
        overloaded.then_some(Duration::from_secs(1))
    }

    /// The body of the answer.
    pub fn body(&self, request_id: &str, took: Duration) -> api::ErrorBody {
        let row = table::row(self);
        // An error may quote texts of any length, so its message and its details are cut.
        let status = api::ErrorStatus {
            error: shortened(&format!("{}: {self}", row.class), MAX_MESSAGE),
            code: row.code.as_str().to_owned(),
            retryable: row.retryable,
            committed: row.committed,
            request_id: request_id.to_owned(),
            details: details::short(details::of(self)),
        };
        api::ErrorBody { status, time: took.as_secs_f64() }
    }
}

/// The status, and the error itself for the middleware, which writes the body.
impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = table::row(&self).status.into_response();
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<FilterError> for ApiError {
    fn from(error: FilterError) -> Self {
        Self::Refused(error.into())
    }
}

impl From<BadToken> for ApiError {
    fn from(error: BadToken) -> Self {
        Self::invalid("after", error.to_string())
    }
}

/// What a client sent, as an error repeats it: who sends much does not get it back.
pub fn quoted(text: &str) -> String {
    shortened(text, MAX_QUOTED)
}

fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn inside(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!(", in `{path}`") }
}
