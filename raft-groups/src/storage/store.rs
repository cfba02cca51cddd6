//! What consensus asks of a disk: an ordered key-value store with atomic batches and an honest sync.
//!
//! The contract that sled and the simulated disk keep, and that the log and the state rest on. It must not know what
//! is stored.

use std::io;

use bytes::Bytes;

pub use crate::machine::Visit;

/// An ordered key-value store. All calls may block; only the sync thread calls `write` and `sync`.
pub trait KeyValueStore: Send + Sync + 'static {
    /// The value of one key.
    fn get(&self, key: &[u8]) -> io::Result<Option<Bytes>>;

    /// Visits the pairs with `from <= key < to` in key order.
    fn scan(&self, from: &[u8], to: &[u8], visit: Visit<'_>) -> io::Result<()>;

    /// Carries out a batch as one: after a crash either whole or absent, and never there without the batches written
    /// before it. Visible to readers on return; one that reads meanwhile may see some of its edits. Not durable yet.
    fn write(&self, batch: &WriteBatch) -> io::Result<()>;

    /// Makes every batch written before this call survive a power loss.
    ///
    /// After an error nothing written since the last success may be believed durable, not even after a later success.
    fn sync(&self) -> io::Result<()>;

    /// Bytes this store takes up on its disk.
    fn size_on_disk(&self) -> u64;
}

/// What an edit of a [`WriteBatch`] costs beside its bytes, about: a store writes what is around it too.
pub const EDIT_WEIGHT: usize = 1024;

/// Edits to be carried out as one, in order; `None` removes.
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

    /// About what it takes to write it, in bytes.
    pub fn weight(&self) -> usize {
        self.bytes() + self.edits.len() * EDIT_WEIGHT
    }

    /// Bytes of keys and values.
    pub fn bytes(&self) -> usize {
        self.edits.iter().map(|(key, value)| key.len() + value.as_ref().map_or(0, Bytes::len)).sum()
    }
}

/// The first key after all keys that start with `prefix` (which must not be all 0xff).
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
