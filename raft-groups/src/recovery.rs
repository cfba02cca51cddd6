//! The stores of a stopped node, for the recovery of last resort. It reads what the node's replicas hold. It makes
//! the one change that no running group allows: to go on without the majority that is lost.
//!
//! A survivor becomes the only voter of its group by a membership entry at the end of its log. The entry has a
//! [`recovery_term`]: no member can have reached that term, and no other survivor chooses it. All else follows from
//! the log: the survivor elects itself, and commits what it holds. What only the lost majority held is gone. This
//! file must not know what is in a command, or which nodes are lost.

use std::collections::BTreeSet;
use std::io;

use bytes::Bytes;
use openraft::storage::RaftLogReader;
use openraft::{EntryPayload, Membership};

use crate::consensus::types::{CommandBytes, LogEntry, LogId, StoredMembership, Vote, index_of};
use crate::error::damaged_replica;
use crate::mutants::{Mutant, is_planted};
use crate::storage::claim::claim_stores;
use crate::storage::log::GroupLog;
use crate::storage::log::log_store::SealedEntry;
use crate::storage::replica_record::{ReplicaRecord, read_replica_record};
use crate::storage::state::GroupState;
use crate::storage::{Disk, Stores};
use crate::{GroupId, Identity, Machine, NodeId, OpenError};

/// The stores of a node that is stopped.
pub struct StoppedNode {
    identity: Identity,
    stores: Stores,
}

/// What a stored replica knows of its group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredReplica {
    /// The group.
    pub group: GroupId,
    /// Members with a vote, by the last membership in its log, committed or not. There is one set, or there are two
    /// while the group changes from the first to the second. Then each set needs a majority of its own (Ongaro's
    /// thesis, § 4.3).
    pub voters: Vec<BTreeSet<NodeId>>,
    /// Members without a vote.
    pub learners: BTreeSet<NodeId>,
    /// Term and index of its last log entry. Of two replicas, the one with the greater pair holds everything
    /// committed that the other one holds (Raft, § 5.4.1).
    pub last: (u64, u64),
    /// The greatest term that it has heard of.
    pub term: u64,
    /// Index of the last entry its state reflects.
    pub applied: u64,
}

/// The bits of a term from this one up count recoveries. No group holds enough elections to reach them.
const RECOVERY_BITS: u32 = 40;
/// The lowest bits of a term, for the elections that follow a recovery. They keep those apart from the term of
/// another survivor.
const ELECTION_BITS: u32 = 16;

const _: () = assert!(ELECTION_BITS < RECOVERY_BITS && RECOVERY_BITS < u64::BITS);

/// Returns how often the group was recovered up to `term`. What was acknowledged under a lower count may be gone.
pub fn recoveries(term: u64) -> u64 {
    term >> RECOVERY_BITS
}

/// Returns the term in which `node` goes on alone, if no survivor has heard of a term above `heard`.
///
/// The lost members cannot have reached it. Two nodes do not get the same term: if both go on by mistake, no log id
/// of the one is a log id of the other. `None` if no such term is left above `heard`; elections alone never come to
/// that.
pub fn recovery_term(heard: u64, node: NodeId) -> Option<u64> {
    let bits = RECOVERY_BITS - ELECTION_BITS;
    let node = if is_planted(Mutant::SharesRecoveryTerms) { 0 } else { node };
    // Node numbers grow by 2^32 with each recovery of the map, so the high bits are folded into the low ones.
    let folded = (node ^ node >> bits ^ node >> (2 * bits)) & ((1 << bits) - 1);
    let term = (recoveries(heard) + 1) << RECOVERY_BITS | folded << ELECTION_BITS;
    // The shift may lose high bits. A term that a lost member can have reached would let two leaders share it.
    let is_above = term > heard && recoveries(term) == recoveries(heard) + 1;
    (is_above || is_planted(Mutant::SharesLostTerms)).then_some(term)
}

