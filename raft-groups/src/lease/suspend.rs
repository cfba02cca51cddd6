//! Notices that the machine has slept. Meanwhile the clock that counts leases stands still, and the followers'
//! clocks go on.
//!
//! Linux has two clocks that differ only by the time in suspend. If their difference has grown since the last look,
//! what a leader heard before no longer counts. A virtual machine that is paused from outside may stop both clocks,
//! which nothing here can see. A simulation never sleeps, and reads neither clock.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::consensus::runtime::is_seeded;

/// The two clocks cannot be read at the same moment, so a growth of less than this is no sleep.
const TOLERANCE: Duration = Duration::from_millis(5);
/// A reading that took longer than this is repeated, at most [`TRIES`] times. The scheduler may interrupt the reader
/// between the two clocks, which is no sleep.
const QUICK: Duration = Duration::from_millis(2);
const TRIES: usize = 16;

/// How long the machine has slept, and when that was noticed.
#[derive(Debug)]
pub struct SuspendWatch(Mutex<SuspendTime>);

#[derive(Debug)]
struct SuspendTime {
    /// Time in suspend so far.
    slept: Duration,
    /// When a growth of `slept` was last noticed.
    woke: Option<Instant>,
}

impl Default for SuspendWatch {
    fn default() -> Self {
        Self(Mutex::new(SuspendTime { slept: time_in_suspend(), woke: None }))
    }
}

impl SuspendWatch {
    /// Returns when the machine's last sleep was noticed. What was heard before that does not count.
    pub fn woke(&self) -> Option<Instant> {
        self.woke_after(time_in_suspend())
    }

    fn woke_after(&self, slept: Duration) -> Option<Instant> {
        let mut seen = self.0.lock();
        if slept > seen.slept + TOLERANCE {
            *seen = SuspendTime { slept, woke: Some(Instant::now()) };
        }
        seen.woke
    }

    /// Pretends that the machine has slept until now.
    #[cfg(test)]
    pub fn wake(&self) {
        self.0.lock().woke = Some(Instant::now());
    }
}

/// Returns the time in suspend so far. It is zero in a simulation, because two runs of one seed must not differ.
fn time_in_suspend() -> Duration {
    if is_seeded() { Duration::ZERO } else { clocks_apart() }
}

#[cfg(target_os = "linux")]
fn clocks_apart() -> Duration {
    use rustix::time::{ClockId, clock_gettime};
    let read = |clock| {
        let time = clock_gettime(clock);
        Duration::new(time.tv_sec.try_into().unwrap_or(0), time.tv_nsec.try_into().unwrap_or(0))
    };
    apart(|| read(ClockId::Monotonic), || read(ClockId::Boottime))
}

/// Returns by how much the second clock is ahead of the first. The result is never too small. It is too large by at
/// most [`QUICK`], unless no reading was quick.
fn apart(mut first: impl FnMut() -> Duration, mut second: impl FnMut() -> Duration) -> Duration {
    let mut ahead = Duration::ZERO;
    for _ in 0..TRIES {
        let before = first();
        ahead = second().saturating_sub(before);
        if first().saturating_sub(before) <= QUICK {
            break;
        }
    }
    ahead
}

#[cfg(not(target_os = "linux"))]
fn clocks_apart() -> Duration {
    Duration::ZERO
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::RaftSettings;
    use crate::tests::kit::{simulate, start};

    #[test]
    fn who_is_kept_from_the_processor_has_not_slept() {
        for kept in 0..TRIES {
            // A clock that moves on after each reading, by much in the first so many tries.
            let (now, readings, asleep) = (Cell::new(0), Cell::new(0), Duration::from_secs(7));
            let awake = || {
                let number = readings.replace(readings.get() + 1);
                let passed = if number < 2 * kept { 100_000 } else { 1 };
                Duration::from_micros(now.replace(now.get() + passed))
            };
            let ahead = apart(awake, || Duration::from_micros(now.get()) + asleep);
            assert!(ahead >= asleep && ahead < asleep + TOLERANCE, "{kept}: {ahead:?}");
        }
    }

    /// The two clocks are never read at the same moment, so some of a hundred readings would show a difference.
    #[test]
    fn a_simulation_reads_no_clock_of_the_machine() {
        simulate(async {
            let _cluster = start(1, 1, RaftSettings::default()).await;
            assert!((0..100).all(|_| time_in_suspend() == Duration::ZERO));
        });
    }

    #[test]
    fn only_growth_is_sleep() {
        let sleep = SuspendWatch::default();
        let so_far = sleep.0.lock().slept;
        assert_eq!(sleep.woke_after(so_far), None);
        assert_eq!(sleep.woke_after(so_far + TOLERANCE), None, "the clocks are read one after the other");
        let woke = sleep.woke_after(so_far + Duration::from_secs(3)).expect("it has slept");
        assert_eq!(sleep.woke_after(so_far + Duration::from_secs(3)), Some(woke), "once is once");
        assert!(sleep.woke_after(so_far + Duration::from_secs(4)).is_some_and(|again| again >= woke));
        assert!(SuspendWatch::default().woke().is_none(), "nobody suspends a machine in its tests");
    }
}
