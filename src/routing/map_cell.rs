//! The newest cluster map this process has seen: the meta replica or a poller puts it in, requests take it out.

use std::sync::Arc;

use tokio::sync::{Notify, watch};

use crate::placement::ClusterMap;

/// Holds one map; clones share it.
#[derive(Debug, Clone)]
pub struct MapCell {
    map: Arc<watch::Sender<Arc<ClusterMap>>>,
    doubt: Arc<Notify>,
}

impl Default for MapCell {
    fn default() -> Self {
        Self { map: Arc::new(watch::Sender::new(Arc::default())), doubt: Arc::default() }
    }
}

impl MapCell {
    /// The newest map; its epoch is 0 before there is any.
    pub fn get(&self) -> Arc<ClusterMap> {
        Arc::clone(&self.map.borrow())
    }

    /// Takes `map` where it is newer than the one held. A map of another cluster is refused; whether it was.
    pub fn offer(&self, map: Arc<ClusterMap>) -> bool {
        let mut foreign = false;
        self.map.send_if_modified(|held| {
            foreign = held.is_formed() && held.cluster != map.cluster;
            let newer = !foreign && map.epoch > held.epoch;
            if newer {
                *held = map;
            }
            newer
        });
        !foreign
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
