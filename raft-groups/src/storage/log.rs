//! One group's Raft log and vote in the node's log store, as openraft wants them.
//!
//! Everything that changes goes through the store's one [`Syncer`] in order, so completing an append implies that
//! all before it are durable. What is queued but not yet written, and a little more, is kept in memory: an append is
//! readable when it returns, and replication seldom reads the disk. What is committed is not stored: a restarted replica
//! has its applied state and what the log itself shows ([`found`]), learns the rest from its leader, and shows nothing
//! until then (see `read.rs`).

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, ControlFlow, RangeBounds};
use std::sync::{Arc, OnceLock};

use openraft::EntryPayload;
use openraft::storage::{IOFlushed, LogState, RaftLogReader, RaftLogStorage};
use parking_lot::Mutex;

use super::contradiction::check_unmarked;
use super::found;
use super::keys::LogKey;
use super::record::{put, read, unseal};
use super::store::{Batch, EDIT_WEIGHT, Store};
use super::syncer::{Syncer, WRITE_WEIGHT};
use super::tail::{Known, TailEntry, after};
use crate::GroupId;
use crate::events::{Recorder, What};
use crate::format::{AsForm, Formed as _};
use crate::mutants::{Mutant, is_planted};
use crate::types::{Entry, LogId, Types, Vote};
use crate::watch;

/// Bytes of entries in one replication message, about; at least one entry is always sent.
const MESSAGE_BYTES: usize = 4 << 20;
/// Entries purged in one batch.
const PURGE_ENTRIES: u64 = 64;

/// The log of one group; clones share it.
#[derive(Clone)]
pub struct GroupLog(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) group: GroupId,
    /// Where what happens to the log is told, once there is a listener to tell.
    recorder: OnceLock<Recorder>,
    store: Arc<dyn Store>,
    pub(super) syncer: Syncer,
    pub(super) known: Mutex<Known>,
    /// Why this replica must not take part any more, where it must not.
    pub(super) damage: OnceLock<String>,
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
    pub fn open(group: GroupId, store: Arc<dyn Store>, syncer: Syncer) -> io::Result<Self> {
        check_unmarked(&*store, group)?;
        let mut known = Known {
            vote: read::<AsForm<Vote>>(&*store, group, LogKey::Vote)?.map(|vote| vote.0),
            purged: read::<AsForm<LogId>>(&*store, group, LogKey::Purged)?.map(|purged| purged.0),
            ..Known::default()
        };
        let found = found::look(&*store, group, known.purged)?;
        known.last = found.last.or(known.purged);
        known.first = after(known.purged);
        known.committed = found.committed;
        if is_planted(Mutant::ForgetsVotes) {
            let terms = known.last.map_or(0, |last| last.leader_id.term);
            known.vote = known.vote.map(|vote| Vote::new(vote.leader_id.term.min(terms), vote.leader_id.voted_for));
        }
        let (durable, durable_seen) = watch::channel(Some(after(known.last)));
        let (recorder, damage, committed) = (OnceLock::new(), OnceLock::new(), found.committed);
        let (known, syncer) = (Mutex::new(known), syncer.for_owner());
        Ok(Self(Arc::new(Inner { group, recorder, store, syncer, known, damage, committed, durable, durable_seen })))
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
    pub fn tell(&self, what: impl FnOnce() -> What) {
        if let Some(recorder) = self.0.recorder.get().filter(|recorder| recorder.is_on()) {
            let term = self.0.known.lock().vote.map_or(0, |vote| vote.leader_id.term);
            recorder.tell(term, what);
        }
    }

    /// The last `last` entries, the newest first, each read when it is asked for. Those that are gone by then are left out.
    pub fn newest_first(&self, last: u64) -> impl Iterator<Item = io::Result<Entry>> + '_ {
        let end = after(self.0.known.lock().last);
        let one = |index| self.read_range(index..=index, 1).map(|mut read| read.pop()).transpose();
        (end.saturating_sub(last)..end).rev().filter_map(one)
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
        self.0.syncer.carry_out(Batch::default(), true).await
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

    /// The entries of a range, as many as fit. A cut of the log while the store is read is not damage: read again.
    pub fn read_range(&self, range: impl RangeBounds<u64> + Clone, max_bytes: usize) -> io::Result<Vec<Entry>> {
        loop {
            let cuts = self.0.known.lock().cuts;
            match self.read_once(range.clone(), max_bytes) {
                Err(_) if self.0.known.lock().cuts != cuts => {}
                outcome => return outcome,
            }
        }
    }

    fn read_once(&self, range: impl RangeBounds<u64>, max_bytes: usize) -> io::Result<Vec<Entry>> {
        let (from, to, tail) = {
            let known = self.0.known.lock();
            let from = match range.start_bound() {
                Bound::Included(start) => *start,
                Bound::Excluded(start) => start + 1,
                Bound::Unbounded => 0,
            };
            let to = match range.end_bound() {
                Bound::Included(end) => end + 1,
                Bound::Excluded(end) => *end,
                Bound::Unbounded => u64::MAX,
            };
            let from = from.max(known.first);
            let to = to.min(after(known.last));
            if from >= to {
                return Ok(Vec::new());
            }
            let mut budget = max_bytes;
            let in_tail = known.tail.range(from..to).take_while(|(_, entry)| take(&mut budget, entry.bytes));
            let tail: Vec<_> = in_tail.map(|(_, entry)| entry.entry.clone()).collect();
            let in_store_to = known.tail.first_key_value().map_or(to, |(first, _)| (*first).min(to));
            (from, in_store_to, tail)
        };
        if from >= to {
            return Ok(tail);
        }
        let (mut entries, whole) = self.read_store(from, to, max_bytes)?;
        if whole {
            entries.extend(tail);
        }
        Ok(entries)
    }

    /// The stored entries of `from..to` that fit `max_bytes`, and whether those are all.
    fn read_store(&self, from: u64, to: u64, max_bytes: usize) -> io::Result<(Vec<Entry>, bool)> {
        let group = self.0.group;
        let (mut entries, mut damage, mut budget) = (Vec::new(), None, max_bytes);
        let mut visit = |key: &[u8], record: &[u8]| {
            if !take(&mut budget, record.len()) {
                return ControlFlow::Break(());
            }
            match unseal::<AsForm<Entry>>(key, record).map(|entry| entry.0) {
                Ok(entry) if entry.log_id.index == from + entries.len() as u64 => {
                    entries.push(entry);
                    ControlFlow::Continue(())
                }
                Ok(_) => {
                    damage = Some(hole(group, from + entries.len() as u64));
                    ControlFlow::Break(())
                }
                Err(error) => {
                    damage = Some(error);
                    ControlFlow::Break(())
                }
            }
        };
        self.0.store.scan(&LogKey::Entry(from).of(group), &LogKey::Entry(to).of(group), &mut visit)?;
        match damage {
            Some(error) => Err(error),
            None => {
                let whole = entries.len() as u64 == to - from;
                if !whole && budget == max_bytes {
                    return Err(hole(group, from));
                }
                Ok((entries, whole))
            }
        }
    }
}

