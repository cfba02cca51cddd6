//! One group's Raft log and vote, kept in the node's log store.
//!
//! ```text
//! openraft ─▶ adapter ─▶ GroupLog ─▶ KnownLog (memory: ends, vote, newest entries) ─▶ LogStore ─▶ Syncer ─▶ disk
//!                           read ◀────┴─────────────────────────────────────────────────┘
//! ```
//! Everything that changes is done in memory and then asked of the [`LogStore`], in one order, so the end of an append
//! implies that all before it are durable. [`known_log`] is what memory knows, with its invariants, and [`cached_tail`]
//! the entries it keeps; [`adapter`] is openraft's contract; [`read`] gives entries out; [`recover`] reads the log when
//! it is opened; [`contradiction`] finds what must not be; [`key_value_log`] is where it is kept today.
//!
//! What is committed is not stored: a restarted replica has its applied state and what the log itself shows, learns
//! the rest from its leader, and shows nothing until then (see `replica/read.rs`).

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
    /// Where what happens to the log is told, once there is a listener to tell.
    recorder: OnceLock<Recorder>,
    store: Arc<dyn LogStore>,
    known: Mutex<KnownLog>,
    /// Why this replica must not take part any more, where it must not.
    damage: OnceLock<String>,
    /// What was known to be committed when the log was opened.
    committed: Option<LogId>,
    /// How many entries from the start of the log on are durable; `None` once the store has failed.
    durable: watch::Sender<Option<u64>>,
    durable_seen: watch::Receiver<Option<u64>>,
}

impl GroupLog {
    /// Opens the log of `group` that `store` keeps, or an empty one, and checks every record of it.
    ///
    /// # Errors
    /// `InvalidData` where a record fails its check, the log has a hole, or damage was noted.
    pub fn open(group: GroupId, store: Arc<dyn LogStore>) -> io::Result<Self> {
        // Of a replica that was found damaged nothing is believed.
        if let Some(found) = store.noted_damage()? {
            return Err(io::Error::new(io::ErrorKind::InvalidData, found));
        }
        let (mut vote, purged) = (store.vote()?, store.purged()?);
        let recovered = read_stored_entries(&*store, group, purged)?;
        if is_planted(Mutant::ForgetsVotes) {
            let terms = recovered.last.or(purged).map_or(0, |last| last.leader_id.term);
            vote = vote.map(|vote| Vote::new(vote.leader_id.term.min(terms), vote.leader_id.voted_for));
        }
        // All that was read is durable: it came from the disk.
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

    /// Takes nothing more. What was given before comes before all that anyone gives the disk now.
    pub fn close(&self) {
        self.0.store.close();
    }

    /// How long the disk has been at its writes, where that is longer than `longest` and what their size takes.
    pub fn hung_for(&self, longest: Duration) -> Option<Duration> {
        self.0.store.hung_for(longest)
    }

    /// From now on what happens to this log is told to `recorder`.
    pub fn report_to(&self, recorder: Recorder) {
        let _ = self.0.recorder.set(recorder);
    }

    /// Tells of this group; the term is that of the vote.
    pub fn tell(&self, what: impl FnOnce() -> EventKind) {
        if let Some(recorder) = self.0.recorder.get().filter(|recorder| recorder.is_on()) {
            let term = self.0.known.lock().vote.map_or(0, |vote| vote.leader_id.term);
            recorder.tell(term, what);
        }
    }

    /// Waits until the entry at `index` is durable here, as it must be before the machine's state shows it: else a log
    /// that ends before its state could not be told from a damaged one.
    pub async fn wait_durable(&self, index: u64) -> io::Result<()> {
        let mut durable = self.0.durable_seen.clone();
        let waited = durable.wait_for(|durable| durable.is_none_or(|durable| durable > index)).await;
        match waited {
            Ok(()) if durable.borrow().is_some() => Ok(()),
            _ => Err(io::Error::other("the log store failed")),
        }
    }

    /// Makes everything done to the log so far survive a power loss.
    pub async fn sync(&self) -> io::Result<()> {
        self.0.store.sync().await
    }

    /// The vote, the last and the last purged log id, for checks against the machine's state.
    pub fn summary(&self) -> (Option<Vote>, Option<LogId>, Option<LogId>) {
        let known = self.0.known.lock();
        (known.vote, known.last, known.purged)
    }

    /// The last and the last purged log id, and how often entries were removed.
    pub fn ends(&self) -> (Option<LogId>, Option<LogId>, u64) {
        let known = self.0.known.lock();
        (known.last, known.purged, known.cuts)
    }
}

impl LogShared {
    /// Notes that an append has ended, and tells who waits how much is durable now. After a failure nothing is.
    fn note_append_ended(&self, append: u64, succeeded: bool) {
        let mut known = self.known.lock();
        if succeeded {
            known.complete(append);
        }
        self.durable.send_replace(succeeded.then(|| known.durable()));
    }
}
