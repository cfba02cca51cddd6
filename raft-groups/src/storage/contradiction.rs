//! What a replica has applied, or knows to be committed, is never taken back: whatever contradicts it is damage, here or
//! elsewhere, and the replica stops before it can show two truths.
//!
//! Log ids are compared entry by entry. openraft takes for equal whatever lies below the committed index, and compares
//! term first elsewhere: between sound replicas both are right, and after a disk has gone back in time neither is.
//! Damage is noted durably beside the log, so that the next start finds it as well.

use std::io;

use super::keys::LogKey;
use super::log::GroupLog;
use super::record::{put, read};
use super::state::GroupState;
use super::store::{Batch, Store};
use super::tail::{Known, after};
use crate::GroupId;
use crate::mutants::{Mutant, is_planted};
use crate::types::{Entry, LogId, SnapshotMeta};

/// What damage was noted of a replica, if any.
///
/// # Errors
/// `InvalidData` where there was.
pub fn check_unmarked(store: &dyn Store, group: GroupId) -> io::Result<()> {
    let noted: Option<String> = read(store, group, LogKey::Damage)?;
    noted.map_or(Ok(()), |found| Err(io::Error::new(io::ErrorKind::InvalidData, found)))
}

/// Returns `true` if one of two log ids of one log is the later by its index and not by its term.
fn contradict(one: &LogId, other: &LogId) -> bool {
    one.index.cmp(&other.index) != one.cmp(other)
}

/// The one with the greater index.
fn later(one: Option<LogId>, other: Option<LogId>) -> Option<LogId> {
    if after(one) < after(other) { other } else { one }
}

impl Known {
    /// The last log id that must not be taken back.
    fn settled(&self) -> Option<LogId> {
        later(self.applied, self.committed)
    }
}

impl GroupLog {
    /// Why this replica must not take part any more, where it must not.
    pub fn damage(&self) -> Option<&str> {
        self.0.damage.get().map(String::as_str)
    }

    /// Notes damage durably; returns it as an error that stops consensus.
    pub async fn note_damage(&self, found: String) -> io::Error {
        let mut batch = Batch::default();
        put(&mut batch, self.0.group, LogKey::Damage, &found);
        let found = self.0.damage.get_or_init(|| found).clone();
        if let Err(error) = self.0.syncer.carry_out(batch, true).await {
            tracing::error!(%error, "that a replica is damaged could not be noted; the next start looks anew");
        }
        tracing::error!(group = %self.0.group, found, "this replica is damaged and stops");
        io::Error::new(io::ErrorKind::InvalidData, found)
    }

    /// What is wrong with cutting off all entries behind `last`, if anything is.
    pub(super) fn wrong_cut(&self, last: Option<LogId>, known: &Known) -> Option<String> {
        let settled = known.settled()?;
        if after(last) > settled.index || is_planted(Mutant::CutsApplied) {
            return None;
        }
        let group = self.0.group;
        Some(format!(
            "a leader asks to cut the log of {group} from entry {} on, and entries up to {settled} are applied or committed",
            after(last)
        ))
    }

    /// Notes that the state is as of `applied`: no entry up to there may be taken back from now on.
    pub fn note_applied(&self, applied: Option<LogId>) {
        let mut known = self.0.known.lock();
        known.applied = later(known.applied, applied);
    }

