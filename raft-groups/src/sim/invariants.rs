//! What must hold of Raft at every moment, checked on all replicas after every message.
//!
//! Election safety, leader completeness, log matching, state machine safety (Ongaro's thesis, figure 3.2), and what
//! these rest on: terms, votes, commit and applied indexes never go back, votes outlive a crash, and committed and
//! applied entries stay. The first violation is kept, and other observations are counted.

use std::collections::{BTreeMap, BTreeSet};

use openraft::async_runtime::watch::WatchReceiver;
use openraft::{EntryPayload, ServerState};

use crate::consensus::types::{LogEntry, LogId, Vote};
use crate::format::Formed as _;
use crate::storage::log::GroupLog;
use crate::storage::log::known_log::next_index;
use crate::{Group, Machine, NodeId};

/// Counts of what happened in a run, as far as the invariants see it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sightings {
    /// Terms that had a leader.
    pub elections: u64,
    /// How often a log lost its end to another leader's entries.
    pub truncations: u64,
    /// How often a log lost its beginning to a snapshot point.
    pub purges: u64,
    /// How often a leader's snapshot became a follower's state.
    pub installations: u64,
    /// Voters that memberships in the logs have gained.
    pub members_added: u64,
    /// Voters that memberships in the logs have lost.
    pub members_removed: u64,
    /// Entries that a replica knew to be committed.
    pub commits: u64,
    /// How often the states of two replicas were compared at one index.
    pub comparisons: u64,
}

/// What was seen of all replicas of a group.
#[derive(Default)]
pub struct Invariants {
    leaders: BTreeMap<u64, NodeId>,
    /// Term and checksum of each committed entry, by index.
    committed: BTreeMap<u64, (u64, u32)>,
    /// By index and term: the checksum of the entry, and the term of the entry before it if that was seen.
    entries: BTreeMap<(u64, u64), (u32, Option<u64>)>,
    /// Digests of the state, by the index that it reflects.
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
    /// Term and checksum of the entries in its log, by index.
    log: BTreeMap<u64, (u64, u32)>,
    cuts: u64,
    last: Option<LogId>,
    committed: u64,
    applied: u64,
    /// The index after the newest entry that it applied in any life, unless it has given that up for a snapshot.
    ever_applied: u64,
    installed: Option<LogId>,
    state: u64,
}

/// What a replica shows at this moment. Indexes are those after the last entry.
struct Observation<'a> {
    log: &'a GroupLog,
    vote: Vote,
    leads: bool,
    committed: u64,
    applied: u64,
    installed: Option<LogId>,
}

impl Invariants {
    /// Returns the first violation, if there is one.
    pub fn violation(&self) -> Option<String> {
        self.violation.clone()
    }

    /// Returns the counts of what was seen.
    pub fn sightings(&self) -> Sightings {
        Sightings { commits: self.committed.len() as u64, elections: self.leaders.len() as u64, ..self.sightings }
    }

    /// Notes that a node lost its power. Its commit index and its applied index may go back, and so may its log, but
    /// not behind what it ever applied.
    pub(super) fn crashed(&mut self, node: NodeId) {
        let seen = self.nodes.entry(node).or_default();
        // A restarted leader does not lead again in its term, so its vote counts as one that is not committed.
        let vote = seen.vote.map(|vote| Vote { committed: false, ..vote });
        let (ever_applied, installed) = (seen.ever_applied, seen.installed);
        *seen = ReplicaHistory { vote, ever_applied, installed, ..ReplicaHistory::default() };
    }

    /// Notes that a replica was erased. Only its vote outlives that.
    pub(super) fn erased(&mut self, node: NodeId) {
        let seen = self.nodes.entry(node).or_default();
        *seen = ReplicaHistory {
            vote: seen.vote.map(|vote| Vote { committed: false, ..vote }),
            ..ReplicaHistory::default()
        };
    }

