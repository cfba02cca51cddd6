//! Group commit: one worker per store carries out the batches of all groups in queue order, and one sync makes all
//! waiting batches durable.
//!
//! sled deadlocks under concurrent flushes, and a sync for each append would cost each group its own disk round
//! trip. So only the worker writes and syncs. In production it is a thread; in simulation it is a task on the paused
//! clock.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use tokio::sync::{Notify, mpsc, oneshot};

use super::store::{KeyValueStore, WriteBatch};
use crate::mutants::{Mutant, is_planted};

/// Jobs in one round, at most. A round ends in at most one sync.
const MAX_JOBS: usize = 4096;
/// Largest weight of one write, unless a single job is heavier. A power loss can damage sled's files if it writes
/// more than a segment without a sync in between.
pub const WRITE_WEIGHT: usize = 128 << 10;
/// Bytes that may wait before [`Syncer::wait_for_room`] makes writers wait.
const MAX_WAITING_BYTES: usize = 64 << 20;

/// The slowest disk, in bytes a second, that does not count as hanging.
const SLOWEST_DISK: u64 = 4 << 20;

type JobDone = Box<dyn FnOnce(io::Result<()>) + Send>;

struct WriteJob {
    batch: WriteBatch,
    durable: bool,
    done: JobDone,
}

/// The queue in front of one store; clones share it.
#[derive(Clone)]
pub struct Syncer {
    jobs: mpsc::UnboundedSender<WriteJob>,
    waiting: Arc<QueueLoad>,
    /// `true` if this handle's owner was closed. It is locked for reading while a job is queued, so no job is queued
    /// after that.
    closed: Arc<RwLock<bool>>,
}

#[derive(Default)]
struct QueueLoad {
    bytes: AtomicUsize,
    less: Notify,
    /// When the current round began; `None` while the worker is idle.
    began: Mutex<Option<tokio::time::Instant>>,
}

