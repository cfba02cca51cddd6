//! Where a request goes: from a collection and point ids to shards, their replicas and back.
//!
//! In come typed requests of the gateway, out go merged answers with evidence of what served them. A request crosses
//! the network at most once after the door: the [`Router`] calls the right node directly, one RPC per node for all its
//! shards, and never asks a node to pass something on. This room must not know HTTP statuses, JSON or consistency
//! levels by their client's names.

mod answer;
mod error;
mod overview;
mod request;
mod ring;
mod router;
mod token;

pub use answer::{Answer, Created, DeleteOutcome, ScrollAnswer, ShardEvidence, WriteOutcome, WrittenPoint};
pub use error::{Committed, RouteError};
pub use overview::{NodeOverview, NodeReport, Overview, Quarantined, ReplicaReport};
pub use request::{Acknowledge, CallOptions, Collection, ReadOptions};
pub use ring::{Ring, point_hash};
pub use router::Router;
pub use token::{BadToken, SessionToken};
