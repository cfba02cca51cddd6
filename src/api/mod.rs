//! The wire types of the native API, JSON but for one compact body, and nothing else: plain serde and JSON schemas, no
//! behaviour beyond parsing and naming defaults.
//!
//! Comes in: JSON bodies of clients (gateway) or of servers (cli, tests). Goes out: the same types.
//! Requests refuse unknown members, so that a misspelt option is never silently ignored; answers accept them, so that a
//! newer server may say more. No request is untagged or flattened: a parser that tracks paths can name the item and the
//! field of any error. This room must not know the engine, the router or Raft: it imports no room but [`model`](crate::model).

mod binary;
mod error;
pub mod events;
mod native;
mod options;
mod reading;
pub mod schema;
pub mod word_schema;

pub use crate::model::limits::{DEFAULT_LIMIT, DEFAULT_VECTOR_SIZE};
pub use crate::model::{Committed, Consistency, Distance, FieldType, PointId, Quantization, Role, SearchParams, Way};
#[cfg(test)]
pub use binary::read_head;
pub use binary::{
    BadPoints, BinaryPoint, CONTENT_TYPE as POINTS_CONTENT_TYPE, PointsHead, decode_points, encode_points,
};
pub use error::{ErrorBody, ErrorCode, ErrorStatus};
pub use native::cluster::{
    ClusterHealth, ClusterSharding, ClusterStatus, Faults, GroupCounts, Health, HealthState, IndexState, Issue,
    LatencyMs, NodeStatus, Percentiles, RequestRate, ShardReplica, ShardRow, ShardState, ShardingRow, Shards, Stats,
};
pub use native::collections::{
    CollectionConfigInfo, CollectionInfo, CollectionParams, CollectionRow, CollectionRows, CreateCollection,
    CreateFieldIndex, CreatedCollection, Envelope, FieldInfo, IndexOptions, UpdateResult, WriteOrdering,
};
pub use native::groups::{EntryRow, FrontPage, GroupNudge, ReplicaLog, VoteRow};
pub use native::index::{Index, IndexKind};
pub use native::level::Level;
pub use native::members::{
    AddNode, Change, Member, Members, MoveReplica, OperationRow, Operations, Plan, PlannedMove, ReplicaState,
    SetLabels, SetTimings, ShardDetail, Timings, TransferLeader,
};
pub use native::payload::PayloadText;
pub use native::points::{
    Delete, DeleteOptions, Deleted, Found, GetOptions, PointInput, Upsert, Upserted, WriteResult,
};
pub use native::search::{Count, Counted, Evidence, Explain, Hit, Record, Scroll, Scrolled, Search, Searched};
pub use native::search_batch::{BatchSearched, Hits, SearchBatch, SearchItem};
pub use native::selection::{WithPayload, WithVector};
pub use native::vector::VectorValue;
pub use native::vector_params::{VectorSettings, Vectors};
pub use options::{ReadMembers, WriteMembers};

#[cfg(test)]
mod tests;
