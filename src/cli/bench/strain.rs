//! A load: some workers that repeat an operation, each waiting for the answer before the next.

use super::report::percentile;
use crate::cli::client::Failure;
use std::future::Future;
use std::time::{Duration, Instant};

/// What came of a load.
pub(super) struct Strain {
    /// Operations done.
    pub(super) operations: u64,
    /// Operations done in a second, by all workers together.
    pub(super) per_second: f64,
    /// Times of single operations, in milliseconds.
    times: Vec<f64>,
}

impl Strain {
    /// `p50 … ms, p99 … ms`.
    pub(super) fn latency(&mut self) -> String {
        format!("p50 {:.2} ms, p99 {:.2} ms", percentile(&mut self.times, 0.5), percentile(&mut self.times, 0.99))
    }
}

/// Has `workers` repeat an operation for `length`; it is told the worker and how many it has done.
///
/// # Errors
/// The first failure: a figure from a run with failures would not mean what it says.
pub(super) async fn strain<F, O>(workers: usize, length: Duration, operation: F) -> anyhow::Result<Strain>
where
    F: Fn(usize, u64) -> O + Clone + Send + 'static,
    O: Future<Output = Result<(), Failure>> + Send,
{
    let begun = Instant::now();
    let work = |worker: usize| {
        let operation = operation.clone();
        tokio::spawn(async move {
            let mut times = Vec::new();
            while begun.elapsed() < length {
                let start = Instant::now();
                operation(worker, times.len() as u64).await?;
                times.push(start.elapsed().as_secs_f64() * 1e3);
            }
            Ok::<_, Failure>(times)
        })
    };
    let workers: Vec<_> = (0..workers).map(work).collect();
    let mut times = Vec::new();
    for worker in workers {
        times.extend(worker.await??);
    }
    let operations = times.len() as u64;
    Ok(Strain { operations, per_second: operations as f64 / begun.elapsed().as_secs_f64(), times })
}
