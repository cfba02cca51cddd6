//! openraft's storage test suite over both stores, and what it does not test: reopening, damage, and durability.

use std::time::Duration;

use futures::FutureExt;
use openraft::StorageError;
use openraft::storage::{IOFlushed, RaftLogReader, RaftLogStorage, RaftLogStorageExt};
use openraft::testing::log::{StoreBuilder, Suite};
use openraft::vote::RaftLeaderId;
use tempfile::TempDir;

use crate::GroupId;
use crate::consensus::types::{CommandBytes, LogEntry, LogId, RaftTypes, Vote};
use crate::mutants::{Mutant, plant};
use crate::sim::disk::SimDisk;
use crate::storage::log::GroupLog;
use crate::storage::state::GroupState;
use crate::storage::state::applier::Applier;
use crate::storage::{Disk, Stores};
use crate::tests::kit::{Order, Registers};

const GROUP: GroupId = GroupId(7);

fn open(stores: &Stores) -> std::io::Result<(GroupLog, Applier<Registers>)> {
    let log = GroupLog::open(GROUP, stores.log_of(GROUP))?;
    let state = GroupState::open(GROUP, stores.state.clone(), stores.state_syncer.clone())?;
    Ok((log, Applier::open((), state, None)?.0))
}

struct OnSled;

impl StoreBuilder<RaftTypes, GroupLog, Applier<Registers>, TempDir> for OnSled {
    async fn build(&self) -> Result<(TempDir, GroupLog, Applier<Registers>), StorageError<RaftTypes>> {
        let dir = tempfile::tempdir().expect("temp dir");
        let stores = Disk::open(dir.path()).expect("opens").start().expect("starts");
        let (log, machine) = open(&stores).expect("opens");
        Ok((dir, log, machine))
    }
}

struct OnSimulatedDisk;

impl StoreBuilder<RaftTypes, GroupLog, Applier<Registers>, ()> for OnSimulatedDisk {
    async fn build(&self) -> Result<((), GroupLog, Applier<Registers>), StorageError<RaftTypes>> {
        let disk = Disk::simulated(&SimDisk::new(1), &SimDisk::new(2), 3, Duration::from_millis(1));
        let (log, machine) = open(&disk.start().expect("starts")).expect("opens");
        Ok(((), log, machine))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openraft_suite_passes_on_sled() {
    Suite::<RaftTypes, GroupLog, Applier<Registers>, OnSled, TempDir>::test_all(OnSled).await.expect("conforms");
}

#[tokio::test]
async fn openraft_suite_passes_on_the_simulated_disk() {
    let builder = OnSimulatedDisk;
    Suite::<RaftTypes, GroupLog, Applier<Registers>, OnSimulatedDisk, ()>::test_all(builder).await.expect("conforms");
}

fn entry(index: u64, bytes: usize) -> LogEntry {
    let order = Order::Set { register: "r".to_owned(), value: index, ballast: vec![1; bytes] };
    let command = CommandBytes(order.encode());
    LogEntry { log_id: log_id(index), payload: openraft::EntryPayload::Normal(command) }
}

fn log_id(index: u64) -> LogId {
    let leader = openraft::impls::leader_id_std::LeaderId::new(1, 1);
    LogId::new(leader.to_committed(), index)
}

#[tokio::test]
async fn a_log_comes_back_after_purge_truncate_and_large_entries() {
    let dir = tempfile::tempdir().expect("temp dir");
    {
        let stores = Disk::open(dir.path()).expect("opens").start().expect("starts");
        let (mut log, _) = open(&stores).expect("opens");
        log.save_vote(&Vote::new(3, 2)).await.expect("votes");
        for first in (0..40).step_by(4) {
            let entries = (first..first + 4).map(|index| entry(index, 300_000));
            log.blocking_append(entries).await.expect("appends");
        }
        log.truncate_after(Some(log_id(29))).await.expect("truncates");
        log.purge(log_id(9)).await.expect("purges");
        log.blocking_append([entry(30, 1 << 20)]).await.expect("appends");
        let read = log.limited_get_log_entries(10, 31).await.expect("reads");
        assert!(!read.is_empty() && read.len() < 21, "a message is bounded in bytes: {} entries", read.len());
    }
    // The workers hold the store until their handles are gone.
    let disk = loop {
        if let Ok(disk) = Disk::open(dir.path()) {
            break disk;
        }
        tokio::task::yield_now().await;
    };
    let stores = disk.start().expect("starts");
    let (mut log, _) = open(&stores).expect("opens");
    let state = log.get_log_state().await.expect("state");
    assert_eq!((state.last_purged_log_id, state.last_log_id), (Some(log_id(9)), Some(log_id(30))));
    assert_eq!(log.read_vote().await.expect("reads"), Some(Vote::new(3, 2)));
    // The entries that were truncated or purged do not come back.
    let read = log.try_get_log_entries(..).await.expect("reads");
    assert_eq!(read, (10..30).map(|index| entry(index, 300_000)).chain([entry(30, 1 << 20)]).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_flipped_bit_is_found_at_open() {
    for seed in 0..40 {
        let (log_disk, state_disk) = (SimDisk::new(seed), SimDisk::new(seed));
        let disk = || Disk::simulated(&log_disk, &state_disk, seed, Duration::ZERO);
        let stores = disk().start().expect("starts");
        let (mut log, _) = open(&stores).expect("opens");
        log.save_vote(&Vote::new(3, 2)).await.expect("votes");
        log.blocking_append((0..9).map(|index| entry(index, 10))).await.expect("appends");
        log_disk.flip_a_bit(&GROUP.0.to_be_bytes());
        let error = open(&disk().start().expect("starts")).err().expect("the damage is found");
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidData, "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_replaced_a_durable_entry_is_not_durable_before_it_is_synced() {
    let disk = Disk::simulated(&SimDisk::new(1), &SimDisk::new(2), 3, Duration::from_secs(1));
    let stores = disk.start().expect("starts");
    let mut log = open(&stores).expect("opens").0;
    log.blocking_append((0..10).map(|index| entry(index, 1))).await.expect("appends");
    assert!(log.wait_durable(9).now_or_never().is_some());
    // Entries 6 and 7 are durable, then cut, then queued anew.
    log.truncate_after(Some(log_id(5))).await.expect("truncates");
    log.append((6..8).map(|index| entry(index, 1)), IOFlushed::noop()).await.expect("appends");
    assert!(log.wait_durable(5).now_or_never().is_some());
    assert!(log.wait_durable(6).now_or_never().is_none(), "the entry is only queued");
    log.wait_durable(7).await.expect("becomes durable");
}

#[tokio::test]
async fn the_end_of_a_log_is_its_newest_entries_however_large() {
    let disk = Disk::simulated(&SimDisk::new(1), &SimDisk::new(2), 3, Duration::ZERO);
    let mut log = open(&disk.start().expect("starts")).expect("opens").0;
    for first in (0..24).step_by(4) {
        log.blocking_append((first..first + 4).map(|index| entry(index, 1 << 20))).await.expect("appends");
    }
    log.purge(log_id(2)).await.expect("purges");
    let newest = |last| log.newest_first(last).map(|entry| entry.expect("reads").log_id.index).collect::<Vec<_>>();
    assert_eq!(newest(9), (15..24).rev().collect::<Vec<_>>());
    assert_eq!(newest(1_000), (3..24).rev().collect::<Vec<_>>(), "it ends where the log begins");
    let _planted = plant(Mutant::ReadsOldestFirst);
    assert_eq!(newest(9), (15..24).collect::<Vec<_>>(), "the bug is not planted");
}