impl StoppedNode {
    /// Takes the stores of a node that ran before and does not run now.
    ///
    /// # Errors
    /// [`OpenError`] if the stores are damaged, or belong to another node.
    pub async fn open(identity: Identity, disk: Disk) -> Result<Self, OpenError> {
        let stores = disk.start().map_err(|source| OpenError::Io { what: "the stores".to_owned(), source })?;
        claim_stores(&stores, identity, false).await?;
        Ok(Self { identity, stores })
    }

    /// Returns what is stored of a group; `None` if the node holds no replica of it.
    ///
    /// # Errors
    /// [`OpenError`] if the replica is damaged: such a replica cannot speak for its group.
    pub async fn replica(&self, group: GroupId) -> Result<Option<StoredReplica>, OpenError> {
        let Some((mut log, state)) = self.open_replica(group)? else { return Ok(None) };
        // A membership counts from when it is in the log, committed or not (Ongaro's thesis, § 4.1).
        let header = state.header();
        let (vote, last, _) = log.summary();
        let found = newest_membership(&mut log, index_of(&header.applied)).await;
        let membership = found.map_err(failed)?.unwrap_or(header.membership);
        let members = membership.membership();
        // After an installed snapshot the state may be ahead of the log.
        let last = last.max(header.applied);
        Ok(Some(StoredReplica {
            group,
            voters: members.get_joint_config().clone(),
            learners: members.learner_ids().collect(),
            last: (last.map_or(0, |last| last.leader_id.term), index_of(&last)),
            term: greatest_term(vote, last),
            applied: index_of(&header.applied),
        }))
    }

    /// Returns the machine of a stored replica, as of its last applied entry; `None` if the node holds no replica of
    /// it.
    ///
    /// # Errors
    /// [`OpenError`] if the replica is damaged.
    pub fn machine<M: Machine>(&self, group: GroupId) -> Result<Option<M>, OpenError> {
        let Some((_, state)) = self.open_replica(group)? else { return Ok(None) };
        M::open(&M::Setup::default(), &state.reader()).map(Some).map_err(failed)
    }

    /// Makes this node the only voter of a group of which it holds a replica, in a term that no survivor has heard
    /// of. `heard` is the greatest term that any survivor has heard of. `then`, called with the log index of the new
    /// membership, makes a command that comes before all later ones. Durable on return.
    ///
    /// # Errors
    /// [`OpenError`] if there is no sound replica, or the disk fails. Then nothing has changed.
    pub async fn become_only_voter(
        &self,
        group: GroupId,
        heard: u64,
        then: Option<&(dyn Fn(u64) -> Bytes + Sync)>,
    ) -> Result<(), OpenError> {
        let nothing = || failed(io::Error::new(io::ErrorKind::NotFound, "this node holds no replica of it"));
        let (log, state) = self.open_replica(group)?.ok_or_else(nothing)?;
        let (vote, last, _) = log.summary();
        let last = last.max(state.header().applied);
        // The term is above all that this replica or any other survivor knows.
        let me = self.identity.node;
        let heard = heard.max(greatest_term(vote, last));
        let term = recovery_term(heard, me).ok_or_else(|| {
            let reason = format!("a term of {heard} is recorded, and no term for a recovery is left above it");
            failed(io::Error::new(io::ErrorKind::InvalidData, reason))
        })?;
        // The membership comes at the end of the log: from there on this node alone is a majority.
        let at = index_of(&last) + 1;
        let membership = Membership::new_with_defaults(vec![BTreeSet::from([me])], []);
        let mut payloads = vec![EntryPayload::Membership(membership)];
        payloads.extend(then.map(|then| EntryPayload::Normal(CommandBytes(then(at)))));
        let entries = (at..).zip(payloads).map(|(index, payload)| {
            let entry = LogEntry { log_id: LogId::new_term_index(term, index), payload };
            SealedEntry::seal(group, &entry)
        });
        // Vote and entries are one batch. A vote older than the log would count as damage at the next start.
        let (vote, entries) = (Vote::new(term, me), entries.collect());
        self.stores.log_of(group).save_vote_and_entries(&vote, entries).await.map_err(failed)
    }

