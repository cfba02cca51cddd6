//! Where a request goes: from a collection and point ids to shards, their replicas and back.
//!
//! In come typed requests of the gateway, out go merged answers with evidence of what served them. A request crosses
//! the network at most once after the door: the [`Router`] calls the right node directly, one RPC per node for all its
//! shards, and never asks a node to pass something on. What is in doubt is asked again under its request id, within a
//! span of the group's time (`group_time`). This room must not know HTTP statuses, JSON or consistency levels by their
//! client's names.

mod answer;
mod breaker;
mod carrier;
mod deletion;
mod door;
mod errand;
mod error;
mod freshness;
mod group_time;
mod leader_cache;
mod local;
mod long_queries;
mod look;
mod map_cell;
mod overview;
mod pool;
mod proposal;
mod report;
mod request;
mod retry;
mod ring;
mod router;
pub mod rpc;
mod rpc_error;
mod scatter;
mod service;
#[cfg(test)]
pub(crate) mod tests;
mod token;
mod wire;

pub use answer::{
    Answer, Created, DeleteOutcome, Held, Indexed, ScrollAnswer, SearchAnswer, ShardEvidence, WriteOutcome,
    WrittenPoint,
};
pub use carrier::NodeCarrier;
pub use door::{PeerDoor, peer_router};
pub use error::{Committed, RouteError};
pub use local::LocalGroups;
pub use map_cell::MapCell;
pub use overview::{NodeOverview, NodeReport, Overview, Quarantined, ReplicaReport};
pub use pool::Pool;
#[cfg(test)]
pub(crate) use report::points_by_field;
pub use request::{Acknowledge, CallOptions, Collection, PageSearch, ReadOptions};
pub use ring::{Ring, point_hash};
pub use router::{MAX_ANSWER_BYTES, Router};
pub use rpc::MAX_RPC_BYTES;
pub use service::{Service, Vitals};
pub use token::{BadToken, LogPoint, SessionToken};
