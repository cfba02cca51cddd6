//! The good client beside an attack: it writes a point and searches, in turn, and knows how long each took.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::task::JoinHandle;

use super::{COLLECTION, POINTS, SIZE};
use crate::harness::client::ApiClient;

/// Between two requests.
const PAUSE: Duration = Duration::from_millis(5);

/// The good client at work; it ends when this is dropped.
#[derive(Debug)]
pub struct GoodClient {
    task: JoinHandle<()>,
    seen: Arc<Mutex<RequestOutcomes>>,
}

/// What a good client saw.
#[derive(Clone, Debug, Default)]
pub struct RequestOutcomes {
    /// How long each answered request took.
    pub took: Vec<Duration>,
    /// What was said of the others.
    pub refused: Vec<String>,
}

impl RequestOutcomes {
    /// The time that this share of the requests stayed below, `None` if there were none.
    pub fn percentile(&self, share: f64) -> Option<Duration> {
        let mut sorted = self.took.clone();
        sorted.sort();
        let place = ((sorted.len() as f64 * share) as usize).min(sorted.len().saturating_sub(1));
        sorted.get(place).copied()
    }

    /// What is in this and was not in `earlier`, of the same client.
    pub fn since(&self, earlier: &Self) -> Self {
        Self { took: self.took[earlier.took.len()..].to_vec(), refused: self.refused[earlier.refused.len()..].to_vec() }
    }
}

impl GoodClient {
    /// Begins to work. Needs a runtime, and the collection.
    pub fn start(client: ApiClient) -> Self {
        let seen = Arc::new(Mutex::new(RequestOutcomes::default()));
        Self { task: tokio::spawn(work(client, seen.clone())), seen }
    }

    /// All so far.
    pub fn seen(&self) -> RequestOutcomes {
        lock(&self.seen).clone()
    }

    /// Waits until so many requests more have come to their end.
    ///
    /// # Errors
    /// Where they do not within `patience`.
    pub async fn progress(&self, more: usize, patience: Duration) -> anyhow::Result<()> {
        let ended = || {
            let seen = lock(&self.seen);
            seen.took.len() + seen.refused.len()
        };
        let (start, wanted) = (Instant::now(), ended() + more);
        while ended() < wanted {
            anyhow::ensure!(start.elapsed() < patience, "only {} of {wanted} requests came to their end", ended());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }
}

impl Drop for GoodClient {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(seen: &Mutex<RequestOutcomes>) -> MutexGuard<'_, RequestOutcomes> {
    seen.lock().expect("nothing under the lock panics")
}

async fn work(client: ApiClient, seen: Arc<Mutex<RequestOutcomes>>) {
    let vector: Vec<f32> = (0..SIZE).map(|place| place as f32).collect();
    for turn in 0_u64.. {
        let began = Instant::now();
        // It writes and searches in turn, one request at a time.
        let answer = if turn % 2 == 0 {
            let point = json!({"id": POINTS + turn % 64, "vector": vector});
            client.upsert(COLLECTION, vec![point], json!({})).await
        } else {
            client.search(COLLECTION, &vector, 10, json!({})).await
        };
        let took = began.elapsed();
        if answer.success() {
            lock(&seen).took.push(took);
        } else {
            lock(&seen).refused.push(answer.problem);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_few_and_of_none() {
        let seen = |ms: &[u64]| RequestOutcomes {
            took: ms.iter().map(|ms| Duration::from_millis(*ms)).collect(),
            refused: vec![],
        };
        assert_eq!(seen(&[]).percentile(0.5), None);
        assert_eq!(seen(&[7]).percentile(0.99), Some(Duration::from_millis(7)));
        assert_eq!(seen(&[4, 1, 3, 2]).percentile(0.5), Some(Duration::from_millis(3)));
        assert_eq!(seen(&[4, 1, 3, 2]).percentile(1.0), Some(Duration::from_millis(4)));
    }
}
