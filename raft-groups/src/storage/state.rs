//! One group's machine state in the node's state store.
//!
//! Every commit writes the machine's changes together with the applied log id, so the two never disagree. It is not
//! synced: the log is durable and replays. A snapshot is received into a *generation* of its own, which one durable
//! write of the header makes current; a half-received one is invisible, and what is no longer current is erased.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use openraft::storage::SnapshotMeta as RaftSnapshotMeta;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::frozen::{FreezableStore, Page, View};
use super::keys;
use super::record::{seal, unseal};
use super::store::{Batch, Store, end_of_prefix};
use super::syncer::Syncer;
use crate::GroupId;
use crate::format::AsForm;
use crate::machine::{Changes, StateReader, Visit};
use crate::mutants::{Mutant, is_planted};
use crate::types::{LogId, SnapshotMeta, StoredMembership};

/// Bytes of a page, about: one chunk of a snapshot, one step of an erasure.
pub const PAGE_BYTES: usize = 128 * 1024;

/// What is known of the stored state; one record, written with every commit.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Header {
    /// Which generation of keys is the state.
    pub generation: u32,
    /// The last log entry the state reflects.
    #[serde(with = "AsForm")]
    pub applied: Option<LogId>,
    /// The last membership among the applied entries.
    #[serde(with = "AsForm")]
    pub membership: StoredMembership,
    /// The last log entry of the last snapshot installed.
    #[serde(with = "AsForm")]
    pub installed: Option<LogId>,
}

/// The state of one group; clones share it.
#[derive(Clone)]
pub struct GroupState(Arc<Inner>);

struct Inner {
    group: GroupId,
    store: Arc<FreezableStore>,
    syncer: Syncer,
    header: Mutex<Header>,
    newest_stage: Mutex<u32>,
    /// The index of the newest snapshot taken since the start.
    snapshot: AtomicU64,
    failure: Arc<Mutex<Option<(io::ErrorKind, String)>>>,
}

/// State at one log index, read page by page.
pub struct FrozenState {
    /// The log index and the membership.
    pub meta: SnapshotMeta,
    /// The pairs, and the length of the prefix they have in the store; nothing before the first commit.
    pairs: Option<(View, usize)>,
}

/// A snapshot on its way in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stage {
    generation: u32,
}

impl GroupState {
    /// Opens what is stored of `group`, or an empty state.
    pub fn open(group: GroupId, store: Arc<FreezableStore>, syncer: Syncer) -> io::Result<Self> {
        let header = read_header(group, &*store)?.unwrap_or_default();
        let (newest_stage, syncer) = (Mutex::new(header.generation), syncer.for_owner());
        let (header, snapshot, failure) = (Mutex::new(header), AtomicU64::default(), Arc::default());
        Ok(Self(Arc::new(Inner { group, store, syncer, header, newest_stage, snapshot, failure })))
    }

    /// The queue in front of its store.
    pub fn syncer(&self) -> &Syncer {
        &self.0.syncer
    }

    /// Notes that a snapshot was taken which reflects the log up to `index`.
    pub fn snapshot_taken(&self, index: u64) {
        self.0.snapshot.fetch_max(index, Ordering::Relaxed);
    }

    /// Up to which index the newest snapshot reflects the log; 0 where none was taken since the start.
    pub fn newest_snapshot(&self) -> u64 {
        self.0.snapshot.load(Ordering::Relaxed)
    }

    /// The header as of the last commit.
    pub fn header(&self) -> Header {
        self.0.header.lock().clone()
    }

    /// The last log entry that the state reflects.
    pub fn applied(&self) -> Option<LogId> {
        self.0.header.lock().applied
    }

    /// The stored state, for [`crate::Machine::open`].
    pub fn reader(&self) -> impl StateReader + use<> {
        Reader { prefix: keys::state_prefix(self.0.group, self.header().generation), store: self.0.store.clone() }
    }

