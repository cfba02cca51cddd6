//! The one error body: Qdrant's shape, enriched, so that every client can read it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::model::Committed;

/// The body of every answer that is not a success.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorBody {
    /// What happened.
    pub status: ErrorStatus,
    /// Seconds it took.
    pub time: f64,
}

/// What happened, for a person (`error`) and for a program (the rest).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorStatus {
    /// One sentence that says what is wrong and, where there is one, the way out.
    pub error: String,
    /// A stable word, such as `collection_not_found`.
    #[schemars(with = "ErrorCode")]
    pub code: String,
    /// Whether the same request may succeed later without being changed.
    pub retryable: bool,
    /// The fate of the write; `no` for reads.
    pub committed: Committed,
    /// The request, as it stands in the logs and in `X-Request-Id`.
    pub request_id: String,
    /// More, by code: position, field, limit, current version, missing nodes…
    #[serde(default)]
    pub details: Map<String, Value>,
}

/// Declares the codes of errors, each with its word.
macro_rules! error_codes {
    ($($(#[$doc:meta])* $code:ident = $word:literal,)+) => {
        /// The stable word of an error. Clients read a text: a newer server may say more.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
        pub enum ErrorCode {
            $($(#[$doc])* #[serde(rename = $word)] $code,)+
        }

        impl ErrorCode {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$code),+];

            /// The word.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$code => $word,)+
                }
            }
        }
    };
}

error_codes! {
    /// A member has a value that cannot be taken.
    InvalidInput = "invalid_input",
    /// A member is not known.
    UnknownField = "unknown_field",
    /// The body is no JSON.
    MalformedJson = "malformed_json",
    /// The request is no proper HTTP.
    MalformedRequest = "malformed_request",
    /// More is asked for than a named limit allows.
    LimitExceeded = "limit_exceeded",
    /// The answer would be larger than one may be.
    AnswerTooLarge = "answer_too_large",
    /// The request is for a host that this process is not.
    ForeignHost = "foreign_host",
    /// A page of another site sent the request.
    CrossSite = "cross_site",
    /// There is no such collection.
    CollectionNotFound = "collection_not_found",
    /// There is no such point.
    PointNotFound = "point_not_found",
    /// There is no such path.
    PathNotFound = "path_not_found",
    /// The cluster has no such node.
    NodeNotFound = "node_not_found",
    /// The cluster has no such shard.
    ShardNotFound = "shard_not_found",
    /// There is no such operation, or it ended long ago.
    OperationNotFound = "operation_not_found",
    /// The node was not started for fault injection.
    FaultsOff = "faults_off",
    /// The path does not take this method.
    MethodNotAllowed = "method_not_allowed",
    /// The body is larger than one may be.
    BodyTooLarge = "body_too_large",
    /// The body is of a type that the path does not take.
    UnsupportedMediaType = "unsupported_media_type",
    /// The deadline passed.
    DeadlineExceeded = "deadline_exceeded",
    /// The body broke off, or came too slowly.
    BodyIncomplete = "body_incomplete",
    /// A copy of the request came too late to be carried out once.
    RequestExpired = "request_expired",
    /// The collection exists with other settings.
    CollectionExists = "collection_exists",
    /// The collection was dropped and made anew meanwhile.
    CollectionReplaced = "collection_replaced",
    /// `after` names what a shard does not hold since it was recovered.
    TokenLapsed = "token_lapsed",
    /// A node of that name cannot be had this way.
    NodeConflict = "node_conflict",
    /// The rules of the cluster do not allow it.
    NotPossible = "not_possible",
    /// The operation that was waited for has failed.
    OperationFailed = "operation_failed",
    /// A group would lose its majority.
    WouldLoseQuorum = "would_lose_quorum",
    /// The last copy of something would be lost.
    WouldLoseData = "would_lose_data",
    /// Some shards carried out their part, others failed.
    PartialWrite = "partial_write",
    /// A point has another version than `if_version`.
    VersionMismatch = "version_mismatch",
    /// A node belongs to another cluster.
    WrongCluster = "wrong_cluster",
    /// The `request_id` named another request before.
    RequestIdReused = "request_id_reused",
    /// As many requests are served as may be at once.
    TooManyRequests = "too_many_requests",
    /// A queue is full.
    Overloaded = "overloaded",
    /// A shard remembers as many request ids as it can.
    TooManyRequestIds = "too_many_request_ids",
    /// A fault of Quiver.
    Internal = "internal",
    /// A node cannot read what another asks: their versions differ.
    UnreadableRequest = "unreadable_request",
    /// What is asked for is not implemented.
    NotSupported = "not_supported",
    /// No node answers there.
    NodeUnreachable = "node_unreachable",
    /// A shard has no leader that can be reached.
    NoLeader = "no_leader",
    /// A group has no majority that can be reached.
    NoQuorum = "no_quorum",
    /// No replica that can be reached is fresh enough.
    TooStale = "too_stale",
    /// Nobody knows whether the write took effect.
    OutcomeUnknown = "outcome_unknown",
    /// The write is committed, but not yet applied everywhere.
    NotEverywhere = "not_everywhere",
    /// A replica has stopped.
    ReplicaStopped = "replica_stopped",
    /// The node has no cluster map yet.
    Starting = "starting",
    /// Bodies and answers take all the memory that they may.
    MemoryBudget = "memory_budget",
}