impl Syncer {
    /// Starts the worker as a thread called `name`. It ends when the last handle is gone.
    ///
    /// # Errors
    /// An I/O error if the thread cannot be started.
    pub fn thread(name: &'static str, store: Arc<dyn KeyValueStore>) -> io::Result<Self> {
        let (syncer, mut jobs) = Self::queue();
        let mut worker = SyncWorker::new(name, store, syncer.waiting.clone());
        std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            while let Some(first) = jobs.blocking_recv() {
                worker.begin();
                worker.carry_out(collect(first, &mut jobs));
            }
        })?;
        Ok(syncer)
    }

    /// Starts the worker as a task on simulated time. Each round takes up to `max_delay()`, as `seed` decides.
    #[cfg(any(test, feature = "sim"))]
    pub fn task(
        name: &'static str,
        store: Arc<dyn KeyValueStore>,
        seed: u64,
        max_delay: impl Fn() -> Duration + Send + 'static,
    ) -> Self {
        use rand::{RngExt, SeedableRng};
        let (syncer, mut jobs) = Self::queue();
        let mut worker = SyncWorker::new(name, store, syncer.waiting.clone());
        let mut rng = rand::rngs::SmallRng::seed_from_u64(seed);
        // Jobs that come during the delay share the round, as they do during a real sync.
        tokio::spawn(async move {
            while let Some(first) = jobs.recv().await {
                worker.begin();
                tokio::time::sleep(max_delay().mul_f64(rng.random())).await;
                worker.carry_out(collect(first, &mut jobs));
            }
        });
        syncer
    }

    fn queue() -> (Self, mpsc::UnboundedReceiver<WriteJob>) {
        let (jobs, receiver) = mpsc::unbounded_channel();
        (Self { jobs, waiting: Arc::default(), closed: Arc::default() }, receiver)
    }

    /// Makes a handle for one owner. [`Syncer::close`] closes that owner's handle alone.
    pub fn for_owner(&self) -> Self {
        Self { closed: Arc::default(), ..self.clone() }
    }

    /// Refuses everything more from this handle and its clones. What they queued before comes before all that anyone
    /// queues now.
    pub fn close(&self) {
        *self.closed.write() = true;
    }

    /// Queues a batch. `done` is called, in queue order, once the batch is visible, or, with `durable`, once it is
    /// synced.
    ///
    /// After the first failure every later job fails too: a store that failed once is not trusted again.
    pub fn submit(&self, batch: WriteBatch, durable: bool, done: impl FnOnce(io::Result<()>) + Send + 'static) {
        // Locked until the job is queued, so once `close` has returned nothing more is queued.
        let closed = self.closed.read();
        if *closed {
            drop(closed);
            return done(Err(io::Error::other("this replica was closed")));
        }
        self.waiting.bytes.fetch_add(batch.bytes(), Ordering::Relaxed);
        let sent = self.jobs.send(WriteJob { batch, durable, done: Box::new(done) });
        drop(closed);
        if let Err(mpsc::error::SendError(job)) = sent {
            (job.done)(Err(io::Error::other("the store's worker has ended")));
        }
    }

    /// Queues a batch as [`Syncer::submit`] does, and waits until it is carried out.
    ///
    /// # Errors
    /// An I/O error of the store, now or earlier, or if this handle was closed.
    pub async fn carry_out(&self, batch: WriteBatch, durable: bool) -> io::Result<()> {
        let (done, end) = oneshot::channel();
        self.submit(batch, durable, move |result| drop(done.send(result)));
        end.await.unwrap_or_else(|_| Err(io::Error::other("the store's worker has ended")))
    }

    /// Returns how long the current round has taken so far; `None` if the worker is idle. A slow disk ends one round
    /// after the other; a hanging disk does not.
    pub fn busy_for(&self) -> Option<Duration> {
        self.waiting.began.lock().map(|began| began.elapsed())
    }

    /// Returns how long the current round has taken so far, if that is longer than `longest` plus the time that the
    /// slowest disk needs for all waiting bytes.
    pub fn hung_for(&self, longest: Duration) -> Option<Duration> {
        let allowed = longest + Duration::from_millis(self.waiting_bytes() as u64 * 1_000 / SLOWEST_DISK);
        self.busy_for().filter(|age| *age > allowed && !is_planted(Mutant::HangsUnseen))
    }

    /// Returns the bytes that wait, those of the current round included.
    pub fn waiting_bytes(&self) -> usize {
        self.waiting.bytes.load(Ordering::Relaxed)
    }

    /// Waits until the queue is short enough to take more.
    pub async fn wait_for_room(&self) {
        while self.waiting.bytes.load(Ordering::Relaxed) > MAX_WAITING_BYTES {
            // Made before the second look: a round that ends in between wakes this waiter.
            let less = self.waiting.less.notified();
            if self.waiting.bytes.load(Ordering::Relaxed) > MAX_WAITING_BYTES {
                less.await;
            }
        }
    }
}

fn collect(first: WriteJob, jobs: &mut mpsc::UnboundedReceiver<WriteJob>) -> Vec<WriteJob> {
    let mut round = vec![first];
    while round.len() < MAX_JOBS
        && let Ok(job) = jobs.try_recv()
    {
        round.push(job);
    }
    round
}

struct SyncWorker {
    name: &'static str,
    store: Arc<dyn KeyValueStore>,
    waiting: Arc<QueueLoad>,
    failed: Option<(io::ErrorKind, String)>,
}

impl SyncWorker {
    fn new(name: &'static str, store: Arc<dyn KeyValueStore>, waiting: Arc<QueueLoad>) -> Self {
        Self { name, store, waiting, failed: None }
    }

    /// Notes that a round begins.
    fn begin(&self) {
        debug_assert!(self.waiting.began.lock().is_none(), "a round begins before the one before it has ended");
        *self.waiting.began.lock() = Some(tokio::time::Instant::now());
    }

