//! This node's replicas, kept as the map says: opened where it gives one, closed and erased where it has none any more.
//! One that is damaged stays closed, and says so, until the map lets it go: then it is erased like any other.
//!
//! Comes in: the map, and what this node's disk holds. Goes out: open groups in the node's list, and erased ones on
//! its disk. Must not change who the members of a group are: [`super::membership`] does.
//!
//! To open is harmless whatever map it rests on: a new replica waits to be added, and votes for nobody before. To erase
//! is not, so it rests on more: the replica is closed first, then the map is read as it is now, and only where that
//! names the node neither as meant nor as confirmed, and the group is settled, is anything erased. Each step may be
//! interrupted; the next look goes on.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use parking_lot::Mutex;
use raft_groups::{Group, GroupId, Host, Machine, NodeId, OpenError};
use tokio::time::Instant;

use super::graph_files::GraphFiles;
use super::map_feed;
use crate::engine::Setup;
use crate::placement::{ClusterMap, META, MetaCommand, MetaMachine, Placement, ShardId};
use crate::routing::{LocalGroups, MapCell, Quarantined, RouteError, Router};

/// Pause between two tries to initialize a group, or to write the first map.
const PAUSE: Duration = Duration::from_millis(100);

/// How long one try to write the first map may take.
const FORM_PATIENCE: Duration = Duration::from_secs(2);

/// How long a group's other first members wait for the one that is to initialize it.
const BEGIN_PATIENCE: Duration = Duration::from_secs(5);

/// Longest pause between two looks: what could not be done at one is tried again at the next.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long reading the map may take before something is erased.
const READ_PATIENCE: Duration = Duration::from_secs(2);

/// Keeps this node's replicas.
#[derive(Clone)]
pub(in crate::node) struct Replicas {
    pub host: Host,
    /// The node's directory.
    pub dir: PathBuf,
    pub groups: Arc<LocalGroups>,
    pub map: MapCell,
    pub router: Router,
    /// Damaged replicas that were erased, so that new ones could come in their place.
    pub replaced: Arc<Mutex<BTreeSet<GroupId>>>,
}

impl Replicas {
    /// The number of this node.
    fn local_node(&self) -> NodeId {
        self.host.identity().node
    }

    /// Opens this node's replica of the meta group, where its disk or the map it was formed with has one, and initializes
    /// the group on its first node. What is on disk counts: the nodes of the first map may all be gone by now.
    pub async fn open_first_meta(&self, first: &ClusterMap) -> Option<Group<MetaMachine>> {
        let founder = !first.is_formed() && first.meta.is_founder(self.local_node());
        let stored = self.host.stored_groups([META].into_iter()).unwrap_or_default();
        if !founder && stored.is_empty() {
            return None;
        }
        let meta = self.open_meta(founder).await?;
        if founder && first.meta.target.first() == Some(&self.local_node()) {
            tokio::spawn(initialize_group(meta.clone(), first.meta.target.clone(), Duration::ZERO));
        }
        Some(meta)
    }

    /// Opens the replica of the map's group, and follows it for new maps; `None` where it stays closed.
    async fn open_meta(&self, founder: bool) -> Option<Group<MetaMachine>> {
        let opened = match founder {
            true => self.host.open_group::<MetaMachine>(META, ()).await,
            false => self.host.open_newcomer::<MetaMachine>(META, ()).await,
        };
        match opened {
            Ok(group) => {
                self.groups.put_meta(group.clone());
                tokio::spawn(map_feed::follow_replica(group.clone(), self.map.clone()));
                Some(group)
            }
            Err(error) => {
                quarantine(&self.groups, META, &error);
                None
            }
        }
    }

    /// Opens the replica of a shard of the map. One of its first members also initializes the group.
    async fn open_shard(&self, shard: ShardId, map: &ClusterMap) {
        let Some(entry) = map.shards.get(&shard) else { return };
        let founder = entry.placement.is_founder(self.local_node());
        let setup = Setup { graph_store: Some(Arc::new(GraphFiles::new(&self.dir, shard))) };
        let opened = match founder {
            true => self.host.open_group(shard.group(), setup).await,
            false => self.host.open_newcomer(shard.group(), setup).await,
        };
        match opened {
            Ok(group) => {
                self.groups.put_shard(shard, group.clone());
                if founder {
                    // Who starts a group leads it first. The others step in where that one does not come.
                    let patience = if entry.preferred == self.local_node() { Duration::ZERO } else { BEGIN_PATIENCE };
                    // The first members, whatever is meant by now.
                    tokio::spawn(initialize_group(group, entry.placement.actual.clone(), patience));
                }
            }
            Err(error) => quarantine(&self.groups, shard.group(), &error),
        }
    }

