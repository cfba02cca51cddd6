//! How fresh a replica must be for a read, and the wait until it is.

use std::cmp::Ordering;
use std::time::Duration;

use raft_groups::mutants::{Mutant, is_planted};
use raft_groups::{Group, Machine, ReadError, ReadMode, ReadPoint, Role, recoveries};
use tokio::time::Instant;

use crate::engine::Engine;
use crate::routing::LogPoint;
use crate::routing::rpc::message::CallError;

/// How fresh a replica must be for a read.
pub(super) struct Freshness {
    pub(in crate::routing) mode: ReadMode,
    pub(in crate::routing) after: Option<LogPoint>,
    pub(in crate::routing) max_staleness_ms: Option<u64>,
}

impl Freshness {
    /// Waits until `replica` is as fresh. Returns what it can say of its state then.
    ///
    /// # Errors
    /// Where it is not as fresh by the deadline, or cannot be.
    pub(in crate::routing) async fn wait(
        &self,
        replica: &Group<Engine>,
        deadline: Instant,
    ) -> Result<ReadPoint, CallError> {
        let fail = |error| read_error(error, replica);
        let mut point = replica.read(self.mode, deadline).await.map_err(fail)?;
        if self.mode == ReadMode::Follower && point.role == Role::Learner {
            // It is being filled: what it shows may be older than anything this client has seen, or nothing at all.
            let reason = "this replica is still being filled".to_owned();
            return Err(CallError::NotHere { reason });
        }
        if let Some(after) = self.after {
            point = reach(replica, self.mode, point, after, deadline).await?;
        }
        // Only a read that does not ask the leader can be stale.
        match self.max_staleness_ms {
            Some(bound) if self.mode == ReadMode::Follower => within(point, bound),
            _ => Ok(point),
        }
    }
}

/// How long a follower waits for a place in the log before its leader is asked whether there is one.
const ASK_AFTER: Duration = Duration::from_millis(100);

/// Waits until `after` is applied, where the log has it.
async fn reach(
    replica: &Group<Engine>,
    mode: ReadMode,
    point: ReadPoint,
    after: LogPoint,
    deadline: Instant,
) -> Result<ReadPoint, CallError> {
    // The replica may have it already.
    let fail = |error| read_error(error, replica);
    if is_there(&point, after, mode != ReadMode::Follower)? {
        return Ok(point);
    }
    // Most often it is on its way.
    let soon = deadline.min(Instant::now() + ASK_AFTER);
    if recoveries(point.term) == after.recovered
        && let Ok(point) = replica.wait_applied(after.index, soon).await
    {
        return Ok(point);
    }
    // If not, the leader says whether the log has it at all.
    let confirmed = replica.read(ReadMode::Linearizable, deadline).await;
    if let Ok(point) = confirmed {
        return is_there(&point, after, true).map(|_| point);
    }
    // If no leader answers, wait until the deadline.
    let point = replica.wait_applied(after.index, deadline).await.map_err(fail)?;
    if is_there(&point, after, false)? { Ok(point) } else { Err(CallError::Behind { applied: point.index }) }
}

/// Returns `true` if a state holds `after`. `is_newest` says that the state holds all that was acknowledged before it
/// was asked for: a token for more than that stands for nothing that was acknowledged.
fn is_there(point: &ReadPoint, after: LogPoint, is_newest: bool) -> Result<bool, CallError> {
    let lapsed = |reason: &str| match is_planted(Mutant::WaitsForLapsedTokens) {
        true => Ok(false),
        false => Err(CallError::Lapsed { reason: reason.to_owned() }),
    };
    // A recovery may have lost entries, so indexes from before and after it cannot be compared.
    match recoveries(point.term).cmp(&after.recovered) {
        Ordering::Greater => lapsed(
            "the shard was recovered without its majority since the token was given, and may have lost what it stands for; \
             read without `after`, and look what is there",
        ),
        Ordering::Equal if after.index <= point.index => Ok(true),
        _ if is_newest => lapsed("nothing that was acknowledged is so far in its log; read without `after`"),
        _ => Ok(false),
    }
}

fn within(point: ReadPoint, bound_ms: u64) -> Result<ReadPoint, CallError> {
    let staleness_ms = point.leader_contact.map(|since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
    match staleness_ms {
        Some(staleness) if staleness <= bound_ms => Ok(point),
        _ => Err(CallError::Stale { staleness_ms }),
    }
}

/// Why a replica could not be read, as its caller is told.
pub(super) fn read_error<M: Machine>(error: ReadError, group: &Group<M>) -> CallError {
    match error {
        ReadError::NotLeader { leader } => CallError::NotLeader { leader },
        ReadError::NoQuorum { reason } => CallError::NoQuorum { reason },
        // Like a lost majority it passes once nodes are back, and another replica may know more.
        ReadError::Unsettled => CallError::NoQuorum { reason: error.to_string() },
        ReadError::Deadline => CallError::Behind { applied: group.status().applied },
        ReadError::Stopped { reason } => CallError::Stopped { reason },
    }
}

#[cfg(test)]
mod tests {
    use raft_groups::mutants::plant;

    use super::*;

    #[test]
    fn a_place_that_no_log_will_reach_is_refused_and_not_waited_for() {
        let point = |term, index| ReadPoint { role: Role::Follower, term, index, leader_contact: None };
        let after = |recovered, index| LogPoint { recovered, index };
        let lapsed = |found: Result<bool, CallError>| matches!(found, Err(CallError::Lapsed { .. }));
        let recovered = 1 << 40 | 7;
        assert_eq!(is_there(&point(5, 9), after(0, 9), true), Ok(true));
        assert_eq!(is_there(&point(5, 9), after(0, 10), false), Ok(false), "a follower may be behind");
        assert!(lapsed(is_there(&point(5, 9), after(0, 10), true)), "a leader is not");
        assert!(lapsed(is_there(&point(recovered, 9), after(0, 3), false)), "it may have been lost");
        assert_eq!(is_there(&point(recovered, 9), after(1, 9), false), Ok(true));
        assert_eq!(is_there(&point(5, 99), after(1, 9), false), Ok(false), "it does not know of the recovery yet");
        let _planted = plant(Mutant::WaitsForLapsedTokens);
        assert_eq!(is_there(&point(5, 9), after(0, 10), true), Ok(false), "the bug is not planted");
    }
}
