//! One group's Raft log and vote, kept in the node's log store.
//!
//! ```text
//! openraft ─▶ adapter ─▶ GroupLog ─▶ KnownLog (memory: ends, vote, newest entries) ─▶ Syncer ─▶ the node's log store
//!                           read ◀────┴───────────────────────────────────────────────────────────┘
//! ```
//! Everything that changes goes through the store's one [`Syncer`] in order, so completing an append implies that all
//! before it are durable. [`cached_tail`] is what memory knows of the log, and its invariants; [`adapter`] is
//! openraft's contract; [`read`] gives entries out; [`recover`] reads the log when it is opened; [`contradiction`]
//! finds what must not be.
//!
//! What is committed is not stored: a restarted replica has its applied state and what the log itself shows, learns
//! the rest from its leader, and shows nothing until then (see `replica/read.rs`).

mod adapter;
pub(crate) mod cached_tail;
pub(crate) mod contradiction;
mod read;
mod recover;

use std::io;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use self::cached_tail::{KnownLog, after};
use self::recover::{check_no_damage_noted, read_stored_entries};
use super::keys::LogKey;
use super::record::read as read_record;
use super::store::{KeyValueStore, WriteBatch};
use super::syncer::Syncer;
use crate::GroupId;
use crate::consensus::types::{LogId, Vote};
use crate::consensus::watch;
use crate::events::{EventKind, Recorder};
use crate::format::AsForm;
use crate::mutants::{Mutant, is_planted};

/// The log of one group; clones share it.
#[derive(Clone)]
pub struct GroupLog(Arc<LogShared>);

/// What the handles of one log share.
struct LogShared {
    group: GroupId,
    /// Where what happens to the log is told, once there is a listener to tell.
    recorder: OnceLock<Recorder>,
    store: Arc<dyn KeyValueStore>,
    syncer: Syncer,
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
    /// Opens the stored log of `group`, or an empty one, and checks every record of it.
    ///
    /// # Errors
    /// `InvalidData` where a record fails its check, the log has a hole, or damage was noted.
    pub fn open(group: GroupId, store: Arc<dyn KeyValueStore>, syncer: Syncer) -> io::Result<Self> {
        check_no_damage_noted(&*store, group)?;
        let mut known = KnownLog {
            vote: read_record::<AsForm<Vote>>(&*store, group, LogKey::Vote)?.map(|vote| vote.0),
            purged: read_record::<AsForm<LogId>>(&*store, group, LogKey::Purged)?.map(|purged| purged.0),
            ..KnownLog::default()
        };
        let recovered = read_stored_entries(&*store, group, known.purged)?;
        known.last = recovered.last.or(known.purged);
        known.first = after(known.purged);
        known.committed = recovered.committed;
        if is_planted(Mutant::ForgetsVotes) {
            let terms = known.last.map_or(0, |last| last.leader_id.term);
            known.vote = known.vote.map(|vote| Vote::new(vote.leader_id.term.min(terms), vote.leader_id.voted_for));
        }
        let (durable, durable_seen) = watch::channel(Some(after(known.last)));
        let (recorder, damage, committed) = (OnceLock::new(), OnceLock::new(), recovered.committed);
        let (known, syncer) = (Mutex::new(known), syncer.for_owner());
        Ok(Self(Arc::new(LogShared {
            group,
            recorder,
            store,
            syncer,
            known,
            damage,
            committed,
            durable,
            durable_seen,
        })))
    }

    /// The queue in front of its store.
    pub fn syncer(&self) -> &Syncer {
        &self.0.syncer
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
        self.0.syncer.carry_out(WriteBatch::default(), true).await
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
