//! Timing and size limits of Raft.
//!
//! Comes in: what an operator set. Goes out: openraft's configuration, and the times that follow from the settings
//! (lease, patience, restart wait), each defined once. Settings that would depose a healthy leader are refused.

use std::sync::Arc;
use std::time::Duration;

use openraft::{Config, SnapshotPolicy};

use crate::lease::promise::LONGEST_PROMISE;
use crate::mutants::{Mutant, is_planted};
use crate::{GroupId, OpenError};

/// The share of its followers' promise that a leader uses as its lease.
const LEASE_MARGIN: f64 = 0.8;
/// A heartbeat must be answered within this share of the shortest election timeout. openraft requires that this
/// time, a tick of 13 / 64 of it, and half a heartbeat interval are together shorter than that timeout.
const ANSWER_SHARE: f64 = 0.68;
/// A sync that has not returned after this many of the longest election timeouts counts as hanging.
const HUNG_AFTER: u32 = 3;

// A lease ends before the promise that it rests on, and an answer arrives before an election begins.
const _: () = assert!(LEASE_MARGIN < 1.0 && ANSWER_SHARE + 13.0 / 64.0 < 1.0);

/// A heartbeat more often than this keeps idle nodes busy.
const SHORTEST_HEARTBEAT: Duration = Duration::from_millis(10);

/// What is wrong with settings, and the way out. Whoever names settings otherwise asks for the rule and says it with its
/// own names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BrokenRule {
    /// Heartbeats come too often.
    #[error("a heartbeat interval below 10 ms keeps idle nodes busy; raise it")]
    HeartbeatTooShort,
    /// Followers would stand for election between the heartbeats of a leader that is alive.
    #[error("the shortest election timeout must be at least three heartbeat intervals; raise it")]
    HeartbeatTooLong,
    /// Followers would stand for election all at once, and nobody would win.
    #[error("the longest election timeout must be above the shortest; raise it")]
    ElectionsTooAlike,
    /// A node that starts again would have to wait for too long.
    #[error("the longest election timeout must not be above 60 s; lower it")]
    ElectionsTooLate,
    /// No entry would lie between two snapshots.
    #[error("snapshots must be at least one entry apart; raise the distance")]
    SnapshotsTooClose,
}

/// Timing and size limits of every group of a node.
#[derive(Debug, Clone)]
pub struct RaftSettings {
    /// How often a leader that has nothing to send proves it is alive.
    pub heartbeat: Duration,
    /// Shortest silence after which a follower campaigns.
    pub election_min: Duration,
    /// Longest silence after which a follower campaigns. It is also the length of the promise that a leader asks of
    /// its followers.
    pub election_max: Duration,
    /// A snapshot point is taken and the log purged after this many entries.
    pub snapshot_after: u64,
    /// This many entries before a snapshot point stay in the log, for followers that lag a little.
    pub keep_entries: u64,
    /// Rate of the node's clock against true time. It is 1 in production. A simulation divides the durations above
    /// by it.
    pub clock_rate: f64,
    /// Bytes a second, at most, of all snapshots together that the node sends.
    pub snapshot_rate: u64,
}

impl Default for RaftSettings {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(150),
            election_min: Duration::from_millis(500),
            election_max: Duration::from_millis(1000),
            snapshot_after: 5000,
            keep_entries: 2000,
            clock_rate: 1.0,
            snapshot_rate: 128 << 20,
        }
    }
}

impl RaftSettings {
    /// The first rule that these settings break.
    pub fn broken_rule(&self) -> Option<BrokenRule> {
        let rules = [
            (self.heartbeat < SHORTEST_HEARTBEAT, BrokenRule::HeartbeatTooShort),
            (self.election_min < self.heartbeat * 3, BrokenRule::HeartbeatTooLong),
            (self.election_max <= self.election_min, BrokenRule::ElectionsTooAlike),
            (self.election_max > LONGEST_PROMISE, BrokenRule::ElectionsTooLate),
            (self.snapshot_after == 0, BrokenRule::SnapshotsTooClose),
        ];
        rules.into_iter().find(|(is_broken, _)| *is_broken).map(|(_, rule)| rule)
    }

