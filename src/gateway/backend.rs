//! The gateway's view of routing, as a trait, so that the routes can be tested without a cluster.
//!
//! The one implementation in the product is [`Router`]'s; nothing is decided here.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::time::Instant;

use crate::engine::{CollectionConfig, CountQuery, FieldType, GetQuery, PointWrite, Record, ScrollQuery, Selector};
use crate::model::Consistency;
use crate::placement::{ClusterMap, MetaCommand, MetaReply, ShardId};
use crate::routing::{
    Acknowledge, Answer, CallOptions, Collection, Created, DeleteOutcome, Indexed, Overview, PageSearch, ReadOptions,
    RouteError, Router, ScrollAnswer, SearchAnswer, WriteOutcome,
};

/// An answer whose rows each name their shard.
pub type ShardRows<T> = Result<Answer<Vec<(ShardId, T)>>, RouteError>;

/// Carries out typed requests somewhere in the cluster.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// The cluster map as this node knows it.
    fn map(&self) -> Arc<ClusterMap>;
    /// Looks a collection up; one that the cached map does not know is asked for afresh.
    async fn collection(&self, name: &str, deadline: Instant) -> Result<Collection, RouteError>;
    /// Creates a collection in the map and on every shard that can be reached.
    async fn create_collection(
        &self,
        name: &str,
        config: CollectionConfig,
        level: Consistency,
        deadline: Instant,
    ) -> Result<Created, RouteError>;
    /// Drops a collection; says whether it existed.
    async fn drop_collection(&self, name: &str, deadline: Instant) -> Result<bool, RouteError>;
    /// Says whether a payload field is indexed, and as what; `None`: not any more.
    async fn set_field_index(
        &self,
        collection: &Collection,
        field: String,
        kind: Option<FieldType>,
        wait: bool,
        deadline: Instant,
    ) -> Result<Indexed, RouteError>;
    /// Writes points.
    async fn upsert(
        &self,
        collection: &Collection,
        points: Vec<PointWrite>,
        ack: Acknowledge,
        options: CallOptions,
    ) -> Result<WriteOutcome, RouteError>;
    /// Deletes points.
    async fn delete(
        &self,
        collection: &Collection,
        selector: Selector,
        ack: Acknowledge,
        options: CallOptions,
    ) -> Result<DeleteOutcome, RouteError>;
    /// Reads points by id.
    async fn get(&self, collection: &Collection, query: GetQuery, options: ReadOptions) -> ShardRows<Record>;
    /// Finds the nearest points for each search.
    async fn search(
        &self,
        collection: &Collection,
        searches: Vec<PageSearch>,
        options: ReadOptions,
    ) -> Result<Answer<Vec<SearchAnswer>>, RouteError>;
    /// Reads a page of points in the order of their ids.
    async fn scroll(
        &self,
        collection: &Collection,
        query: ScrollQuery,
        options: ReadOptions,
    ) -> Result<Answer<ScrollAnswer>, RouteError>;
    /// Counts points.
    async fn count(
        &self,
        collection: &Collection,
        query: CountQuery,
        options: ReadOptions,
    ) -> Result<Answer<u64>, RouteError>;
    /// Asks every node for its report.
    async fn overview(&self, deadline: Instant) -> Overview;
    /// The cluster map as it certainly is now.
    async fn read_map(&self, deadline: Instant) -> Result<Arc<ClusterMap>, RouteError>;
    /// Carries a command out on the cluster map.
    async fn change_map(&self, command: MetaCommand, deadline: Instant) -> Result<MetaReply, RouteError>;
}

#[async_trait]
impl Backend for Router {
    fn map(&self) -> Arc<ClusterMap> {
        Self::map(self)
    }

    async fn collection(&self, name: &str, deadline: Instant) -> Result<Collection, RouteError> {
        Self::collection(self, name, deadline).await
    }

    async fn create_collection(
        &self,
        name: &str,
        config: CollectionConfig,
        level: Consistency,
        deadline: Instant,
    ) -> Result<Created, RouteError> {
        Self::create_collection(self, name, config, level, deadline).await
    }

    async fn drop_collection(&self, name: &str, deadline: Instant) -> Result<bool, RouteError> {
        Self::drop_collection(self, name, deadline).await
    }

    async fn set_field_index(
        &self,
        collection: &Collection,
        field: String,
        kind: Option<FieldType>,
        wait: bool,
        deadline: Instant,
    ) -> Result<Indexed, RouteError> {
        Self::set_field_index(self, collection, field, kind, wait, deadline).await
    }

    async fn upsert(
        &self,
        collection: &Collection,
        points: Vec<PointWrite>,
        ack: Acknowledge,
        options: CallOptions,
    ) -> Result<WriteOutcome, RouteError> {
        Self::upsert(self, collection, points, ack, options).await
    }

    async fn delete(
        &self,
        collection: &Collection,
        selector: Selector,
        ack: Acknowledge,
        options: CallOptions,
    ) -> Result<DeleteOutcome, RouteError> {
        Self::delete(self, collection, selector, ack, options).await
    }

    async fn get(&self, collection: &Collection, query: GetQuery, options: ReadOptions) -> ShardRows<Record> {
        let GetQuery { collection: _, ids, with_payload, with_vector } = query;
        Self::get(self, collection, ids, with_payload, with_vector, options).await
    }

    async fn search(
        &self,
        collection: &Collection,
        searches: Vec<PageSearch>,
        options: ReadOptions,
    ) -> Result<Answer<Vec<SearchAnswer>>, RouteError> {
        Self::search(self, collection, searches, options).await
    }

    async fn scroll(
        &self,
        collection: &Collection,
        query: ScrollQuery,
        options: ReadOptions,
    ) -> Result<Answer<ScrollAnswer>, RouteError> {
        Self::scroll(self, collection, query, options).await
    }

    async fn count(
        &self,
        collection: &Collection,
        query: CountQuery,
        options: ReadOptions,
    ) -> Result<Answer<u64>, RouteError> {
        Self::count(self, collection, query, options).await
    }

    async fn overview(&self, deadline: Instant) -> Overview {
        Self::overview(self, deadline).await
    }

    async fn read_map(&self, deadline: Instant) -> Result<Arc<ClusterMap>, RouteError> {
        Self::read_map(self, deadline).await
    }

    async fn change_map(&self, command: MetaCommand, deadline: Instant) -> Result<MetaReply, RouteError> {
        Self::change_map(self, command, deadline).await
    }
}
