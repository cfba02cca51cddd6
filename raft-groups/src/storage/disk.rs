//! The disk of a node: two stores and the workers that write to them.
//!
//! Comes in: a node's directory, or two simulated disks. Goes out: the [`Stores`] that all groups of the node share.
//! A damaged log store is never opened. A damaged state store is set aside, because the log can rebuild it. This
//! file must not know what is in a store.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::log::key_value_log::KeyValueLog;
use super::log::log_store::LogStore;
use super::sled::SledStore;
use super::state::view::FreezableStore;
use super::store::KeyValueStore;
use super::syncer::Syncer;
use crate::{GroupId, OpenError};

/// sled's page cache in bytes. It takes about three times as much memory.
const LOG_CACHE_BYTES: u64 = 16 << 20;
const STATE_CACHE_BYTES: u64 = 32 << 20;

/// The two stores of a node, and how their workers run.
pub struct Disk {
    pub(crate) log: Arc<dyn KeyValueStore>,
    pub(crate) state: Arc<dyn KeyValueStore>,
    pub(crate) workers: Workers,
}

/// How the worker of each store runs.
pub(crate) enum Workers {
    /// As a thread.
    Threads,
    /// As a task on simulated time. The delays are those of the log's disk, then of the state's.
    #[cfg(any(test, feature = "sim"))]
    Tasks { seed: u64, delays: [Delays; 2] },
}

/// Returns the longest time of a round of a simulated disk's worker. It is called for each round.
#[cfg(any(test, feature = "sim"))]
pub(crate) type Delays = Box<dyn Fn() -> std::time::Duration + Send>;

/// A [`Disk`] whose workers run.
#[derive(Clone)]
pub(crate) struct Stores {
    pub log: Arc<dyn KeyValueStore>,
    pub log_syncer: Syncer,
    pub state: Arc<FreezableStore>,
    pub state_syncer: Syncer,
}

impl Stores {
    /// Returns the place where the log of `group` is kept.
    pub fn log_of(&self, group: GroupId) -> Arc<dyn LogStore> {
        Arc::new(KeyValueLog::new(group, self.log.clone(), &self.log_syncer))
    }
}

impl Disk {
    /// Opens sled databases in `dir/log` and `dir/state`, or creates them. A damaged state store is moved to
    /// `dir/state.damaged`, and the node begins with an empty one: see [`set_aside`].
    ///
    /// # Errors
    /// [`OpenError::Damaged`] or [`OpenError::Io`], naming the store.
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        // The log first: if it does not open, nothing is touched.
        let log = Arc::new(SledStore::open(&dir.join("log"), LOG_CACHE_BYTES)?);
        let place = dir.join("state");
        let state = match SledStore::open(&place, STATE_CACHE_BYTES) {
            Err(OpenError::Damaged { what, found, .. }) => {
                set_aside(&place, &what, &found)?;
                SledStore::open(&place, STATE_CACHE_BYTES)?
            }
            opened => opened?,
        };
        Ok(Self { log, state: Arc::new(state), workers: Workers::Threads })
    }

    /// Starts the workers.
    ///
    /// # Errors
    /// An I/O error if a thread cannot be started.
    pub(crate) fn start(self) -> io::Result<Stores> {
        let state = FreezableStore::new(self.state);
        // One worker a store: a sync of state never delays an acknowledgement.
        let (log_syncer, state_syncer) = match self.workers {
            Workers::Threads => {
                (Syncer::thread("quiver-log", self.log.clone())?, Syncer::thread("quiver-state", state.clone())?)
            }
            #[cfg(any(test, feature = "sim"))]
            Workers::Tasks { seed, delays: [of_log, of_state] } => (
                Syncer::task("quiver-log", self.log.clone(), seed, of_log),
                Syncer::task("quiver-state", state.clone(), seed.wrapping_add(1), of_state),
            ),
        };
        Ok(Stores { log: self.log, log_syncer, state, state_syncer })
    }
}

/// Keeps a damaged state store for inspection. It replaces one that was kept earlier.
///
/// This is safe, because everything in it came from the log, and only the log holds votes and acknowledged entries.
/// A replica whose log still has its first entry applies the log again. Of any other replica too little is left:
/// opening it finds that, and it is made anew from other nodes.
fn set_aside(place: &Path, what: &str, found: &str) -> Result<(), OpenError> {
    // A rename, because the files are not readable any more.
    let aside = place.with_extension("damaged");
    let moved = || {
        if aside.exists() {
            std::fs::remove_dir_all(&aside)?;
        }
        std::fs::rename(place, &aside)
    };
    moved().map_err(|source| OpenError::Io { what: format!("{what}, which is damaged,"), source })?;
    tracing::error!(
        found,
        "{what} is damaged; it is kept in {} for inspection, and this node's replicas are rebuilt from their logs or from \
         other nodes",
        aside.display()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Identity;
    use crate::storage::claim::claim_stores;

    const WHO: Identity =
        Identity { cluster: [1; 16], node: 1, incarnation: [2; 16], life: crate::Life { number: 0, start: [0; 16] } };

    /// Overwrites the file of one store of a node that has run. Returns the node's directory.
    async fn garbled(store: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a directory");
        let stores = Disk::open(dir.path()).expect("opens").start().expect("starts");
        claim_stores(&stores, WHO, true).await.expect("is new");
        drop(stores);
        let file = dir.path().join(store).join("db");
        // The workers end a moment after their stores are dropped.
        while Disk::open(dir.path()).is_err() {
            std::thread::sleep(Duration::from_millis(5));
        }
        // The header of its one segment stays: without it sled makes an empty store.
        let mut bytes = std::fs::read(&file).expect("reads");
        bytes[64..].fill(0xa5);
        std::fs::write(&file, bytes).expect("writes");
        dir
    }

    #[tokio::test]
    async fn a_damaged_state_store_is_set_aside_and_a_damaged_log_is_not() {
        let dir = garbled("state").await;
        let stores = Disk::open(dir.path()).expect("opens without the state").start().expect("starts");
        assert!(dir.path().join("state.damaged/db").exists(), "nothing is kept for inspection");
        assert!(claim_stores(&stores, WHO, false).await.expect("the log says whose it is"));
        let stranger = Identity { node: 2, ..WHO };
        assert!(claim_stores(&stores, stranger, false).await.is_err());

        let dir = garbled("log").await;
        assert!(matches!(Disk::open(dir.path()), Err(OpenError::Damaged { .. })));
        assert!(dir.path().join("log/db").exists() && !dir.path().join("log.damaged").exists());
    }
}
