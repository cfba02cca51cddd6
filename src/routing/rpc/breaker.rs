//! A circuit breaker per peer: pure, the time is passed in.
//!
//! After some failures in a row no call is tried for a while, so that a dead peer costs its callers nothing; then one
//! call may find out whether it is back. After Nygard, "Release It!".

use std::time::Duration;

use tokio::time::Instant;

/// Failures in a row that open the circuit.
pub const FAILURES_TO_OPEN: u32 = 5;

/// How long the circuit stays open at first; doubles with each failed probe.
pub const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// How long it stays open at most: a peer that is back must not be left alone for much longer than an election.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How long a probe may take before another one is let through, since its caller may have gone away.
pub const PROBE_PATIENCE: Duration = Duration::from_secs(2);

/// What is known of one peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Breaker {
    state: BreakerState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BreakerState {
    /// Calls pass. `failures` of them failed in a row.
    Closed { failures: u32 },
    /// Calls fail at once until `until`; the next pause is known by the last one.
    Open { until: Instant, pause: Duration },
    /// One call is finding out; until `until` no other is let through.
    Probing { until: Instant, pause: Duration },
}

impl Default for BreakerState {
    fn default() -> Self {
        Self::Closed { failures: 0 }
    }
}

impl Breaker {
    /// Whether a call may be tried now. A `true` out of an open circuit makes that call the probe.
    pub fn admit(&mut self, now: Instant) -> bool {
        match self.state {
            BreakerState::Closed { .. } => true,
            // The pause is over, or the caller of the last probe has gone: one more call finds out.
            BreakerState::Open { until, pause } | BreakerState::Probing { until, pause } if now >= until => {
                self.state = BreakerState::Probing { until: now + PROBE_PATIENCE, pause };
                true
            }
            BreakerState::Open { .. } | BreakerState::Probing { .. } => false,
        }
    }

    /// The peer answered.
    pub fn succeeded(&mut self) {
        self.state = BreakerState::default();
    }

    /// The peer did not answer.
    pub fn failed(&mut self, now: Instant) {
        let open = |pause: Duration| BreakerState::Open { until: now + pause, pause };
        self.state = match self.state {
            // One lost answer may be the network's fault, so only several in a row open the circuit.
            BreakerState::Closed { failures } if failures + 1 < FAILURES_TO_OPEN => {
                BreakerState::Closed { failures: failures + 1 }
            }
            BreakerState::Closed { .. } => open(FIRST_PAUSE),
            // The probe failed, so the next pause is twice as long, up to a limit.
            BreakerState::Probing { pause, .. } => open((pause * 2).min(LONGEST_PAUSE)),
            // The failure of a call that was under way when the circuit opened says nothing new.
            opened @ BreakerState::Open { .. } => opened,
        };
    }

    /// The call ended without a word on whether the peer is there: where it was the probe, the next call is.
    pub fn undecided(&mut self, now: Instant) {
        if let BreakerState::Probing { pause, .. } = self.state {
            self.state = BreakerState::Open { until: now, pause };
        }
    }

    /// Whether the last call did not fail.
    pub fn looks_alive(&self) -> bool {
        matches!(self.state, BreakerState::Closed { failures: 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(now: Instant) -> Breaker {
        let mut breaker = Breaker::default();
        (0..FAILURES_TO_OPEN).for_each(|_| breaker.failed(now));
        breaker
    }

    #[test]
    fn it_opens_after_failures_in_a_row_only() {
        let now = Instant::now();
        let mut breaker = Breaker::default();
        for _ in 0..3 {
            (1..FAILURES_TO_OPEN).for_each(|_| breaker.failed(now));
            assert!(breaker.admit(now) && !breaker.looks_alive());
            breaker.succeeded();
            assert!(breaker.looks_alive());
        }
        assert!(!opened(now).admit(now));
    }

    #[test]
    fn one_probe_passes_after_the_pause_and_success_closes() {
        let now = Instant::now();
        let mut breaker = opened(now);
        let later = now + FIRST_PAUSE;
        assert!(breaker.admit(later));
        assert!(!breaker.admit(later));
        breaker.succeeded();
        assert!(breaker.admit(later) && breaker.admit(later));
    }

    #[test]
    fn each_failed_probe_doubles_the_pause_up_to_the_longest() {
        let mut now = Instant::now();
        let mut breaker = opened(now);
        let mut pause = FIRST_PAUSE;
        for _ in 0..10 {
            assert!(!breaker.admit(now + pause - Duration::from_millis(1)));
            now += pause;
            assert!(breaker.admit(now));
            breaker.failed(now);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        assert_eq!(pause, LONGEST_PAUSE);
    }

    #[test]
    fn a_probe_whose_caller_went_away_does_not_lock_the_peer_out() {
        let now = Instant::now();
        let mut breaker = opened(now);
        let later = now + FIRST_PAUSE;
        assert!(breaker.admit(later));
        assert!(!breaker.admit(later + PROBE_PATIENCE - Duration::from_millis(1)));
        assert!(breaker.admit(later + PROBE_PATIENCE));
    }

    #[test]
    fn a_probe_that_found_nothing_out_makes_room_for_the_next() {
        let now = Instant::now();
        let mut breaker = opened(now);
        breaker.undecided(now);
        assert!(!breaker.admit(now));
        let later = now + FIRST_PAUSE;
        assert!(breaker.admit(later));
        breaker.undecided(later);
        assert!(breaker.admit(later) && !breaker.admit(later));
    }

    #[test]
    fn late_failures_do_not_lengthen_the_pause() {
        let now = Instant::now();
        let mut breaker = opened(now);
        breaker.failed(now + FIRST_PAUSE / 2);
        assert!(breaker.admit(now + FIRST_PAUSE));
    }
}
