//! Contradictions between a log, its state and a leader are found.

use std::time::Duration;

use futures::stream;
use openraft::EntryPayload;
use openraft::storage::{RaftLogStorage, RaftLogStorageExt, RaftStateMachine};

use super::*;
use crate::GroupId;
use crate::consensus::types::Vote;
use crate::mutants::plant;
use crate::sim::disk::SimDisk;
use crate::storage::state::applier::{Applier, SnapshotData};
use crate::storage::{Disk, Stores};
use crate::tests::kit::Registers;

const GROUP: GroupId = GroupId(7);

fn id(term: u64, index: u64) -> LogId {
    LogId::new_term_index(term, index)
}

fn entry(term: u64, index: u64) -> LogEntry {
    LogEntry { log_id: id(term, index), payload: EntryPayload::Blank }
}

fn stores() -> Stores {
    let disk = Disk::simulated(&SimDisk::new(1), &SimDisk::new(2), 3, Duration::ZERO);
    disk.start().expect("starts")
}

fn open(stores: &Stores) -> io::Result<(GroupLog, GroupState, Applier<Registers>)> {
    let log = GroupLog::open(GROUP, stores.log_of(GROUP))?;
    let state = GroupState::open(GROUP, stores.state.clone(), stores.state_syncer.clone())?;
    let applier = Applier::open((), state.clone(), Some(log.clone()))?.0;
    Ok((log, state, applier))
}

async fn apply(applier: &mut Applier<Registers>, entries: impl IntoIterator<Item = LogEntry>) -> io::Result<()> {
    let entries: Vec<_> = entries.into_iter().map(|entry| Ok((entry, None))).collect();
    applier.apply(stream::iter(entries)).await
}

/// Makes a replica with entries 0 to 9 of term 2, of which 0 to 5 are applied.
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
    let contradicts = |term, prev, sent: &[LogEntry]| log.contradiction(term, prev, sent).expect("reads").is_some();
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

    // Neither may an entry be applied twice, nor one of an earlier term.
    let (_, mut applier) = half_applied(&self::stores()).await;
    apply(&mut applier, [entry(2, 5)]).await.expect_err("entry 5 was applied");
    let (_, mut applier) = half_applied(&self::stores()).await;
    apply(&mut applier, [entry(1, 6)]).await.expect_err("terms do not go back");

    let (_, mut applier) = half_applied(&self::stores()).await;
    apply(&mut applier, [entry(2, 6), entry(2, 8)]).await.expect_err("entry 7 is missing");

    let (_, mut applier) = half_applied(&self::stores()).await;
    let _planted = plant(Mutant::AppliesWithGaps);
    apply(&mut applier, [entry(2, 7), entry(2, 9)]).await.expect("nobody looks");
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
async fn a_log_that_was_lost_under_its_state_is_found_and_so_is_a_lost_vote() {
    let (log, applier) = half_applied(&stores()).await;
    let empty = stores();
    let (lost, fresh, _) = open(&empty).expect("opens");
    let state = applier.state();
    assert_eq!(check_together(true, &log, state), Ok(()));
    assert_eq!(check_together(false, &lost, &fresh), Ok(()), "a new replica");
    assert!(check_together(false, &lost, state).is_err(), "the log store is another one");
    assert!(check_together(true, &lost, state).is_err(), "the log is gone");
    // A log without the vote of its terms: a vote was lost.
    let mut unvoted = lost.clone();
    unvoted.blocking_append((0..10).map(|index| entry(2, index))).await.expect("appends");
    assert!(check_together(true, &unvoted, state).is_err(), "the vote is gone");
    let _planted = plant(Mutant::TrustsTogether);
    assert_eq!(check_together(false, &lost, state), Ok(()), "the planted bug opens them");
}

/// Returns `true` if entries that were cut off before a snapshot was installed are back after a power loss.
async fn come_back(seed: u64) -> bool {
    let disks = [SimDisk::new(seed), SimDisk::new(seed + 1)];
    let stores = Disk::simulated(&disks[0], &disks[1], seed, Duration::ZERO).start().expect("starts");
    let (mut log, mut applier) = half_applied(&stores).await;
    log.truncate_after(Some(id(2, 7))).await.expect("they are not applied");
    // The snapshot makes the state durable, and the cut must be durable before that.
    let stage = applier.state().begin_staging();
    let meta = SnapshotMeta { last_log_id: Some(id(3, 20)), ..SnapshotMeta::default() };
    applier.install_snapshot(&meta, SnapshotData::Staged(stage)).await.expect("installs");
    disks.iter().for_each(SimDisk::crash);
    let stores = Disk::simulated(&disks[0], &disks[1], seed, Duration::ZERO).start().expect("starts");
    let (log, state, _) = open(&stores).expect("opens");
    assert_eq!(state.applied(), Some(id(3, 20)), "the state is durable");
    log.summary().1 > Some(id(2, 7))
}

#[tokio::test]
async fn what_was_cut_off_before_a_snapshot_does_not_come_back_under_it() {
    for seed in 0..20 {
        assert!(!come_back(seed).await, "seed {seed}");
    }
    let _planted = plant(Mutant::LeavesCutEntries);
    let mut came_back = 0;
    for seed in 0..20 {
        came_back += u32::from(come_back(seed).await);
    }
    assert!(came_back > 0, "the test does not show what the sync is for");
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
