//! What a replica has applied, or knows to be committed, is never taken back: whatever contradicts it is damage, here
//! or elsewhere, and the replica stops before it can show two truths.
//!
//! Log ids are compared entry by entry. openraft takes for equal whatever lies below the committed index, and compares
//! term first elsewhere: between sound replicas both are right, and after a disk has gone back in time neither is.
//! Damage is noted durably beside the log, so that the next start finds it as well.

use std::io;

use super::GroupLog;
use super::known_log::{KnownLog, next_index};
use crate::consensus::types::{LogEntry, LogId, SnapshotMeta};
use crate::mutants::{Mutant, is_planted};
use crate::storage::state::GroupState;

/// Returns `true` if one of two log ids of one log is the later by its index and not by its term.
fn contradict(one: &LogId, other: &LogId) -> bool {
    one.index.cmp(&other.index) != one.cmp(other)
}

impl GroupLog {
    /// Why this replica must not take part any more, where it must not.
    pub fn damage(&self) -> Option<&str> {
        self.0.damage.get().map(String::as_str)
    }

    /// Notes damage durably; returns it as an error that stops consensus.
    pub async fn note_damage(&self, found: String) -> io::Error {
        // The first that was found counts: what is found later may follow from it.
        let found = self.0.damage.get_or_init(|| found).clone();
        let noted = self.0.store.note_damage(&found).await;
        if let Err(error) = noted {
            tracing::error!(%error, "that a replica is damaged could not be noted; the next start looks anew");
        }
        tracing::error!(group = %self.0.group, found, "this replica is damaged and stops");
        io::Error::new(io::ErrorKind::InvalidData, found)
    }

    /// What is wrong with cutting off all entries behind `last`, if anything is.
    pub(super) fn wrong_cut(&self, last: Option<LogId>, known: &KnownLog) -> Option<String> {
        let settled = known.settled()?;
        if next_index(last) > settled.index || is_planted(Mutant::CutsApplied) {
            return None;
        }
        Some(format!(
            "a leader asks to cut this replica's log from entry {} on, and entries up to {settled} are applied or \
             committed",
            next_index(last)
        ))
    }

    /// Notes that the state is as of `applied`: no entry up to there may be taken back from now on.
    pub fn note_applied(&self, applied: Option<LogId>) {
        self.0.known.lock().note_applied(applied);
    }

    /// Notes that `committed`, which lies within what was just compared with the leader's log, is committed.
    pub fn note_committed(&self, committed: LogId) {
        self.0.known.lock().note_committed(committed);
    }

    /// The log id at `index`, where the log still tells.
    pub fn log_id_at(&self, index: u64) -> io::Result<Option<LogId>> {
        {
            let known = self.0.known.lock();
            let ends = [known.purged, known.last, known.applied];
            if let Some(known) = ends.into_iter().flatten().find(|log_id| log_id.index == index) {
                return Ok(Some(known));
            }
        }
        Ok(self.read_range(index..=index, 1)?.first().map(|entry| entry.log_id))
    }

    /// What the log of a leader in `term` contradicts here, of `prev` and `entries` that it sent.
    pub fn contradiction(&self, term: u64, prev: Option<LogId>, entries: &[LogEntry]) -> io::Result<Option<String>> {
        let (settled, voted) = {
            let known = self.0.known.lock();
            (known.settled(), known.vote.map_or(0, |vote| vote.leader_id.term))
        };
        // A leader of long ago is refused anyway.
        let Some(settled) = settled.filter(|_| term >= voted && !is_planted(Mutant::CutsApplied)) else {
            return Ok(None);
        };
        let sent = prev.into_iter().chain(entries.iter().map(|entry| entry.log_id));
        for theirs in sent.take_while(|log_id| log_id.index <= settled.index) {
            if let Some(ours) = self.log_id_at(theirs.index)?
                && ours != theirs
            {
                return Ok(Some(format!(
                    "entry {ours} is applied or committed here, and the leader of term {term} has {theirs} in its place"
                )));
            }
        }
        Ok(None)
    }

    /// What a snapshot that a leader in `term` sends contradicts here.
    pub fn contradicted_by(&self, term: u64, snapshot: &SnapshotMeta) -> Option<String> {
        let known = self.0.known.lock();
        let (settled, last) = (known.settled()?, snapshot.last_log_id?);
        let is_newest = term >= known.vote.map_or(0, |vote| vote.leader_id.term);
        (is_newest && contradict(&settled, &last) && !is_planted(Mutant::CutsApplied)).then(|| {
            format!("{settled} is applied or committed here, and the leader of term {term} has a snapshot as of {last}")
        })
    }

    /// Checks that the `count` entries `first..=last` follow directly what is applied and miss none between them, and
    /// claims them as applied.
    pub async fn claim(&self, applied: Option<LogId>, first: LogId, last: LogId, count: usize) -> io::Result<()> {
        let misses = last.index.checked_sub(first.index).is_none_or(|between| between + 1 != count as u64);
        if misses && !is_planted(Mutant::AppliesWithGaps) {
            let found = format!("{count} entries are to be applied, from {first} to {last}: some are missing");
            return Err(self.note_damage(found).await);
        }
        let gap = first.index != next_index(applied) || applied.is_some_and(|applied| contradict(&applied, &first));
        if gap && !is_planted(Mutant::AppliesWithGaps) {
            let applied = applied.map_or_else(|| "nothing".to_owned(), |applied| applied.to_string());
            return Err(self.note_damage(format!("{first} is to be applied, and the state is as of {applied}")).await);
        }
        self.note_applied(Some(last));
        Ok(())
    }

    /// Compares the log with a state as of `applied`, which a snapshot as of `installed` may have brought.
    pub fn check_under(&self, applied: Option<LogId>, installed: Option<LogId>) -> Result<(), String> {
        let (last, purged, _) = self.ends();
        if next_index(purged) > next_index(applied) {
            return Err("its log was purged beyond its state, so state was lost".to_owned());
        }
        let Some(applied) = applied else { return Ok(()) };
        let by_term = is_planted(Mutant::ComparesTermFirst);
        let ends_before = if by_term { last < Some(applied) } else { next_index(last) < next_index(Some(applied)) };
        // Entries are applied once they are durable here, so only a snapshot just installed can be ahead of the log.
        if ends_before && Some(applied) != installed {
            return Err("its log ends before its state, so entries were lost".to_owned());
        }
        let ours = self.log_id_at(applied.index).map_err(|error| error.to_string())?;
        match ours {
            Some(ours) if ours != applied && !by_term => {
                Err(format!("its state is as of {applied}, and its log has {ours} in that place"))
            }
            _ => Ok(()),
        }
    }
}

/// Compares what the two stores hold of one replica: each must account for what the other has.
pub fn check_together(was_opened: bool, log: &GroupLog, state: &GroupState) -> Result<(), String> {
    if is_planted(Mutant::TrustsTogether) {
        return Ok(());
    }
    let (vote, last, _) = log.summary();
    let header = state.header();
    let applied = header.applied;
    if !was_opened && (vote.is_some() || last.is_some() || applied.is_some()) {
        return Err("its log is gone although its state is there".to_owned());
    }
    let newest_term = last.max(applied).map(|log_id| log_id.leader_id.term);
    // Term 0 is nobody's: the first membership has it, and is written before the first vote.
    if newest_term.unwrap_or(0) > vote.map_or(0, |vote| vote.leader_id.term) {
        return Err("its vote is older than its log, so a vote was lost".to_owned());
    }
    log.check_under(applied, header.installed)
}

#[cfg(test)]
mod tests;
