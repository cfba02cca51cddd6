//! A cluster of one node and one shard: the real map and the real engine, with a log that is a counter.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use parking_lot::Mutex;
use raft_groups::network::faults::LinkFaults;
use raft_groups::{Changes, GroupStatus, Machine, Position, ReadMode, Role};
use tokio::time::Instant;

use crate::api::HealthState;
use crate::engine::{
    CollectionConfig, Command, CountQuery, Engine, FieldType, GetQuery, PointWrite, Record, Reply, ScrollQuery,
    SearchQuery, Selector,
};
use crate::gateway::backend::{Backend, ShardRows};
use crate::gateway::{GatewayState, Introduction, Limits, LinkSwitch, LocalNode, NodeHealth, router};
use crate::model::Consistency;
use crate::placement::{self, ClusterMap, MetaCommand, MetaReply, NodeEntry, NodeName, NodeState, ShardId};
use crate::routing::{
    Acknowledge, Answer, CallOptions, Collection, Created, DeleteOutcome, Held, Indexed, LogPoint, NodeOverview,
    NodeReport, Overview, PageSearch, ReadOptions, ReplicaReport, RouteError, ScrollAnswer, SearchAnswer, SessionToken,
    ShardEvidence, WriteOutcome, WrittenPoint, points_by_field,
};

const SHARD: ShardId = ShardId(0);

/// The cluster, the node, and what was asked of them.
#[derive(Default)]
pub(super) struct FakeCluster {
    pub map: Mutex<ClusterMap>,
    /// The older map by which the next collection is looked up.
    pub known: Mutex<Option<ClusterMap>>,
    engine: Engine,
    index: Mutex<u64>,
    switch: Arc<Switch>,
    /// Answered to the next request for points, instead of serving it.
    pub fails: Mutex<Option<RouteError>>,
    /// Options of the last read.
    pub read: Mutex<Option<ReadOptions>>,
    /// How the last write was to be acknowledged, and under which name.
    pub wrote: Mutex<Option<(Acknowledge, CallOptions)>>,
    /// Whether fault injection is off.
    pub faults_off: Mutex<bool>,
    /// Who answers at which port, when asked for an introduction.
    pub introductions: Mutex<BTreeMap<u16, Introduction>>,
}

/// A router over a fresh cluster, with small limits.
pub(super) fn start() -> (Router, Arc<FakeCluster>) {
    let (state, cluster) = state(1_024);
    (router(state), cluster)
}

/// The state of a gateway that serves `in_flight` requests at once.
pub(super) fn state(in_flight: usize) -> (GatewayState, Arc<FakeCluster>) {
    let small = Limits { body_bytes: 1 << 20, drain_bytes: 1 << 20, batch: 100, limit: 1_000, ..Limits::default() };
    state_within(Limits { in_flight, ..small })
}

/// The state of a gateway with these limits.
pub(super) fn state_within(limits: Limits) -> (GatewayState, Arc<FakeCluster>) {
    let cluster = Arc::new(FakeCluster::default());
    let map = placement::form([7; 16], BTreeMap::from([(1, node("node1", 8001))]), 1, 3).unwrap();
    cluster.map.lock().apply(MetaCommand::Form { map });
    (GatewayState::new(cluster.clone(), cluster.clone(), limits), cluster)
}

/// A node on this host.
pub(in crate::gateway) fn node(name: &str, port: u16) -> NodeEntry {
    let peer_addr = format!("localhost:{}", port + 100);
    NodeEntry {
        name: NodeName::new(name).unwrap(),
        incarnation: [1; 16],
        host: "localhost".to_owned(),
        port,
        peer_addr,
        state: NodeState::Member,
        labels: BTreeMap::new(),
        life: 0,
    }
}

impl FakeCluster {
    fn apply(&self, command: &Command) -> Result<(u64, Reply), RouteError> {
        let mut index = self.index.lock();
        *index += 1;
        let mut changes = Changes::default();
        let reply = self.engine.apply(Position { index: *index, term: 3 }, &command.encode(), &mut changes).unwrap();
        match Reply::decode(&reply).unwrap() {
            Reply::Refused(refusal) => Err(RouteError::Refused { refusal }),
            reply => Ok((*index, reply)),
        }
    }

    fn fail(&self) -> Result<(), RouteError> {
        self.fails.lock().take().map_or(Ok(()), Err)
    }

    fn token(&self) -> SessionToken {
        SessionToken([(SHARD, LogPoint { recovered: 0, index: *self.index.lock() })].into())
    }

