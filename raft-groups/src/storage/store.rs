//! What consensus needs of a disk: an ordered key-value store with atomic batches, and a sync that is true.
//!
//! sled and the simulated disk keep this contract, and the log and the state rely on it. It must not know what is
//! stored.

use std::io;

use bytes::Bytes;

pub use crate::machine::Visit;

/// An ordered key-value store. Every call may block. Only the store's worker calls `write` and `sync`.
pub trait KeyValueStore: Send + Sync + 'static {
    /// Returns the value of `key`.
    ///
    /// # Errors
    /// An I/O error, or `InvalidData` if what is stored is damaged.
    fn get(&self, key: &[u8]) -> io::Result<Option<Bytes>>;

    /// Visits the pairs with `from <= key < to` in key order, until `visit` breaks.
    ///
    /// # Errors
    /// An I/O error, or `InvalidData` if what is stored is damaged.
    fn scan(&self, from: &[u8], to: &[u8], visit: Visit<'_>) -> io::Result<()>;

    /// Carries out a batch atomically. After a crash it is whole or absent, and it is never there without the
    /// batches written before it. It is visible to readers on return; a reader that reads meanwhile may see some of
    /// its edits. It is not durable yet.
    ///
    /// # Errors
    /// An I/O error. Some edits may be visible.
    fn write(&self, batch: &WriteBatch) -> io::Result<()>;

    /// Makes every batch written before this call survive a power loss.
    ///
    /// # Errors
    /// An I/O error. Then nothing written since the last success counts as durable, even if a later sync succeeds.
    fn sync(&self) -> io::Result<()>;

    /// Returns the bytes that this store takes on its disk.
    fn size_on_disk(&self) -> u64;
}

/// What an edit of a [`WriteBatch`] costs beside its bytes, about, in bytes. A store also writes what lies beside
/// it.
pub const EDIT_WEIGHT: usize = 1024;

/// Edits that are carried out atomically. Of two edits of a key the later one wins; `None` removes.
#[derive(Debug, Default, Clone)]
pub struct WriteBatch {
    pub edits: Vec<(Vec<u8>, Option<Bytes>)>,
}

impl WriteBatch {
    /// Sets `key` to `value`.
    pub fn put(&mut self, key: Vec<u8>, value: impl Into<Bytes>) {
        self.edits.push((key, Some(value.into())));
    }

    /// Removes `key`.
    pub fn delete(&mut self, key: Vec<u8>) {
        self.edits.push((key, None));
    }

    /// Returns about how much the store writes for it, in bytes.
    pub fn weight(&self) -> usize {
        self.bytes() + self.edits.len() * EDIT_WEIGHT
    }

    /// Returns the bytes of its keys and values.
    pub fn bytes(&self) -> usize {
        self.edits.iter().map(|(key, value)| key.len() + value.as_ref().map_or(0, Bytes::len)).sum()
    }
}

/// Returns the first key after all keys that start with `prefix`, which must not be all 0xff.
pub fn end_of_prefix(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < 0xff {
            end.push(last + 1);
            return end;
        }
    }
    vec![0xff; prefix.len() + 1]
}
