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
//! file                    request, downwards                  answer, upwards
//! ─────────────────────── ─────────────────────────────────── ───────────────────────────────────────
//! gateway                 PageSearch                          SearchAnswer     one page, of all shards
//! router/reads            Query             what to look at   ▲
//! router/read_shards      ShardQuestion     which shard       Answer           by shard, with evidence
//! router/gather           Call              how fresh         ▲
//! dispatch/scatter        PendingCall       whom to ask next  Next             done, failed, again, later
//! rpc/client, rpc/wire    RouteRequest      one a node        RouteResponse    one answer a call
//!  ═══ network ═══        ▼ bytes                             ▲ bytes
//! rpc/server              Call              meant for us      CallAnswer       with the state it is of
//! serve/service           FreshMachine      fresh enough      QueryAnswer      of all parts
//! serve/query, serve/pool ▼ one part a search                 PartAnswer       of one part
//! engine                  SearchQuery                         Found
//! ```
//!
//! 1. `router/reads` makes a [`Query`](rpc::message::Query) of the searches, and `router/read_shards` one call a shard: a
//!    search goes to every shard, a point's id to the shard that [`ring`] says. Where the collection was dropped and made
//!    anew, `Router::on_successor` asks once more, for the one that has its name now. `router/gather` asks a shard once
//!    more that does not know the collection yet.
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
//! Eight types each way, the engine's own included, is the budget: PageSearch, Query, ShardQuestion, Call, PendingCall,
//! RouteRequest, FreshMachine, SearchQuery; and Found, PartAnswer, QueryAnswer, CallAnswer, RouteResponse, Next, Answer,
//! SearchAnswer. A step that needs a ninth takes another's place.
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
//! change the map and tell the shards afterwards. [`overview`] gathers what all nodes say of themselves. `testing` is a
//! cluster in memory, which this room's tests and the gateway's share.

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
pub(crate) mod testing;
#[cfg(test)]
mod tests;
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
pub use serve::report::NodeMeasures;
pub use serve::service::Service;
pub use token::{BadToken, LogPoint, SessionToken};
