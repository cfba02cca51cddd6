//! The timings of consensus: the cluster's, so that all nodes have the same.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How often leaders prove that they live, and how long followers wait for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RaftTimings {
    /// How often an idle leader proves that it is alive, in milliseconds.
    pub heartbeat_ms: u64,
    /// Shortest silence after which a follower stands for election, in milliseconds.
    pub election_min_ms: u64,
    /// Longest such silence, in milliseconds; also the length of the promise that leases rest on.
    pub election_max_ms: u64,
}

impl Default for RaftTimings {
    fn default() -> Self {
        Self { heartbeat_ms: 150, election_min_ms: 500, election_max_ms: 1000 }
    }
}

impl RaftTimings {
    /// Looks whether leaders can keep their office under these timings.
    ///
    /// # Errors
    /// The name of the one that is wrong, as in `heartbeat_ms`, and why.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let Self { heartbeat_ms, election_min_ms, election_max_ms } = *self;
        let longest = raft_groups::LONGEST_PROMISE.as_millis() as u64;
        if heartbeat_ms < 10 {
            return Err(("heartbeat_ms", "below 10 ms it keeps idle nodes busy: raise it".to_owned()));
        }
        if heartbeat_ms.saturating_mul(3) > election_min_ms {
            return Err((
                "heartbeat_ms",
                format!(
                    "a follower would take a late heartbeat for a dead leader: keep it at most a third of the shortest \
                     election timeout ({election_min_ms} ms)"
                ),
            ));
        }
        if election_max_ms <= election_min_ms {
            return Err((
                "election_max_ms",
                "must exceed the shortest election timeout: elections need different patience to be decided".to_owned(),
            ));
        }
        if election_max_ms > longest {
            return Err(("election_max_ms", format!("must not be above {longest} ms: lower it")));
        }
        Ok(())
    }

    /// How long a message and its answer may take between nodes, in milliseconds: where it takes longer, no leader is heard.
    pub fn longest_round_trip_ms(&self) -> u64 {
        let election_min = Duration::from_millis(self.election_min_ms);
        raft_groups::RaftSettings { election_min, ..Default::default() }.heartbeat_patience().as_millis() as u64
    }

    /// Timings that bear this round trip with room to spare, as far as there are any.
    pub fn for_round_trip(round_trip_ms: u64) -> Self {
        let share = Self::default().longest_round_trip_ms() as f64 / Self::default().election_min_ms as f64;
        let least = round_trip_ms as f64 * 1.5 / share;
        let longest = raft_groups::LONGEST_PROMISE.as_millis() as u64;
        let election_min_ms = ((least / 100.0).ceil() as u64 * 100).min(longest / 2);
        Self { heartbeat_ms: election_min_ms * 3 / 10, election_min_ms, election_max_ms: election_min_ms * 2 }
    }

    /// As a duration, each.
    pub fn heartbeat(&self) -> Duration {
        Duration::from_millis(self.heartbeat_ms)
    }

    /// See [`election_min_ms`](Self::election_min_ms).
    pub fn election_min(&self) -> Duration {
        Duration::from_millis(self.election_min_ms)
    }

    /// See [`election_max_ms`](Self::election_max_ms).
    pub fn election_max(&self) -> Duration {
        Duration::from_millis(self.election_max_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_sound_and_each_rule_names_what_is_wrong() {
        let sound = RaftTimings::default();
        assert_eq!(sound.check(), Ok(()));
        let wrong = |timings: RaftTimings| timings.check().unwrap_err().0;
        assert_eq!(wrong(RaftTimings { heartbeat_ms: 9, ..sound }), "heartbeat_ms");
        assert_eq!(wrong(RaftTimings { heartbeat_ms: 167, ..sound }), "heartbeat_ms");
        assert_eq!(wrong(RaftTimings { heartbeat_ms: u64::MAX, ..sound }), "heartbeat_ms");
        assert_eq!(wrong(RaftTimings { election_max_ms: 500, ..sound }), "election_max_ms");
        assert_eq!(wrong(RaftTimings { election_max_ms: 60_001, ..sound }), "election_max_ms");
    }

    #[test]
    fn the_timings_for_a_round_trip_are_sound_and_bear_it() {
        assert_eq!(RaftTimings::default().longest_round_trip_ms(), 340);
        for round_trip_ms in [0, 1, 340, 341, 600, 2_000, 13_000, 1_000_000] {
            let timings = RaftTimings::for_round_trip(round_trip_ms.max(1));
            assert_eq!(timings.check(), Ok(()), "{round_trip_ms} ms");
            let bears = timings.longest_round_trip_ms() > round_trip_ms;
            assert!(bears || round_trip_ms > 20_000, "{timings:?} do not bear {round_trip_ms} ms");
        }
    }
}
