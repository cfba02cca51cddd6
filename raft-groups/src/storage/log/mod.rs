//! One group's Raft log and vote, kept in the node's log store.
//!
//! ```text
//! openraft ─▶ adapter ─▶ GroupLog ─▶ KnownLog (memory: ends, vote, newest entries) ─▶ LogStore ─▶ Syncer ─▶ disk
//!                           read ◀────┴─────────────────────────────────────────────────┘
//! ```
//! Every change is made in memory and then requested of the [`LogStore`], in one order. So once an append has ended,
//! all before it are durable. [`known_log`] is what memory knows, with its invariants, and [`cached_tail`] has the
//! entries in memory. [`adapter`] is openraft's contract. [`read`] reads entries. [`recover`] reads the log when it
//! is opened. [`contradiction`] finds damage. [`key_value_log`] keeps the log on disk. How much of it stays behind a
//! snapshot is decided in `settings.rs`; [`known_log`] takes the rest away.
//!
//! The commit index is not stored. A restarted replica has its applied state, and what the log itself shows to be
//! committed. It learns the rest from its leader, and answers no read until then (see `replica/read.rs`).

mod adapter;
mod cached_tail;
pub(crate) mod contradiction;
pub(crate) mod key_value_log;
pub(crate) mod known_log;
pub(crate) mod log_store;
mod read;
mod recover;

use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;

use self::known_log::{KnownLog, next_index};
use self::log_store::LogStore;
use self::recover::read_stored_entries;
use crate::GroupId;
use crate::consensus::types::{LogId, Vote};
use crate::consensus::watch;
use crate::events::{EventKind, Recorder};
use crate::mutants::{Mutant, is_planted};

/// The log of one group; clones share it.
#[derive(Clone)]
pub struct GroupLog(Arc<LogShared>);

/// What the handles of one log share.
struct LogShared {
    group: GroupId,
    /// Records what happens to the log, once [`GroupLog::report_to`] has set it.
    recorder: OnceLock<Recorder>,
    store: Arc<dyn LogStore>,
    known: Mutex<KnownLog>,
    /// The damage that was found, if any. Such a replica must not take part any more.
    damage: OnceLock<String>,
    /// What was known to be committed when the log was opened.
    committed: Option<LogId>,
    /// The index after the last durable entry; `None` once the store has failed.
    durable: watch::Sender<Option<u64>>,
    durable_seen: watch::Receiver<Option<u64>>,
}

impl GroupLog {
    /// Opens the log of `group` that `store` keeps, or an empty one, and checks all its records.
    ///
    /// # Errors
    /// `InvalidData` if a record fails its check, the log has a hole, or damage was noted. `Unsupported` if a later
    /// release wrote a record.
    pub fn open(group: GroupId, store: Arc<dyn LogStore>) -> io::Result<Self> {
        // Nothing of a replica that was found damaged is trusted.
        if let Some(found) = store.noted_damage()? {
            return Err(io::Error::new(io::ErrorKind::InvalidData, found));
        }
        let (mut vote, purged) = (store.vote()?, store.purged()?);
        let recovered = read_stored_entries(&*store, group, purged)?;
        if is_planted(Mutant::ForgetsVotes) {
            let terms = recovered.last.or(purged).map_or(0, |last| last.leader_id.term);
            vote = vote.map(|vote| Vote::new(vote.leader_id.term.min(terms), vote.leader_id.voted_for));
        }
        // All that was read came from the disk, so it is durable.
        let known = KnownLog::of_stored(vote, purged, recovered.last, recovered.committed);
        let (durable, durable_seen) = watch::channel(Some(next_index(known.last)));
        Ok(Self(Arc::new(LogShared {
            group,
            recorder: OnceLock::new(),
            store,
            known: Mutex::new(known),
            damage: OnceLock::new(),
            committed: recovered.committed,
            durable,
            durable_seen,
        })))
    }

    /// Refuses every later write. What was queued before comes before all that anyone queues now.
    pub fn close(&self) {
        self.0.store.close();
    }

    /// Returns how long the disk has been busy with its current writes, if that is longer than `longest` plus the
    /// time for all waiting bytes.
    pub fn hung_for(&self, longest: Duration) -> Option<Duration> {
        self.0.store.hung_for(longest)
    }

    /// Sets the recorder of what happens to this log. Only the first call has an effect.
    pub fn report_to(&self, recorder: Recorder) {
        let _ = self.0.recorder.set(recorder);
    }

    /// Records an event of this group, in the term of its vote.
    pub fn tell(&self, what: impl FnOnce() -> EventKind) {
        if let Some(recorder) = self.0.recorder.get().filter(|recorder| recorder.is_on()) {
            let term = self.0.known.lock().vote.map_or(0, |vote| vote.leader_id.term);
            recorder.tell(term, what);
        }
    }

    /// Waits until the entry at `index` is durable here. It must be before the machine's state shows it: else a
    /// sound log could end before its state, as a damaged one does.
    ///
    /// # Errors
    /// An I/O error if the log store failed.
    pub async fn wait_durable(&self, index: u64) -> io::Result<()> {
        let mut durable = self.0.durable_seen.clone();
        let waited = durable.wait_for(|durable| durable.is_none_or(|durable| durable > index)).await;
        match waited {
            Ok(()) if durable.borrow().is_some() => Ok(()),
            _ => Err(io::Error::other("the log store failed")),
        }
    }

    /// Makes everything done to the log so far survive a power loss.
    ///
    /// # Errors
    /// An I/O error of the store.
    pub async fn sync(&self) -> io::Result<()> {
        self.0.store.sync().await
    }

    /// Returns the vote, the last log id and the last purged log id.
    pub fn summary(&self) -> (Option<Vote>, Option<LogId>, Option<LogId>) {
        let known = self.0.known.lock();
        (known.vote, known.last, known.purged)
    }

    /// Returns the last log id, the last purged log id, and how often entries were removed.
    pub fn ends(&self) -> (Option<LogId>, Option<LogId>, u64) {
        let known = self.0.known.lock();
        (known.last, known.purged, known.cuts)
    }
}

impl LogShared {
    /// Notes that an append has ended, and publishes how much is durable now. After a failure nothing counts as
    /// durable.
    fn note_append_ended(&self, append: u64, succeeded: bool) {
        let mut known = self.known.lock();
        if succeeded {
            known.complete(append);
        }
        self.durable.send_replace(succeeded.then(|| known.durable()));
    }
}
