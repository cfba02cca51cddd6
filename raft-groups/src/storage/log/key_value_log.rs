//! A log in the node's key-value store. An entry is a pair, and so are the vote and the last purged log id.
//!
//! All groups of a node share the store and its one worker, so one sync makes the appends of many groups durable. A
//! large append is queued as several batches, which keep their order. The keys are in
//! [`keys`](crate::storage::keys).

use std::io;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::log_store::{AppendDone, LogStore, SealedEntry, StoredEntry};
use crate::GroupId;
use crate::consensus::types::{LogId, Vote};
use crate::format::{AsForm, Formed as _};
use crate::storage::erase::erase_until_empty;
use crate::storage::keys::{LogKey, entry_index};
use crate::storage::record::{put, read};
use crate::storage::store::{EDIT_WEIGHT, KeyValueStore, WriteBatch};
use crate::storage::syncer::{Syncer, WRITE_WEIGHT};

/// Entries that one batch purges.
const PURGE_ENTRIES: u64 = 64;

/// The log of one group in the node's log store.
pub struct KeyValueLog {
    group: GroupId,
    store: Arc<dyn KeyValueStore>,
    syncer: Syncer,
}

impl KeyValueLog {
    /// Makes the log of `group` in `store`, whose worker `syncer` feeds.
    pub fn new(group: GroupId, store: Arc<dyn KeyValueStore>, syncer: &Syncer) -> Self {
        Self { group, store, syncer: syncer.for_owner() }
    }

    /// Returns the key of a record of this group.
    fn key(&self, key: LogKey) -> Vec<u8> {
        key.for_group(self.group)
    }
}

#[async_trait]
impl LogStore for KeyValueLog {
    fn vote(&self) -> io::Result<Option<Vote>> {
        Ok(read::<AsForm<Vote>>(&*self.store, self.group, LogKey::Vote)?.map(|vote| vote.0))
    }

    fn purged(&self) -> io::Result<Option<LogId>> {
        Ok(read::<AsForm<LogId>>(&*self.store, self.group, LogKey::Purged)?.map(|purged| purged.0))
    }

    fn noted_damage(&self) -> io::Result<Option<String>> {
        read(&*self.store, self.group, LogKey::Damage)
    }

    fn scan(&self, range: Range<u64>, visit: &mut dyn FnMut(&StoredEntry<'_>) -> ControlFlow<()>) -> io::Result<()> {
        let (from, to) = (self.key(LogKey::Entry(range.start)), self.key(LogKey::Entry(range.end)));
        self.store.scan(&from, &to, &mut |key, record| {
            // Only keys of entries lie between two keys of entries. A key of another length is damage, and no entry
            // has this index.
            let index = entry_index(key).unwrap_or(u64::MAX);
            visit(&StoredEntry { index, key, record })
        })
    }

    fn append(&self, entries: Vec<SealedEntry>, done: AppendDone) {
        let (mut batch, mut gathered) = (WriteBatch::default(), 0);
        for SealedEntry { index, record } in entries {
            if gathered > WRITE_WEIGHT {
                // If it fails, the rest of the append fails too, because a failure of the store sticks.
                self.syncer.submit(std::mem::take(&mut batch), false, drop);
                gathered = 0;
            }
            gathered += record.len() + EDIT_WEIGHT;
            batch.put(self.key(LogKey::Entry(index)), record);
        }
        self.syncer.submit(batch, true, done);
    }

    fn cut(&self, removed: Range<u64>) {
        let mut batch = WriteBatch::default();
        for index in removed {
            batch.delete(self.key(LogKey::Entry(index)));
        }
        // Not awaited: the queue keeps it before the next append, which makes it durable.
        self.syncer.submit(batch, false, drop);
    }

    fn purge(&self, upto: LogId, removed: Range<u64>) {
        // The record of the purge comes first. After a crash in between, entries up to `upto` may be left, and
        // opening ignores them.
        let mut first = WriteBatch::default();
        put(&mut first, self.group, LogKey::Purged, &upto.form());
        self.syncer.submit(first, false, drop);
        for start in removed.clone().step_by(PURGE_ENTRIES as usize) {
            let mut batch = WriteBatch::default();
            for index in start..removed.end.min(start + PURGE_ENTRIES) {
                batch.delete(self.key(LogKey::Entry(index)));
            }
            self.syncer.submit(batch, false, drop);
        }
    }

    async fn save_vote(&self, vote: &Vote) -> io::Result<()> {
        let mut batch = WriteBatch::default();
        put(&mut batch, self.group, LogKey::Vote, &vote.form());
        self.syncer.carry_out(batch, true).await
    }

    async fn save_vote_and_entries(&self, vote: &Vote, entries: Vec<SealedEntry>) -> io::Result<()> {
        // One batch: after a crash both are there or neither is.
        let mut batch = WriteBatch::default();
        put(&mut batch, self.group, LogKey::Vote, &vote.form());
        for SealedEntry { index, record } in entries {
            batch.put(self.key(LogKey::Entry(index)), record);
        }
        self.syncer.carry_out(batch, true).await
    }

    async fn erase(&self) -> io::Result<()> {
        let all_entries = (self.key(LogKey::Entry(0)), self.key(LogKey::Entry(u64::MAX)));
        erase_until_empty(&*self.store, &self.syncer, all_entries).await?;
        let mut batch = WriteBatch::default();
        batch.delete(self.key(LogKey::Purged));
        batch.delete(self.key(LogKey::Damage));
        self.syncer.carry_out(batch, true).await
    }

    async fn note_damage(&self, found: &str) -> io::Result<()> {
        let mut batch = WriteBatch::default();
        put(&mut batch, self.group, LogKey::Damage, &found);
        self.syncer.carry_out(batch, true).await
    }

    async fn sync(&self) -> io::Result<()> {
        self.syncer.carry_out(WriteBatch::default(), true).await
    }

    fn close(&self) {
        self.syncer.close();
    }

    fn hung_for(&self, longest: Duration) -> Option<Duration> {
        self.syncer.hung_for(longest)
    }
}