    /// Removes all that the log store holds of a group. Tests see with it that a replica of which only the state is
    /// left counts as damaged.
    ///
    /// # Errors
    /// An I/O error if the disk fails.
    #[cfg(any(test, feature = "mutants"))]
    pub async fn lose_log(&self, group: GroupId) -> io::Result<()> {
        let of_group = group.0.to_be_bytes().to_vec();
        let all = (of_group.clone(), crate::storage::store::end_of_prefix(&of_group));
        crate::storage::erase::erase_range(&*self.stores.log, &self.stores.log_syncer, all).await?;
        self.stores.log_syncer.carry_out(crate::storage::store::WriteBatch::default(), true).await
    }

    /// Overwrites the header of a group's state. Tests see with it that such a replica counts as damaged.
    ///
    /// # Errors
    /// An I/O error if the disk fails.
    #[cfg(any(test, feature = "mutants"))]
    pub async fn damage(&self, group: GroupId) -> io::Result<()> {
        let mut batch = crate::storage::store::WriteBatch::default();
        batch.put(crate::storage::keys::state_header(group), &b"noise"[..]);
        self.stores.state_syncer.carry_out(batch, true).await
    }

    fn open_replica(&self, group: GroupId) -> Result<Option<(GroupLog, GroupState)>, OpenError> {
        let Stores { log, state, state_syncer, .. } = self.stores.clone();
        let record = read_replica_record(group, &*log).map_err(failed)?;
        // Of an erased replica only the vote is left, which is no replica.
        if !matches!(record, Some(ReplicaRecord::Founder | ReplicaRecord::Newcomer)) {
            return Ok(None);
        }
        let log = GroupLog::open(group, self.stores.log_of(group)).map_err(failed)?;
        let state = GroupState::open(group, state, state_syncer).map_err(failed)?;
        Ok(Some((log, state)))
    }
}

/// Returns the greatest term that a replica with this vote and this last entry has heard of.
fn greatest_term(vote: Option<Vote>, last: Option<LogId>) -> u64 {
    vote.map_or(0, |vote| vote.leader_id.term).max(last.map_or(0, |last| last.leader_id.term))
}

fn failed(source: io::Error) -> OpenError {
    let what = "this replica".to_owned();
    match source.kind() {
        io::ErrorKind::InvalidData => damaged_replica(what, &source.to_string()),
        _ => OpenError::Io { what, source },
    }
}

