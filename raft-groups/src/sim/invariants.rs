//! What must hold of Raft at every moment, held against all replicas after every message.
//!
//! Election safety, leader completeness, log matching, state machine safety (Ongaro's thesis, figure 3.2); and what
//! those rest on: terms, votes, commits and applied indexes that never go back, votes that are kept over a crash,
//! committed and applied entries that stay. The first violation is kept, and what else was seen is counted.

use std::collections::{BTreeMap, BTreeSet};

use openraft::async_runtime::watch::WatchReceiver;
use openraft::{EntryPayload, ServerState};

use crate::consensus::types::{LogEntry, LogId, Vote};
use crate::format::Formed as _;
use crate::storage::log::GroupLog;
use crate::storage::log::known_log::next_index;
use crate::{Group, Machine, NodeId};

/// What happened in a run, as far as the invariants see it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sightings {
    /// Terms that had a leader.
    pub elections: u64,
    /// Logs that lost their end to another leader's entries.
    pub truncations: u64,
    /// Logs that lost their beginning to a snapshot point.
    pub purges: u64,
    /// Snapshots of a leader that became a follower's state.
    pub installations: u64,
    /// Voters that members' own logs gained and lost.
    pub members_added: u64,
    /// See above.
    pub members_removed: u64,
    /// Entries known to be committed.
    pub commits: u64,
    /// States of two replicas that were compared at one index.
    pub comparisons: u64,
}

/// The state of the check.
#[derive(Default)]
pub struct Invariants {
    leaders: BTreeMap<u64, NodeId>,
    /// Term and checksum of each committed entry.
    committed: BTreeMap<u64, (u64, u32)>,
    /// What an entry of this index and term says, and the term of the entry before it.
    entries: BTreeMap<(u64, u64), (u32, Option<u64>)>,
    /// Digests of the state by the index that it reflects.
    states: BTreeMap<u64, u64>,
    nodes: BTreeMap<NodeId, ReplicaHistory>,
    /// The newest membership's index and voters.
    members: (u64, BTreeSet<NodeId>),
    violation: Option<String>,
    sightings: Sightings,
}

/// What was last seen of a replica.
#[derive(Default)]
struct ReplicaHistory {
    vote: Option<Vote>,
    /// Term and checksum of the entries of its log.
    log: BTreeMap<u64, (u64, u32)>,
    cuts: u64,
    last: Option<LogId>,
    committed: u64,
    applied: u64,
    /// The newest it ever applied, in whichever life, as far as it has not given that up for a snapshot.
    ever_applied: u64,
    installed: Option<LogId>,
    state: u64,
}

/// A replica at this moment.
struct Observation<'a> {
    log: &'a GroupLog,
    vote: Vote,
    leads: bool,
    committed: u64,
    applied: u64,
    installed: Option<LogId>,
}

impl Invariants {
    /// The first that was broken.
    pub fn violation(&self) -> Option<String> {
        self.violation.clone()
    }

    /// What was seen.
    pub fn sightings(&self) -> Sightings {
        Sightings { commits: self.committed.len() as u64, elections: self.leaders.len() as u64, ..self.sightings }
    }

    /// A node lost its power: what it knows to be committed and what it has applied may go back, and the log too, but
    /// not behind what was applied.
    pub(super) fn crashed(&mut self, node: NodeId) {
        let seen = self.nodes.entry(node).or_default();
        // A restarted leader does not take up its office again, so that its vote is one among others once more.
        let vote = seen.vote.map(|vote| Vote { committed: false, ..vote });
        let (ever_applied, installed) = (seen.ever_applied, seen.installed);
        *seen = ReplicaHistory { vote, ever_applied, installed, ..ReplicaHistory::default() };
    }

    /// A replica was erased; only its vote outlives that.
    pub(super) fn erased(&mut self, node: NodeId) {
        let seen = self.nodes.entry(node).or_default();
        *seen = ReplicaHistory {
            vote: seen.vote.map(|vote| Vote { committed: false, ..vote }),
            ..ReplicaHistory::default()
        };
    }

