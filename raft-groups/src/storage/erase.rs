//! Erases a range of keys, a page at a time, so other writes can come in between.
//!
//! Comes in: a range of keys. Goes out: a store without them. The erasure is not durable yet.

use std::io;
use std::ops::ControlFlow;

use super::store::{KeyValueStore, WriteBatch};
use super::syncer::Syncer;
use crate::mutants::{Mutant, is_planted};

/// Bytes of a page, about. A page is one chunk of a snapshot, or one step of an erasure.
pub const PAGE_BYTES: usize = 128 * 1024;

/// How often a range is looked through until nothing is found in it.
const PASSES: u32 = 16;

/// Erases the keys `from <= key < to` until none is found. It is not durable yet. A store whose file has lost a piece may
/// show older keys once newer ones are gone, so one pass proves nothing. Nobody may write to the range meanwhile.
///
/// # Errors
/// `InvalidData` if keys appear again and again: the store is damaged. An I/O error of the store.
pub async fn erase_until_empty(
    store: &dyn KeyValueStore,
    syncer: &Syncer,
    (from, to): (Vec<u8>, Vec<u8>),
) -> io::Result<()> {
    for _ in 0..PASSES {
        erase_range(store, syncer, (from.clone(), to.clone())).await?;
        let mut is_empty = true;
        let mut visit = |_: &[u8], _: &[u8]| {
            is_empty = false;
            ControlFlow::Break(())
        };
        store.scan(&from, &to, &mut visit)?;
        if is_empty || is_planted(Mutant::ErasesOnce) {
            return Ok(());
        }
    }
    let what = "what is erased appears again and again: the store is damaged; replace this node";
    Err(io::Error::new(io::ErrorKind::InvalidData, what))
}

/// Erases the keys `from <= key < to`, page by page. It is not durable yet.
///
/// # Errors
/// An I/O error of the store. Some pages may be erased.
pub async fn erase_range(
    store: &dyn KeyValueStore,
    syncer: &Syncer,
    (mut from, to): (Vec<u8>, Vec<u8>),
) -> io::Result<()> {
    while from < to {
        let mut batch = WriteBatch::default();
        let mut bytes = 0;
        let mut visit = |key: &[u8], value: &[u8]| {
            bytes += key.len() + value.len();
            batch.delete(key.to_vec());
            if bytes < PAGE_BYTES { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        store.scan(&from, &to, &mut visit)?;
        let Some((last, _)) = batch.edits.last() else { return Ok(()) };
        // The next scan begins at the last key again, which is gone by then.
        from = last.clone();
        syncer.carry_out(batch, false).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use bytes::Bytes;
    use parking_lot::Mutex;

    use super::*;
    use crate::mutants::plant;
    use crate::storage::store::Visit;

    /// A store that has lost pieces: for each key that is removed, `again` times an older one appears below all others.
    struct Haunted {
        pairs: Mutex<BTreeMap<Vec<u8>, Bytes>>,
        again: Mutex<u32>,
    }

    impl KeyValueStore for Haunted {
        fn get(&self, key: &[u8]) -> io::Result<Option<Bytes>> {
            Ok(self.pairs.lock().get(key).cloned())
        }

        fn scan(&self, from: &[u8], to: &[u8], visit: Visit<'_>) -> io::Result<()> {
            let found: Vec<_> = self
                .pairs
                .lock()
                .range(from.to_vec()..to.to_vec())
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect();
            let _ended = found.iter().try_for_each(|(key, value)| visit(key, value));
            Ok(())
        }

        fn write(&self, batch: &WriteBatch) -> io::Result<()> {
            let (mut pairs, mut again) = (self.pairs.lock(), self.again.lock());
            for (key, _) in &batch.edits {
                pairs.remove(key);
                if *again > 0 {
                    *again -= 1;
                    pairs.insert(vec![1, *again as u8], Bytes::from_static(b"old"));
                }
            }
            Ok(())
        }

        fn sync(&self) -> io::Result<()> {
            Ok(())
        }

        fn size_on_disk(&self) -> u64 {
            0
        }
    }

    /// What is left of 10 keys after an erasure, or why it ended.
    async fn left(again: u32) -> io::Result<usize> {
        let pairs = (10..20).map(|key| (vec![1, 200 + key], Bytes::from_static(b"new"))).collect();
        let store = Arc::new(Haunted { pairs: Mutex::new(pairs), again: Mutex::new(again) });
        let syncer = Syncer::thread("haunted", store.clone())?;
        erase_until_empty(&*store, &syncer, (vec![1], vec![2])).await?;
        Ok(store.pairs.lock().len())
    }

    #[tokio::test]
    async fn what_appears_again_is_erased_again() {
        for again in [0, 1, 5, 12] {
            assert_eq!(left(again).await.expect("in the end nothing is left"), 0, "{again}");
        }
        let endless = left(250).await.expect_err("it never ends");
        assert_eq!(endless.kind(), io::ErrorKind::InvalidData);
        let _planted = plant(Mutant::ErasesOnce);
        assert!(left(12).await.expect("it does not look") > 0, "the bug is not planted");
    }
}
