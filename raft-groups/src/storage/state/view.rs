//! The contents of a store at one moment, read page by page while writes go on.
//!
//! sled has no snapshots, and a copy of the state would stop writes for as long as it takes. So while a
//! [`FrozenView`] is open, each write first saves the old value of each key that it changes at or after the view's
//! cursor (copy on write). A page is what the store holds, with the old values put back. A view takes memory only
//! for what changed since.

use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use parking_lot::Mutex;

use crate::storage::store::{KeyValueStore, Visit, WriteBatch};

/// A [`KeyValueStore`] that can be frozen. All writes must go through it.
pub struct FreezableStore {
    store: Arc<dyn KeyValueStore>,
    /// The open views. It is locked during every write and every page, so a page is read between two writes.
    views: Mutex<Vec<Weak<Mutex<ViewOverlay>>>>,
}

/// The contents of a key range at the moment of [`FreezableStore::freeze`].
pub struct FrozenView {
    store: Arc<FreezableStore>,
    overlay: Arc<Mutex<ViewOverlay>>,
}

/// Invariants, held by [`ViewOverlay::check`]: the cursor never goes back nor beyond the end, and old values are
/// kept only for keys from the cursor up to the end.
struct ViewOverlay {
    /// Keys below it were returned. Their changes no longer matter.
    cursor: Vec<u8>,
    end: Vec<u8>,
    /// The old values of the keys that changed since; `None` for a key that was absent.
    old: BTreeMap<Vec<u8>, Option<Bytes>>,
}

/// Pairs in key order.
pub type StatePage = Vec<(Vec<u8>, Bytes)>;

impl FreezableStore {
    /// Wraps `store`.
    pub fn new(store: Arc<dyn KeyValueStore>) -> Arc<Self> {
        Arc::new(Self { store, views: Mutex::default() })
    }

    /// Freezes the keys with `from <= key < to` as they are now. The view costs nothing until they change.
    pub fn freeze(self: &Arc<Self>, from: Vec<u8>, to: Vec<u8>) -> FrozenView {
        let overlay = Arc::new(Mutex::new(ViewOverlay { cursor: from, end: to, old: BTreeMap::new() }));
        self.views.lock().push(Arc::downgrade(&overlay));
        FrozenView { store: self.clone(), overlay }
    }
}

impl FrozenView {
    /// Returns the next pairs in key order: at least one, and up to about `max_bytes`. Empty at the end.
    ///
    /// # Errors
    /// An I/O error of the store.
    pub fn next_page(&self, max_bytes: usize) -> io::Result<StatePage> {
        let _no_writes = self.store.views.lock();
        let mut overlay = self.overlay.lock();
        loop {
            let (page, next) = overlay.read_page(&*self.store.store, max_bytes)?;
            let at_end = next == overlay.end;
            overlay.advance(next);
            // A page is empty before the end if all its keys are newer than the view.
            if !page.is_empty() || at_end {
                return Ok(page);
            }
        }
    }
}

impl FrozenView {
    /// Moves the cursor to `key`. Keys before it are left out.
    pub fn skip_to(&self, key: Vec<u8>) {
        let _no_writes = self.store.views.lock();
        let mut overlay = self.overlay.lock();
        if key > overlay.cursor {
            overlay.advance(key);
        }
    }
}

impl ViewOverlay {
    /// Returns the page at the cursor, and where the next one starts.
    fn read_page(&self, store: &dyn KeyValueStore, max_bytes: usize) -> io::Result<(StatePage, Vec<u8>)> {
        let mut pairs = BTreeMap::new();
        let (mut bytes, mut next) = (0, self.end.clone());
        let mut visit = |key: &[u8], value: &[u8]| {
            bytes += key.len() + value.len();
            pairs.insert(key.to_vec(), Bytes::copy_from_slice(value));
            if bytes < max_bytes {
                return ControlFlow::Continue(());
            }
            next = [key, &[0]].concat();
            ControlFlow::Break(())
        };
        // What the store holds now, up to the size of a page. Then the old values in the same range take their
        // places.
        store.scan(&self.cursor, &self.end, &mut visit)?;
        for (key, old) in self.old.range(self.cursor.clone()..next.clone()) {
            match old {
                Some(value) => pairs.insert(key.clone(), value.clone()),
                None => pairs.remove(key),
            };
        }
        Ok((pairs.into_iter().collect(), next))
    }

