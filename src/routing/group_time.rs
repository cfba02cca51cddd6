//! The time of a group, on both sides of a call.
//!
//! It is explained at [`Entry`](crate::engine::Entry). The leader gives it out: [`LeaderClock`]. Who sends writes knows
//! it from answers, [`KnownTimes`], and says with each write since when, and for how long, it may be applied. What a
//! sender knows may be old; a write whose sender knows nothing recent is answered with the time
//! instead of being proposed, and is sent once more.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use raft_groups::GroupId;
use raft_groups::mutants::{Mutant, is_planted};
use tokio::time::Instant;

use crate::engine::{Lifetime, MadeBy};
use crate::model::limits::REMEMBERED_MS;

/// How old a sender's knowledge may be.
const OLDEST_KNOWN: Duration = Duration::from_secs(180);

/// How much longer a write may be applied than its sender waits. It covers the difference between the rates of clocks,
/// and the way of the answer that told the time. A client may repeat a write at least this long, if a gateway has made
/// its id.
const SLACK: Duration = Duration::from_secs(120);

/// What a leader gives out: the time of its state when its term began, and what has passed since. A term has one leader,
/// so no two add up what passed for each of them.
#[derive(Debug)]
pub(super) struct LeaderClock {
    term: u64,
    from_ms: u64,
    since: Instant,
}

impl LeaderClock {
    pub(super) fn new(term: u64, state_ms: u64, now: Instant) -> Self {
        Self { term, from_ms: state_ms, since: now }
    }

    /// The group's time at the moment `now` of the leader of `term`, whose state is at `state_ms`; at least 1.
    pub(super) fn at(&mut self, term: u64, state_ms: u64, now: Instant) -> u64 {
        // A new term has a new leader, whose clock starts at what the state says.
        if term != self.term {
            *self = Self::new(term, state_ms, now);
        }
        let passed = u64::try_from(now.saturating_duration_since(self.since).as_millis()).unwrap_or(u64::MAX);
        let time_ms = self.from_ms.saturating_add(passed);
        // The group's time never runs back behind its state.
        if time_ms < state_ms {
            *self = Self::new(term, state_ms, now);
        }
        time_ms.max(state_ms).max(1)
    }
}

/// What a sender knows of groups' times.
#[derive(Debug, Default)]
pub(super) struct KnownTimes(Mutex<HashMap<GroupId, (u64, Instant)>>);

impl KnownTimes {
    /// Takes note of what a leader has just told.
    pub(super) fn learn(&self, group: GroupId, time_ms: u64, now: Instant) {
        self.0.lock().insert(group, (time_ms, now));
    }

    /// The lifetime of a write that is sent now for the first time and waited for until `left` has passed.
    pub(super) fn lifetime(&self, group: GroupId, made_by: MadeBy, left: Duration, now: Instant) -> Lifetime {
        let Some((born_ms, learned)) = self.0.lock().get(&group).copied() else { return Lifetime::unborn(made_by) };
        let age = now.saturating_duration_since(learned);
        if age > OLDEST_KNOWN {
            return Lifetime::unborn(made_by);
        }
        let lasts = u64::try_from((age + left + SLACK).as_millis()).unwrap_or(u64::MAX).min(REMEMBERED_MS);
        Lifetime { made_by, born_ms, lasts_ms: u32::try_from(lasts).unwrap_or(u32::MAX) }
    }
}

/// Returns `true` if a leader whose group is at `time_ms` may propose a write of this lifetime: its sender knows a
/// time, and the lifetime is not over. The sender's time may lie ahead, since an earlier leader may have counted more.
/// It lies further ahead than [`REMEMBERED_MS`] only where much was lost.
pub(super) fn may_be_proposed(lifetime: Lifetime, time_ms: u64) -> bool {
    let known = (1..=time_ms.saturating_add(REMEMBERED_MS)).contains(&lifetime.born_ms);
    known && (time_ms <= lifetime.end_ms() || is_planted(Mutant::TakesLateCopies))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::rpc::message::LONGEST_CALL;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn what_is_remembered_outlasts_the_longest_write_of_the_oldest_knowledge() {
        let longest = OLDEST_KNOWN + LONGEST_CALL + SLACK;
        assert!(longest.as_millis() <= u128::from(REMEMBERED_MS), "{longest:?}");
    }

    #[test]
    fn a_leaders_time_is_what_passed_since_its_term_began() {
        let began = Instant::now();
        let mut clock = LeaderClock::new(3, 500, began);
        assert_eq!(clock.at(3, 500, began + SECOND), 1_500);
        assert_eq!(clock.at(3, 1_400, began + 2 * SECOND), 2_500, "its own entries do not hold it up");
        // Another led for an hour in which little time was counted, and this one leads again.
        let later = began + 3_600 * SECOND;
        assert_eq!(clock.at(9, 3_000, later), 3_000, "what passed while it did not lead does not count");
        assert_eq!(clock.at(9, 3_000, later + SECOND), 4_000);
        assert_eq!(clock.at(9, 9_000, later + 2 * SECOND), 9_000, "entries of before that it applies only now");
        assert_eq!(clock.at(9, 9_000, later + 3 * SECOND), 10_000);
        assert_eq!(LeaderClock::new(1, 0, began).at(1, 0, began), 1, "0 means unknown");
    }

    #[test]
    fn who_knows_no_recent_time_says_so() {
        let (known, now, group) = (KnownTimes::default(), Instant::now(), GroupId(7));
        let lifetime = |after| known.lifetime(group, MadeBy::Client, 10 * SECOND, now + after);
        assert_eq!(lifetime(Duration::ZERO), Lifetime::unborn(MadeBy::Client));
        known.learn(group, 700, now);
        let after = lifetime(5 * SECOND);
        assert_eq!((after.born_ms, after.lasts_ms), (700, 135_000), "what was told, not what may be by now");
        assert_eq!(lifetime(OLDEST_KNOWN + SECOND), Lifetime::unborn(MadeBy::Client));
    }

    #[test]
    fn only_what_is_dated_and_not_over_is_proposed() {
        let lifetime = Lifetime { made_by: MadeBy::Gateway, born_ms: 100, lasts_ms: 50 };
        assert_eq!([99, 100, 150, 151].map(|time_ms| may_be_proposed(lifetime, time_ms)), [true, true, true, false]);
        let lost = Lifetime { born_ms: 200 + REMEMBERED_MS, ..lifetime };
        assert_eq!([199, 200].map(|time_ms| may_be_proposed(lost, time_ms)), [false, true]);
        assert!(!may_be_proposed(Lifetime::unborn(MadeBy::Client), 100));
    }
}
