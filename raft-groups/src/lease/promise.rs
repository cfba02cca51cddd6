//! The promise that a lease rests on. A follower that hears a leader neither votes against it nor stands for
//! election itself, for as long as that leader asks (Ongaro's thesis, § 6.4.1).
//!
//! Each message of the leader says for how long; the follower's own settings do not. Nodes may have different
//! settings, for example while an operator changes them node by node. openraft keeps a promise of the follower's own
//! length; this one comes beside it. A node that restarts waits out the longest promise that it may have given. So a
//! length is durable before it is promised.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::OpenError;
use crate::mutants::{Mutant, is_planted};
use crate::storage::keys;
use crate::storage::record::{seal, unseal};
use crate::storage::store::{KeyValueStore, WriteBatch};
use crate::storage::syncer::Syncer;

/// The longest promise that a leader may ask for. Settings that would ask for more are refused.
pub const LONGEST_PROMISE: Duration = Duration::from_secs(60);

/// Until when one replica is bound by a promise. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct LeaderPromise(Arc<Mutex<Option<Instant>>>);

impl LeaderPromise {
    /// Promises until `until`. A longer promise made before still holds.
    pub fn make(&self, until: Instant) {
        let mut held = self.0.lock();
        *held = (*held).max(Some(until));
    }

    /// Returns `true` if a promise binds this replica now.
    pub fn binds(&self) -> bool {
        self.0.lock().is_some_and(|until| Instant::now() < until)
    }
}

/// The longest promise of a node, as its log store has it. Invariant: no replica of the node has made a longer one.
pub struct LongestPromise {
    stored_ms: AtomicU64,
    /// Held by whoever changes the stored length.
    raising: tokio::sync::Mutex<()>,
    log: Syncer,
}

impl LongestPromise {
    /// Reads it from a node's log store, and makes durable that promises of length `own` are made from now on.
    /// Returns it, and how long a restart must wait for earlier promises.
    ///
    /// # Errors
    /// An error if the store fails.
    pub async fn open(store: &dyn KeyValueStore, log: Syncer, own: Duration) -> Result<(Self, Duration), OpenError> {
        let failed = |source| OpenError::Io { what: "the log store's promise".to_owned(), source };
        let key = keys::promise();
        let stored = store.get(&key).and_then(|record| record.map(|record| unseal::<u64>(&key, &record)).transpose());
        // Durable before the first promise: a crash from here on makes the next start wait.
        let stored = Duration::from_millis(stored.map_err(failed)?.unwrap_or(0));
        let longest = Self { stored_ms: AtomicU64::new(0), raising: tokio::sync::Mutex::default(), log };
        longest.write(stored.max(own)).await.map_err(failed)?;
        let waits = if is_planted(Mutant::ForgetsLongPromises) { own } else { stored.max(own) };
        Ok((longest, waits))
    }

    /// Makes durable that a restart waits for promises of the length `asked`.
    ///
    /// # Errors
    /// An I/O error of the store. Then nothing of this length may be promised.
    pub async fn cover(&self, asked: Duration) -> io::Result<()> {
        if self.covers(asked) {
            return Ok(());
        }
        let _one = self.raising.lock().await;
        if !self.covers(asked) {
            self.write(asked).await?;
        }
        // A promise longer than a restart waits for would let two leaders serve reads.
        assert!(self.covers(asked), "a promise is given that a restart would not wait for");
        Ok(())
    }

    /// Lowers the stored length to `own`. Call it once all promises of earlier lives have run out.
    ///
    /// # Errors
    /// An error if the store fails.
    pub async fn forget_earlier(&self, own: Duration) -> io::Result<()> {
        let _one = self.raising.lock().await;
        if self.stored_ms.load(Ordering::Acquire) > millis(own) { self.write(own).await } else { Ok(()) }
    }

    fn covers(&self, asked: Duration) -> bool {
        millis(asked) <= self.stored_ms.load(Ordering::Acquire)
    }

    async fn write(&self, longest: Duration) -> io::Result<()> {
        let key = keys::promise();
        let mut batch = WriteBatch::default();
        let record = seal(&key, &millis(longest));
        batch.put(key, record);
        // Memory is lowered before the write and raised after it. So memory never exceeds what a restart finds on
        // disk.
        self.stored_ms.fetch_min(millis(longest), Ordering::AcqRel);
        self.log.carry_out(batch, true).await?;
        self.stored_ms.store(millis(longest), Ordering::Release);
        Ok(())
    }
}

fn millis(duration: Duration) -> u64 {
    duration.as_micros().div_ceil(1000).try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::disk::SimDisk;

    const OWN: Duration = Duration::from_millis(400);
    const LONG: Duration = Duration::from_secs(9);

    #[tokio::test]
    async fn a_restart_waits_for_the_longest_promise_whatever_the_new_settings_say() {
        let disk = SimDisk::new(1);
        let open = |own| {
            let store = Arc::new(disk.open());
            async move {
                let log = Syncer::thread("test", store.clone()).expect("starts");
                LongestPromise::open(&*store, log, own).await.expect("opens")
            }
        };
        // A leader with longer timeouts is promised more than this node's own settings ask.
        let (longest, waits) = open(OWN).await;
        assert_eq!(waits, OWN);
        longest.cover(LONG).await.expect("a sound disk");
        drop(longest);
        disk.crash();
        // The promise survives the crash, until it has run out and is forgotten.
        let (longest, waits) = open(OWN / 2).await;
        assert_eq!(waits, LONG);
        longest.forget_earlier(OWN / 2).await.expect("a sound disk");
        assert!(!longest.covers(OWN));
        drop(longest);
        disk.crash();
        assert_eq!(open(OWN).await.1, OWN);
    }

    #[tokio::test(start_paused = true)]
    async fn the_longer_of_two_promises_binds() {
        let promise = LeaderPromise::default();
        assert!(!promise.binds());
        promise.make(Instant::now() + LONG);
        promise.make(Instant::now() + OWN);
        tokio::time::sleep(OWN * 2).await;
        assert!(promise.binds());
        tokio::time::sleep(LONG).await;
        assert!(!promise.binds());
    }
}
