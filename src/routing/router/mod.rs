//! The way in: one method per kind of request.
//!
//! A request becomes one call per shard; [`scatter`](crate::routing::dispatch::scatter) carries the calls out, and the answers are merged
//! here. A collection may have been dropped, or replaced by one of the same name, since this process last saw the map:
//! a shard then does not know it, the map is read afresh, and the request goes on with what is true now.

mod collections;
mod filling;
mod pages;
mod payload_indexes;
mod read_shards;
mod reads;
mod shard_calls;
mod writes;

pub use filling::MOST as MAX_ANSWER_BYTES;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use futures::future::join_all;
use raft_groups::{NodeId, ReadMode};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::group_time::KnownTimes;
use super::map_cell::MapCell;
use super::{Collection, Committed, NodeOverview, NodeReport, Overview, RouteError};
use crate::placement::{ClusterMap, META};
use crate::routing::dispatch::leader_cache::LeaderCache;
use crate::routing::dispatch::pending_call::PendingCall;
use crate::routing::dispatch::scatter::Scatter;
use crate::routing::rpc::message::{Call, CallAnswer, NodeClient, Query, QueryAnswer, RpcError};

/// A node that has not sent its report by then is shown as unreachable.
const REPORT_PATIENCE: Duration = Duration::from_secs(1);

/// How long the answer to a change of the map waits for this process to see the change itself.
const CATCH_UP_PATIENCE: Duration = Duration::from_millis(500);

/// Finds the way between requests and shards; clones share everything.
#[derive(Clone)]
pub struct Router {
    scatter: Arc<Scatter>,
    /// Places for answers that are large.
    large: Arc<Semaphore>,
}

impl Router {
    /// A router that calls nodes through `client` and keeps its map in `map`.
    pub fn new(client: Arc<dyn NodeClient>, map: MapCell) -> Self {
        let (leaders, times, turn) = (LeaderCache::default(), KnownTimes::default(), AtomicUsize::new(0));
        let large = Arc::new(Semaphore::new(filling::LARGE_AT_ONCE));
        Self { scatter: Arc::new(Scatter { client, map, leaders, times, turn }), large }
    }

    /// The newest map this process has; its epoch is 0 before the cluster is formed.
    pub fn map(&self) -> Arc<ClusterMap> {
        self.scatter.map.get()
    }

    /// Asks every node for its report.
    pub async fn overview(&self, deadline: Instant) -> Overview {
        let until = deadline.min(Instant::now() + REPORT_PATIENCE);
        // What this process has changed must show in its overview.
        if self.scatter.map.is_behind() {
            self.catch_up(until).await;
        }
        let map = self.map();
        let asked = map.nodes.keys().map(|node| self.report(*node, map.cluster, until));
        let nodes = join_all(asked).await;
        Overview { map, nodes }
    }

    async fn report(&self, node: NodeId, cluster: [u8; 16], until: Instant) -> NodeOverview {
        let result = self.scatter.client.call(cluster, node, vec![Call::Report], until).await;
        let answer = result.map_err(RpcError::into_reason).map(|mut answers| answers.pop());
        let report: Result<NodeReport, String> = match answer {
            Ok(Some(Ok(CallAnswer::Report(report)))) => Ok(*report),
            Ok(_) => Err("it sent something else than its report".to_owned()),
            Err(reason) => Err(reason),
        };
        NodeOverview { node, report }
    }

    /// The map, which must be formed.
    fn formed(&self) -> Result<Arc<ClusterMap>, RouteError> {
        let map = self.map();
        if map.is_formed() { Ok(map) } else { Err(RouteError::NotFormed) }
    }

    /// The map as it certainly is now, read from its group.
    ///
    /// # Errors
    /// Why the group could not be asked.
    pub async fn read_map(&self, deadline: Instant) -> Result<Arc<ClusterMap>, RouteError> {
        self.formed()?;
        self.fresh_map(deadline).await
    }

    async fn fresh_map(&self, deadline: Instant) -> Result<Arc<ClusterMap>, RouteError> {
        let (mode, query) = (ReadMode::Linearizable, Arc::new(Query::Map));
        let call = Call::Read { group: META, mode, after: None, max_staleness_ms: None, query, room: None };
        // A change that this process makes during the read may be missing in what is read.
        let own_changes = self.scatter.map.own_changes();
        match self.scatter.run_one(PendingCall::new(None, call), deadline).await? {
            (_, CallAnswer::Read { found: QueryAnswer::Map(map), .. }) => {
                self.scatter.map.take(Arc::clone(&map), own_changes);
                Ok(map)
            }
            _ => Err(unfit_answer(Committed::No)),
        }
    }

    /// Reads the map that this process has changed, if that can be done soon. Otherwise the next request that needs it
    /// does.
    async fn catch_up(&self, deadline: Instant) {
        if let Err(error) = self.fresh_map(deadline.min(Instant::now() + CATCH_UP_PATIENCE)).await {
            tracing::debug!(%error, "the changed map could not be read yet");
        }
    }

    /// Carries a request out on `collection`. Where that one is gone and another has its name, carries it out on that
    /// other.
    ///
    /// # Errors
    /// Those of the request, and those of [`Router::successor`].
    async fn on_successor<T, F: Future<Output = Result<T, RouteError>>>(
        &self,
        collection: &Collection,
        request: impl Fn(Collection) -> F,
    ) -> Result<T, RouteError> {
        let first = request(collection.clone()).await;
        match self.successor(collection, &first)? {
            Some(next) => request(next).await,
            None => first,
        }
    }

    /// The collection that has taken the name of `collection`, where a request found that one gone.
    ///
    /// # Errors
    /// [`RouteError::CollectionReplaced`] where the other one has another default level: what was decided by the old
    /// level does not hold.
    fn successor<T>(
        &self,
        collection: &Collection,
        result: &Result<T, RouteError>,
    ) -> Result<Option<Collection>, RouteError> {
        // A request that found the collection gone has read the newest map.
        if !matches!(result, Err(RouteError::CollectionNotFound { .. })) {
            return Ok(None);
        }
        let (map, name) = (self.map(), collection.name.clone());
        // The request may have taken its level from the old collection, and the new one has another.
        match map.collections.get(&name).filter(|entry| entry.id != collection.entry.id) {
            None => Ok(None),
            Some(entry) if entry.default_consistency != collection.entry.default_consistency => {
                Err(RouteError::CollectionReplaced { name })
            }
            Some(entry) => Ok(Some(Collection { name, entry: entry.clone() })),
        }
    }
}

/// A node answered a question that was not asked.
fn unfit_answer(committed: Committed) -> RouteError {
    RouteError::Internal { reason: "a node answered something else than it was asked".to_owned(), committed }
}
