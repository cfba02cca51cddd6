//! Why a query did not run to its end on the threads of this node, and what its caller is told.

use crate::routing::rpc::message::CallError;

/// Most queries that run or wait on the threads of one node.
pub(super) const MAX_QUERIES: usize = 1024;

/// The query did not run, or did not end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryFailure {
    /// As many queries as the limit allows wait already.
    #[error("{MAX_QUERIES} queries run or wait on this node")]
    QueueFull,
    /// As many long queries as the limit allows are under way already.
    #[error("as many long queries as this node takes are under way; retry later, or ask for less")]
    LongFull,
    /// It was not done by the deadline.
    #[error("the query was not done in time")]
    Late,
    /// It panicked; the threads go on.
    #[error("the query failed inside; the log says where")]
    Panicked,
}

impl From<QueryFailure> for CallError {
    fn from(failure: QueryFailure) -> Self {
        let reason = failure.to_string();
        match failure {
            QueryFailure::QueueFull | QueryFailure::LongFull => Self::Busy { limit: reason },
            QueryFailure::Late => Self::Late { reason },
            QueryFailure::Panicked => Self::Broken { reason },
        }
    }
}