    /// Checks one replica against all that was seen.
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
            // The durable vote: openraft's metrics begin with a vote that nobody gave.
            let (Some(vote), _, _) = replica.log.summary() else { return };
            Observation {
                log: &replica.log,
                vote,
                // The vote is stored before the metrics change. So a leader that has just entered the next term is
                // still shown as the leader of the old one.
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

    /// Checks that terms never go back, that a vote is given once a term, and that a known leader stays known.
    fn check_vote(&self, seen: &mut ReplicaHistory, vote: Vote) -> Result<(), String> {
        let (old, new) = (seen.vote.unwrap_or(vote), vote);
        let same_term = old.leader_id.term == new.leader_id.term;
        if new.leader_id.term < old.leader_id.term {
            return Err(format!("its term went back from {old} to {new}"));
        }
        // Once the term has a leader, the stored vote becomes that of the leader.
        if same_term && old.leader_id.voted_for != new.leader_id.voted_for && (old.committed || !new.committed) {
            return Err(format!("its vote changed within a term, from {old} to {new}"));
        }
        if same_term && old.committed && !new.committed {
            return Err(format!("it forgot that {old} leads"));
        }
        seen.vote = Some(vote);
        Ok(())
    }

    /// Checks log matching: index and term determine an entry and all entries before it (Raft, § 5.3). What is
    /// applied stays.
    fn check_log(&mut self, seen: &mut ReplicaHistory, look: &Observation<'_>) -> Result<(), String> {
        let (last, purged, cuts) = look.log.ends();
        if last == seen.last && cuts == seen.cuts {
            return Ok(());
        }
        // Without a cut only new entries are read. After a cut the whole log is read again.
        let (first, end) = (next_index(purged), next_index(last));
        self.check_end(seen, end, look)?;
        let from = if cuts == seen.cuts { next_index(seen.last).max(first) } else { first };
        // A node that is about to stop may be unable to read its log. It reports that itself.
        let Ok(entries) = look.log.read_range(from..end, usize::MAX) else { return Ok(()) };
        for entry in &entries {
            let (index, fact) = (entry.log_id.index, fact(entry));
            let before = index.checked_sub(1).and_then(|before| Some(seen.log.get(&before)?.0));
            let replaced = seen.log.insert(index, fact).is_some_and(|old| old != fact);
            self.sightings.truncations += u64::from(replaced);
            self.check_entry(index, fact, before)?;
        }
        self.note_members(&entries);
        // Entries beyond the ends are gone: behind the end by truncation, before the beginning by purge.
        let cut_off = seen.log.split_off(&end);
        self.sightings.truncations += u64::from(!cut_off.is_empty());
        let kept = seen.log.split_off(&first);
        self.sightings.purges += u64::from(!seen.log.is_empty());
        (seen.log, seen.last, seen.cuts) = (kept, last, cuts);
        Ok(())
    }

    /// Checks that what was applied stays in the log, or is in a snapshot.
    fn check_end(&self, seen: &mut ReplicaHistory, end: u64, look: &Observation<'_>) -> Result<(), String> {
        // A snapshot is durable before the log is cut to it. A crash in between leaves a log that ends before the
        // state.
        let installed = next_index(look.installed);
        if end.max(installed) >= seen.ever_applied {
            return Ok(());
        }
        // Before openraft installs a leader's snapshot that conflicts with the log, it cuts the log, as far back as
        // this life knows of commits. Commits beyond the end of the log are known only from a snapshot. Nobody
        // counts on the entries that are cut: a majority without this node has the conflicting entry, and all
        // entries before it.
        if look.committed >= seen.ever_applied {
            seen.ever_applied = end;
            return Ok(());
        }
        Err(format!(
            "its log ends at {end} and its snapshot at {installed}, though it had applied {}; it has applied {}, and knows {} committed",
            seen.ever_applied, look.applied, look.committed
        ))
    }

    /// Counts the voters that a new membership adds and removes.
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
        // The entry before may be purged here. So its term is kept once any log shows it.
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

    /// Checks that all replicas commit the same entries, and that neither the commit index nor the applied index
    /// goes back.
    fn check_progress(&mut self, seen: &mut ReplicaHistory, look: &Observation<'_>) -> Result<(), String> {
        if look.committed < seen.committed {
            return Err(format!("its commits went back from {} to {}", seen.committed, look.committed));
        }
        if look.applied < seen.applied {
            return Err(format!("its applied index went back from {} to {}", seen.applied, look.applied));
        }
        // While a snapshot is being installed, the commit index is that of the snapshot, and the log may still be
        // another one.
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

    /// Checks election safety, and leader completeness when a leader is seen for the first time (Raft, §§ 5.2, 5.4).
    fn check_leader(&mut self, node: NodeId, seen: &ReplicaHistory, look: &Observation<'_>) -> Result<(), String> {
        let term = look.vote.leader_id.term;
        match self.leaders.get(&term) {
            Some(leader) if *leader == node => return Ok(()),
            Some(leader) => return Err(format!("it leads term {term}, which node {leader} leads")),
            None => self.leaders.insert(term, node),
        };
        // What earlier terms committed must be in the new leader's log, unless it is purged there.
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

    /// Checks state machine safety: two replicas at the same index have the same state.
    fn check_state<M: Machine>(&mut self, node: NodeId, group: &Group<M>, applied: u64) -> Result<(), String> {
        // A digest is costly, so it is taken only when the state has moved.
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

/// Returns the term of an entry, and a checksum of all that it says.
fn fact(entry: &LogEntry) -> (u64, u32) {
    let said = postcard::to_allocvec(&entry.form()).expect("plain data encodes");
    (entry.log_id.leader_id.term, crc32c::crc32c(&said))
}
