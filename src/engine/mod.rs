//! The machine of one shard: points with vectors and payloads, filters, and search. How vectors are compared and found
//! is the `vector-index` crate's.
//!
//! [`Command`]s come in through the shard's log and are answered by [`Reply`]s; queries come in beside it and are
//! answered from memory, which always holds a whole number of commands. Nothing here knows of Raft, HTTP, or other
//! shards.
//!
//! A command with a request id is carried out once. Its log [`Entry`] says what time it is for the shard, and in which
//! span of that time the command may be applied: for each copy of it the shard remembers what it did, or refuses it.

mod collection;
mod commands;
mod deletion;
mod filter;
mod floats;
mod graph_store;
mod ids;
mod indexing;
mod machine;
mod payload;
mod payload_index;
mod point;
mod queries;
mod state;
mod stats;
#[cfg(test)]
mod tests;

pub use crate::model::{BadPointId, FieldType, PointId, SearchParams};
pub use collection::{CollectionConfig, DEFAULT_VECTOR, Distance, GraphParams, Quantization, VectorParams};
pub use commands::codec::CodecError;
pub use commands::command::{Command, Selector, Slice};
pub use commands::entry::{Entry, Lifetime, MadeBy, written_by_newer};
pub use commands::panic_barrier::guarded;
pub use commands::reply::{Progress, Refusal, Reply};
pub use commands::validate::{validate, validate_config, validate_target};
pub use deletion::{Deletion, Matches};
pub use filter::{Bounds, Condition, Filter, FilterError, MinShould, Path, Range, Scalar, Test};
pub use graph_store::{GraphName, GraphStore, Setup};
pub use ids::{CollectionId, RequestId};
pub use indexing::Graph;
pub use machine::Engine;
pub use payload::Payload;
pub use payload_index::{PayloadSchema, validate_schema};
pub use point::PointWrite;
pub use queries::answer_room::Room;
pub use queries::query::{
    Carried, CollectionStats, CountQuery, Explain, FieldStats, Found, GetQuery, Hit, PayloadSelector, Record,
    ScrollPage, ScrollQuery, SearchQuery, Target, VectorSelector, merge_hits,
};
pub use queries::work_meter::Meter;
pub use stats::IndexProgress;
pub use vector_index::{Way, default_ef};