    fn answer<T>(&self, value: T, options: ReadOptions) -> Result<Answer<T>, RouteError> {
        self.fail()?;
        let staleness_ms = Some(if options.mode == ReadMode::Follower { 40 } else { 0 });
        let missing = if options.allow_partial { vec![(ShardId(9), "cut off".to_owned())] } else { Vec::new() };
        *self.read.lock() = Some(options);
        let served_by = NodeName::new("node1").unwrap();
        let shards = vec![ShardEvidence {
            shard: SHARD,
            served_by,
            role: Role::Leader,
            term: 3,
            index: *self.index.lock(),
            staleness_ms,
        }];
        Ok(Answer { value, shards, missing, held: Held::default() })
    }
}

fn refused(refusal: crate::engine::Refusal) -> RouteError {
    RouteError::Refused { refusal }
}

#[async_trait]
impl Backend for FakeCluster {
    fn map(&self) -> Arc<ClusterMap> {
        Arc::new(self.map.lock().clone())
    }

    async fn collection(&self, name: &str, _: Instant) -> Result<Collection, RouteError> {
        let known = self.known.lock().take();
        let map = known.unwrap_or_else(|| self.map.lock().clone());
        let entry = map.collections.get(name).cloned();
        let entry = entry.ok_or_else(|| RouteError::CollectionNotFound { name: name.to_owned() })?;
        Ok(Collection { name: name.to_owned(), entry })
    }

    async fn create_collection(
        &self,
        name: &str,
        config: CollectionConfig,
        level: Consistency,
        _: Instant,
    ) -> Result<Created, RouteError> {
        let command = MetaCommand::CreateCollection { name: name.to_owned(), config, default_consistency: level };
        let (entry, existed) = match self.map.lock().apply(command) {
            MetaReply::Created { entry } => (entry, false),
            MetaReply::Exists { entry } => (entry, true),
            MetaReply::Conflict { entry } => {
                return Err(RouteError::CollectionExists { name: name.to_owned(), entry: Box::new(entry) });
            }
            MetaReply::BadName(bad) => return Err(bad.into()),
            other => panic!("{other:?}"),
        };
        self.apply(&Command::CreateCollection { collection: entry.id, config: entry.config.clone() })?;
        Ok(Created { collection: Collection { name: name.to_owned(), entry }, existed, pending: Vec::new() })
    }

    async fn drop_collection(&self, name: &str, _: Instant) -> Result<bool, RouteError> {
        Ok(self.map.lock().collections.remove(name).is_some())
    }

    async fn set_field_index(
        &self,
        collection: &Collection,
        field: String,
        kind: Option<FieldType>,
        wait: bool,
        _: Instant,
    ) -> Result<Indexed, RouteError> {
        let (name, id) = (collection.name.clone(), collection.entry.id);
        let reply = self.map.lock().apply(MetaCommand::SetFieldIndex { name, id, field, kind });
        let entry = match reply {
            MetaReply::SchemaSet { entry } => entry,
            MetaReply::BadSchema(refusal) => return Err(RouteError::Refused { refusal }),
            other => panic!("{other:?}"),
        };
        let (version, schema) = (entry.schema_version, entry.payload_schema);
        self.apply(&Command::SetPayloadSchema { collection: id, version, schema })?;
        Ok(Indexed { version, everywhere: wait })
    }

    async fn upsert(
        &self,
        collection: &Collection,
        points: Vec<PointWrite>,
        ack: Acknowledge,
        options: CallOptions,
    ) -> Result<WriteOutcome, RouteError> {
        self.fail()?;
        *self.wrote.lock() = Some((ack, options));
        let command = Command::Upsert { collection: collection.entry.id, request: Some(options.request_id), points };
        let (_, Reply::Upserted(written)) = self.apply(&command)? else {
            panic!("an upsert is answered by another reply")
        };
        let results = written.into_iter().map(|(id, version)| WrittenPoint { id, shard: SHARD, version }).collect();
        Ok(WriteOutcome { results, token: self.token(), shards: Vec::new() })
    }

    async fn delete(
        &self,
        collection: &Collection,
        selector: Selector,
        ack: Acknowledge,
        options: CallOptions,
    ) -> Result<DeleteOutcome, RouteError> {
        self.fail()?;
        *self.wrote.lock() = Some((ack, options));
        let command = Command::Delete { collection: collection.entry.id, request: Some(options.request_id), selector };
        let (_, Reply::Deleted { count, .. }) = self.apply(&command)? else {
            panic!("a deletion is answered by another reply")
        };
        Ok(DeleteOutcome { deleted: count, token: self.token(), shards: Vec::new() })
    }

    async fn get(&self, _: &Collection, query: GetQuery, options: ReadOptions) -> ShardRows<Record> {
        let records = self.engine.get(&query).map_err(refused)?;
        self.answer(records.into_iter().map(|record| (SHARD, record)).collect(), options)
    }

