//! The newest life that was seen of each node. Each start of a node increments its life number and draws a random
//! start value. Both go with every request.
//!
//! A node that is known in a later life is refused in an earlier one. The earlier one is an older copy of its data
//! directory, which may have forgotten what it acknowledged. A node that is known in the same life with another
//! start value is refused too: a directory was copied, and both copies run. A request also says in which life its
//! sender knows the receiver. So an older copy learns that it is one, even if it only receives. What was seen is
//! stored beside the logs, so a restart does not forget it.

use std::collections::BTreeMap;
use std::io;

use parking_lot::Mutex;

use super::wire::{PeerRefusal, RequestEnvelope};
use crate::consensus::watch;
use crate::storage::keys;
use crate::storage::record::{seal, unseal};
use crate::storage::store::{KeyValueStore, WriteBatch};
use crate::storage::syncer::Syncer;
use crate::{Life, NodeId, OpenError};

/// The newest life that was seen of each node.
pub struct Lives {
    own: Life,
    seen: Mutex<BTreeMap<NodeId, Life>>,
    log: Syncer,
    /// `true` if a peer has seen a later life of this very node.
    overtaken: watch::Sender<bool>,
    overtaken_seen: watch::Receiver<bool>,
}

impl Lives {
    /// Reads what the log store holds. `own` is the life of this process.
    ///
    /// # Errors
    /// [`OpenError::Io`] if the record is damaged, or cannot be read.
    pub fn open(own: Life, store: &dyn KeyValueStore, log: Syncer) -> Result<Self, OpenError> {
        let key = keys::lives();
        let read = || store.get(&key)?.map(|record| unseal(&key, &record)).transpose();
        let failed = |source: io::Error| OpenError::Io { what: "the log store".to_owned(), source };
        let seen = read().map_err(failed)?.unwrap_or_default();
        let (overtaken, overtaken_seen) = watch::channel(false);
        Ok(Self { own, seen: Mutex::new(seen), log, overtaken, overtaken_seen })
    }

    /// Returns the life of this process.
    pub fn own(&self) -> Life {
        self.own
    }

    /// Returns the newest life that was seen of `node`; the default if none was.
    pub fn newest_of(&self, node: NodeId) -> Life {
        self.seen.lock().get(&node).copied().unwrap_or_default()
    }

    /// Notes that `node` is in `life`. Returns `false` if that life is overtaken by one that was seen.
    pub fn admit(&self, node: NodeId, life: Life) -> bool {
        let mut seen = self.seen.lock();
        let known = seen.get(&node).copied().unwrap_or_default();
        if life.is_overtaken_by(&known) {
            return false;
        }
        if life.number > known.number {
            let before = seen.insert(node, life);
            assert!(
                before.is_none_or(|before| before.number < life.number),
                "a later life of node {node} is forgotten"
            );
            // Not awaited. A crash that loses this record only delays the refusal until the later life is seen
            // again.
            let (key, mut batch) = (keys::lives(), WriteBatch::default());
            batch.put(key.clone(), seal(&key, &*seen));
            self.log.submit(batch, true, |written| {
                if let Err(error) = written {
                    tracing::warn!(%error, "a node's new life is not written down");
                }
            });
        }
        true
    }

    /// Returns `false` if a peer knows this node in a life `known` that overtakes the one of this process.
    pub fn is_newest(&self, known: Life) -> bool {
        let overtaken = self.own.is_overtaken_by(&known);
        if overtaken {
            self.note_overtaken();
        }
        !overtaken
    }

    /// Refuses a request if its sender is in an older life, or knows a later life of this node.
    ///
    /// # Errors
    /// [`PeerRefusal::OlderLife`], which says whose life is older.
    pub fn check(&self, request: &RequestEnvelope) -> Result<(), PeerRefusal> {
        let yours = !self.admit(request.from, request.life);
        match yours || !self.is_newest(request.known) {
            true => Err(PeerRefusal::OlderLife { yours }),
            false => Ok(()),
        }
    }

    /// Notes that a peer refused this node because it was started again.
    pub fn note_overtaken(&self) {
        self.overtaken.send_replace(true);
    }

    /// Waits until a peer says that this node was started again since, or runs twice.
    pub async fn overtaken(&self) {
        let mut seen = self.overtaken_seen.clone();
        // It cannot fail: the sender lives as long as `self`.
        let _ = seen.wait_for(|overtaken| *overtaken).await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::mutants::{Mutant, plant};
    use crate::sim::disk::SimDisk;
    use crate::storage::{Disk, Stores};

    fn life(number: u64, start: u8) -> Life {
        Life { number, start: [start; 16] }
    }

    fn open(stores: &Stores, own: Life) -> Lives {
        Lives::open(own, &*stores.log, stores.log_syncer.clone()).expect("opens")
    }

    fn stores() -> Stores {
        let disk = Disk::simulated(&SimDisk::new(1), &SimDisk::new(2), 3, Duration::ZERO);
        disk.start().expect("starts")
    }

    #[tokio::test]
    async fn an_older_life_and_a_second_start_of_one_are_refused_and_a_restart_is_not() {
        let lives = open(&stores(), life(1, 1));
        assert!(lives.admit(3, life(5, 1)));
        assert!(lives.admit(3, life(5, 1)), "the same life goes on");
        assert!(!lives.admit(3, life(4, 9)), "an older copy");
        assert!(!lives.admit(3, life(5, 2)), "the directory runs twice");
        assert!(lives.admit(3, life(6, 3)), "a restart");
        assert!(!lives.admit(3, life(5, 1)));
        assert!(lives.admit(4, life(1, 1)), "each node has lives of its own");
        assert!(lives.admit(3, Life::default()), "who does not count is not judged");
        assert_eq!(lives.newest_of(3), life(6, 3));
    }

    #[tokio::test]
    async fn what_was_seen_of_a_node_outlives_a_restart() {
        let stores = stores();
        assert!(open(&stores, life(1, 1)).admit(3, life(5, 1)));
        stores.log_syncer.carry_out(WriteBatch::default(), true).await.expect("syncs");
        let lives = open(&stores, life(2, 2));
        assert!(!lives.admit(3, life(5, 2)) && !lives.admit(3, life(4, 4)) && lives.admit(3, life(6, 6)));
    }

    #[tokio::test]
    async fn an_older_copy_learns_of_it_when_it_is_asked() {
        let lives = open(&stores(), life(5, 1));
        assert!(lives.is_newest(Life::default()) && lives.is_newest(life(4, 7)) && lives.is_newest(life(5, 1)));
        assert!(!*lives.overtaken_seen.borrow());
        assert!(!lives.is_newest(life(5, 2)));
        lives.overtaken().await;
    }

    #[tokio::test]
    async fn a_planted_blindness_for_lives_lets_everyone_in() {
        let _planted = plant(Mutant::IgnoresLives);
        let lives = open(&stores(), life(5, 1));
        assert!(lives.admit(3, life(5, 1)) && lives.admit(3, life(4, 1)) && lives.is_newest(life(6, 1)));
    }
}