    /// Writes the batches of a round, joined into few writes, and syncs once if any of them must be durable. Then it
    /// calls everyone's `done`.
    fn carry_out(&mut self, round: Vec<WriteJob>) {
        let started = Instant::now();
        let durable = round.iter().any(|job| job.durable);
        // Joined in queue order, so the order of the batches is the order on disk.
        let (mut batch, mut gathered, mut bytes) = (WriteBatch::default(), 0, 0);
        let mut dones = Vec::with_capacity(round.len());
        for mut job in round {
            let (weight, more) = (job.batch.weight(), job.batch.bytes());
            if gathered > 0 && gathered + weight > WRITE_WEIGHT {
                // If it fails, the rest of the round fails too, because the failure sticks.
                let _ = self.write(&std::mem::take(&mut batch), false);
                gathered = 0;
            }
            batch.edits.append(&mut job.batch.edits);
            (gathered, bytes) = (gathered + weight, bytes + more);
            dones.push(job.done);
        }
        let result = self.write(&batch, durable);
        // The round ends before anyone is told, so nobody who was told sees it as still under way.
        *self.waiting.began.lock() = None;
        let waited = self.waiting.bytes.fetch_sub(bytes, Ordering::Relaxed);
        debug_assert!(waited >= bytes, "more bytes were carried out than had waited");
        self.waiting.less.notify_waiters();
        if durable {
            metrics::counter!("quiver_store_syncs_total", "store" => self.name).increment(1);
            metrics::counter!("quiver_store_synced_jobs_total", "store" => self.name).increment(dones.len() as u64);
            metrics::histogram!("quiver_store_sync_seconds", "store" => self.name).record(started.elapsed());
        }
        // All of a round share one outcome: a failure in one write makes none of them durable.
        for done in dones {
            done(result.as_ref().copied().map_err(|(kind, message)| io::Error::new(*kind, message.clone())));
        }
    }

    fn write(&mut self, batch: &WriteBatch, durable: bool) -> Result<(), (io::ErrorKind, String)> {
        if let Some(failure) = self.failed.as_ref().filter(|_| !is_planted(Mutant::BelievesFailedStores)) {
            return Err(failure.clone());
        }
        let work = || {
            let written = if batch.edits.is_empty() { Ok(()) } else { self.store.write(batch) };
            if durable { written.and_then(|()| self.store.sync()) } else { written }
        };
        // sled panics if its files are not as it assumes. Those who wait must learn of it.
        let result = catch_unwind(AssertUnwindSafe(work));
        let result = result.unwrap_or_else(|_| Err(io::Error::other("the store panicked")));
        result.map_err(|error| {
            tracing::error!(store = self.name, %error, "the store failed; it takes no more writes until a restart");
            self.failed.insert((error.kind(), error.to_string())).clone()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::disk::{DiskFault, SimDisk};

    #[tokio::test]
    async fn nothing_is_acknowledged_after_a_failed_sync() {
        let disk = SimDisk::new(1);
        let syncer = Syncer::thread("test", Arc::new(disk.open())).expect("starts");
        syncer.carry_out(WriteBatch::default(), true).await.expect("a healthy disk");
        disk.arm(Some(DiskFault::SyncOnce));
        assert!(syncer.carry_out(WriteBatch::default(), true).await.is_err());
        // The disk works again, but nobody knows what it dropped.
        assert!(syncer.carry_out(WriteBatch::default(), true).await.is_err());
    }

    #[tokio::test]
    async fn a_full_disk_is_named_as_such() {
        let disk = SimDisk::new(1);
        let syncer = Syncer::thread("test", Arc::new(disk.open())).expect("starts");
        disk.arm(Some(DiskFault::Full));
        let mut batch = WriteBatch::default();
        batch.put(vec![1], vec![1]);
        let error = syncer.carry_out(batch, false).await.expect_err("full");
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }
}
