//! One group's machine state in the node's state store.
//!
//! Every commit writes the machine's changes together with the applied log id, so the two never disagree. A commit
//! is not synced: the log is durable and replays it. A snapshot is received into a *generation* of its own, which
//! one durable write of the header makes current. A partly received one is invisible. A generation that is no longer
//! current is erased.
//!
//! [`applier`] applies commands; openraft calls it. [`header`] says how far the state is. [`view`] freezes one
//! moment while writes go on, and [`pages`] reads it. [`digests`] is what replicas compare.

pub(crate) mod applier;
pub(crate) mod digests;
mod header;
mod pages;
pub(crate) mod view;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use openraft::storage::SnapshotMeta as RaftSnapshotMeta;
use parking_lot::Mutex;

pub use self::header::StateHeader;
use self::header::{put_header, read_header};
pub use self::pages::FrozenState;
use self::pages::GenerationReader;
use self::view::{FreezableStore, StatePage};
use super::erase::erase_range;
use super::keys;
use super::record::{seal, unseal};
use super::store::{WriteBatch, end_of_prefix};
use super::syncer::Syncer;
use crate::GroupId;
use crate::consensus::types::{LogId, SnapshotMeta, StoredMembership};
use crate::machine::{Changes, StateReader};
use crate::mutants::{Mutant, is_planted};

/// The state of one group. Clones share it.
#[derive(Clone)]
pub struct GroupState(Arc<StateShared>);

/// What the handles of one state share.
///
/// Invariants, each asserted where it could break: the applied index goes back only when a snapshot is installed; a
/// snapshot is received in a generation after the current one; the current generation never goes back.
struct StateShared {
    group: GroupId,
    store: Arc<FreezableStore>,
    syncer: Syncer,
    header: Mutex<StateHeader>,
    newest_staged: Mutex<u32>,
    /// The index of the newest snapshot that was taken since the start; 0 for none.
    snapshot: AtomicU64,
    failure: Arc<Mutex<Option<(io::ErrorKind, String)>>>,
}

/// The generation of keys for a snapshot that is being received. No reader sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StagedGeneration {
    generation: u32,
}

impl GroupState {
    /// Opens the stored state of `group`, or an empty one.
    ///
    /// # Errors
    /// `InvalidData` if the header is damaged, or an I/O error of the store.
    pub fn open(group: GroupId, store: Arc<FreezableStore>, syncer: Syncer) -> io::Result<Self> {
        let header = read_header(group, &*store)?.unwrap_or_default();
        let (newest_staged, syncer) = (Mutex::new(header.generation), syncer.for_owner());
        let (header, snapshot, failure) = (Mutex::new(header), AtomicU64::default(), Arc::default());
        Ok(Self(Arc::new(StateShared { group, store, syncer, header, newest_staged, snapshot, failure })))
    }

    /// Returns this state's handle on the queue of the store.
    pub fn syncer(&self) -> &Syncer {
        &self.0.syncer
    }

    /// Notes that a snapshot of the log up to `index` was taken.
    pub fn note_snapshot(&self, index: u64) {
        self.0.snapshot.fetch_max(index, Ordering::Relaxed);
    }

    /// Returns the last log index in the newest snapshot; 0 if none was taken since the start.
    pub fn newest_snapshot(&self) -> u64 {
        self.0.snapshot.load(Ordering::Relaxed)
    }

    /// Returns the header as of the last commit.
    pub fn header(&self) -> StateHeader {
        self.0.header.lock().clone()
    }

    /// Returns the last log entry that the state reflects.
    pub fn applied(&self) -> Option<LogId> {
        self.0.header.lock().applied
    }

    /// Returns the stored state, for [`crate::Machine::open`].
    pub fn reader(&self) -> impl StateReader + use<> {
        GenerationReader {
            prefix: keys::state_prefix(self.0.group, self.header().generation),
            store: self.0.store.clone(),
        }
    }

    /// Queues the changes of the entries up to `applied`. It waits only if the store has fallen behind.
    ///
    /// # Errors
    /// The error of an earlier commit: a store that failed once is not trusted again.
    pub async fn commit(
        &self,
        changes: &Changes,
        applied: LogId,
        membership: Option<StoredMembership>,
    ) -> io::Result<()> {
        // A commit does not wait for the store, so the next one reports its failure.
        if let Some((kind, message)) = self.0.failure.lock().clone() {
            return Err(io::Error::new(kind, message));
        }
        self.0.syncer.wait_for_room().await;
        let mut header = self.0.header.lock();
        // Going back would undo what a reader saw, and apply entries twice after a restart.
        assert!(header.applied.is_none_or(|before| before.index <= applied.index), "the state goes back to {applied}");
        header.applied = Some(applied);
        if let Some(membership) = membership {
            header.membership = membership;
        }
        // Header and changes go into one batch, so after a crash the replay begins exactly where the state ends.
        let prefix = keys::state_prefix(self.0.group, header.generation);
        let mut batch = WriteBatch::default();
        let loses_deletes = is_planted(Mutant::LosesDeletes);
        for (key, value) in changes.iter().filter(|(_, value)| value.is_some() || !loses_deletes) {
            let value = value.map(|value| seal(key, value));
            batch.edits.push(([&prefix, key].concat(), value));
        }
        put_header(self.0.group, &header, &mut batch);
        // Queued under the lock of the header, so batches and headers have one order.
        let failure = self.0.failure.clone();
        self.0.syncer.submit(batch, false, move |result| {
            if let Err(error) = result {
                *failure.lock() = Some((error.kind(), error.to_string()));
            }
        });
        Ok(())
    }

