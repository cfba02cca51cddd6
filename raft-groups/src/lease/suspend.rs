//! Notices that the machine has slept: the clock that leases are counted by stands still meanwhile, and the followers'
//! does not.
//!
//! Linux has two clocks that agree but for the time in suspend. Where their difference has grown since the last look,
//! what a leader heard before says nothing any more. A virtual machine that is paused from outside may stop both,
//! which nothing here can see. A simulation never sleeps, and reads neither clock.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::consensus::runtime::is_seeded;

/// The clocks are not read at one moment.
const TOLERANCE: Duration = Duration::from_millis(5);
/// A reading that took longer than this is taken again, so many times: whoever reads may be kept from the processor
/// between the two clocks, and that is no sleep.
const QUICK: Duration = Duration::from_millis(2);
const TRIES: usize = 16;

/// What is known of the machine's sleep.
#[derive(Debug)]
pub struct SuspendWatch(Mutex<SuspendTime>);

#[derive(Debug)]
struct SuspendTime {
    /// Time in suspend so far.
    slept: Duration,
    /// When it was last noticed that this has grown.
    woke: Option<Instant>,
}

impl Default for SuspendWatch {
    fn default() -> Self {
        Self(Mutex::new(SuspendTime { slept: time_in_suspend(), woke: None }))
    }
}

impl SuspendWatch {
    /// When it was noticed that the machine had slept: what was heard before that does not count.
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

    /// As if the machine had slept until now.
    #[cfg(test)]
    pub fn wake(&self) {
        self.0.lock().woke = Some(Instant::now());
    }
}

/// None in a simulation, whatever the machine does: two runs of one seed must not differ.
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

/// By how much the second clock is ahead of the first: never less than it is, and more by at most [`QUICK`] unless
/// none of the readings was quick.
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

    /// The two clocks are never read at one moment, so that of a hundred readings some would show it.
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
