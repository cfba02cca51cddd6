//! The newest cluster map this process has seen: the meta replica or a poller puts it in, requests take it out.
//!
//! It may be old, but never older than what this process has itself been told was changed: after a change of its own the
//! map is behind until it was read from its owner anew. What such a change cannot have touched is served meanwhile: a
//! collection is in doubt only where its own name was changed.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::placement::ClusterMap;

/// Holds one map; clones share it.
#[derive(Debug, Clone)]
pub struct MapCell {
    map: Arc<watch::Sender<Arc<ClusterMap>>>,
    doubt: Arc<Notify>,
    own: Arc<OwnChanges>,
    source: Arc<Mutex<Source>>,
}

/// Where the map comes from, as far as this process polls for it.
#[derive(Debug, Clone, Default)]
struct Source {
    /// When a node last said what map it has.
    heard: Option<Instant>,
    /// Why no map is taken, where some could be.
    trouble: Option<String>,
}

/// Slots for the names of collections. Two names in one slot cost a reading of the map too many, never one too few.
const NAME_SLOTS: usize = 256;

/// Counts the changes that this process asked for, and those that a map it read from the owner has.
#[derive(Debug)]
struct OwnChanges {
    made: AtomicU64,
    seen: AtomicU64,
    /// By the hash of a collection's name, the number of the last change of a name that falls there.
    names: [AtomicU64; NAME_SLOTS],
}

impl Default for OwnChanges {
    fn default() -> Self {
        Self { made: AtomicU64::new(0), seen: AtomicU64::new(0), names: [const { AtomicU64::new(0) }; NAME_SLOTS] }
    }
}

impl OwnChanges {
    fn of_name(&self, name: &str) -> &AtomicU64 {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        &self.names[hasher.finish() as usize % NAME_SLOTS]
    }
}

impl Default for MapCell {
    fn default() -> Self {
        Self {
            map: Arc::new(watch::Sender::new(Arc::default())),
            doubt: Arc::default(),
            own: Arc::default(),
            source: Arc::default(),
        }
    }
}

impl MapCell {
    /// The newest map; its epoch is 0 before there is any.
    pub fn get(&self) -> Arc<ClusterMap> {
        Arc::clone(&self.map.borrow())
    }

    /// Takes `map` if it is newer than the one held. Returns `false` for a map of another cluster, which is refused.
    pub fn offer(&self, map: Arc<ClusterMap>) -> bool {
        let mut foreign = false;
        self.map.send_if_modified(|held| {
            // Before the first map any cluster is right. After it only the same one is.
            foreign = held.is_formed() && held.cluster != map.cluster;
            let newer = !foreign && map.epoch > held.epoch;
            if newer {
                *held = map;
            }
            newer
        });
        !foreign
    }

    /// Notes that this process has, or may have, changed the owner's map, so that the map held here is behind.
    /// `collection` is the name of the collection that was changed, if any.
    pub fn changed(&self, collection: Option<&str>) {
        let number = self.own.made.fetch_add(1, Ordering::SeqCst) + 1;
        if let Some(name) = collection {
            self.own.of_name(name).fetch_max(number, Ordering::SeqCst);
        }
    }

    /// Returns `true` if this process has, or may have, changed a collection of this name since the map was read from
    /// its owner.
    pub fn is_in_doubt(&self, collection: &str) -> bool {
        self.own.seen.load(Ordering::SeqCst) < self.own.of_name(collection).load(Ordering::SeqCst)
    }

    /// Returns `true` if this process has changed the map since it was last read from its owner.
    pub fn is_behind(&self) -> bool {
        self.own.seen.load(Ordering::SeqCst) < self.own.made.load(Ordering::SeqCst)
    }

    /// The number of changes so far. Whoever is about to read the owner's map keeps it for [`take`](Self::take).
    pub fn own_changes(&self) -> u64 {
        self.own.made.load(Ordering::SeqCst)
    }

    /// Takes the owner's map, read after the first `own_changes` changes of this process. As [`offer`](Self::offer).
    pub fn take(&self, map: Arc<ClusterMap>, own_changes: u64) -> bool {
        let ours = self.offer(map);
        if ours {
            self.own.seen.fetch_max(own_changes, Ordering::SeqCst);
        }
        ours
    }

    /// Notes that a node has said what map it has.
    pub fn hear(&self) {
        *self.source.lock() = Source { heard: Some(Instant::now()), trouble: None };
    }

    /// Notes why no map is taken.
    pub fn refuse(&self, why: String) {
        self.source.lock().trouble = Some(why);
    }

    /// For how long no node has said what map it has; `None` if none ever has.
    pub fn silence(&self) -> Option<Duration> {
        self.source.lock().heard.map(|heard| heard.elapsed())
    }

    /// Why no map is taken, where some could be.
    pub fn trouble(&self) -> Option<String> {
        self.source.lock().trouble.clone()
    }

    /// A signal that fires with each newer map.
    pub fn watch(&self) -> watch::Receiver<Arc<ClusterMap>> {
        self.map.subscribe()
    }

    /// Says that the map looks out of date, so that who fetches maps does it soon.
    pub fn doubt(&self) {
        self.doubt.notify_one();
    }

    /// Waits until someone doubts the map.
    pub async fn doubted(&self) {
        self.doubt.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::placement::tests::map_of;

    #[test]
    fn a_map_is_behind_until_it_was_read_after_the_last_own_change() {
        let (cell, map) = (MapCell::default(), Arc::new(ClusterMap { epoch: 1, ..map_of(1, 1, 1) }));
        assert!(!cell.is_behind());
        cell.changed(None);
        let before = cell.own_changes();
        cell.changed(Some("docs"));
        cell.take(map.clone(), before);
        assert!(cell.is_behind() && cell.is_in_doubt("docs"), "it was read before the second change");
        cell.offer(map.clone());
        assert!(cell.is_behind(), "who knows what map a node has");
        cell.take(map, cell.own_changes());
        assert!(!cell.is_behind() && !cell.is_in_doubt("docs"));
    }

    #[test]
    fn only_names_that_were_changed_are_in_doubt() {
        let cell = MapCell::default();
        cell.changed(None);
        assert!((0..1_000).all(|n| !cell.is_in_doubt(&format!("collection {n}"))));
        cell.changed(Some("docs"));
        assert!(cell.is_in_doubt("docs"));
        let others = (0..1_000).filter(|n| cell.is_in_doubt(&format!("collection {n}"))).count();
        assert!(others < 100, "{others} of 1,000 other names are in doubt");
    }

    #[test]
    fn only_newer_maps_of_the_same_cluster_are_taken() {
        let cell = MapCell::default();
        let at = |epoch, shards| Arc::new(ClusterMap { epoch, ..map_of(1, shards, 1) });
        assert!(cell.offer(at(2, 1)));
        assert!(cell.offer(at(1, 2)) && cell.offer(at(2, 3)));
        assert_eq!(cell.get().shards.len(), 1);
        let foreign = ClusterMap { cluster: [9; 16], ..ClusterMap::clone(&at(7, 4)) };
        assert!(!cell.offer(Arc::new(foreign)));
        assert_eq!(cell.get().epoch, 2);
    }
}
