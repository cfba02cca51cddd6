//! Opens a node's stores, and the replicas in them.
//!
//! A replica opens in four steps, each of which may end in an error that keeps it closed. What is stored is read and
//! checked (log, state, and whether the two fit together). The existence of the replica is recorded. The promises of
//! an earlier life run out. Consensus starts. Before the last step the replica gives no vote and asks for none.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use openraft::Raft;
use parking_lot::RwLock;
use tokio::time::Instant;

use super::round_trip_table::RoundTripTable;
use super::{Host, HostShared, hung_disk};
use crate::consensus::types::index_of;
use crate::error::damaged_replica;
use crate::events::{Events, Recorder};
use crate::lease::promise::{LeaderPromise, LongestPromise};
use crate::network::Transport;
use crate::network::client::PeerClient;
use crate::network::faults::Faults;
use crate::network::lives::Lives;
use crate::network::throttle::Throttle;
use crate::replica::Replica;
use crate::storage::Disk;
use crate::storage::claim::claim_stores;
use crate::storage::log::GroupLog;
use crate::storage::log::contradiction::check_together;
use crate::storage::replica_record::{ReplicaRecord, finish_erasing, read_replica_record, write_replica_record};
use crate::storage::state::GroupState;
use crate::storage::state::applier::{AppliedState, Applier, run_blocking};
use crate::{Group, GroupId, Identity, Machine, NodeId, OpenError, RaftSettings};

/// The stored parts of a replica, read and found to be sound.
struct StoredParts<M: Machine> {
    /// How it began; `None` if it was never here before.
    record: Option<ReplicaRecord>,
    log: GroupLog,
    state: GroupState,
    applier: Applier<M>,
    applied: AppliedState<M>,
}

impl Host {
    /// Opens the stores of a node, without any replica.
    ///
    /// `is_new` says that this node was never started before. Only then may the stores be empty. If they are not
    /// empty, no replica takes part before the longest promise of this node has passed, counted from here. A node
    /// that crashed has forgotten which leader it promised not to depose, so it must neither vote nor campaign until
    /// that promise has run out. What is stored can be read meanwhile.
    ///
    /// # Errors
    /// [`OpenError`] if the settings contradict each other, or the stores are damaged, belong to another node, or
    /// fail.
    pub async fn open(
        identity: Identity,
        settings: RaftSettings,
        disk: Disk,
        transport: Arc<dyn Transport>,
        faults: Faults,
        is_new: bool,
    ) -> Result<Host, OpenError> {
        // The stores say whose they are, and what an earlier life has promised.
        settings.check()?;
        let stores = disk.start().map_err(|source| OpenError::Io { what: "the stores".to_owned(), source })?;
        let had_data = claim_stores(&stores, identity, is_new).await?;
        let lives = Lives::open(identity.life, &*stores.log, stores.log_syncer.clone())?;
        let opened = LongestPromise::open(&*stores.log, stores.log_syncer.clone(), settings.asks()).await?;
        let (longest, waits) = (Arc::new(opened.0), settings.on_own_clock(opened.1));
        // No replica votes until every promise of an earlier life has run out.
        let silence = if had_data { settings.restart_wait(waits) } else { Duration::ZERO };
        let silent_until = Instant::now() + silence;
        let throttle = Arc::new(Throttle::new(settings.snapshot_rate));
        let (settings, groups, has_waited) = (Arc::new(settings), RwLock::default(), Default::default());
        let events = Events::default();
        let shared = HostShared {
            identity,
            settings,
            stores,
            transport,
            lives: Arc::new(lives),
            faults,
            events,
            throttle,
            groups,
            longest,
            has_waited,
            silent_until,
            round_trips: RoundTripTable::default(),
        };
        let shared = Arc::new(shared);
        // A weak handle: the task ends with the last use of this host.
        tokio::spawn(hung_disk::hand_over_when_hung(Arc::downgrade(&shared)));
        Ok(Host(shared))
    }

    /// Opens this node's replica of `id`, new or stored. A new one is a founder: one of the group's first members,
    /// which votes with an empty log.
    ///
    /// # Errors
    /// [`OpenError::Damaged`] if what is stored of it fails its checks. Then it stays closed, so that it never votes
    /// by data that may be wrong. [`OpenError::Io`] if the disk fails.
    pub async fn open_group<M: Machine>(&self, id: GroupId, setup: M::Setup) -> Result<Group<M>, OpenError> {
        self.open_as(id, setup, ReplicaRecord::Founder).await
    }

    /// Opens this node's replica of `id`. A new one waits to be added to an existing group. It votes only once its
    /// own log says that it is a member, so it cannot help a candidate of an old term.
    ///
    /// # Errors
    /// As for [`Host::open_group`].
    pub async fn open_newcomer<M: Machine>(&self, id: GroupId, setup: M::Setup) -> Result<Group<M>, OpenError> {
        self.open_as(id, setup, ReplicaRecord::Newcomer).await
    }

