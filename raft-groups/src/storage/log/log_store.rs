//! What a log asks of whatever keeps it: the seam behind which a log's place on disk may change.
//!
//! It speaks of logs (append, read, cut, purge, vote), not of keys. Today a
//! [`KeyValueLog`](super::key_value_log::KeyValueLog) stands behind it, in the node's key-value store; a journal of
//! its own may. openraft's suite, the power cuts and the simulation run over whichever it is. It must not know what
//! entries say, or who reads them.

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

/// Where one group's log and vote are kept.
///
/// What is asked of it is done in the order it was asked for. Once something failed, all that comes after fails too.
#[async_trait]
pub trait LogStore: Send + Sync + 'static {
    /// The vote, where one was saved.
    fn vote(&self) -> io::Result<Option<Vote>>;

    /// The last purged log id, where entries were purged.
    fn purged(&self) -> io::Result<Option<LogId>>;

    /// What damage was noted, where some was.
    fn noted_damage(&self) -> io::Result<Option<String>>;

    /// Visits the stored entries of a range in order, until `visit` breaks. What is queued may be missing, or be there
    /// in part.
    fn scan(&self, range: Range<u64>, visit: &mut dyn FnMut(&StoredEntry<'_>) -> ControlFlow<()>) -> io::Result<()>;

    /// Queues entries behind the last ones; `done` is told once they, and all that was asked for before, are durable.
    /// After a crash a part of them may be there, from the front.
    fn append(&self, entries: Vec<SealedEntry>, done: AppendDone);

    /// Queues the removal of entries at the end. It is durable with the next append, and never after it.
    fn cut(&self, removed: Range<u64>);

    /// Queues the removal of entries at the start, up to `upto`, of which `removed` are stored. After a crash some may
    /// be there still, behind a record that says that they are gone.
    fn purge(&self, upto: LogId, removed: Range<u64>);

    /// Saves the vote; durable on return.
    async fn save_vote(&self, vote: &Vote) -> io::Result<()>;

    /// Saves the vote and entries behind the last ones as one, for the recovery of last resort; durable on return.
    async fn save_vote_and_entries(&self, vote: &Vote, entries: Vec<SealedEntry>) -> io::Result<()>;

    /// Erases the entries, where they begin, and noted damage; the vote stays. Durable on return.
    async fn erase(&self) -> io::Result<()>;

    /// Notes damage for the next opening; durable on return.
    async fn note_damage(&self, found: &str) -> io::Result<()>;

    /// Makes all that was asked for durable.
    async fn sync(&self) -> io::Result<()>;

    /// Takes nothing more. What was asked for before comes before all that anyone asks of the disk now.
    fn close(&self);

    /// How long the disk has been at its writes, where that is longer than `longest` and what their size takes.
    fn hung_for(&self, longest: Duration) -> Option<Duration>;
}

/// Told of the end of an append.
pub type AppendDone = Box<dyn FnOnce(io::Result<()>) + Send>;

/// An entry as it is stored: encoded, under a checksum over its bytes and its place.
pub struct SealedEntry {
    pub index: u64,
    pub record: Bytes,
}

impl SealedEntry {
    /// Encodes an entry of `group`.
    pub fn seal(group: GroupId, entry: &LogEntry) -> Self {
        let index = entry.log_id.index;
        Self { index, record: seal(&LogKey::Entry(index).for_group(group), &entry.form()) }
    }
}

/// A stored entry while it is looked at.
pub struct StoredEntry<'a> {
    /// Its place, by the store; the entry itself must say the same.
    pub index: u64,
    pub key: &'a [u8],
    pub record: &'a [u8],
}

impl StoredEntry<'_> {
    /// Decodes it.
    ///
    /// # Errors
    /// `InvalidData` where its record fails its check.
    pub fn unseal(&self) -> io::Result<LogEntry> {
        unseal::<AsForm<LogEntry>>(self.key, self.record).map(|entry| entry.0)
    }
}
