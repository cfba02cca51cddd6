//! Threads for queries, apart from the async workers, with a bounded queue.
//!
//! Plain threads that sleep while nothing waits: a work-stealing pool keeps looking for work for a while after each job,
//! which for searches of some microseconds cost more than the searches.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::future::join_all;
use parking_lot::{Condvar, Mutex};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, timeout_at};

use super::long_queries::LongQueries;
use super::query_failure::{MAX_QUERIES, QueryFailure};
use crate::engine::Meter;

/// Work expected to take less than this stays on one thread: waking another costs about a tenth of it.
const WORTH_A_THREAD: Duration = Duration::from_micros(300);

/// Of each new measurement, this part goes into the expectation.
const WEIGHT: u64 = 8;

/// Runs queries on threads of its own; clones share them.
#[derive(Clone)]
pub struct Pool(Arc<PoolState>);

struct PoolState {
    queue: Arc<Queue>,
    threads: usize,
    places: Arc<Semaphore>,
    /// Nanoseconds that a unit of work took, smoothed.
    unit_ns: AtomicU64,
    long: LongQueries,
}

#[derive(Default)]
struct Queue {
    jobs: Mutex<Jobs>,
    more: Condvar,
}

#[derive(Default)]
struct Jobs {
    waiting: VecDeque<Box<dyn FnOnce() + Send>>,
    /// Nobody will queue any more.
    closed: bool,
}

impl Pool {
    /// A pool with one thread per core.
    ///
    /// # Errors
    /// Where the operating system gives no threads.
    pub fn new() -> std::io::Result<Self> {
        // All handles of the pool share this state.
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let queue = Arc::<Queue>::default();
        let shared = PoolState {
            queue: queue.clone(),
            threads,
            places: Arc::new(Semaphore::new(MAX_QUERIES)),
            unit_ns: AtomicU64::new(0),
            long: LongQueries::new(),
        };
        let pool = Self(Arc::new(shared));
        // A thread holds only the queue, so it ends with the last handle of the pool.
        for number in 0..threads {
            let queue = queue.clone();
            std::thread::Builder::new().name(format!("query-{number}")).spawn(move || queue.serve())?;
        }
        Ok(pool)
    }

    /// Runs `work` on each of `units` and waits until `deadline`: on one thread, or on as many idle ones as the work is
    /// worth. What has not begun by the deadline does not run at all. The outcomes are in order.
    pub async fn each<U, T, F>(&self, deadline: Instant, units: Vec<U>, work: F) -> Vec<Result<T, QueryFailure>>
    where
        U: Send + 'static,
        T: Send + 'static,
        F: Fn(U) -> T + Clone + Send + 'static,
    {
        // Give each thread that is worth waking an equal share.
        let share = units.len().div_ceil(self.worthwhile_threads(units.len())).max(1);
        let mut jobs = Vec::new();
        let mut units = units.into_iter().peekable();
        while units.peek().is_some() {
            let (units, work) = (units.by_ref().take(share).collect::<Vec<U>>(), work.clone());
            let count = units.len();
            let job = self.run(deadline, count as u64, move || units.into_iter().map(work).collect::<Vec<T>>());
            jobs.push(async move {
                match job.await {
                    Ok(done) => done.into_iter().map(Ok).collect::<Vec<_>>(),
                    Err(full) => (0..count).map(|_| Err(full.clone())).collect(),
                }
            });
        }
        // Shares are in order, and so are the units of each.
        join_all(jobs).await.into_iter().flatten().collect()
    }

    /// Runs a query that takes long, apart from the threads for those that do not. See [`LongQueries::run`].
    ///
    /// # Errors
    /// As there.
    pub async fn run_long<T: Send + 'static>(
        &self,
        deadline: Instant,
        query: impl FnOnce(&Meter<'_>) -> Option<T> + Send + 'static,
    ) -> Result<T, QueryFailure> {
        self.0.long.run(deadline, query).await
    }

    /// How many threads should share this many units of work.
    fn worthwhile_threads(&self, units: usize) -> usize {
        let expected = self.0.unit_ns.load(Ordering::Relaxed).saturating_mul(units as u64);
        let worth = usize::try_from(expected / WORTH_A_THREAD.as_nanos() as u64).unwrap_or(usize::MAX);
        let busy = MAX_QUERIES - self.0.places.available_permits();
        worth.clamp(1, self.0.threads.saturating_sub(busy).max(1))
    }