    /// Opens every replica that the disk holds or the map gives. What is on disk is opened whatever the map says: right
    /// after a start the map may be an old one, and others may need these replicas to agree on a newer.
    pub async fn open_all(&self, map: &ClusterMap) {
        let stored = self.stored_groups(map);
        let ours =
            |(group, placement): &(GroupId, &Placement)| stored.contains(group) || placement.is_home(self.local_node());
        // Side by side: to read a replica's points and make its codes is work for every processor there is.
        let opening = map.placements().filter(ours).map(|(group, _)| {
            let (replicas, map) = (self.clone(), map.clone());
            tokio::spawn(async move { replicas.open(group, &map).await })
        });
        for opened in join_all(opening).await {
            if let Err(error) = opened {
                tracing::error!(%error, "opening a replica failed inside; the next look tries again");
            }
        }
    }

    /// One look: opens, closes and erases what the map asks for.
    async fn reconcile(&self, map: &ClusterMap) {
        // What is damaged is closed, and what the map has here is opened.
        self.close_damaged().await;
        for (group, _) in map.placements().filter(|(_, placement)| placement.is_home(self.local_node())) {
            self.open(group, map).await;
        }
        // What the map does not have here is erased.
        let stored = self.stored_groups(map);
        // One that is damaged may have lost even the mark by which the disk is known to hold it.
        let damaged = |group: &GroupId| self.groups.closed(*group).is_some() && !self.replaced.lock().contains(group);
        let here = |group: &GroupId| self.is_open(*group) || stored.contains(group) || damaged(group);
        let unwanted: Vec<GroupId> = self.unwanted(map).filter(here).collect();
        if !unwanted.is_empty()
            && let Err(error) = self.close_and_erase(&unwanted).await
        {
            tracing::debug!(%error, "not everything is erased yet; the next look tries again");
        }
    }

    /// Closes the replicas that have found themselves damaged: from then on they are treated like those that were
    /// found damaged when they were opened.
    async fn close_damaged(&self) {
        let shards = self.groups.shards();
        let shards = shards.iter().map(|(shard, group)| (shard.group(), group.damage()));
        let meta = self.groups.meta().map(|meta| (META, meta.damage()));
        let damaged = shards.chain(meta).filter_map(|(group, damage)| damage.map(|damage| (group, damage)));
        for (group, damage) in damaged.collect::<Vec<_>>() {
            quarantine(&self.groups, group, &damage);
            self.groups.remove(group);
            self.host.close_group(group).await;
        }
    }

    /// Opens a replica that is neither open nor known to be damaged.
    async fn open(&self, group: GroupId, map: &ClusterMap) {
        if self.is_open(group) || self.groups.closed(group).is_some() {
            return;
        }
        match ShardId::of_group(group) {
            Some(shard) => self.open_shard(shard, map).await,
            None => drop(self.open_meta(false).await),
        }
    }

    /// The groups of the map that this node's disk holds.
    fn stored_groups(&self, map: &ClusterMap) -> BTreeSet<GroupId> {
        let stored = self.host.stored_groups(map.placements().map(|(group, _)| group));
        stored.map(|stored| stored.into_iter().collect()).unwrap_or_else(|error| {
            tracing::error!(%error, "what this node's disk holds is not known");
            BTreeSet::new()
        })
    }

    fn is_open(&self, group: GroupId) -> bool {
        match ShardId::of_group(group) {
            Some(shard) => self.groups.shard(shard).is_some(),
            None => self.groups.meta().is_some(),
        }
    }