    /// Makes every commit so far survive a power loss.
    ///
    /// # Errors
    /// An I/O error of the store.
    pub async fn sync(&self) -> io::Result<()> {
        self.0.syncer.carry_out(WriteBatch::default(), true).await
    }

    /// Freezes the state as of the last commit.
    ///
    /// # Errors
    /// An I/O error of the store, or `InvalidData` if the header is damaged.
    pub async fn freeze(&self) -> io::Result<FrozenState> {
        // The view sees only what is written, so all that is queued is written first.
        self.0.syncer.carry_out(WriteBatch::default(), false).await?;
        let group = self.0.group;
        loop {
            let Some(before) = read_header(group, &*self.0.store)? else { return Ok(FrozenState::empty()) };
            let prefix = keys::state_prefix(group, before.generation);
            let view = self.0.store.freeze(keys::state_header(group), end_of_prefix(&prefix));
            // The header in the view belongs to the state in the view. An installation may have come in between;
            // then try again.
            let first = view.next_page(1)?;
            let Some((key, record)) = first.first() else { return Ok(FrozenState::empty()) };
            let header: StateHeader = unseal(key, record)?;
            if header.generation != before.generation {
                continue;
            }
            view.skip_to(prefix.clone());
            let meta = RaftSnapshotMeta { last_log_id: header.applied, last_membership: header.membership };
            return Ok(FrozenState { meta, pairs: Some((view, prefix.len())) });
        }
    }

    /// Begins to receive a snapshot. An earlier one can no longer be installed.
    pub fn begin_staging(&self) -> StagedGeneration {
        let mut newest = self.0.newest_staged.lock();
        *newest = if is_planted(Mutant::KeepsOldKeys) { self.header().generation } else { *newest + 1 };
        debug_assert!(
            *newest > self.header().generation || is_planted(Mutant::KeepsOldKeys),
            "a snapshot would be received over the state that is shown"
        );
        StagedGeneration { generation: *newest }
    }

    /// Stores one page of a snapshot, which no reader sees. The values are sealed.
    ///
    /// # Errors
    /// An I/O error of the store.
    pub async fn stage_page(&self, staged: StagedGeneration, page: StatePage) -> io::Result<()> {
        self.0.syncer.wait_for_room().await;
        let prefix = keys::state_prefix(self.0.group, staged.generation);
        let edits = page.into_iter().map(|(key, value)| ([&prefix[..], &key].concat(), Some(value)));
        self.0.syncer.carry_out(WriteBatch { edits: edits.collect() }, false).await
    }

    /// Makes a received snapshot the current state, atomically. Durable on return.
    ///
    /// # Errors
    /// An error if a newer snapshot is being received, or an I/O error of the store.
    pub async fn install(&self, staged: StagedGeneration, meta: &SnapshotMeta) -> io::Result<()> {
        if staged.generation != *self.0.newest_staged.lock() {
            return Err(io::Error::other("a newer snapshot is being received"));
        }
        assert!(staged.generation >= self.header().generation, "a generation would come back that was erased");
        // The sync covers the pages before it in the queue, so the header never names a generation that is not
        // durable.
        let header = StateHeader {
            generation: staged.generation,
            applied: meta.last_log_id,
            membership: meta.last_membership.clone(),
            installed: meta.last_log_id,
        };
        let mut batch = WriteBatch::default();
        put_header(self.0.group, &header, &mut batch);
        self.0.syncer.carry_out(batch, true).await?;
        *self.0.header.lock() = header;
        Ok(())
    }

    /// Erases every generation but the current one. Call it only before the replica takes part: no snapshot may be
    /// received.
    pub async fn erase_leftovers(&self) -> io::Result<()> {
        self.erase_below_current().await?;
        let after = keys::state_prefix(self.0.group, self.header().generation + 1);
        self.erase(after, end_of_prefix(&keys::all_generations(self.0.group))).await
    }

    /// Erases the generations before the current one.
    ///
    /// # Errors
    /// An I/O error of the store. Some pages may be erased.
    pub async fn erase_below_current(&self) -> io::Result<()> {
        let current = keys::state_prefix(self.0.group, self.header().generation);
        self.erase(keys::all_generations(self.0.group), current).await
    }

    /// Erases ranges of the machine's own keys, a page at a time; each from its first key up to and without its
    /// second.
    ///
    /// # Errors
    /// An I/O error of the store. Some pages may be erased.
    pub async fn erase_keys(&self, ranges: Vec<(Vec<u8>, Vec<u8>)>) -> io::Result<()> {
        // What was committed may still be queued, and the erasure sees only what is written.
        self.0.syncer.carry_out(WriteBatch::default(), false).await?;
        let prefix = keys::state_prefix(self.0.group, self.header().generation);
        for (from, to) in ranges {
            self.erase([&prefix[..], &from].concat(), [&prefix[..], &to].concat()).await?;
        }
        Ok(())
    }

    /// Erases all generations before `staged` but the current one. No installation may be under way.
    pub async fn erase_before(&self, staged: StagedGeneration) -> io::Result<()> {
        self.erase_below_current().await?;
        let start_of = |generation| keys::state_prefix(self.0.group, generation);
        self.erase(start_of(self.header().generation + 1), start_of(staged.generation)).await
    }

    async fn erase(&self, from: Vec<u8>, to: Vec<u8>) -> io::Result<()> {
        erase_range(&*self.0.store, &self.0.syncer, (from, to)).await
    }
}
