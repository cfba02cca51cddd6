//! A [`Machine`] as openraft's `RaftStateMachine`: applies committed entries, takes and installs snapshots.
//!
//! Comes in: committed entries in order, and requests to take or install a snapshot. Goes out: the machine's
//! replies, and its changes together with the applied index in one batch. An entry is durable in the log before it
//! is applied. This file must not know what is in a command.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use openraft::EntryPayload;
use openraft::storage::{EntryResponder, RaftSnapshotBuilder, RaftStateMachine, Snapshot};
use parking_lot::RwLock;

use super::digests::Digests;
use super::{FrozenState, GroupState, StagedGeneration};
use crate::consensus::types::{
    CommittedLeaderId, LogEntry, LogId, Node, RaftTypes, SnapshotMeta, StoredMembership, index_of,
};
use crate::consensus::watch;
use crate::events::EventKind;
use crate::machine::{Changes, Garbage, Machine, Position};
use crate::mutants::{Mutant, is_planted};
use crate::storage::log::GroupLog;
use crate::storage::syncer::WRITE_WEIGHT;

/// Entries, at most, that are applied before their replies are sent.
const APPLY_ENTRIES: usize = 128;

/// A snapshot as openraft passes it on, without looking inside.
pub enum SnapshotData {
    /// This replica's own state, to send.
    Frozen(FrozenState),
    /// A received state, to install.
    Staged(StagedGeneration),
}

/// One replica's machine, its stored state, and the index up to which both have applied the log.
pub struct Applier<M: Machine> {
    setup: M::Setup,
    state: GroupState,
    log: Option<GroupLog>,
    machine: Arc<RwLock<Arc<M>>>,
    applied: watch::Sender<Option<LogId>>,
    digests: Digests,
}

/// What readers share with the [`Applier`].
pub struct AppliedState<M> {
    pub machine: Arc<RwLock<Arc<M>>>,
    pub log_id: watch::Receiver<Option<LogId>>,
    pub digests: Digests,
}

impl<M: Machine> Applier<M> {
    /// Opens the machine over its stored state. With a `log`, entries are applied once they are durable in it.
    /// openraft's test suite has no log.
    ///
    /// # Errors
    /// An error of the machine or of the store.
    pub fn open(setup: M::Setup, state: GroupState, log: Option<GroupLog>) -> io::Result<(Self, AppliedState<M>)> {
        if let Some(log) = &log {
            log.note_applied(state.header().applied);
        }
        let machine = Arc::new(M::open(&setup, &state.reader())?);
        let digests = Digests::default();
        digests.replace(index_of(&state.header().applied), digest(&*machine));
        let machine = Arc::new(RwLock::new(machine));
        let (applied, log_id) = watch::channel(state.header().applied);
        let shared = AppliedState { machine: machine.clone(), log_id, digests: digests.clone() };
        Ok((Self { setup, state, log, machine, applied, digests }, shared))
    }

    /// Returns the stored state.
    #[cfg(test)]
    pub fn state(&self) -> &GroupState {
        &self.state
    }

    fn tell(&self, what: impl FnOnce() -> EventKind) {
        if let Some(log) = &self.log {
            log.tell(what);
        }
    }

    /// Starts to erase what `machine` left behind, beside all later work. After a crash the machine gives the rest
    /// out again.
    fn clear_away(&self, machine: &M) {
        let Garbage { keys, memory } = machine.take_garbage();
        // Large memory is freed on another thread, because freeing it takes long.
        if !memory.is_empty() {
            tokio::task::spawn_blocking(move || drop(memory));
        }
        if !keys.is_empty() && !is_planted(Mutant::ForgetsToErase) {
            let state = self.state.clone();
            tokio::spawn(async move {
                if let Err(error) = state.erase_keys(keys).await {
                    tracing::warn!(%error, "what was dropped could not be erased; the next start tries again");
                }
            });
        }
    }

    /// Applies one entry to the machine in memory, and collects its changes. Returns the reply.
    fn apply_entry(&self, machine: &M, entry: &LogEntry, chunk: &mut AppliedChunk) -> io::Result<Bytes> {
        chunk.applied = Some(entry.log_id);
        // Every entry moves the applied index. Only commands reach the machine.
        let reply = match &entry.payload {
            EntryPayload::Blank => Ok(Bytes::new()),
            EntryPayload::Normal(command) => {
                let at = Position { index: entry.log_id.index, term: entry.log_id.leader_id.term };
                machine.apply(at, &command.0, &mut chunk.changes).map_err(io::Error::other)
            }
            EntryPayload::Membership(membership) => {
                chunk.membership = Some(StoredMembership::new(Some(entry.log_id), membership.clone()));
                Ok(Bytes::new())
            }
        }?;
        if Digests::is_due(entry.log_id.index) {
            self.digests.keep(entry.log_id.index, digest(machine));
        }
        Ok(reply)
    }
}

/// Returns the digest of a machine's state and of the index of the last command that it reflects.
fn digest<M: Machine>(machine: &M) -> u64 {
    /// Odd, so different indexes give different summands.
    const INDEX: u64 = 0x9e37_79b9_7f4a_7c15;
    let (index, digest) = machine.digest();
    digest.wrapping_add(index.wrapping_mul(INDEX))
}

/// The outcome of the entries that are applied together.
#[derive(Default)]
struct AppliedChunk {
    changes: Changes,
    applied: Option<LogId>,
    membership: Option<StoredMembership>,
}