    async fn search(
        &self,
        collection: &Collection,
        searches: Vec<PageSearch>,
        options: ReadOptions,
    ) -> Result<Answer<Vec<SearchAnswer>>, RouteError> {
        let page = |PageSearch { query, offset, limit, left_out }| {
            let query = SearchQuery { collection: collection.entry.id, limit: offset + limit + 1, ..query };
            let found = self.engine.find(&query).map_err(refused)?;
            let others = found.hits.into_iter().filter(|hit| Some(hit.id) != left_out);
            let hits = others.skip(offset).take(limit).map(|hit| (SHARD, hit)).collect();
            Ok(SearchAnswer { hits, explains: vec![(SHARD, found.explain)] })
        };
        let pages = searches.into_iter().map(page).collect::<Result<_, RouteError>>()?;
        self.answer(pages, options)
    }

    async fn scroll(
        &self,
        _: &Collection,
        query: ScrollQuery,
        options: ReadOptions,
    ) -> Result<Answer<ScrollAnswer>, RouteError> {
        let page = self.engine.scroll(&query).map_err(refused)?;
        let records = page.records.into_iter().map(|record| (SHARD, record)).collect();
        self.answer(ScrollAnswer { records, next: page.next }, options)
    }

    async fn count(&self, _: &Collection, query: CountQuery, options: ReadOptions) -> Result<Answer<u64>, RouteError> {
        let count = self.engine.count(&query).map_err(refused)?;
        self.answer(count, options)
    }

    async fn overview(&self, _: Instant) -> Overview {
        let report = self.report().ok_or_else(|| "it is a gateway".to_owned());
        Overview { map: self.map(), nodes: vec![NodeOverview { node: 1, report }] }
    }

    async fn read_map(&self, _: Instant) -> Result<Arc<ClusterMap>, RouteError> {
        Ok(self.map())
    }

    async fn change_map(&self, command: MetaCommand, _: Instant) -> Result<MetaReply, RouteError> {
        Ok(self.map.lock().apply(command))
    }
}

#[async_trait]
impl LocalNode for FakeCluster {
    fn name(&self) -> String {
        "node1".to_owned()
    }

    fn uptime(&self) -> Duration {
        Duration::from_secs(12)
    }

    fn health(&self) -> NodeHealth {
        NodeHealth { state: HealthState::Healthy, checks: BTreeMap::from([("formed".to_owned(), true.into())]) }
    }

    fn report(&self) -> Option<NodeReport> {
        let known = self.engine.collections();
        let fields = known.iter().map(|stats| (stats.collection, points_by_field(stats))).collect();
        let collections = known.into_iter().map(|stats| (stats.collection, stats.points)).collect();
        let (digest_index, digest) = self.engine.digest();
        let status = status(SHARD.group(), *self.index.lock());
        let replica = ReplicaReport {
            index: crate::engine::IndexProgress::default(),
            shard: SHARD,
            status,
            points: self.engine.points(),
            collections,
            fields,
            memory_bytes: 10,
            digest_index,
            digest,
        };
        Some(NodeReport {
            node: 1,
            uptime_seconds: 12,
            load: 0.25,
            memory_bytes: 10,
            disk_bytes: 20,
            epoch: self.map.lock().epoch,
            meta: Some(status_of_meta()),
            replicas: vec![replica],
            quarantined: Vec::new(),
            round_trips_ms: BTreeMap::new(),
        })
    }

    async fn introduction(&self, _: &str, port: u16) -> Result<Introduction, String> {
        self.introductions.lock().get(&port).cloned().ok_or_else(|| "connection refused".to_owned())
    }

    fn faults(&self) -> Option<Arc<dyn LinkSwitch>> {
        (!*self.faults_off.lock()).then(|| self.switch.clone() as Arc<dyn LinkSwitch>)
    }
}

#[derive(Default)]
struct Switch(Mutex<LinkFaults>);

impl LinkSwitch for Switch {
    fn set(&self, faults: LinkFaults) {
        *self.0.lock() = faults;
    }

    fn current(&self) -> LinkFaults {
        self.0.lock().clone()
    }
}

fn status_of_meta() -> GroupStatus {
    status(placement::META, 2)
}

/// A lone voter that leads.
pub(in crate::gateway) fn status(group: raft_groups::GroupId, applied: u64) -> GroupStatus {
    GroupStatus {
        group,
        role: Role::Leader,
        term: 3,
        leader: Some(1),
        last_log: applied,
        committed: applied,
        applied,
        snapshot: 0,
        purged: 0,
        voters: BTreeSet::from([1]),
        learners: BTreeSet::new(),
        leader_contact: Some(Duration::ZERO),
        joint: false,
        silent: BTreeSet::new(),
        members_at: Some(0),
        catching_up: false,
        matched: BTreeMap::from([(1, applied)]),
        stopped: None,
        digests: BTreeMap::new(),
    }
}
