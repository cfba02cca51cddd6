//! What a node's disk records of a replica beside its log: that it exists, how it began, and that it was erased.
//!
//! An erased replica has forgotten what it acknowledged. If the node gets a replica of the same group again, a
//! candidate or leader of an old term may still count on the forgotten one. So the vote outlives the erasure, and
//! its term keeps out leaders of older terms. And the new replica is a newcomer for ever: it votes only once its own
//! log says that it is a member. By then its log is newer than that of any candidate that counts on the forgotten
//! one.

use std::io;

use serde::{Deserialize, Serialize};

use super::disk::Stores;
use super::erase::erase_until_empty;
use super::keys::{self, LogKey};
use super::record::{seal, unseal};
use super::store::{KeyValueStore, WriteBatch, end_of_prefix};
use super::syncer::Syncer;
use crate::GroupId;
use crate::mutants::{Mutant, is_planted};

/// How a replica began, or that it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReplicaRecord {
    /// One of the group's first members. It votes with an empty log, because the first election needs such votes.
    Founder,
    /// It came later, and votes only once its own log says that it is a member.
    Newcomer,
    /// It was here and was removed. What is left of it must be erased.
    Erased,
}

/// Reads the record of this node's replica of `group`; `None` if there never was one.
///
/// # Errors
/// `InvalidData` if the record is damaged, or an I/O error of the store.
pub fn read_replica_record(group: GroupId, log: &dyn KeyValueStore) -> io::Result<Option<ReplicaRecord>> {
    let key = LogKey::ReplicaRecord.for_group(group);
    log.get(&key)?.map(|record| unseal(&key, &record)).transpose()
}

/// Writes the record, durably. It must be written before the replica can vote: if only the record is found later,
/// something was lost.
///
/// # Errors
/// An I/O error of the store.
pub async fn write_replica_record(group: GroupId, log: &Syncer, record: ReplicaRecord) -> io::Result<()> {
    let key = LogKey::ReplicaRecord.for_group(group);
    let mut batch = WriteBatch::default();
    let sealed = seal(&key, &record);
    batch.put(key, sealed);
    log.carry_out(batch, true).await
}

/// Erases a closed replica, but for its record and its vote. If it is interrupted, the record makes the next opening
/// go on.
///
/// # Errors
/// An I/O error of a store.
pub async fn erase_replica(group: GroupId, stores: &Stores) -> io::Result<()> {
    write_replica_record(group, &stores.log_syncer, ReplicaRecord::Erased).await?;
    finish_erasing(group, stores).await
}

/// Erases what an interrupted [`erase_replica`] has left. Durable on return.
///
/// # Errors
/// An I/O error of a store.
pub async fn finish_erasing(group: GroupId, stores: &Stores) -> io::Result<()> {
    let end = if is_planted(Mutant::ErasesNeighbours) { u64::MAX } else { group.0 };
    let all_state = (keys::state_header(group), end_of_prefix(&end.to_be_bytes()));
    // What the closed replica applied last may still be queued, and the scan below sees only what is written.
    stores.state_syncer.carry_out(WriteBatch::default(), false).await?;
    erase_until_empty(&*stores.state, &stores.state_syncer, all_state).await?;
    // The record stays until the end, so after a crash anywhere here the next opening repeats all of this.
    stores.state_syncer.carry_out(WriteBatch::default(), true).await?;
    stores.log_of(group).erase().await
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;
    use std::time::Duration;

    use super::*;
    use crate::sim::disk::SimDisk;
    use crate::storage::Disk;

    const GROUP: GroupId = GroupId(7);

    #[tokio::test(start_paused = true)]
    async fn what_is_still_on_its_way_to_the_stores_is_erased_too() {
        for seed in 0..32 {
            let disk = Disk::simulated(&SimDisk::new(1), &SimDisk::new(2), seed, Duration::from_secs(1));
            let stores = disk.start().expect("starts");
            write_replica_record(GROUP, &stores.log_syncer, ReplicaRecord::Founder).await.expect("writes");
            // Both are queued and not written yet when the erasure begins.
            let (mut entry, mut header) = (WriteBatch::default(), WriteBatch::default());
            entry.put(LogKey::Entry(3).for_group(GROUP), vec![1]);
            header.put(keys::state_header(GROUP), vec![1]);
            stores.log_syncer.submit(entry, true, drop);
            stores.state_syncer.submit(header, false, drop);
            erase_replica(GROUP, &stores).await.expect("erases");
            let mut left = 0;
            let mut count = |_: &[u8], _: &[u8]| {
                left += 1;
                ControlFlow::Continue(())
            };
            // No entry and no state is left, and the record says why.
            let entries = (LogKey::Entry(0).for_group(GROUP), LogKey::Entry(u64::MAX).for_group(GROUP));
            stores.log.scan(&entries.0, &entries.1, &mut count).expect("reads");
            stores.state.scan(&[], &[0xff; 16], &mut count).expect("reads");
            assert_eq!(left, 0, "seed {seed}");
            assert_eq!(read_replica_record(GROUP, &*stores.log).expect("reads"), Some(ReplicaRecord::Erased));
        }
    }
}
