//! Where a request goes: from a collection and point ids to shards, their replicas and back.
//!
//! In come typed requests of the gateway, out go merged answers with evidence of what served them. A request crosses
//! the network at most once after the gateway: the [`Router`] calls the right node directly, one RPC per node for all its
//! shards, and never asks a node to pass something on. This room must not know HTTP statuses, JSON or consistency levels
//! by their client's names.
//!
//! # The way of one search
//!
//! ```text
//! gateway ─▶ router/reads ─▶ router/gather ─▶ dispatch/scatter ◀─▶ dispatch/pending_call     the node that was asked
//!                                                  │
//!                                        rpc/client ─ rpc/wire ─▶ rpc/server                 one request a node
//!                                                                     │
//!              vector-index ◀─ engine ◀─ serve/query ◀─ serve/pool ◀─ serve/service          the node that answers
//!                                                                     └─▶ serve/freshness
//! ```
//!
//! 1. `router/reads` makes a [`Query`](rpc::message::Query) of it and one call a shard: a search goes to every shard, a
//!    point's id to the shard that [`ring`] says. `router/gather` adds what a call of a collection needs: the number of
//!    the collection, and a second try where a shard does not know it yet.
//! 2. `dispatch/scatter` carries the calls out side by side. For each it keeps a `PendingCall`, which decides, and does
//!    nothing else: which replica to ask next, by the leader cache and by what earlier tries told, and what an answer
//!    means. `dispatch/retry` says how long to wait between two tries.
//! 3. `rpc/client` sends what goes to one node in one request, or hands it to this process's own service. A circuit
//!    `rpc/breaker` keeps calls from a dead peer. `rpc/wire` makes bytes of them, in which a query that several calls
//!    share is there once.
//! 4. `rpc/server` refuses what is meant for another node or cluster. `serve/service` finds the replica among the
//!    `serve/local_groups`; `serve/freshness` waits until it is as fresh as the read mode asks; `serve/pool` runs the
//!    parts of `serve/query` on threads of their own. What takes long becomes one of the `serve/long_queries`, which
//!    take turns.
//! 5. Back at `router/reads` the hits of all shards become one list. `router/filling` fetches the payloads and vectors of
//!    those that the answer shows. [`SearchAnswer`] carries them with a [`ShardEvidence`] a shard.
//!
//! # A write
//!
//! A write takes the same stairs from `router/writes`. The call goes to the leader's node, where `serve/proposal` makes
//! the entry of the log: it puts the time of the group (`group_time`) to it. What is in doubt is asked again under its
//! request id, within a span of that time. The answer names a [`LogPoint`] a shard, of which a [`SessionToken`] is made.
//!
//! # What else is here
//!
//! [`MapCell`] holds the newest cluster map that this process has seen. `router/collections` and `router/payload_indexes`
//! change the map and tell the shards afterwards. [`overview`] gathers what all nodes say of themselves.

mod answer;
mod dispatch;
mod error;
mod group_time;
mod map_cell;
mod overview;
mod request;
mod ring;
mod router;
pub mod rpc;
mod serve;
#[cfg(test)]
pub(crate) mod tests;
mod token;

pub use crate::model::Committed;
pub use answer::{
    Answer, Created, DeleteOutcome, Held, Indexed, ScrollAnswer, SearchAnswer, ShardEvidence, WriteOutcome,
    WrittenPoint,
};
pub use error::RouteError;
pub use map_cell::MapCell;
pub use overview::{NodeOverview, NodeReport, Overview, Quarantined, ReplicaReport};
pub use request::{Acknowledge, CallOptions, Collection, PageSearch, ReadOptions};
pub use ring::{Ring, point_hash};
pub use router::{MAX_ANSWER_BYTES, Router};
pub use rpc::client::HttpNodeClient;
pub use rpc::message::MAX_RPC_BYTES;
pub use rpc::server::{RpcServer, peer_router};
pub use serve::local_groups::LocalGroups;
pub use serve::pool::Pool;
#[cfg(test)]
pub(crate) use serve::report::points_by_field;
pub use serve::service::{NodeMeasures, Service};
pub use token::{BadToken, LogPoint, SessionToken};