    /// Holds one replica against all that was seen.
    pub(super) fn check_replica<M: Machine>(&mut self, node: NodeId, group: &Group<M>) {
        if self.violation.is_some() {
            return;
        }
        let replica = group.replica();
        let look = {
            let receiver = replica.raft.metrics();
            let metrics = receiver.borrow_watched();
            if metrics.running_state.is_err() {
                return;
            }
            let applied = next_index(*replica.applied.log_id.borrow());
            // The one that is durable; openraft's metrics begin with one that nobody gave.
            let (Some(vote), _, _) = replica.log.summary() else { return };
            Observation {
                log: &replica.log,
                vote,
                // The vote is stored before the metrics say what came of it: a leader that has just bowed to the next
                // term is still shown as one.
                leads: metrics.state == ServerState::Leader && metrics.current_term == vote.leader_id.term,
                committed: next_index(metrics.local_committed),
                applied,
                installed: replica.state.header().installed,
            }
        };
        let found = self.check(node, &look).and_then(|()| self.check_state(node, group, look.applied));
        self.violation = found.err().map(|what| format!("node {node}: {what}"));
    }

    fn check(&mut self, node: NodeId, look: &Observation<'_>) -> Result<(), String> {
        let mut seen = self.nodes.remove(&node).unwrap_or_default();
        let found = self.check_vote(&mut seen, look.vote).and_then(|()| {
            self.check_log(&mut seen, look)?;
            self.check_progress(&mut seen, look)?;
            if look.leads { self.check_leader(node, &seen, look) } else { Ok(()) }
        });
        self.nodes.insert(node, seen);
        found
    }

    /// Terms never go back; within a term a vote is given once, and a leader stays one.
    fn check_vote(&self, seen: &mut ReplicaHistory, vote: Vote) -> Result<(), String> {
        let (old, new) = (seen.vote.unwrap_or(vote), vote);
        let same_term = old.leader_id.term == new.leader_id.term;
        if new.leader_id.term < old.leader_id.term {
            return Err(format!("its term went back from {old} to {new}"));
        }
        // The record of a vote becomes that of the term's leader once there is one.
        if same_term && old.leader_id.voted_for != new.leader_id.voted_for && (old.committed || !new.committed) {
            return Err(format!("its vote changed within a term, from {old} to {new}"));
        }
        if same_term && old.committed && !new.committed {
            return Err(format!("it forgot that {old} leads"));
        }
        seen.vote = Some(vote);
        Ok(())
    }

    /// Log matching: an entry's index and term say all of it and of those before it. What is committed stays.
    fn check_log(&mut self, seen: &mut ReplicaHistory, look: &Observation<'_>) -> Result<(), String> {
        let (last, purged, cuts) = look.log.ends();
        if last == seen.last && cuts == seen.cuts {
            return Ok(());
        }
        let (first, end) = (next_index(purged), next_index(last));
        self.check_end(seen, end, look)?;
        let from = if cuts == seen.cuts { next_index(seen.last).max(first) } else { first };
        // A node that is about to stop may not be able to read any more; it says so itself.
        let Ok(entries) = look.log.read_range(from..end, usize::MAX) else { return Ok(()) };
        for entry in &entries {
            let (index, fact) = (entry.log_id.index, fact(entry));
            let before = index.checked_sub(1).and_then(|before| Some(seen.log.get(&before)?.0));
            let replaced = seen.log.insert(index, fact).is_some_and(|old| old != fact);
            self.sightings.truncations += u64::from(replaced);
            self.check_entry(index, fact, before)?;
        }
        self.note_members(&entries);
        let cut_off = seen.log.split_off(&end);
        self.sightings.truncations += u64::from(!cut_off.is_empty());
        let kept = seen.log.split_off(&first);
        self.sightings.purges += u64::from(!seen.log.is_empty());
        (seen.log, seen.last, seen.cuts) = (kept, last, cuts);
        Ok(())
    }

    /// What was applied stays in the log or is in a snapshot.
    fn check_end(&self, seen: &mut ReplicaHistory, end: u64, look: &Observation<'_>) -> Result<(), String> {
        // A snapshot is durable before the log is cut to it: a crash in between leaves a log that ends before the
        // state.
        let installed = next_index(look.installed);
        if end.max(installed) >= seen.ever_applied {
            return Ok(());
        }
        // A log that conflicts with a leader's snapshot is given up before that is installed, as far back as this life
        // knows of commits. Only for a snapshot are commits believed beyond the log's end. Nobody counts on what is
        // given up: a majority without this node has the entry it conflicts with, and with it all before.
        if look.committed >= seen.ever_applied {
            seen.ever_applied = end;
            return Ok(());
        }
        Err(format!(
            "its log ends at {end} and its snapshot at {installed}, though it had applied {}; it has applied {}, and knows {} committed",
            seen.ever_applied, look.applied, look.committed
        ))
    }

