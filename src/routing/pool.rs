//! Threads for queries, apart from the async workers, with a bounded queue.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use tokio::sync::{Semaphore, oneshot};
use tokio::time::{Instant, timeout_at};

/// Most queries that run or wait on one node.
pub const MAX_QUERIES: usize = 1024;

/// Runs queries on threads of its own; clones share them.
#[derive(Clone)]
pub struct Pool {
    threads: Arc<rayon::ThreadPool>,
    places: Arc<Semaphore>,
}

/// The query did not run, or did not end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// As many queries as the limit allows wait already.
    #[error("{MAX_QUERIES} queries run or wait on this node")]
    Queue,
    /// It was not done by the deadline.
    #[error("the query was not done in time")]
    Time,
    /// It panicked; the threads go on.
    #[error("the query failed inside; the log says where")]
    Panic,
}

impl Pool {
    /// A pool with one thread per core.
    ///
    /// # Errors
    /// Where the operating system gives no threads.
    pub fn new() -> Result<Self, rayon::ThreadPoolBuildError> {
        let threads = rayon::ThreadPoolBuilder::new().thread_name(|n| format!("query-{n}")).build()?;
        Ok(Self { threads: Arc::new(threads), places: Arc::new(Semaphore::new(MAX_QUERIES)) })
    }

    /// Runs `query` and waits for it until `deadline`. One that has not begun by then does not run at all.
    ///
    /// # Errors
    /// [`Full`] where it did not run to its end in time.
    pub async fn run<T: Send + 'static>(
        &self,
        deadline: Instant,
        query: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Full> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Full::Queue)?;
        let (done, result) = oneshot::channel();
        self.threads.spawn_fifo(move || {
            let _place = place;
            if done.is_closed() || Instant::now() >= deadline {
                return;
            }
            // Without the catch, rayon ends the whole process where a query panics.
            if let Ok(found) = std::panic::catch_unwind(AssertUnwindSafe(query)) {
                let _ = done.send(found);
            }
        });
        match timeout_at(deadline, result).await {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(_)) if Instant::now() >= deadline => Err(Full::Time),
            Ok(Err(_)) => Err(Full::Panic),
            Err(_) => Err(Full::Time),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_panic_ends_one_query_only() {
        let pool = Pool::new().unwrap();
        let soon = Instant::now() + Duration::from_secs(5);
        assert_eq!(pool.run(soon, || panic!("inside")).await, Err::<(), _>(Full::Panic));
        assert_eq!(pool.run(soon, || 7).await, Ok(7));
    }

    #[tokio::test]
    async fn nothing_runs_after_its_deadline() {
        let pool = Pool::new().unwrap();
        assert_eq!(pool.run(Instant::now(), || 7).await, Err(Full::Time));
    }
}