    /// Refuses settings under which healthy leaders would be deposed, or snapshots would be zero entries apart.
    ///
    /// # Errors
    /// [`OpenError::Settings`], which says what to change.
    pub(crate) fn check(&self) -> Result<(), OpenError> {
        self.broken_rule().map_or(Ok(()), |rule| Err(OpenError::Settings(rule.to_string())))
    }

    /// How long a leader serves reads by itself, counted from when it sent the message that a majority answered.
    pub(crate) fn lease(&self) -> Duration {
        self.election_max.mul_f64(if is_planted(Mutant::LeaseIsPromise) { 1.0 } else { LEASE_MARGIN })
    }

    /// How long a follower may take to store what it is sent before it answers. A follower that syncs slowly is not
    /// dead. But nothing else is sent to it meanwhile, so one lost message must not hold it up for many election
    /// timeouts.
    pub(crate) fn patience(&self) -> Duration {
        self.election_max * 5
    }

    /// How long a sync may take before the disk counts as hanging.
    pub(crate) fn longest_sync(&self) -> Duration {
        self.election_max * HUNG_AFTER
    }

    /// How long a leader waits for the answer to a heartbeat. A message between nodes and its answer must arrive
    /// within this time.
    pub fn heartbeat_patience(&self) -> Duration {
        if is_planted(Mutant::HurriesFollowers) {
            return self.heartbeat;
        }
        self.election_min.mul_f64(ANSWER_SHARE)
    }

    /// How many entries before the newest snapshot a follower may lack and still be sent entries. Purging alone
    /// leaves less than a third of this number in a log.
    pub(crate) fn backlog(&self) -> u64 {
        (self.snapshot_after + self.keep_entries).saturating_mul(4)
    }

    /// How long a node that ran before waits before it takes part again, if `longest` is the longest promise that it
    /// gave.
    pub(crate) fn restart_wait(&self, longest: Duration) -> Duration {
        if is_planted(Mutant::ForgetsPromises) { Duration::ZERO } else { longest }
    }

    /// Returns the length of the promise that a leader asks of its followers, as its own clock counts it. Its lease
    /// is a part of it.
    pub(crate) fn asks(&self) -> Duration {
        self.election_max.mul_f64(self.clock_rate)
    }

    /// Returns how long `asked` lasts when this node's own clock counts it.
    pub(crate) fn on_own_clock(&self, asked: Duration) -> Duration {
        asked.div_f64(self.clock_rate)
    }

    /// openraft's configuration for one group.
    pub(crate) fn config(&self, group: GroupId) -> Arc<Config> {
        // Groups of one node that start together must not all take their snapshot points at once.
        let apart = group.0 * 37 % (self.snapshot_after / 8 + 1);
        let config = Config {
            cluster_name: group.to_string(),
            // This only says how long an answer may take: `replica::heartbeat` sets the interval.
            heartbeat_interval: self.heartbeat_patience().as_millis() as u64,
            heartbeat_min_interval: Some(self.heartbeat.as_millis() as u64 / 2),
            election_timeout_min: self.election_min.as_millis() as u64,
            election_timeout_max: self.election_max.as_millis() as u64,
            enable_pre_vote: Some(true),
            // A leader that restarted and resumed without an election would still trust its old lease.
            enable_leader_restore: Some(false),
            // A disk may lose the end of a follower's log in a way that no check sees. With this, the leader sends
            // the lost entries again. Without it, the leader would count on them for ever, or panic.
            allow_log_reversion: Some(true),
            // Entries a message; bytes are bounded by the log's reader.
            max_payload_entries: 256,
            snapshot_policy: SnapshotPolicy::LogsSinceLast(self.snapshot_after + apart),
            max_in_snapshot_log_to_keep: self.keep_entries,
            purge_batch_size: (self.keep_entries / 4).max(1),
            // A follower gets a snapshot if its entries are purged; `network::raft_network` decides the other cases.
            replication_lag_threshold: u64::MAX,
            // Milliseconds. The sender bounds each chunk by itself.
            install_snapshot_timeout: 600_000,
            backoff: "50ms 100ms 200ms ...1s".to_owned(),
            ..Config::default()
        };
        Arc::new(config)
    }
}