/// Takes `bytes` off the budget; a first take succeeds whatever it costs.
fn take(budget: &mut usize, bytes: usize) -> bool {
    let within = *budget > 0;
    *budget = budget.saturating_sub(bytes);
    within
}

/// The membership that an entry brings, where it brings one.
fn membership(entry: &Entry) -> Option<What> {
    let EntryPayload::Membership(members) = &entry.payload else { return None };
    let (voters, learners) = (members.voter_ids().collect(), members.learner_ids().collect());
    Some(What::Membership { voters, learners, joint: members.get_joint_config().len() > 1, index: entry.log_id.index })
}

pub(super) fn hole(group: GroupId, index: u64) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the log of {group} has no entry {index}"))
}

impl RaftLogReader<Types> for GroupLog {
    async fn try_get_log_entries<RB>(&mut self, range: RB) -> io::Result<Vec<Entry>>
    where
        RB: RangeBounds<u64> + Clone + Debug + Send,
    {
        self.read_range(range, usize::MAX)
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        self.read_range(start..end, MESSAGE_BYTES)
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.0.known.lock().vote)
    }
}

impl RaftLogStorage<Types> for GroupLog {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<Types>> {
        let known = self.0.known.lock();
        Ok(LogState { last_purged_log_id: known.purged, last_log_id: known.last })
    }