    /// Counts the voters that the newest membership has and the one before had not, and the other way round.
    fn note_members(&mut self, entries: &[LogEntry]) {
        for entry in entries {
            let EntryPayload::Membership(membership) = &entry.payload else { continue };
            let (index, voters) = (entry.log_id.index, membership.voter_ids().collect::<BTreeSet<_>>());
            if index > self.members.0 {
                self.sightings.members_added += voters.difference(&self.members.1).count() as u64;
                self.sightings.members_removed += self.members.1.difference(&voters).count() as u64;
                self.members = (index, voters);
            }
        }
    }

    fn check_entry(&mut self, index: u64, fact: (u64, u32), before: Option<u64>) -> Result<(), String> {
        let (term, crc) = fact;
        let known = self.entries.entry((index, term)).or_insert((crc, before));
        if known.0 != crc {
            return Err(format!("entry {index} of term {term} differs from the one elsewhere"));
        }
        match (known.1, before) {
            (Some(one), Some(other)) if one != other => {
                return Err(format!("entry {index} of term {term} follows term {other} here and term {one} elsewhere"));
            }
            (None, Some(_)) => known.1 = before,
            _ => {}
        }
        Ok(())
    }

    /// What is committed is agreed upon, and neither it nor what is applied goes back.
    fn check_progress(&mut self, seen: &mut ReplicaHistory, look: &Observation<'_>) -> Result<(), String> {
        if look.committed < seen.committed {
            return Err(format!("its commits went back from {} to {}", seen.committed, look.committed));
        }
        if look.applied < seen.applied {
            return Err(format!("its applied index went back from {} to {}", seen.applied, look.applied));
        }
        // A snapshot that is being installed is committed, and the log before it may be another one still.
        let committed =
            look.committed.min(if look.committed > next_index(seen.last) { seen.committed } else { u64::MAX });
        for (index, fact) in seen.log.range(seen.committed..committed) {
            let agreed = *self.committed.entry(*index).or_insert(*fact);
            if agreed != *fact {
                return Err(format!("it committed {fact:?} at index {index}, where {agreed:?} is committed"));
            }
        }
        if look.installed != seen.installed {
            self.sightings.installations += 1;
            seen.installed = look.installed;
        }
        seen.committed = committed;
        seen.applied = look.applied;
        seen.ever_applied = seen.ever_applied.max(look.applied);
        Ok(())
    }

    /// Election safety, and leader completeness when a leader is seen first.
    fn check_leader(&mut self, node: NodeId, seen: &ReplicaHistory, look: &Observation<'_>) -> Result<(), String> {
        let term = look.vote.leader_id.term;
        match self.leaders.get(&term) {
            Some(leader) if *leader == node => return Ok(()),
            Some(leader) => return Err(format!("it leads term {term}, which node {leader} leads")),
            None => self.leaders.insert(term, node),
        };
        let (last, purged, _) = look.log.ends();
        for (index, fact) in self.committed.range(next_index(purged)..).filter(|(_, (of, _))| *of < term) {
            if seen.log.get(index) != Some(fact) {
                let here = seen.log.get(index);
                return Err(format!(
                    "it leads term {term} without the committed entry {index} ({fact:?}); it has {here:?} there and ends at {}",
                    next_index(last)
                ));
            }
        }
        Ok(())
    }

    /// State machine safety: two replicas that applied as much have the same state.
    fn check_state<M: Machine>(&mut self, node: NodeId, group: &Group<M>, applied: u64) -> Result<(), String> {
        let Some(seen) = self.nodes.get_mut(&node) else { return Ok(()) };
        if seen.state == applied {
            return Ok(());
        }
        seen.state = applied;
        let (index, digest) = group.machine().digest();
        match self.states.insert(index, digest) {
            Some(other) if other != digest => Err(format!("its state at index {index} differs from the one elsewhere")),
            Some(_) => {
                self.sightings.comparisons += 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

/// What an entry is, beside its index.
fn fact(entry: &LogEntry) -> (u64, u32) {
    let said = postcard::to_allocvec(&entry.form()).expect("plain data encodes");
    (entry.log_id.leader_id.term, crc32c::crc32c(&said))
}
