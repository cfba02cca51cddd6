//! This node's replicas, kept as the map says. A replica is opened where the map has one here, and closed and erased
//! where the map has none here any more. A damaged replica stays closed, and the node's health says so. Once the map
//! lets it go, it is erased like any other.
//!
//! Comes in: the map, and what this node's disk holds. Goes out: open groups in the node's list, and a disk without the
//! erased ones. Must not change who the members of a group are: [`super::membership`] does.
//!
//! To open a replica is harmless, whatever map it rests on: a new replica waits to be added, and votes for nobody
//! before. To erase one is not harmless, so three things come first. The replica is closed. Then the newest map is
//! read. Last, that map must name the node neither as target nor as actual home, and the group must be settled. A crash
//! may interrupt any step; the next look goes on.

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

/// How long the other founders of a group wait for the one that should initialize it.
const BEGIN_PATIENCE: Duration = Duration::from_secs(5);

/// Longest pause between two looks. What fails at one look is tried again at the next.
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
    /// The groups whose damaged replica was erased in this process, so that a new one could come. Clones share the set.
    pub replaced: Arc<Mutex<BTreeSet<GroupId>>>,
}

impl Replicas {
    /// The number of this node.
    fn local_node(&self) -> NodeId {
        self.host.identity().node
    }

    /// Opens this node's replica of the meta group if its disk or its first map has one, and initializes the group on
    /// its first founder. What is on disk counts even where the map has no replica here: all nodes of the first map may
    /// be gone by now. Returns `None` if there is no replica, or it stays closed.
    pub async fn open_first_meta(&self, first: &ClusterMap) -> Option<Group<MetaMachine>> {
        // A node that joins an existing cluster has a formed first map, and founds nothing.
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

    /// Opens the replica of the meta group, and follows it for new maps. Returns `None` if it stays closed.
    async fn open_meta(&self, founder: bool) -> Option<Group<MetaMachine>> {
        let opened = match founder {
            true => self.host.open_group::<MetaMachine>(META, ()).await,
            false => self.host.open_newcomer::<MetaMachine>(META, ()).await,
        };
        match opened {
            Ok(group) => {
                // The map follows this replica from now on, for as long as it runs.
                self.groups.put_meta(group.clone());
                tokio::spawn(map_feed::follow_replica(group.clone(), self.map.clone()));
                Some(group)
            }
            Err(error) => {
                self.quarantine(META, &error);
                None
            }
        }
    }

    /// Opens the replica of a shard of the map. A founder also initializes the group.
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
                    // The node that initializes a group leads it first, so the preferred one begins at once. If it does
                    // not come, the other founders step in.
                    let patience = if entry.preferred == self.local_node() { Duration::ZERO } else { BEGIN_PATIENCE };
                    // A group begins with its founders, even if the planner wants others by now.
                    tokio::spawn(initialize_group(group, entry.placement.actual.clone(), patience));
                }
            }
            Err(error) => self.quarantine(shard.group(), &error),
        }
    }

    /// Opens every replica that the disk holds or the map gives. What is on disk is opened whatever the map says: right
    /// after a start the map may be old, and other nodes may need these replicas to agree on a newer one.
    pub async fn open_all(&self, map: &ClusterMap) {
        let stored = self.stored_groups(map);
        let ours =
            |(group, placement): &(GroupId, &Placement)| stored.contains(group) || placement.is_home(self.local_node());
        // Replicas open side by side: each has to read its points and make its codes, which can use every processor.
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
        // Opening is harmless, and a replica that was closed as damaged is not opened again.
        self.close_damaged().await;
        for (group, _) in map.placements().filter(|(_, placement)| placement.is_home(self.local_node())) {
            self.open(group, map).await;
        }
        // A replica that the map does not have here is erased.
        let stored = self.stored_groups(map);
        // Damage may have taken even the mark by which the disk is known to hold the replica. So a closed one counts
        // too.
        let damaged = |group: &GroupId| self.groups.closed(*group).is_some() && !self.replaced.lock().contains(group);
        let here = |group: &GroupId| self.is_open(*group) || stored.contains(group) || damaged(group);
        let unwanted: Vec<GroupId> = self.unwanted(map).filter(here).collect();
        if !unwanted.is_empty()
            && let Err(error) = self.close_and_erase(&unwanted).await
        {
            tracing::debug!(%error, "not everything is erased yet; the next look tries again");
        }
    }

    /// Closes the replicas that have found themselves damaged. From then on they are treated like those that were
    /// damaged when they were opened.
    async fn close_damaged(&self) {
        let shards = self.groups.shards();
        let shards = shards.iter().map(|(shard, group)| (shard.group(), group.damage()));
        let meta = self.groups.meta().map(|meta| (META, meta.damage()));
        let damaged = shards.chain(meta).filter_map(|(group, damage)| damage.map(|damage| (group, damage)));
        // It is quarantined before it leaves the list, so no look in between opens it again.
        for (group, damage) in damaged.collect::<Vec<_>>() {
            self.quarantine(group, &damage);
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

    /// Settled groups that the map does not have on this node, neither as target nor as actual home.
    fn unwanted(&self, map: &ClusterMap) -> impl Iterator<Item = GroupId> {
        let me = self.local_node();
        let unwanted = map.placements().filter(move |(_, placement)| placement.settled && !placement.is_home(me));
        unwanted.map(|(group, _)| group)
    }

    /// Closes and erases replicas, if the newest map does not want them either. The map is read twice. The first read
    /// comes before anything is closed, because an old map must not silence a replica that others need. The second
    /// comes after, because only a closed replica cannot become a member once more.
    async fn close_and_erase(&self, groups: &[GroupId]) -> Result<(), RouteError> {
        // A crash after this paragraph leaves closed replicas; the next start opens them again.
        let now = || Instant::now() + READ_PATIENCE;
        let map = self.router.read_map(now()).await?;
        let closed: Vec<GroupId> = self.unwanted(&map).filter(|group| groups.contains(group)).collect();
        for group in &closed {
            self.groups.remove(*group);
            self.host.close_group(*group).await;
        }
        // Only replicas that were closed before this read of the map are erased.
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

    /// Notes that a replica stays closed, and why.
    fn quarantine(&self, group: GroupId, error: &OpenError) {
        let is_damaged = matches!(error, OpenError::Damaged { .. });
        let mut reason = error.to_string();
        if is_damaged && self.replaced.lock().contains(&group) {
            reason += ". It was made anew once since this node started, and is not again before the node is restarted: look at its disk";
        }
        tracing::error!(%group, error = reason, "this replica stays closed");
        self.groups.quarantine(Quarantined { group, reason, damaged: is_damaged });
    }

    /// Lets the node have a new replica in place of an erased one. A damaged replica is replaced once in the life of a
    /// process: a disk that damages it again would have it copied again and again.
    fn allow_replacement(&self, group: GroupId) {
        if self.groups.closed(group).is_none() {
            return;
        }
        // The first time it is released, and the next look may open a new replica.
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

    /// Erases a shard's saved graphs. If that fails they only take up space: the engine checks a graph when it reads
    /// it.
    fn erase_graphs(&self, group: GroupId) {
        let files = ShardId::of_group(group).map(|shard| GraphFiles::new(&self.dir, shard));
        if let Some(Err(error)) = files.map(|files| files.keep_only(&[])) {
            tracing::warn!(%group, %error, "the saved graphs of an erased replica are still there");
        }
    }

    /// Looks whenever the map changes, and at least every [`LOOK_EVERY`], for ever.
    pub async fn keep_as_mapped(self) {
        let mut changes = self.map.watch();
        loop {
            let map = self.map.get();
            if map.is_formed() {
                self.reconcile(&map).await;
            }
            // A closed channel ends the loop; a timeout only ends the wait.
            if tokio::time::timeout(LOOK_EVERY, changes.changed()).await.is_ok_and(|changed| changed.is_err()) {
                return;
            }
        }
    }
}

/// Writes the first map until there is a map. Every voter of the meta group tries, because only the group's leader can
/// write and the leader may change. All of them write the same map, and a second `Form` changes nothing.
pub(in crate::node) async fn write_first_map(meta: Group<MetaMachine>, first: ClusterMap, map: MapCell) {
    let command = MetaCommand::Form { map: first }.encode();
    while !map.get().is_formed() {
        match meta.write(command.clone(), Instant::now() + FORM_PATIENCE).await {
            // This replica has applied the map: it need not wait for the watch.
            Ok(_) => {
                map.offer(meta.machine().map());
            }
            Err(error) => tracing::debug!(%error, "the first map is not written yet"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Waits for `patience`, and then gives the group its first members, if it has none by then. Any founder may do so,
/// because each writes the same.
async fn initialize_group<M: Machine>(group: Group<M>, voters: BTreeSet<NodeId>, patience: Duration) {
    tokio::time::sleep(patience).await;
    while group.status().voters.is_empty() && group.status().stopped.is_none() {
        if let Err(error) = group.initialize(voters.clone()).await {
            tracing::debug!(group = %group.id(), %error, "the group has not begun yet");
        }
        tokio::time::sleep(PAUSE).await;
    }
}
