//! What a log needs of the place that keeps it. Behind this interface the place may change.
//!
//! It speaks of logs (append, read, cut, purge, vote), not of keys. The
//! [`KeyValueLog`](super::key_value_log::KeyValueLog) implements it in the node's key-value store. openraft's suite,
//! the power cuts and the simulation test any implementation. This file must not know what entries say, or who reads
//! them.

use std::io;
use std::ops::{ControlFlow, Range};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::GroupId;
use crate::consensus::types::{LogEntry, LogId, Vote};
use crate::format::{AsForm, Formed as _};
use crate::storage::keys::LogKey;
use crate::storage::record::{seal, unseal};

/// The place that keeps one group's log and vote.
///
/// Requests are carried out in order. Once a request failed, all later ones fail too.
#[async_trait]
pub trait LogStore: Send + Sync + 'static {
    /// Returns the vote, if one was saved.
    ///
    /// # Errors
    /// `InvalidData` if its record is damaged, or an I/O error.
    fn vote(&self) -> io::Result<Option<Vote>>;

    /// Returns the last purged log id, if entries were purged.
    ///
    /// # Errors
    /// `InvalidData` if its record is damaged, or an I/O error.
    fn purged(&self) -> io::Result<Option<LogId>>;

    /// Returns the damage that was noted, if any.
    ///
    /// # Errors
    /// `InvalidData` if its record is damaged, or an I/O error.
    fn noted_damage(&self) -> io::Result<Option<String>>;

    /// Visits the stored entries of a range in order, until `visit` breaks. Entries that are only queued may be
    /// missing, or some of them may be there.
    ///
    /// # Errors
    /// An I/O error.
    fn scan(&self, range: Range<u64>, visit: &mut dyn FnMut(&StoredEntry<'_>) -> ControlFlow<()>) -> io::Result<()>;

    /// Queues entries after the last ones. `done` is called once they, and all that was asked for before, are
    /// durable. After a crash the first few of them may be there.
    fn append(&self, entries: Vec<SealedEntry>, done: AppendDone);

    /// Queues the removal of entries at the end. It is durable no later than the next append.
    fn cut(&self, removed: Range<u64>);

    /// Queues the removal of entries at the start, up to `upto`, of which `removed` are stored. After a crash some
    /// may still be there; a record then says that they are purged.
    fn purge(&self, upto: LogId, removed: Range<u64>);

    /// Saves the vote. Durable on return.
    ///
    /// # Errors
    /// An I/O error. Then the vote must not be given.
    async fn save_vote(&self, vote: &Vote) -> io::Result<()>;

    /// Saves the vote and entries after the last ones, atomically, for the recovery of last resort. Durable on
    /// return.
    ///
    /// # Errors
    /// An I/O error.
    async fn save_vote_and_entries(&self, vote: &Vote, entries: Vec<SealedEntry>) -> io::Result<()>;

    /// Erases the entries, the last purged log id, and noted damage. The vote stays. Durable on return.
    ///
    /// # Errors
    /// An I/O error. Some entries may be erased.
    async fn erase(&self) -> io::Result<()>;

    /// Notes damage for the next opening. Durable on return.
    ///
    /// # Errors
    /// An I/O error.
    async fn note_damage(&self, found: &str) -> io::Result<()>;

    /// Makes durable all that was asked for.
    ///
    /// # Errors
    /// An I/O error.
    async fn sync(&self) -> io::Result<()>;

    /// Refuses every later request. What was asked for before comes before all that anyone asks of the disk now.
    fn close(&self);

    /// Returns how long the disk has been busy with its current writes, if that is longer than `longest` plus the
    /// time for all waiting bytes.
    fn hung_for(&self, longest: Duration) -> Option<Duration>;
}

/// Called once an append is durable, or has failed.
pub type AppendDone = Box<dyn FnOnce(io::Result<()>) + Send>;

/// An entry as it is stored: encoded, with a checksum over its bytes and its key.
pub struct SealedEntry {
    pub index: u64,
    pub record: Bytes,
}

impl SealedEntry {
    /// Encodes an entry of `group`, with its checksum.
    pub fn seal(group: GroupId, entry: &LogEntry) -> Self {
        let index = entry.log_id.index;
        Self { index, record: seal(&LogKey::Entry(index).for_group(group), &entry.form()) }
    }
}

/// A stored entry, as a scan visits it.
pub struct StoredEntry<'a> {
    /// Its index by its key. The entry itself must have the same.
    pub index: u64,
    pub key: &'a [u8],
    pub record: &'a [u8],
}

impl StoredEntry<'_> {
    /// Decodes the entry.
    ///
    /// # Errors
    /// `InvalidData` if the record fails its check.
    pub fn unseal(&self) -> io::Result<LogEntry> {
        unseal::<AsForm<LogEntry>>(self.key, self.record).map(|entry| entry.0)
    }
}
