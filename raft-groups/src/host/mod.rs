//! All groups of one node, with one log store, one state store, and one entry point for the requests of peers.
//!
//! Comes in: the node's identity, settings, disk and transport. Goes out: [`Group`](crate::Group)s, opened, closed
//! and erased by their numbers. [`open`] starts a replica, and [`answer_peers`] finds the one that a request is for.
//! [`hung_disk`], [`round_trips`] and [`hand_over`] serve all replicas. This module must not know what a machine
//! does, nor which nodes should be members.

mod answer_peers;
mod hand_over;
mod hung_disk;
mod inspection;
mod open;
mod round_trip_table;
mod round_trips;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use tokio::time::Instant;

use self::round_trip_table::RoundTripTable;
use crate::events::Events;
use crate::lease::promise::LongestPromise;
use crate::network::Transport;
use crate::network::faults::Faults;
use crate::network::lives::Lives;
use crate::network::throttle::Throttle;
use crate::replica::open_replica::OpenReplica;
use crate::storage::Stores;
use crate::storage::replica_record::{ReplicaRecord, erase_replica, read_replica_record};
use crate::storage::store::{KeyValueStore as _, WriteBatch};
use crate::{GroupId, Identity, OpenError, RaftSettings};

/// A node's groups; clones share them.
#[derive(Clone)]
pub struct Host(pub(crate) Arc<HostShared>);

/// What the handles of a node's groups share.
pub(crate) struct HostShared {
    identity: Identity,
    pub(crate) settings: Arc<RaftSettings>,
    stores: Stores,
    pub(crate) transport: Arc<dyn Transport>,
    /// The newest life that was seen of each node.
    pub(crate) lives: Arc<Lives>,
    pub(crate) faults: Faults,
    events: Events,
    /// Bounds the snapshots that this node sends.
    throttle: Arc<Throttle>,
    pub(crate) groups: RwLock<BTreeMap<GroupId, Arc<dyn OpenReplica>>>,
    longest: Arc<LongestPromise>,
    /// Set once the promises of earlier lives have run out.
    has_waited: tokio::sync::OnceCell<()>,
    /// Before this, no replica of this node votes or campaigns.
    silent_until: Instant,
    pub(crate) round_trips: RoundTripTable,
}

impl HostShared {
    /// Returns for how long the disk has not answered, if it hangs.
    pub(crate) fn hung_for(&self) -> Option<Duration> {
        self.stores.log_syncer.hung_for(self.settings.longest_sync())
    }
}

impl Host {
    /// Returns who this node is.
    pub fn identity(&self) -> Identity {
        self.0.identity
    }

    /// Waits until a peer says that this node was started again after this process, or runs twice. Then this process
    /// must not take part any more, and should end.
    pub async fn overtaken(&self) {
        self.0.lives.overtaken().await;
    }

    /// Returns for how long the log store has been busy with its current round of writes; `None` if it is idle.
    pub fn sync_age(&self) -> Option<Duration> {
        self.0.stores.log_syncer.busy_for()
    }

    /// Returns `true` if this node's disk hangs. Then the node hands over what it leads, and answers no peer.
    pub fn is_hung(&self) -> bool {
        self.0.hung_for().is_some()
    }

    /// Returns the events of this node's replicas.
    pub fn events(&self) -> &Events {
        &self.0.events
    }

    /// Returns the open replica of `id`, if there is one.
    pub(crate) fn replica(&self, id: GroupId) -> Option<Arc<dyn OpenReplica>> {
        self.0.groups.read().get(&id).cloned()
    }

    /// Returns all open replicas, in ascending order of groups.
    pub(crate) fn replicas(&self) -> Vec<Arc<dyn OpenReplica>> {
        self.0.groups.read().values().cloned().collect()
    }

    /// Returns the faults that tests have set in this node's links.
    pub fn faults(&self) -> &Faults {
        &self.0.faults
    }

    /// Stops this node's replica of `id`; its data stays. After the return no peer gets an answer from it.
    pub async fn close_group(&self, id: GroupId) {
        let open = self.0.groups.write().remove(&id);
        if let Some(open) = open {
            open.stop().await;
        }
    }

    /// Erases the data of a closed replica. The caller makes sure that the replica is no member of its group any
    /// more, and does not become one meanwhile. After a crash in between, the next opening of the group finishes the
    /// erasure.
    ///
    /// # Errors
    /// [`OpenError::Io`] if the replica is open, or the disk fails.
    pub async fn erase_group(&self, id: GroupId) -> Result<(), OpenError> {
        let failed = |source| OpenError::Io { what: "this replica".to_owned(), source };
        if self.0.groups.read().contains_key(&id) {
            return Err(failed(io::Error::other("it is open, and only a closed one can be erased")));
        }
        erase_replica(id, &self.0.stores).await.map_err(failed)
    }

    /// Returns those of the groups `ids` of which this node's disk holds a replica, open or not, damaged or not.
    ///
    /// # Errors
    /// [`OpenError::Io`] if the disk fails.
    pub fn stored_groups(&self, ids: impl Iterator<Item = GroupId>) -> Result<Vec<GroupId>, OpenError> {
        let mut stored = Vec::new();
        for id in ids {
            match read_replica_record(id, &*self.0.stores.log) {
                Ok(Some(ReplicaRecord::Founder | ReplicaRecord::Newcomer)) => stored.push(id),
                Ok(None | Some(ReplicaRecord::Erased)) => {}
                // A damaged record still shows that a replica was here.
                Err(error) if error.kind() == io::ErrorKind::InvalidData => stored.push(id),
                Err(source) => return Err(OpenError::Io { what: "the mark of a replica".to_owned(), source }),
            }
        }
        Ok(stored)
    }

    /// Returns the bytes that logs and state take on disk.
    pub fn disk_bytes(&self) -> u64 {
        self.0.stores.log.size_on_disk() + self.0.stores.state.size_on_disk()
    }

    /// Stops all groups and makes durable what they have stored.
    pub async fn stop(&self) {
        // Out of the table first, so no peer reaches a replica while it stops.
        let groups = std::mem::take(&mut *self.0.groups.write());
        futures::future::join_all(groups.values().map(|open| open.stop())).await;
        // Commits of state are not synced, so this sync spares the next start a replay.
        for syncer in [&self.0.stores.log_syncer, &self.0.stores.state_syncer] {
            if let Err(error) = syncer.carry_out(WriteBatch::default(), true).await {
                tracing::warn!(%error, "the last sync failed; the log replays what is missing");
            }
        }
    }
}