    async fn run<T: Send + 'static>(
        &self,
        deadline: Instant,
        units: u64,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, QueryFailure> {
        // A full pool refuses at once: a longer queue would only make each answer later.
        let place = Arc::clone(&self.0.places).try_acquire_owned().map_err(|_| QueryFailure::QueueFull)?;
        let (done, result) = oneshot::channel();
        let shared = self.0.clone();
        self.0.queue.push(move || shared.carry_out(place, deadline, units, job, done));
        // A job that ends without an answer has met its deadline or has panicked.
        match timeout_at(deadline, result).await {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(_)) if Instant::now() >= deadline => Err(QueryFailure::Late),
            Ok(Err(_)) => Err(QueryFailure::Panicked),
            Err(_) => Err(QueryFailure::Late),
        }
    }
}

impl PoolState {
    fn carry_out<T>(
        &self,
        place: OwnedSemaphorePermit,
        deadline: Instant,
        units: u64,
        job: impl FnOnce() -> T,
        done: oneshot::Sender<T>,
    ) {
        let began = Instant::now();
        // Nobody waits for the answer any more, so the work is not done.
        if done.is_closed() || began >= deadline {
            return;
        }
        if let Ok(found) = std::panic::catch_unwind(AssertUnwindSafe(job)) {
            // The cost of a unit is a moving average, by which later work is shared among threads.
            let each = began.elapsed().as_nanos() as u64 / units.max(1);
            let before = self.unit_ns.load(Ordering::Relaxed);
            self.unit_ns.store(before - before / WEIGHT + each / WEIGHT, Ordering::Relaxed);
            // Before the answer: who asks again at once must find the place free.
            drop(place);
            let _ = done.send(found);
        }
    }
}

impl Queue {
    fn push(&self, job: impl FnOnce() + Send + 'static) {
        self.jobs.lock().waiting.push_back(Box::new(job));
        self.more.notify_one();
    }

    /// Works until the queue is closed and empty.
    fn serve(&self) {
        loop {
            let job = {
                let mut jobs = self.jobs.lock();
                loop {
                    match jobs.waiting.pop_front() {
                        Some(job) => break job,
                        None if jobs.closed => return,
                        None => self.more.wait(&mut jobs),
                    }
                }
            };
            // Other threads take jobs while this one runs, so the lock is free by now.
            job();
        }
    }
}

impl Drop for PoolState {
    fn drop(&mut self) {
        self.queue.jobs.lock().closed = true;
        self.queue.more.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(5)
    }

    #[tokio::test]
    async fn a_panic_ends_one_query_only() {
        let pool = Pool::new().unwrap();
        let panics = |_: i32| -> i32 { panic!("inside") };
        assert_eq!(pool.each(soon(), vec![1], panics).await, [Err(QueryFailure::Panicked)]);
        assert_eq!(pool.each(soon(), vec![7], |unit| unit + 1).await, [Ok(8)]);
    }

    #[tokio::test]
    async fn nothing_runs_after_its_deadline() {
        let pool = Pool::new().unwrap();
        assert_eq!(pool.each(Instant::now(), vec![7], |unit| unit).await, [Err(QueryFailure::Late)]);
    }

    #[tokio::test]
    async fn outcomes_are_in_order_on_however_many_threads() {
        let pool = Pool::new().unwrap();
        for unit_ns in [0, 1_000_000_000] {
            pool.0.unit_ns.store(unit_ns, Ordering::Relaxed);
            let outcomes = pool.each(soon(), (0..100).collect(), |unit| unit * 2).await;
            assert_eq!(outcomes, (0..100).map(|unit| Ok(unit * 2)).collect::<Vec<_>>());
        }
        assert!(pool.each(soon(), Vec::<i32>::new(), |unit| unit).await.is_empty());
    }

    #[tokio::test]
    async fn only_long_work_is_shared_and_only_among_idle_threads() {
        let pool = Pool::new().unwrap();
        assert_eq!(pool.worthwhile_threads(8), 1);
        pool.0.unit_ns.store(u64::MAX / 16, Ordering::Relaxed);
        assert_eq!(pool.worthwhile_threads(8), pool.0.threads);
        let _all = pool.0.places.try_acquire_many(pool.0.threads as u32).unwrap();
        assert_eq!(pool.worthwhile_threads(8), 1);
    }

    #[tokio::test]
    async fn the_threads_end_with_the_last_handle() {
        let pool = Pool::new().unwrap();
        let queue = Arc::downgrade(&pool.0.queue);
        pool.each(soon(), vec![()], |()| ()).await;
        drop(pool);
        while queue.strong_count() > 0 {
            tokio::task::yield_now().await;
        }
    }
}
