//! Nothing that a replica has applied, or knows to be committed, may change. Whatever contradicts it is damage, here
//! or on another node. The replica stops before it can show two different states at one index.
//!
//! Log ids are compared entry by entry. openraft assumes that entries below the commit index are equal, and compares
//! terms first elsewhere. Between sound replicas both are right; if a disk has lost writes neither is. Damage is
//! noted durably beside the log, so the next start finds it as well.

use std::io;

use super::GroupLog;
use super::known_log::{KnownLog, next_index};
use crate::consensus::types::{LogEntry, LogId, SnapshotMeta};
use crate::mutants::{Mutant, is_planted};
use crate::storage::state::GroupState;

/// Returns `true` if two log ids cannot be of one log: ordered by index, they do not have the order of term and
/// index.
fn contradict(one: &LogId, other: &LogId) -> bool {
    one.index.cmp(&other.index) != one.cmp(other)
}

impl GroupLog {
    /// Returns the damage that was found, if there is any. Such a replica must not take part any more.
    pub fn damage(&self) -> Option<&str> {
        self.0.damage.get().map(String::as_str)
    }

    /// Notes damage durably. Returns it as an error, which stops consensus.
    pub async fn note_damage(&self, found: String) -> io::Error {
        // Only the first damage counts: what is found later may follow from it.
        let found = self.0.damage.get_or_init(|| found).clone();
        let noted = self.0.store.note_damage(&found).await;
        if let Err(error) = noted {
            tracing::error!(%error, "the damage of a replica could not be recorded; the next start checks again");
        }
        tracing::error!(group = %self.0.group, found, "this replica is damaged and stops");
        io::Error::new(io::ErrorKind::InvalidData, found)
    }

    /// Returns what is wrong with a cut of all entries after `last`, if anything is.
    pub(super) fn wrong_cut(&self, last: Option<LogId>, known: &KnownLog) -> Option<String> {
        let settled = known.settled()?;
        if next_index(last) > settled.index || is_planted(Mutant::CutsApplied) {
            return None;
        }
        Some(format!(
            "a leader asks to cut this replica's log from entry {} on, but entries up to {settled} are applied or \
             committed",
            next_index(last)
        ))
    }

    /// Notes that the state is as of `applied`. No entry up to there may change from now on.
    pub fn note_applied(&self, applied: Option<LogId>) {
        self.0.known.lock().note_applied(applied);
    }

    /// Notes that `committed` is committed. It must lie within the part of the log that was just compared with the
    /// leader's.
    pub fn note_committed(&self, committed: LogId) {
        self.0.known.lock().note_committed(committed);
    }

    /// Returns the log id at `index`; `None` if it is outside the log.
    ///
    /// # Errors
    /// As for [`GroupLog::read_range`].
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

    /// Returns what in this replica contradicts `prev` and `entries`, which a leader of `term` sent, if anything
    /// does.
    ///
    /// # Errors
    /// An I/O error if the log cannot be read.
    pub fn contradiction(&self, term: u64, prev: Option<LogId>, entries: &[LogEntry]) -> io::Result<Option<String>> {
        let (settled, voted) = {
            let known = self.0.known.lock();
            (known.settled(), known.vote.map_or(0, |vote| vote.leader_id.term))
        };
        // openraft refuses a leader of an earlier term anyway.
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

    /// Returns what in this replica contradicts a snapshot that a leader of `term` sends, if anything does.
    pub fn contradicted_by(&self, term: u64, snapshot: &SnapshotMeta) -> Option<String> {
        let known = self.0.known.lock();
        let (settled, last) = (known.settled()?, snapshot.last_log_id?);
        let is_newest = term >= known.vote.map_or(0, |vote| vote.leader_id.term);
        (is_newest && contradict(&settled, &last) && !is_planted(Mutant::CutsApplied)).then(|| {
            format!("{settled} is applied or committed here, and the leader of term {term} has a snapshot as of {last}")
        })
    }

    /// Checks that the `count` entries `first..=last` directly follow what is applied, and that none is missing.
    /// Then notes them as applied.
    ///
    /// # Errors
    /// `InvalidData` if they do not. Then the damage is noted durably.
    pub async fn claim(&self, applied: Option<LogId>, first: LogId, last: LogId, count: usize) -> io::Result<()> {
        // State machine safety rests on these checks: each entry is applied once, in order (Ongaro's thesis, figure
        // 3.2).
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

    /// Checks the log against a state as of `applied`. `installed` is the log id of the last snapshot that was
    /// installed.
    ///
    /// # Errors
    /// A text that says what contradicts.
    pub fn check_under(&self, applied: Option<LogId>, installed: Option<LogId>) -> Result<(), String> {
        let (last, purged, _) = self.ends();
        if next_index(purged) > next_index(applied) {
            return Err("its log was purged beyond its state, so state was lost".to_owned());
        }
        let Some(applied) = applied else { return Ok(()) };
        let by_term = is_planted(Mutant::ComparesTermFirst);
        let ends_before = if by_term { last < Some(applied) } else { next_index(last) < next_index(Some(applied)) };
        // Entries are durable here before they are applied, so only a snapshot that was just installed can be ahead
        // of the log.
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

/// Checks that the two stores hold the log and the state of one replica. `was_opened` says that the replica has a
/// record.
///
/// # Errors
/// A text that says what was lost.
pub fn check_together(was_opened: bool, log: &GroupLog, state: &GroupState) -> Result<(), String> {
    if is_planted(Mutant::TrustsTogether) {
        return Ok(());
    }
    // The record is durable before the first vote or entry, so data without a record shows a lost log store.
    let (vote, last, _) = log.summary();
    let header = state.header();
    let applied = header.applied;
    if !was_opened && (vote.is_some() || last.is_some() || applied.is_some()) {
        return Err("its log is gone although its state is there".to_owned());
    }
    let newest_term = last.max(applied).map(|log_id| log_id.leader_id.term);
    // A vote is durable before any entry of its term. Only the first membership, of term 0, is written before the
    // first vote.
    if newest_term.unwrap_or(0) > vote.map_or(0, |vote| vote.leader_id.term) {
        return Err("its vote is older than its log, so a vote was lost".to_owned());
    }
    log.check_under(applied, header.installed)
}

#[cfg(test)]
mod tests;