    async fn open_as<M: Machine>(
        &self,
        id: GroupId,
        setup: M::Setup,
        new: ReplicaRecord,
    ) -> Result<Group<M>, OpenError> {
        let recorder = Recorder::new(self.0.events.clone(), id);
        let parts = self.read_parts::<M>(id, setup, recorder.clone()).await.map_err(failed)?;
        // Recorded before the replica can vote: if only the record is found later, something was lost.
        let record = self.record_replica(id, parts.record, new).await.map_err(failed)?;
        let shown_before = shown_before(self.0.identity.node, record, &parts.log, &parts.state);
        // Promises of earlier lives run out before any replica of this node promises again.
        tokio::time::sleep_until(self.0.silent_until).await;
        let forgets = || self.0.longest.forget_earlier(self.0.settings.asks());
        self.0.has_waited.get_or_try_init(forgets).await.map_err(failed)?;
        // From here on the replica takes part.
        let StoredParts { log, state, applier, applied, .. } = parts;
        let peers = self.peers(id, recorder, state.clone());
        let config = self.0.settings.config(id);
        let raft = Raft::new(self.0.identity.node, config, peers.clone(), log.clone(), applier)
            .await
            .map_err(|error| failed(io::Error::other(error.to_string())))?;
        let replica = Arc::new(Replica {
            raft,
            applied,
            state,
            log,
            peers,
            settings: self.0.settings.clone(),
            freshness: Default::default(),
            heard_leader: Default::default(),
            suspension: Default::default(),
            longest: self.0.longest.clone(),
            confirmations: Default::default(),
            incoming: Default::default(),
            waiting_bytes: Default::default(),
            shown_before,
            founder: record == ReplicaRecord::Founder,
        });
        // Two replicas over one log could give two votes in one term.
        let other = self.0.groups.write().insert(id, replica.clone());
        assert!(other.is_none(), "{id} is opened while it is open");
        Ok(Group::new(replica))
    }

    /// Reads and checks what is stored of a replica. First it finishes the erasure of an earlier one.
    async fn read_parts<M: Machine>(
        &self,
        id: GroupId,
        setup: M::Setup,
        recorder: Recorder,
    ) -> io::Result<StoredParts<M>> {
        let stores = &self.0.stores;
        let record = read_replica_record(id, &*stores.log)?;
        if record == Some(ReplicaRecord::Erased) {
            finish_erasing(id, stores).await?;
        }
        // The log and the state are sound by themselves, and then together.
        let log = GroupLog::open(id, stores.log_of(id))?;
        log.report_to(recorder);
        let state = GroupState::open(id, stores.state.clone(), stores.state_syncer.clone())?;
        let damaged = |found| io::Error::new(io::ErrorKind::InvalidData, found);
        check_together(record.is_some(), &log, &state).map_err(damaged)?;
        state.erase_leftovers().await?;
        // Opening the machine may read all of its state, which takes long.
        let (opening, durable) = (state.clone(), Some(log.clone()));
        let (applier, applied) = run_blocking(|| Applier::<M>::open(setup, opening, durable))?;
        Ok(StoredParts { record, log, state, applier, applied })
    }

    /// Makes durable that the replica exists, and returns how it began: as `new` if it was never here, else as
    /// recorded.
    async fn record_replica(
        &self,
        id: GroupId,
        known: Option<ReplicaRecord>,
        new: ReplicaRecord,
    ) -> io::Result<ReplicaRecord> {
        if let Some(known @ (ReplicaRecord::Founder | ReplicaRecord::Newcomer)) = known {
            return Ok(known);
        }
        // An erased replica has forgotten what it acknowledged, so it is not a founder again.
        let record = if known.is_some() { ReplicaRecord::Newcomer } else { new };
        write_replica_record(id, &self.0.stores.log_syncer, record).await?;
        Ok(record)
    }

    fn peers(&self, group: GroupId, events: Recorder, state: GroupState) -> PeerClient {
        PeerClient {
            identity: self.0.identity,
            lives: self.0.lives.clone(),
            group,
            events,
            transport: self.0.transport.clone(),
            faults: self.0.faults.clone(),
            // Sent with every message of a leader, in milliseconds of its own clock.
            lease_ms: self.0.settings.asks().as_millis().try_into().unwrap_or(u32::MAX),
            promise: LeaderPromise::default(),
            patience: self.0.settings.patience(),
            backlog: self.0.settings.backlog(),
            state,
            throttle: self.0.throttle.clone(),
        }
    }
}

/// Returns the error of a replica that stays closed.
fn failed(source: io::Error) -> OpenError {
    let what = "this replica".to_owned();
    match source.kind() {
        io::ErrorKind::InvalidData => damaged_replica(what, &source.to_string()),
        _ => OpenError::Io { what, source },
    }
}

/// Returns up to which index this node may have shown the state of this group before. That is as far as the log
/// went. If an earlier replica was erased, nobody here knows it, and it is `u64::MAX`.
fn shown_before(node: NodeId, record: ReplicaRecord, log: &GroupLog, state: &GroupState) -> u64 {
    let header = state.header();
    let voter = header.membership.membership().voter_ids().any(|voter| voter == node);
    match record {
        // A newcomer that is not a voter yet may stand where an erased replica was.
        ReplicaRecord::Newcomer | ReplicaRecord::Erased if !voter => u64::MAX,
        _ => index_of(&log.summary().1.max(header.applied)),
    }
}
