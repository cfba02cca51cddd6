//! The way in: one method per kind of request.
#![allow(unused_variables, clippy::unimplemented)]

use std::sync::Arc;

use tokio::time::Instant;

use super::{
    Acknowledge, Answer, CallOptions, Collection, Created, DeleteOutcome, Overview, ReadOptions, RouteError,
    ScrollAnswer, WriteOutcome,
};
use crate::engine::{
    CollectionConfig, CountQuery, Hit, PayloadSelector, PointId, PointWrite, Record, ScrollQuery, SearchQuery,
    Selector, VectorSelector,
};
use crate::placement::{ClusterMap, ShardId};

/// Finds the way between requests and shards; clones share everything.
#[derive(Clone)]
pub struct Router {}

impl Router {
    /// The newest map this process has; its epoch is 0 before the cluster is formed.
    pub fn map(&self) -> Arc<ClusterMap> {
        unimplemented!()
    }

    /// A collection by name. A name the cached map does not know is looked up in the map's group first.
    ///
    /// # Errors
    /// [`RouteError::CollectionNotFound`], or why the map's group could not be asked.
    pub async fn collection(&self, name: &str, deadline: Instant) -> Result<Collection, RouteError> {
        unimplemented!()
    }

    /// Adds a collection to the map and tells every shard.
    ///
    /// # Errors
    /// [`RouteError::CollectionExists`] where it has other settings, [`RouteError::BadName`], or why the map's group
    /// could not carry it out.
    pub async fn create_collection(
        &self,
        name: &str,
        config: CollectionConfig,
        default_consistency: String,
        deadline: Instant,
    ) -> Result<Created, RouteError> {
        unimplemented!()
    }

    /// Removes a collection from the map and from every shard; whether there was one.
    ///
    /// # Errors
    /// [`RouteError::Deadline`] with `committed: yes` where a shard could not be told in time (its leader will find out
    /// by itself), or why the map's group could not carry it out.
    pub async fn drop_collection(&self, name: &str, deadline: Instant) -> Result<bool, RouteError> {
        unimplemented!()
    }

    /// Writes points: in each shard all of them or none.
    ///
    /// # Errors
    /// Positions in a refusal are those in `points`. [`RouteError::PartialWrite`] where shards differ.
    pub async fn upsert(
        &self,
        collection: &Collection,
        points: Vec<PointWrite>,
        acknowledge: Acknowledge,
        options: CallOptions,
    ) -> Result<WriteOutcome, RouteError> {
        unimplemented!()
    }

    /// Deletes points: in each shard all that are selected or none.
    ///
    /// # Errors
    /// As [`Router::upsert`].
    pub async fn delete(
        &self,
        collection: &Collection,
        selector: Selector,
        acknowledge: Acknowledge,
        options: CallOptions,
    ) -> Result<DeleteOutcome, RouteError> {
        unimplemented!()
    }

    /// Points by id, in the order asked; those that do not exist are left out.
    ///
    /// # Errors
    /// Why a shard could not serve.
    pub async fn get(
        &self,
        collection: &Collection,
        ids: Vec<PointId>,
        with_payload: PayloadSelector,
        with_vector: VectorSelector,
        options: ReadOptions,
    ) -> Result<Answer<Vec<(ShardId, Record)>>, RouteError> {
        unimplemented!()
    }

    /// The nearest points of all shards: those from `offset` of the best, `limit` at most. `query.limit` and
    /// `query.collection` are set here.
    ///
    /// # Errors
    /// Why a shard could not serve.
    pub async fn search(
        &self,
        collection: &Collection,
        query: SearchQuery,
        offset: usize,
        limit: usize,
        options: ReadOptions,
    ) -> Result<Answer<Vec<(ShardId, Hit)>>, RouteError> {
        unimplemented!()
    }

    /// One page of points in the order of their ids. `query.collection` is set here.
    ///
    /// # Errors
    /// Why a shard could not serve.
    pub async fn scroll(
        &self,
        collection: &Collection,
        query: ScrollQuery,
        options: ReadOptions,
    ) -> Result<Answer<ScrollAnswer>, RouteError> {
        unimplemented!()
    }

    /// The number of points. `query.collection` is set here.
    ///
    /// # Errors
    /// Why a shard could not serve.
    pub async fn count(
        &self,
        collection: &Collection,
        query: CountQuery,
        options: ReadOptions,
    ) -> Result<Answer<u64>, RouteError> {
        unimplemented!()
    }

    /// Asks every node for its report.
    pub async fn overview(&self, deadline: Instant) -> Overview {
        unimplemented!()
    }
}
