//! The disk of simulations: a [`KeyValueStore`] in memory that can lose what was not synced.
//!
//! A crash keeps what the last sync covered. Of the batches written since, it keeps a prefix that the seed decides,
//! because a disk may write back on its own. Tests arm faults: the next sync fails, or all writes fail.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::mutants::{Mutant, is_planted};
use crate::storage::store::{KeyValueStore, Visit, WriteBatch};
use crate::storage::{Delays, Disk, Workers};

type DiskPairs = BTreeMap<Vec<u8>, Bytes>;

/// A disk. Its bytes outlive the stores opened on it, as they outlive a process. Clones share the disk.
#[derive(Clone)]
pub struct SimDisk(Arc<Mutex<DiskState>>);

/// One life of a [`SimDisk`]. After the next crash every call on it fails.
pub struct SimStore {
    disk: SimDisk,
    life: u64,
}

/// A copy of what a [`SimDisk`] held.
#[derive(Debug, Clone)]
pub struct DiskCopy(DiskPairs);

struct DiskState {
    life: u64,
    durable: DiskPairs,
    visible: DiskPairs,
    unsynced: Vec<WriteBatch>,
    rng: SmallRng,
    armed: Option<DiskFault>,
    slowness: Duration,
    batches_lost: u64,
}

/// The next fault of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskFault {
    /// The next sync fails. Some of the unsynced batches may be durable all the same.
    SyncOnce,
    /// Every write fails with `StorageFull` until the disk is healed.
    Full,
}

impl SimDisk {
    /// Makes an empty disk whose crashes follow from `seed`.
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(DiskState {
            life: 0,
            durable: DiskPairs::new(),
            visible: DiskPairs::new(),
            unsynced: Vec::new(),
            rng: SmallRng::seed_from_u64(seed),
            armed: None,
            slowness: Duration::ZERO,
            batches_lost: 0,
        })))
    }

    /// Opens the disk, as a process does after it starts.
    pub fn open(&self) -> SimStore {
        SimStore { disk: self.clone(), life: self.0.lock().life }
    }

    /// Cuts the power: unsynced batches are lost, but for a prefix that the seed decides.
    pub fn crash(&self) {
        let mut inner = self.0.lock();
        inner.life += 1;
        inner.lose_unsynced();
        inner.visible = inner.durable.clone();
        inner.armed = None;
    }

    /// Copies what is durable, as a backup does while nobody writes.
    pub fn copy(&self) -> DiskCopy {
        DiskCopy(self.0.lock().durable.clone())
    }

    /// Replaces all that the disk holds by a copy. Stores that are open on it fail from now on.
    pub fn restore(&self, copy: &DiskCopy) {
        let mut inner = self.0.lock();
        inner.life += 1;
        inner.unsynced.clear();
        (inner.durable, inner.visible) = (copy.0.clone(), copy.0.clone());
    }

    /// Makes the disk fail as `fault` says; `None` heals it.
    pub fn arm(&self, fault: Option<DiskFault>) {
        self.0.lock().armed = fault;
    }

    /// Makes every sync take up to this much longer than the disk's usual time, from the next one on.
    pub fn slow_down(&self, by: Duration) {
        self.0.lock().slowness = by;
    }

    /// Returns by how much syncs take longer, at most.
    pub fn slowness(&self) -> Duration {
        self.0.lock().slowness
    }

    /// Returns how many unsynced batches were lost in crashes and failed syncs.
    pub fn batches_lost(&self) -> u64 {
        self.0.lock().batches_lost
    }

    /// Flips one bit of a value, which the seed picks among those whose key starts with `prefix`. Returns `true` if
    /// there was one.
    pub fn flip_a_bit(&self, prefix: &[u8]) -> bool {
        let mut inner = self.0.lock();
        let keys: Vec<_> = inner.with_prefix(prefix).cloned().collect();
        if keys.is_empty() {
            return false;
        }
        let key = keys[inner.rng.random_range(0..keys.len())].clone();
        let mut value = inner.durable[&key].to_vec();
        let bit = inner.rng.random_range(0..value.len() * 8);
        value[bit / 8] ^= 1 << (bit % 8);
        inner.damage(key, value);
        true
    }

    /// Cuts off the end of the last value whose key starts with `prefix`, as a torn write does. Returns
    /// `true` if there was one.
    pub fn tear_the_tail(&self, prefix: &[u8]) -> bool {
        let mut inner = self.0.lock();
        let Some(key) = inner.with_prefix(prefix).last().cloned() else { return false };
        let mut value = inner.durable[&key].to_vec();
        let kept = inner.rng.random_range(0..value.len());
        value.truncate(kept);
        inner.damage(key, value);
        true
    }
}