impl<M: Machine> RaftStateMachine<RaftTypes> for Applier<M> {
    type SnapshotData = SnapshotData;
    type SnapshotBuilder = SnapshotBuilder;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        let header = self.state.header();
        Ok((header.applied, header.membership))
    }

    async fn apply<S>(&mut self, entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<RaftTypes>>> + Unpin + Send,
    {
        let mut chunks = entries.ready_chunks(APPLY_ENTRIES);
        while let Some(entries) = chunks.next().await {
            let machine = self.machine.read().clone();
            self.clear_away(&machine);
            let mut entries = entries.into_iter().collect::<io::Result<VecDeque<_>>>()?;
            if let (Some(log), Some((first, _)), Some((last, _))) = (&self.log, entries.front(), entries.back()) {
                // No reader may see what a power loss could undo.
                log.claim(self.state.applied(), first.log_id, last.log_id, entries.len()).await?;
                log.wait_durable(last.log_id.index).await?;
            }
            while !entries.is_empty() {
                let mut chunk = AppliedChunk::default();
                let mut replies = Vec::with_capacity(entries.len());
                // The machine may wait for its readers, and a command may take long. Meanwhile other threads run the
                // tasks of this one.
                run_blocking(|| {
                    while chunk.changes.bytes_given() < WRITE_WEIGHT
                        && let Some((entry, responder)) = entries.pop_front()
                    {
                        let reply = self.apply_entry(&machine, &entry, &mut chunk)?;
                        replies.extend(responder.map(|responder| (responder, reply)));
                    }
                    if let Some(applied) = chunk.applied {
                        self.digests.set_present(applied.index, digest(&*machine));
                    }
                    io::Result::Ok(())
                })?;
                // Readers see the entries from here on. Only then are their writers answered.
                if let Some(applied) = chunk.applied {
                    self.state.commit(&chunk.changes, applied, chunk.membership).await?;
                    self.applied.send_replace(Some(applied));
                    self.tell(|| EventKind::Applied { index: applied.index });
                    self.clear_away(&machine);
                }
                for (responder, reply) in replies {
                    responder.send(reply);
                }
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> SnapshotBuilder {
        SnapshotBuilder { state: self.state.clone() }
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, snapshot: SnapshotData) -> io::Result<()> {
        // A frozen state comes back here only in openraft's suite.
        let stage = match snapshot {
            SnapshotData::Staged(stage) => stage,
            SnapshotData::Frozen(frozen) => copy_state(&self.state, &frozen).await?,
        };
        if let Some(log) = self.log.as_ref().filter(|_| !is_planted(Mutant::LeavesCutEntries)) {
            // openraft cut conflicting entries off the log before this. They must not come back after a crash that
            // keeps the new state.
            log.sync().await?;
        }
        // One durable write makes the new state current. Until then a crash keeps the old one.
        self.state.install(stage, meta).await?;
        // The machine is opened anew: what it held in memory belongs to the old state.
        let reader = self.state.reader();
        let machine = run_blocking(|| M::open(&self.setup, &reader))?;
        self.digests.replace(index_of(&meta.last_log_id), digest(&machine));
        *self.machine.write() = Arc::new(machine);
        if let Some(log) = &self.log {
            log.note_applied(meta.last_log_id);
        }
        self.applied.send_replace(meta.last_log_id);
        self.tell(|| EventKind::SnapshotInstalled { index: index_of(&meta.last_log_id) });
        let state = self.state.clone();
        tokio::spawn(async move {
            if let Err(error) = state.erase_below_current().await {
                tracing::warn!(%error, "the state before the snapshot could not be erased; the next start tries again");
            }
        });
        Ok(())
    }

    async fn get_current_snapshot(
        &mut self,
    ) -> io::Result<Option<Snapshot<CommittedLeaderId, u64, Node, SnapshotData>>> {
        if self.state.header().applied.is_none() {
            return Ok(None);
        }
        take_snapshot(&self.state).await.map(Some)
    }
}

/// Takes a snapshot. It is the stored state itself, frozen, so it costs a sync and no copy.
pub struct SnapshotBuilder {
    state: GroupState,
}

impl RaftSnapshotBuilder<RaftTypes> for SnapshotBuilder {
    type SnapshotData = SnapshotData;

    async fn build_snapshot(&mut self) -> io::Result<Snapshot<CommittedLeaderId, u64, Node, SnapshotData>> {
        let snapshot = take_snapshot(&self.state).await?;
        self.state.note_snapshot(index_of(&snapshot.meta.last_log_id));
        Ok(snapshot)
    }
}

/// Freezes the state, and makes it durable.
///
/// # Errors
/// An I/O error of the store.
async fn take_snapshot(state: &GroupState) -> io::Result<Snapshot<CommittedLeaderId, u64, Node, SnapshotData>> {
    let frozen = state.freeze().await?;
    // The log up to here may be purged once this returns, so the state must survive without it.
    state.sync().await?;
    Ok(Snapshot { meta: frozen.meta.clone(), snapshot: SnapshotData::Frozen(frozen) })
}

/// Copies a frozen state into a new generation.
async fn copy_state(state: &GroupState, frozen: &FrozenState) -> io::Result<StagedGeneration> {
    let stage = state.begin_staging();
    loop {
        let page = frozen.next_page()?;
        if page.is_empty() {
            return Ok(stage);
        }
        state.stage_page(stage, page).await?;
    }
}

/// Runs long work. On a runtime with several threads, other threads take over the tasks of this one meanwhile.
pub fn run_blocking<R>(work: impl FnOnce() -> R) -> R {
    match tokio::runtime::Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(tokio::runtime::RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}