/// Returns the last membership in the log after what is applied; `None` if there is none.
async fn newest_membership(log: &mut GroupLog, applied: u64) -> io::Result<Option<StoredMembership>> {
    let (_, last, purged) = log.summary();
    let (mut next, end) = (applied.max(index_of(&purged)) + 1, index_of(&last) + 1);
    // The first entry of a log has index 0.
    if applied == 0 && purged.is_none() && last.is_some() {
        next = 0;
    }
    // The log is read in messages of a bounded size, so a long log does not fill the memory.
    let mut newest = None;
    while next < end {
        let entries = log.limited_get_log_entries(next, end).await?;
        let Some(last) = entries.last() else { break };
        next = last.log_id.index + 1;
        for entry in entries {
            if let EntryPayload::Membership(membership) = entry.payload {
                newest = Some(StoredMembership::new(Some(entry.log_id), membership));
            }
        }
    }
    Ok(newest)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{Instant, sleep};

    use super::*;
    use crate::mutants::plant;
    use crate::tests::kit::{Cluster, Order, Registers, simulate, start};
    use crate::{RaftSettings, Role};

    /// Three nodes write, and two are lost for good. The third one goes on alone with all that it held.
    #[test]
    fn a_survivor_goes_on_alone() {
        simulate(async {
            let group = Cluster::GROUP;
            let mut cluster = start(7, 3, RaftSettings::default()).await;
            // One write is on all three disks, and then all nodes stop.
            let leader = led(&cluster).await;
            let deadline = || Instant::now() + Duration::from_secs(10);
            let writer = cluster.group(leader).expect("it runs");
            let written = writer.write(Order::set("a", 1).encode(), deadline()).await.expect("three are there");
            writer.wait_applied_everywhere(written.index, deadline()).await.expect("all catch up");
            for id in cluster.ids() {
                cluster.crash(id).await;
            }
            // A follower goes on. Before, its log still names all three as voters.
            let survivor = cluster.ids().into_iter().find(|id| *id != leader).expect("three are there");
            let stopped = cluster.stopped(survivor).await.expect("its disk is whole");
            let before = stopped.replica(group).await.expect("sound").expect("it is there");
            let all = vec![cluster.ids().into_iter().collect::<BTreeSet<_>>()];
            assert_eq!((before.voters, before.last.1 >= written.index), (all, true));
            let machine: Registers = stopped.machine(group).expect("sound").expect("it is there");
            assert!(machine.get("a").is_none() || machine.get("a") == Some(1));
            // After the change, the membership and one command are behind its last entry.
            let first: &(dyn Fn(u64) -> Bytes + Sync) = &|_| Order::set("first", 7).encode();
            stopped.become_only_voter(group, 9, Some(first)).await.expect("its disk works");
            let after = stopped.replica(group).await.expect("sound").expect("it is there");
            assert_eq!(after.voters, [BTreeSet::from([survivor])]);
            assert_eq!(Some(after.last), recovery_term(9, survivor).map(|term| (term, before.last.1 + 2)));
            drop(stopped);

            // Once restarted it is a majority by itself, and it has lost nothing that it held.
            cluster.restart(survivor).await.expect("it opens");
            assert_eq!(led(&cluster).await, survivor);
            let alone = cluster.group(survivor).expect("it runs");
            alone.write(Order::set("b", 2).encode(), deadline()).await.expect("it is a majority by itself");
            let machine = alone.machine();
            assert_eq!([machine.get("a"), machine.get("first"), machine.get("b")], [Some(1), Some(7), Some(2)]);
        });
    }

    #[test]
    fn no_two_survivors_go_on_in_one_term() {
        let nodes = [1, 2, 3, 250, (1 << 32) + 1, (1 << 32) + 2, (2 << 32) + 1];
        let mut heard = 7;
        for recovered in 1..5 {
            let terms: BTreeSet<u64> = nodes.iter().filter_map(|node| recovery_term(heard, *node)).collect();
            assert_eq!(terms.len(), nodes.len());
            assert!(terms.iter().all(|term| *term > heard && recoveries(*term) == recovered));
            // Thousands of elections later the one has not reached the term of the other.
            let apart = terms.iter().zip(terms.iter().skip(1)).map(|(one, next)| next - one).min();
            assert!(apart >= Some(1 << ELECTION_BITS));
            heard = terms.last().expect("there are some") + 1000;
        }
        let none_left = nodes.iter().all(|node| recovery_term(u64::MAX - 5, *node).is_none());
        assert!(none_left, "a term that a peer or a file has made up leaves none above it");
        let planted = plant(Mutant::SharesLostTerms);
        assert!(recovery_term(u64::MAX - 5, 1) < Some(u64::MAX - 5), "the bug is not planted");
        drop(planted);
        assert_eq!(recoveries(1 << 30), 0, "no number of elections counts as a recovery");
        let _planted = plant(Mutant::SharesRecoveryTerms);
        assert_eq!(recovery_term(7, 1), recovery_term(7, 2), "the bug is not planted");
    }

    async fn led(cluster: &Cluster) -> NodeId {
        loop {
            let leader = cluster.leader().filter(|leader| {
                let status = cluster.group(*leader).expect("it runs").status();
                status.role == Role::Leader && status.committed > 0
            });
            match leader {
                Some(leader) => return leader,
                None => sleep(Duration::from_millis(10)).await,
            }
        }
    }
}
