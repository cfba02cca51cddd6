//! Reads a stored state: page by page as of one moment, or by the machine's own keys as of now.
//!
//! Comes in: a view, or a prefix of keys. Goes out: the machine's own keys, with sealed values if they are sent on,
//! and with checked values if the machine reads them.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;

use super::view::{FreezableStore, FrozenView, StatePage};
use crate::consensus::types::SnapshotMeta;
use crate::machine::{StateReader, Visit};
use crate::storage::erase::PAGE_BYTES;
use crate::storage::record::unseal;
use crate::storage::store::{KeyValueStore, end_of_prefix};

/// The state at one log index, read page by page.
pub struct FrozenState {
    /// The last log id and the membership.
    pub meta: SnapshotMeta,
    /// The pairs, and the length in bytes of their prefix in the store; `None` before the first commit.
    pub(super) pairs: Option<(FrozenView, usize)>,
}

impl FrozenState {
    /// Returns a state before its first commit.
    pub(super) fn empty() -> Self {
        Self { meta: SnapshotMeta::default(), pairs: None }
    }

    /// Returns the next pairs in key order, with the machine's own keys and sealed values; empty at the end.
    ///
    /// # Errors
    /// An I/O error of the store.
    pub fn next_page(&self) -> io::Result<StatePage> {
        let Some((view, prefix_bytes)) = &self.pairs else { return Ok(StatePage::new()) };
        let mut page = view.next_page(PAGE_BYTES)?;
        for (key, _) in &mut page {
            key.drain(..prefix_bytes);
        }
        Ok(page)
    }
}

/// Reads the machine's keys in one generation of its state, and checks each value.
pub(super) struct GenerationReader {
    pub prefix: Vec<u8>,
    pub store: Arc<FreezableStore>,
}

impl StateReader for GenerationReader {
    fn get(&self, key: &[u8]) -> io::Result<Option<Bytes>> {
        let record = self.store.get(&[&self.prefix, key].concat())?;
        record.map(|record| unseal(key, &record)).transpose()
    }

    fn scan(&self, prefix: &[u8], visit: Visit<'_>) -> io::Result<()> {
        let from = [&self.prefix, prefix].concat();
        let mut damage = None;
        // A damaged value ends the scan, and the machine is not opened over the rest.
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