    /// Moves the cursor to `next`, and drops the old values before it.
    fn advance(&mut self, next: Vec<u8>) {
        assert!(self.cursor <= next && next <= self.end, "a view goes back, or beyond its end");
        self.old = self.old.split_off(&next);
        self.cursor = next;
        debug_assert_eq!(self.check(), Ok(()));
    }

    /// Says which invariant does not hold, if one does not.
    fn check(&self) -> Result<(), String> {
        let outside = |key: &Vec<u8>| *key < self.cursor || *key >= self.end;
        let ends = [self.old.first_key_value(), self.old.last_key_value()];
        match ends.into_iter().flatten().find(|(key, _)| outside(key)) {
            Some((key, _)) => Err(format!("an old value is kept of a key that is not read any more: {key:?}")),
            None => Ok(()),
        }
    }

    fn save_old_values(&mut self, store: &dyn KeyValueStore, batch: &WriteBatch) -> io::Result<()> {
        for (key, _) in &batch.edits {
            if *key >= self.cursor && *key < self.end && !self.old.contains_key(key) {
                let old = store.get(key)?;
                self.old.insert(key.clone(), old);
            }
        }
        debug_assert_eq!(self.check(), Ok(()));
        Ok(())
    }
}

impl KeyValueStore for FreezableStore {
    fn get(&self, key: &[u8]) -> io::Result<Option<Bytes>> {
        self.store.get(key)
    }

    fn scan(&self, from: &[u8], to: &[u8], visit: Visit<'_>) -> io::Result<()> {
        self.store.scan(from, to, visit)
    }

    fn write(&self, batch: &WriteBatch) -> io::Result<()> {
        // Old values are saved before the write, so a view never sees a new one.
        let mut views = self.views.lock();
        views.retain(|view| view.strong_count() > 0);
        for overlay in views.iter().filter_map(Weak::upgrade) {
            overlay.lock().save_old_values(&*self.store, batch)?;
        }
        self.store.write(batch)
    }

    fn sync(&self) -> io::Result<()> {
        self.store.sync()
    }

    fn size_on_disk(&self) -> u64 {
        self.store.size_on_disk()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sim::disk::SimDisk;

    fn batch(edits: &[(u8, Option<u8>)]) -> WriteBatch {
        let edits = edits.iter().map(|(key, value)| (vec![*key], value.map(|value| Bytes::from(vec![value]))));
        WriteBatch { edits: edits.collect() }
    }

    proptest! {
        /// Whatever is written between its pages, a view is the state at the moment it was frozen.
        #[test]
        fn a_view_is_one_moment(
            before in prop::collection::vec((0u8..40, prop::option::of(0u8..255)), 0..60),
            during in prop::collection::vec(prop::collection::vec((0u8..40, prop::option::of(0u8..255)), 0..6), 0..40),
            page_bytes in 1usize..12,
        ) {
            let store = FreezableStore::new(Arc::new(SimDisk::new(0).open()));
            store.write(&batch(&before)).expect("writes");
            let mut expected = BTreeMap::new();
            for (key, value) in &before {
                match value {
                    Some(value) => expected.insert(vec![*key], Bytes::from(vec![*value])),
                    None => expected.remove(&vec![*key]),
                };
            }
            expected.retain(|key, _| (5..35).contains(&key[0]));
            // Writes come between the pages, within the range and outside of it.
            let view = store.freeze(vec![5], vec![35]);
            let mut during = during.into_iter();
            let mut seen = BTreeMap::new();
            loop {
                if let Some(edits) = during.next() {
                    store.write(&batch(&edits)).expect("writes");
                }
                let page = view.next_page(page_bytes).expect("reads");
                if page.is_empty() {
                    break;
                }
                seen.extend(page);
            }
            prop_assert_eq!(seen, expected);
        }
    }
}