    /// Queues the changes of the entries up to `applied`; waits only where the store falls behind.
    pub async fn commit(
        &self,
        changes: &Changes,
        applied: LogId,
        membership: Option<StoredMembership>,
    ) -> io::Result<()> {
        if let Some((kind, message)) = self.0.failure.lock().clone() {
            return Err(io::Error::new(kind, message));
        }
        self.0.syncer.room().await;
        let mut header = self.0.header.lock();
        header.applied = Some(applied);
        if let Some(membership) = membership {
            header.membership = membership;
        }
        let prefix = keys::state_prefix(self.0.group, header.generation);
        let mut batch = Batch::default();
        let loses_deletes = is_planted(Mutant::LosesDeletes);
        for (key, value) in changes.iter().filter(|(_, value)| value.is_some() || !loses_deletes) {
            let value = value.map(|value| seal(key, value));
            batch.edits.push(([&prefix, key].concat(), value));
        }
        put_header(self.0.group, &header, &mut batch);
        let failure = self.0.failure.clone();
        self.0.syncer.submit(batch, false, move |result| {
            if let Err(error) = result {
                *failure.lock() = Some((error.kind(), error.to_string()));
            }
        });
        Ok(())
    }

    /// Makes every commit so far survive a power loss.
    pub async fn sync(&self) -> io::Result<()> {
        self.0.syncer.carry_out(Batch::default(), true).await
    }

    /// Freezes the state as of the last commit.
    pub async fn freeze(&self) -> io::Result<FrozenState> {
        self.0.syncer.carry_out(Batch::default(), false).await?;
        let group = self.0.group;
        loop {
            let Some(before) = read_header(group, &*self.0.store)? else { return Ok(FrozenState::empty()) };
            let prefix = keys::state_prefix(group, before.generation);
            let view = self.0.store.freeze(keys::state_header(group), end_of_prefix(&prefix));
            // The view's own header is the one that belongs to its state; an installation may have come in between.
            let first = view.next_page(1)?;
            let Some((key, record)) = first.first() else { return Ok(FrozenState::empty()) };
            let header: Header = unseal(key, record)?;
            if header.generation != before.generation {
                continue;
            }
            view.skip_to(prefix.clone());
            let meta = RaftSnapshotMeta { last_log_id: header.applied, last_membership: header.membership };
            return Ok(FrozenState { meta, pairs: Some((view, prefix.len())) });
        }
    }

    /// Begins to receive a snapshot; one begun earlier can no longer be installed.
    pub fn begin_stage(&self) -> Stage {
        let mut newest = self.0.newest_stage.lock();
        *newest = if is_planted(Mutant::KeepsOldKeys) { self.header().generation } else { *newest + 1 };
        Stage { generation: *newest }
    }

    /// Stores one page of a snapshot, out of sight.
    pub async fn stage(&self, stage: Stage, page: Page) -> io::Result<()> {
        self.0.syncer.room().await;
        let prefix = keys::state_prefix(self.0.group, stage.generation);
        let edits = page.into_iter().map(|(key, value)| ([&prefix[..], &key].concat(), Some(value)));
        self.0.syncer.carry_out(Batch { edits: edits.collect() }, false).await
    }

    /// Makes a staged snapshot the state, at once and durably.
    pub async fn install(&self, stage: Stage, meta: &SnapshotMeta) -> io::Result<()> {
        if stage.generation != *self.0.newest_stage.lock() {
            return Err(io::Error::other("a newer snapshot is being received"));
        }
        let header = Header {
            generation: stage.generation,
            applied: meta.last_log_id,
            membership: meta.last_membership.clone(),
            installed: meta.last_log_id,
        };
        let mut batch = Batch::default();
        put_header(self.0.group, &header, &mut batch);
        self.0.syncer.carry_out(batch, true).await?;
        *self.0.header.lock() = header;
        Ok(())
    }

    /// Erases every generation but the current one; only before the replica takes part, when none is being received.
    pub async fn erase_leftovers(&self) -> io::Result<()> {
        self.erase_below_current().await?;
        let after = keys::state_prefix(self.0.group, self.header().generation + 1);
        self.erase(after, end_of_prefix(&keys::all_generations(self.0.group))).await
    }