    /// Groups that the map does not have on this node, neither as meant nor as confirmed.
    fn unwanted(&self, map: &ClusterMap) -> impl Iterator<Item = GroupId> {
        let me = self.local_node();
        let unwanted = map.placements().filter(move |(_, placement)| placement.settled && !placement.is_home(me));
        unwanted.map(|(group, _)| group)
    }

    /// Closes and erases replicas, if the map as it is now does not want them either. It is read twice: before anything
    /// is closed, for an old map must not silence a replica that others need, and after, for only a closed replica
    /// cannot become a member once more.
    async fn close_and_erase(&self, groups: &[GroupId]) -> Result<(), RouteError> {
        // Replicas that the newest map does not want are closed.
        let now = || Instant::now() + READ_PATIENCE;
        let map = self.router.read_map(now()).await?;
        let closed: Vec<GroupId> = self.unwanted(&map).filter(|group| groups.contains(group)).collect();
        for group in &closed {
            self.groups.remove(*group);
            self.host.close_group(*group).await;
        }
        // Closed ones that it still does not want are erased.
        let map = self.router.read_map(now()).await?;
        for group in self.unwanted(&map).filter(|group| closed.contains(group)) {
            match self.host.erase_group(group).await {
                Ok(()) => {
                    self.allow_replacement(group);
                    self.erase_graphs(group);
                    tracing::info!(%group, "the map has no replica here any more; it is erased");
                }
                Err(error) => tracing::error!(%group, %error, "a replica that is not wanted could not be erased"),
            }
        }
        Ok(())
    }

    /// Lets the node have a new replica in place of an erased one. One that was damaged is replaced once in the life
    /// of a process: a disk that damages it again would have it copied for ever.
    fn allow_replacement(&self, group: GroupId) {
        if self.groups.closed(group).is_none() {
            return;
        }
        if self.replaced.lock().insert(group) {
            self.groups.release(group);
        } else {
            tracing::error!(
                %group,
                "a replica was damaged again after it had been replaced: this node gets no other one before it is \
                 restarted; look at its disk"
            );
        }
    }

    /// Erases a shard's saved graphs. They are checked when they are read, so one that stays costs only its place.
    fn erase_graphs(&self, group: GroupId) {
        let files = ShardId::of_group(group).map(|shard| GraphFiles::new(&self.dir, shard));
        if let Some(Err(error)) = files.map(|files| files.keep_only(&[])) {
            tracing::warn!(%group, %error, "the saved graphs of an erased replica are still there");
        }
    }

    /// Looks whenever the map has changed, and now and then, for ever.
    pub async fn keep_as_mapped(self) {
        let mut changes = self.map.watch();
        loop {
            let map = self.map.get();
            if map.is_formed() {
                self.reconcile(&map).await;
            }
            if tokio::time::timeout(LOOK_EVERY, changes.changed()).await.is_ok_and(|changed| changed.is_err()) {
                return;
            }
        }
    }
}

/// Writes the first map until there is a map. Every voter of the meta group tries: each holds the same map, only the
/// group's leader can write, and who leads may change; a second `Form` changes nothing.
pub(in crate::node) async fn write_first_map(meta: Group<MetaMachine>, first: ClusterMap, map: MapCell) {
    let command = MetaCommand::Form { map: first }.encode();
    while !map.get().is_formed() {
        match meta.write(command.clone(), Instant::now() + FORM_PATIENCE).await {
            Ok(_) => {
                map.offer(meta.machine().map());
            }
            Err(error) => tracing::debug!(%error, "the first map is not written yet"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Gives a group its first members, if it has none by then. Any number of them may do so: each writes the same.
async fn initialize_group<M: Machine>(group: Group<M>, voters: BTreeSet<NodeId>, patience: Duration) {
    tokio::time::sleep(patience).await;
    while group.status().voters.is_empty() && group.status().stopped.is_none() {
        if let Err(error) = group.initialize(voters.clone()).await {
            tracing::debug!(group = %group.id(), %error, "the group has not begun yet");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Notes that a replica stays closed, and why.
fn quarantine(groups: &LocalGroups, group: GroupId, error: &OpenError) {
    tracing::error!(%group, %error, "this replica stays closed");
    let damaged = matches!(error, OpenError::Damaged { .. });
    groups.quarantine(Quarantined { group, reason: error.to_string(), damaged });
}