impl Disk {
    /// Opens two simulated disks as the disk of a node. Their rounds take up to `max_delay` of simulated time, plus
    /// their slowness.
    pub fn simulated(log: &SimDisk, state: &SimDisk, seed: u64, max_delay: Duration) -> Self {
        let delays = |disk: SimDisk| -> Delays { Box::new(move || max_delay + disk.slowness()) };
        let workers = Workers::Tasks { seed, delays: [delays(log.clone()), delays(state.clone())] };
        Self { log: Arc::new(log.open()), state: Arc::new(state.open()), workers }
    }
}

impl DiskState {
    /// Makes a prefix of the unsynced batches durable, as the seed decides, and the others never.
    fn lose_unsynced(&mut self) {
        let unsynced = std::mem::take(&mut self.unsynced);
        let kept = self.rng.random_range(0..=unsynced.len());
        for batch in &unsynced[..kept] {
            edit(&mut self.durable, batch);
        }
        self.batches_lost += (unsynced.len() - kept) as u64;
    }

    /// Returns the keys with `prefix` whose durable values are not empty, in order.
    fn with_prefix(&self, prefix: &[u8]) -> impl Iterator<Item = &Vec<u8>> {
        let from_prefix = self.durable.range(prefix.to_vec()..).take_while(move |(key, _)| key.starts_with(prefix));
        from_prefix.filter(|(_, value)| !value.is_empty()).map(|(key, _)| key)
    }

    fn damage(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.durable.insert(key.clone(), value.clone().into());
        self.visible.insert(key, value.into());
    }
}

fn edit(pairs: &mut DiskPairs, batch: &WriteBatch) {
    for (key, value) in &batch.edits {
        match value {
            Some(value) => pairs.insert(key.clone(), value.clone()),
            None => pairs.remove(key),
        };
    }
}

impl SimStore {
    fn alive(&self) -> io::Result<MutexGuard<'_, DiskState>> {
        let inner = self.disk.0.lock();
        if inner.life == self.life { Ok(inner) } else { Err(io::Error::other("the power went off")) }
    }
}

impl KeyValueStore for SimStore {
    fn get(&self, key: &[u8]) -> io::Result<Option<Bytes>> {
        Ok(self.alive()?.visible.get(key).cloned())
    }

    fn scan(&self, from: &[u8], to: &[u8], visit: Visit<'_>) -> io::Result<()> {
        if from >= to {
            return Ok(());
        }
        let inner = self.alive()?;
        for (key, value) in inner.visible.range(from.to_vec()..to.to_vec()) {
            if visit(key, value).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn write(&self, batch: &WriteBatch) -> io::Result<()> {
        let mut inner = self.alive()?;
        if inner.armed == Some(DiskFault::Full) {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "no space left on the simulated disk"));
        }
        edit(&mut inner.visible, batch);
        inner.unsynced.push(batch.clone());
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut inner = self.alive()?;
        if inner.armed == Some(DiskFault::SyncOnce) {
            inner.armed = None;
            // What a failed sync did not make durable is never written later, as with fsync on Linux. It can be read
            // until the power goes.
            inner.lose_unsynced();
            return Err(io::Error::other("the simulated disk failed to sync"));
        }
        if !is_planted(Mutant::SkipsSync) {
            for batch in std::mem::take(&mut inner.unsynced) {
                edit(&mut inner.durable, &batch);
            }
        }
        Ok(())
    }

    fn size_on_disk(&self) -> u64 {
        let inner = self.disk.0.lock();
        let pairs = &inner.durable;
        pairs.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(store: &SimStore, key: &[u8]) {
        let mut batch = WriteBatch::default();
        batch.put(key.to_vec(), Bytes::from_static(b"v"));
        store.write(&batch).expect("writes");
    }

    #[test]
    fn a_crash_keeps_the_synced_and_a_prefix_of_the_rest() {
        let mut lost = 0;
        for seed in 0..50 {
            let disk = SimDisk::new(seed);
            let store = disk.open();
            put(&store, b"synced");
            store.sync().expect("syncs");
            put(&store, b"first");
            put(&store, b"second");
            disk.crash();
            assert!(store.sync().is_err(), "a life before the crash goes on");
            let store = disk.open();
            // Batches survive in order: none without the ones before it.
            let has = |key: &[u8]| store.get(key).expect("reads").is_some();
            assert!(has(b"synced"));
            assert!(has(b"first") || !has(b"second"), "the second batch survived without the first");
            lost += usize::from(!has(b"second"));
        }
        assert!((10..50).contains(&lost), "crashes that lose something, and some that do not: {lost} of 50");
    }
}