    /// Erases the generations before the current one.
    pub async fn erase_below_current(&self) -> io::Result<()> {
        let current = keys::state_prefix(self.0.group, self.header().generation);
        self.erase(keys::all_generations(self.0.group), current).await
    }

    /// Erases ranges of the machine's own keys, a page at a time.
    pub async fn erase_keys(&self, ranges: Vec<(Vec<u8>, Vec<u8>)>) -> io::Result<()> {
        // What was committed may still be on its way to the store.
        self.0.syncer.carry_out(Batch::default(), false).await?;
        let prefix = keys::state_prefix(self.0.group, self.header().generation);
        for (from, to) in ranges {
            self.erase([&prefix[..], &from].concat(), [&prefix[..], &to].concat()).await?;
        }
        Ok(())
    }

    /// Erases what earlier stages have left. No installation may be under way.
    pub async fn erase_before(&self, stage: Stage) -> io::Result<()> {
        self.erase_below_current().await?;
        let start_of = |generation| keys::state_prefix(self.0.group, generation);
        self.erase(start_of(self.header().generation + 1), start_of(stage.generation)).await
    }

    async fn erase(&self, from: Vec<u8>, to: Vec<u8>) -> io::Result<()> {
        erase_range(&*self.0.store, &self.0.syncer, (from, to)).await
    }
}

/// Erases the keys from the first of the two up to the second, page by page; not durable yet.
pub async fn erase_range(store: &dyn Store, syncer: &Syncer, (mut from, to): (Vec<u8>, Vec<u8>)) -> io::Result<()> {
    while from < to {
        let mut batch = Batch::default();
        let mut bytes = 0;
        let mut visit = |key: &[u8], value: &[u8]| {
            bytes += key.len() + value.len();
            batch.delete(key.to_vec());
            if bytes < PAGE_BYTES { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        store.scan(&from, &to, &mut visit)?;
        let Some((last, _)) = batch.edits.last() else { return Ok(()) };
        from = last.clone();
        syncer.carry_out(batch, false).await?;
    }
    Ok(())
}

impl FrozenState {
    fn empty() -> Self {
        Self { meta: SnapshotMeta::default(), pairs: None }
    }

    /// The next pairs, with the machine's own keys and sealed values; empty at the end.
    pub fn next_page(&self) -> io::Result<Page> {
        let Some((view, prefix_bytes)) = &self.pairs else { return Ok(Page::new()) };
        let mut page = view.next_page(PAGE_BYTES)?;
        for (key, _) in &mut page {
            key.drain(..prefix_bytes);
        }
        Ok(page)
    }
}

fn read_header(group: GroupId, store: &dyn Store) -> io::Result<Option<Header>> {
    let key = keys::state_header(group);
    store.get(&key)?.map(|record| unseal(&key, &record)).transpose()
}

fn put_header(group: GroupId, header: &Header, batch: &mut Batch) {
    let key = keys::state_header(group);
    let record = seal(&key, header);
    batch.put(key, record);
}

struct Reader {
    prefix: Vec<u8>,
    store: Arc<FreezableStore>,
}

impl StateReader for Reader {
    fn get(&self, key: &[u8]) -> io::Result<Option<Bytes>> {
        let record = self.store.get(&[&self.prefix, key].concat())?;
        record.map(|record| unseal(key, &record)).transpose()
    }

    fn scan(&self, prefix: &[u8], visit: Visit<'_>) -> io::Result<()> {
        let from = [&self.prefix, prefix].concat();
        let mut damage = None;
        let mut unsealing = |key: &[u8], record: &[u8]| {
            let key = &key[self.prefix.len()..];
            match unseal::<Bytes>(key, record) {
                Ok(value) => visit(key, &value),
                Err(error) => {
                    damage = Some(error);
                    ControlFlow::Break(())
                }
            }
        };
        self.store.scan(&from, &end_of_prefix(&from), &mut unsealing)?;
        damage.map_or(Ok(()), Err)
    }
}