    /// Less than was committed, and enough that openraft never takes for uncommitted what a later membership shows to be.
    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        Ok(self.0.committed)
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        let mut batch = Batch::default();
        put(&mut batch, self.0.group, LogKey::Vote, &vote.form());
        self.0.syncer.carry_out(batch, true).await?;
        self.0.known.lock().vote = Some(*vote);
        Ok(())
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<Types>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + Send,
        I::IntoIter: Send,
    {
        // Entries are written in order, so that a part of them may be there after a crash: nothing is promised of it.
        let (mut batch, mut full, mut gathered) = (Batch::default(), Vec::new(), 0);
        let (mut told, mut members): (Option<(u64, u64, u64)>, Vec<What>) = (None, Vec::new());
        let append = {
            let mut known = self.0.known.lock();
            known.queued += 1;
            let append = known.queued;
            let from = after(known.last);
            known.pending.push_back((append, from));
            for entry in entries {
                let index = entry.log_id.index;
                if known.last == known.purged {
                    known.first = index;
                }
                told = Some((told.map_or(index, |(first, _, _)| first), index, entry.log_id.leader_id.term));
                members.extend(membership(&entry));
                if gathered > WRITE_WEIGHT {
                    full.push(std::mem::take(&mut batch));
                    gathered = 0;
                }
                let bytes = put(&mut batch, self.0.group, LogKey::Entry(index), &entry.form());
                gathered += bytes + EDIT_WEIGHT;
                known.last = Some(entry.log_id);
                known.tail_bytes += bytes;
                if let Some(replaced) = known.tail.insert(index, TailEntry { entry, bytes, append }) {
                    known.tail_bytes -= replaced.bytes;
                }
            }
            append
        };
        if let Some((first, last, entry_term)) = told {
            self.tell(|| What::Appended { first, last, entry_term });
        }
        for change in members {
            self.tell(|| change);
        }
        let inner = self.0.clone();
        let mut callback = Some(callback);
        if is_planted(Mutant::AcksTooEarly) {
            callback.take().into_iter().for_each(|callback| callback.io_completed(Ok(())));
        }
        for batch in full {
            // Should it fail, so does what comes after it.
            self.0.syncer.submit(batch, false, drop);
        }
        self.0.syncer.submit(batch, true, move |result| {
            {
                let mut known = inner.known.lock();
                if result.is_ok() {
                    known.complete(append);
                }
                inner.durable.send_replace(result.is_ok().then(|| known.durable()));
            }
            if let Some(callback) = callback {
                callback.io_completed(result);
            }
        });
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        let wrong = self.wrong_cut(last, &self.0.known.lock());
        if let Some(found) = wrong {
            return Err(self.note_damage(found).await);
        }
        let mut batch = Batch::default();
        {
            let mut known = self.0.known.lock();
            let first_removed = after(last);
            let end = after(known.last);
            for index in first_removed.max(known.first)..end {
                batch.delete(LogKey::Entry(index).of(self.0.group));
            }
            known.drop_tail(first_removed..);
            for (_, from) in &mut known.pending {
                *from = first_removed.min(*from);
            }
            if end > first_removed {
                known.last = last.max(known.purged);
            }
            known.cuts += 1;
            self.0.durable.send_replace(Some(known.durable()));
        }
        self.tell(|| What::Truncated { from: after(last) });
        // Not awaited: the queue keeps it before the next append, whose durability covers it.
        self.0.syncer.submit(batch, false, drop);
        Ok(())
    }

    async fn purge(&mut self, upto: LogId) -> io::Result<()> {
        let (from, to) = {
            let mut known = self.0.known.lock();
            if Some(upto) <= known.purged {
                return Ok(());
            }
            let (from, end) = (known.first, after(known.last));
            known.purged = Some(upto);
            known.first = upto.index + 1;
            known.last = known.last.max(Some(upto));
            known.drop_tail(..=upto.index);
            known.cuts += 1;
            self.0.durable.send_replace(Some(known.durable()));
            (from, end.min(upto.index + 1))
        };
        self.tell(|| What::Purged { upto: upto.index });
        let mut first = Batch::default();
        put(&mut first, self.0.group, LogKey::Purged, &upto.form());
        self.0.syncer.submit(first, false, drop);
        for start in (from..to).step_by(PURGE_ENTRIES as usize) {
            let mut batch = Batch::default();
            for index in start..to.min(start + PURGE_ENTRIES) {
                batch.delete(LogKey::Entry(index).of(self.0.group));
            }
            self.0.syncer.submit(batch, false, drop);
        }
        Ok(())
    }
}
