//! The router against a cluster in memory: leaders that move, answers that get lost, maps that are old.

mod batches;
mod large;
mod messages;
mod once;
mod payload_indexes;
mod pending_calls;
mod reads;
mod writes;

use std::time::Duration;

use tokio::time::Instant;

use super::request::CallOptions;
use super::testing::FakeCluster;
use super::{Collection, ReadOptions};
use crate::engine::{DEFAULT_VECTOR, MadeBy, Payload, PointId, PointWrite, RequestId};
use crate::model::Consistency;
use crate::placement::tests::vectors;
use raft_groups::ReadMode;

/// Time enough for several elections.
fn soon() -> Instant {
    Instant::now() + Duration::from_secs(5)
}

fn options() -> CallOptions {
    CallOptions { deadline: soon(), request_id: RequestId(uuid::Uuid::from_u128(77)), made_by: MadeBy::Client }
}

fn read(mode: ReadMode) -> ReadOptions {
    ReadOptions { mode, after: None, max_staleness: None, allow_partial: false, deadline: soon() }
}

fn point(id: u64) -> PointWrite {
    let vectors = [(DEFAULT_VECTOR.to_owned(), vec![1.0, id as f32])].into();
    PointWrite { id: PointId::Num(id), vectors, payload: Payload::default(), if_version: None }
}

fn points(count: u64) -> Vec<PointWrite> {
    (0..count).map(point).collect()
}

/// A cluster of three nodes with eight shards and a collection `docs`.
async fn docs() -> (FakeCluster, Collection) {
    docs_in(8).await
}

async fn docs_in(shards: u32) -> (FakeCluster, Collection) {
    let cluster = FakeCluster::new(3, shards);
    let created = cluster.router(Some(1)).create_collection("docs", vectors(2), Consistency::Quorum, soon()).await;
    (cluster, created.unwrap().collection)
}
