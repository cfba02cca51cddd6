//! How fresh a follower's applied state is known to be.
//!
//! It is not enough to hear the leader. What the leader had committed by then must also be applied here. And a
//! leader that has committed nothing in its own term does not yet know what earlier leaders committed (Ongaro's
//! thesis, § 6.4).

use tokio::time::Instant;

/// What a follower knows of its leader's commits.
#[derive(Debug, Default)]
pub struct AppliedFreshness {
    /// The applied state holds everything that was committed at this time.
    fresh: Option<Instant>,
    /// Once this index is applied, the state holds everything that was committed at this time.
    pending: Option<(Instant, u64)>,
}

impl AppliedFreshness {
    /// Notes that at `at` the leader said that it had committed up to `committed`.
    pub fn heard(&mut self, at: Instant, committed: u64, applied: u64) {
        self.settle(applied);
        // Under load each message commits a little more than is applied. So a pending point stays: if each message
        // replaced it, none would ever be reached.
        self.pending.get_or_insert((at, committed));
        self.settle(applied);
    }

    /// Returns the latest known time as of which the applied state is complete, if there is one.
    pub fn fresh_as_of(&mut self, applied: u64) -> Option<Instant> {
        self.settle(applied);
        self.fresh
    }

    fn settle(&mut self, applied: u64) {
        if let Some((at, committed)) = self.pending
            && applied >= committed
        {
            self.fresh = Some(at);
            self.pending = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_lagging_follower_is_not_fresh_however_often_it_hears_its_leader() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut freshness = AppliedFreshness::default();
        assert_eq!(freshness.fresh_as_of(0), None);
        freshness.heard(at(0), 5, 5);
        freshness.heard(at(10), 7, 5);
        freshness.heard(at(20), 9, 6);
        assert_eq!(freshness.fresh_as_of(6), Some(at(0)));
        assert_eq!(freshness.fresh_as_of(7), Some(at(10)));
        freshness.heard(at(30), 9, 9);
        assert_eq!(freshness.fresh_as_of(9), Some(at(30)));
    }
}
