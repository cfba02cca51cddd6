//! What a node keeps on disk: two ordered key-value stores, one for the logs and votes of all its groups and one for
//! their machines' state, each with one worker that writes and syncs.
//!
//! Two stores, because every acknowledgement waits for a sync of the log and must not wait for state as well. Who
//! needs which promise is in the module of the promise: [`syncer`] (order and durability), [`log`] (openraft's log
//! contract), [`state`] (state and applied index as one), [`frozen`] (one moment's contents while writes go on).

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

#[cfg(test)]
mod conformance;
pub(crate) mod found;
pub(crate) mod frozen;
pub(crate) mod keys;
pub(crate) mod log;
pub(crate) mod machine;
pub(crate) mod mark;
#[cfg(test)]
mod power_loss;
pub(crate) mod record;
pub mod sim_disk;
pub(crate) mod sled;
pub(crate) mod state;
pub(crate) mod store;
pub(crate) mod syncer;
pub(crate) mod tail;

use self::frozen::FreezableStore;
use self::sim_disk::SimDisk;
use self::sled::SledStore;
use self::store::Store;
use self::syncer::Syncer;
use crate::OpenError;

/// sled's page cache in bytes; it takes about three times as much memory.
const LOG_CACHE_BYTES: u64 = 16 << 20;
const STATE_CACHE_BYTES: u64 = 32 << 20;

/// The two stores of a node, and how their workers run.
pub struct Disk {
    log: Arc<dyn Store>,
    state: Arc<dyn Store>,
    workers: Workers,
}

enum Workers {
    Threads,
    Tasks { seed: u64, max_delay: Duration, disks: [SimDisk; 2] },
}

/// A [`Disk`] at work.
#[derive(Clone)]
pub(crate) struct Stores {
    pub log: Arc<dyn Store>,
    pub log_syncer: Syncer,
    pub state: Arc<FreezableStore>,
    pub state_syncer: Syncer,
}

impl Disk {
    /// sled databases in `dir/log` and `dir/state`, created where absent.
    ///
    /// # Errors
    /// [`OpenError::Damaged`] or [`OpenError::Io`], naming the store.
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        let log = Arc::new(SledStore::open(&dir.join("log"), LOG_CACHE_BYTES)?);
        let state = Arc::new(SledStore::open(&dir.join("state"), STATE_CACHE_BYTES)?);
        Ok(Self { log, state, workers: Workers::Threads })
    }

    /// The present life of two simulated disks, whose syncs take up to `max_delay` of simulated time where nothing slows
    /// them down.
    pub fn simulated(log: &SimDisk, state: &SimDisk, seed: u64, max_delay: Duration) -> Self {
        let workers = Workers::Tasks { seed, max_delay, disks: [log.clone(), state.clone()] };
        Self { log: Arc::new(log.open()), state: Arc::new(state.open()), workers }
    }

    /// Starts the workers.
    pub(crate) fn start(self) -> io::Result<Stores> {
        let state = FreezableStore::new(self.state);
        let (log_syncer, state_syncer) = match self.workers {
            Workers::Threads => {
                (Syncer::thread("quiver-log", self.log.clone())?, Syncer::thread("quiver-state", state.clone())?)
            }
            Workers::Tasks { seed, max_delay, disks: [log_disk, state_disk] } => (
                Syncer::task("quiver-log", self.log.clone(), seed, move || max_delay + log_disk.slowness()),
                Syncer::task("quiver-state", state.clone(), seed.wrapping_add(1), move || {
                    max_delay + state_disk.slowness()
                }),
            ),
        };
        Ok(Stores { log: self.log, log_syncer, state, state_syncer })
    }
}