    /// Notes that `committed`, which lies within what was just compared with the leader's log, is committed.
    pub fn note_committed(&self, committed: LogId) {
        let mut known = self.0.known.lock();
        if known.last.is_some_and(|last| committed.index <= last.index) {
            known.committed = later(known.committed, Some(committed));
        }
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
    pub fn contradiction(&self, term: u64, prev: Option<LogId>, entries: &[Entry]) -> io::Result<Option<String>> {
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

    /// Checks that entries `first..=last` follow directly what is applied, and claims them as applied.
    pub async fn claim(&self, applied: Option<LogId>, first: LogId, last: LogId) -> io::Result<()> {
        let gap = first.index != after(applied) || applied.is_some_and(|applied| contradict(&applied, &first));
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
        if after(purged) > after(applied) {
            return Err("its log was purged beyond its state, so state was lost".to_owned());
        }
        let Some(applied) = applied else { return Ok(()) };
        let by_term = is_planted(Mutant::ComparesTermFirst);
        let ends_before = if by_term { last < Some(applied) } else { after(last) < after(Some(applied)) };
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
mod tests {
    use std::time::Duration;

    use futures::stream;
    use openraft::EntryPayload;
    use openraft::storage::{RaftLogStorage, RaftLogStorageExt, RaftStateMachine};

    use super::*;
    use crate::mutants::plant;
    use crate::storage::machine::Applier;
    use crate::storage::sim_disk::SimDisk;
    use crate::storage::{Disk, Stores};
    use crate::testing::Registers;
    use crate::types::Vote;

    const GROUP: GroupId = GroupId(7);

    fn id(term: u64, index: u64) -> LogId {
        LogId::new_term_index(term, index)
    }

    fn entry(term: u64, index: u64) -> Entry {
        Entry { log_id: id(term, index), payload: EntryPayload::Blank }
    }

    fn stores() -> Stores {
        let disk = Disk::simulated(&SimDisk::new(1), &SimDisk::new(2), 3, Duration::ZERO);
        disk.start().expect("starts")
    }

    fn open(stores: &Stores) -> io::Result<(GroupLog, GroupState, Applier<Registers>)> {
        let log = GroupLog::open(GROUP, stores.log.clone(), stores.log_syncer.clone())?;
        let state = GroupState::open(GROUP, stores.state.clone(), stores.state_syncer.clone())?;
        let applier = Applier::open((), state.clone(), Some(log.clone()))?.0;
        Ok((log, state, applier))
    }

    async fn apply(applier: &mut Applier<Registers>, entries: impl IntoIterator<Item = Entry>) -> io::Result<()> {
        let entries: Vec<_> = entries.into_iter().map(|entry| Ok((entry, None))).collect();
        applier.apply(stream::iter(entries)).await
    }

    /// A replica with entries 0 to 9 of term 2, those up to 5 applied.
    async fn half_applied(stores: &Stores) -> (GroupLog, Applier<Registers>) {
        let (mut log, _, mut applier) = open(stores).expect("opens");
        log.save_vote(&Vote::new(2, 1)).await.expect("votes");
        log.blocking_append((0..10).map(|index| entry(2, index))).await.expect("appends");
        apply(&mut applier, (0..6).map(|index| entry(2, index))).await.expect("applies");
        (log, applier)
    }

    #[tokio::test]
    async fn what_is_applied_is_not_cut_off_and_the_replica_is_damaged_from_then_on() {
        let stores = stores();
        let (mut log, _) = half_applied(&stores).await;
        log.truncate_after(Some(id(2, 7))).await.expect("not applied yet");
        log.truncate_after(Some(id(2, 5))).await.expect("just not applied yet");
        assert!(log.damage().is_none());
        let error = log.truncate_after(Some(id(2, 4))).await.expect_err("entry 5 is applied");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(log.damage().is_some());
        let again = open(&stores).err().expect("the next start finds it as well");
        assert_eq!(again.kind(), io::ErrorKind::InvalidData);
        assert_eq!(again.to_string(), error.to_string());
    }

    #[tokio::test]
    async fn what_a_leader_said_is_committed_is_not_cut_off_before_it_is_applied() {
        let (mut log, _) = half_applied(&stores()).await;
        log.note_committed(id(2, 8));
        log.note_committed(id(2, 20));
        log.truncate_after(Some(id(2, 8))).await.expect("the last one is not committed");
        log.truncate_after(Some(id(2, 7))).await.expect_err("entry 8 is committed");
    }

    #[tokio::test]
    async fn a_planted_cut_of_what_is_applied_goes_unseen() {
        let (mut log, _) = half_applied(&stores()).await;
        let _planted = plant(Mutant::CutsApplied);
        log.truncate_after(Some(id(2, 1))).await.expect("nobody looks");
    }

    #[tokio::test]
    async fn a_leaders_entries_are_compared_one_by_one_with_what_is_applied() {
        let (log, _) = half_applied(&stores()).await;
        let contradicts = |term, prev, sent: &[Entry]| log.contradiction(term, prev, sent).expect("reads").is_some();
        assert!(!contradicts(3, Some(id(2, 5)), &[entry(3, 6)]), "6 is not applied, and may be replaced");
        assert!(!contradicts(3, Some(id(2, 3)), &[entry(2, 4), entry(2, 5)]));
        assert!(contradicts(3, Some(id(2, 4)), &[entry(3, 5)]), "a later term does not make it equal");
        assert!(contradicts(3, Some(id(3, 5)), &[]));
        assert!(contradicts(3, Some(id(1, 3)), &[]));
        assert!(!contradicts(1, Some(id(1, 3)), &[]), "a leader of long ago is nobody");
    }

    #[tokio::test]
    async fn an_entry_is_applied_only_where_it_follows_what_was_applied() {
        let stores = stores();
        let (_, mut applier) = half_applied(&stores).await;
        apply(&mut applier, [entry(2, 7)]).await.expect_err("entry 6 is missing");
        open(&stores).err().expect("it is damaged from then on");

        let (_, mut applier) = half_applied(&self::stores()).await;
        apply(&mut applier, [entry(2, 5)]).await.expect_err("entry 5 was applied");
        let (_, mut applier) = half_applied(&self::stores()).await;
        apply(&mut applier, [entry(1, 6)]).await.expect_err("terms do not go back");

        let (_, mut applier) = half_applied(&self::stores()).await;
        let _planted = plant(Mutant::AppliesWithGaps);
        apply(&mut applier, [entry(2, 7)]).await.expect("nobody looks");
    }

    #[tokio::test]
    async fn a_log_that_contradicts_its_state_is_found_when_it_is_opened() {
        let (log, _) = half_applied(&stores()).await;
        let check = |applied, installed| log.check_under(Some(applied), installed);
        assert_eq!(check(id(2, 5), None), Ok(()));
        assert!(check(id(1, 5), None).is_err(), "the log has another entry there");
        assert!(check(id(1, 12), None).is_err(), "the log ends before, whatever the terms say");
        assert!(check(id(3, 5), None).is_err());
        assert_eq!(check(id(3, 12), Some(id(3, 12))), Ok(()), "a snapshot may be ahead of the log");
        let _planted = plant(Mutant::ComparesTermFirst);
        assert_eq!(check(id(1, 12), None), Ok(()), "term first, it passes");
    }

    #[tokio::test]
    async fn a_state_behind_what_was_purged_is_found_whatever_the_terms_say() {
        let (mut log, _) = half_applied(&stores()).await;
        log.purge(id(2, 4)).await.expect("purges");
        assert_eq!(log.check_under(Some(id(2, 4)), None), Ok(()));
        assert!(log.check_under(Some(id(3, 4)), None).is_err());
        assert!(log.check_under(Some(id(3, 3)), None).is_err());
        assert!(log.check_under(None, None).is_err());
    }
}
