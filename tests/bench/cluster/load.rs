//! Clients in a closed loop: each sends its next request when the one before is answered. They are spread over all
//! nodes.
//!
//! In: how many clients, for how long, and what each does. Out: the time of each operation, and the processor time of
//! the servers.

use crate::cluster::BenchCluster;
use crate::report::times::Times;
use quiver::client::{Body, Client, Failure};
use serde::Serialize;
use serde::de::IgnoredAny;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// When a load ends: after so many operations or after so much time, whichever comes first.
#[derive(Clone, Copy)]
pub(crate) struct Until {
    pub(crate) operations: u64,
    pub(crate) time: Duration,
}

impl Until {
    /// Ends after this time.
    pub(crate) fn time(time: Duration) -> Self {
        Self { operations: u64::MAX, time }
    }

    /// Ends after so many operations.
    pub(crate) fn all(operations: u64) -> Self {
        Self { operations, time: Duration::MAX }
    }
}

/// What a load took.
pub(crate) struct Taken {
    /// The time of each operation.
    pub(crate) times: Times,
    /// Seconds from the start of the first operation to the end of the last.
    pub(crate) seconds: f64,
    /// Milliseconds of processor time of all servers.
    pub(crate) processor_ms: f64,
    /// Attempts beyond the first of an operation.
    pub(crate) retries: u64,
}

impl Taken {
    /// Operations a second.
    pub(crate) fn rate(&self) -> f64 {
        self.times.len() as f64 / self.seconds
    }

    /// Milliseconds of processor time of all servers for one item, if each operation has `each` items.
    pub(crate) fn processor_ms_per(&self, each: f64) -> f64 {
        self.processor_ms / (self.times.len().max(1) as f64 * each)
    }

    /// How many retries there were, in words; empty if there were none.
    pub(crate) fn mishaps(&self) -> String {
        if self.retries == 0 { String::new() } else { format!(", {} retries", self.retries) }
    }
}

/// What one client works with.
#[derive(Clone)]
pub(crate) struct Hand {
    client: Arc<Client>,
    retries: Arc<AtomicU64>,
}

impl Hand {
    /// The cluster.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Writes, retries for up to 30 s, and counts the retries.
    pub(crate) async fn write_body(&self, path: &str, body: Body) -> Result<(), Failure> {
        let count = |_: &Failure| {
            self.retries.fetch_add(1, Ordering::Relaxed);
        };
        self.client.write_body::<IgnoredAny>(path, body, Duration::from_secs(30), count).await.map(drop)
    }
}

/// Has `clients` clients carry out `operation`, and measures. Each call has the next number, from 0.
pub(crate) async fn run<F, A>(
    cluster: &BenchCluster,
    clients: usize,
    until: Until,
    operation: F,
) -> anyhow::Result<Taken>
where
    F: Fn(Hand, u64) -> A + Clone + Send + 'static,
    A: Future<Output = Result<(), Failure>> + Send + 'static,
{
    let (next, retries) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let hands: Vec<Hand> = (0..clients)
        .map(|number| Ok(Hand { client: Arc::new(cluster.client(number)?), retries: retries.clone() }))
        .collect::<anyhow::Result<_>>()?;
    // Everything is prepared before the clocks start.
    let (processor, started) = (cluster.processor_ms()?, Instant::now());
    let mut tasks = JoinSet::new();
    for hand in hands {
        tasks.spawn(work(hand, next.clone(), until, started, operation.clone()));
    }
    let mut times = Vec::new();
    while let Some(done) = tasks.join_next().await {
        times.extend(done??);
    }
    let seconds = started.elapsed().as_secs_f64();
    let processor_ms = cluster.processor_ms()? - processor;
    Ok(Taken { times: Times::new(times), seconds, processor_ms, retries: retries.load(Ordering::Relaxed) })
}

/// Runs one client to the end of the load. Returns the time of each of its operations.
async fn work<F, A>(
    hand: Hand,
    next: Arc<AtomicU64>,
    until: Until,
    started: Instant,
    operation: F,
) -> Result<Vec<Duration>, Failure>
where
    F: Fn(Hand, u64) -> A,
    A: Future<Output = Result<(), Failure>>,
{
    let mut times = Vec::new();
    while started.elapsed() < until.time {
        // All clients share one count, so no operation is done twice.
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= until.operations {
            break;
        }
        let before = Instant::now();
        operation(hand.clone(), number).await?;
        times.push(before.elapsed());
    }
    Ok(times)
}

/// Encodes requests as JSON before the clock starts, because the clients share the processors with the servers.
pub(crate) fn encoded(bodies: impl Iterator<Item = impl Serialize>) -> Arc<Vec<Body>> {
    Arc::new(bodies.map(|body| Body::json(&body)).collect())
}
