//! Whether the machine has slept: the clock that leases are counted by stands still meanwhile, and the followers' does not.
//!
//! Linux has two clocks that agree but for the time in suspend. Where their difference has grown since the last look, what a
//! leader heard before says nothing any more. A virtual machine that is paused from outside may stop both, which nothing
//! here can see.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// The clocks are not read at one moment.
const TOLERANCE: Duration = Duration::from_millis(5);

/// What is known of the machine's sleep.
#[derive(Debug)]
pub struct Sleep(Mutex<Seen>);

#[derive(Debug)]
struct Seen {
    /// Time in suspend so far.
    slept: Duration,
    /// When it was last noticed that this has grown.
    woke: Option<Instant>,
}

impl Default for Sleep {
    fn default() -> Self {
        Self(Mutex::new(Seen { slept: time_in_suspend(), woke: None }))
    }
}

impl Sleep {
    /// When it was noticed that the machine had slept: what was heard before that does not count.
    pub fn woke(&self) -> Option<Instant> {
        self.woke_after(time_in_suspend())
    }

    fn woke_after(&self, slept: Duration) -> Option<Instant> {
        let mut seen = self.0.lock();
        if slept > seen.slept + TOLERANCE {
            *seen = Seen { slept, woke: Some(Instant::now()) };
        }
        seen.woke
    }

    /// As if the machine had slept until now.
    #[cfg(test)]
    pub fn wake(&self) {
        self.0.lock().woke = Some(Instant::now());
    }
}

#[cfg(target_os = "linux")]
fn time_in_suspend() -> Duration {
    use rustix::time::{ClockId, clock_gettime};
    let read = |clock| {
        let time = clock_gettime(clock);
        Duration::new(time.tv_sec.try_into().unwrap_or(0), time.tv_nsec.try_into().unwrap_or(0))
    };
    let awake = read(ClockId::Monotonic);
    read(ClockId::Boottime).saturating_sub(awake)
}

#[cfg(not(target_os = "linux"))]
fn time_in_suspend() -> Duration {
    Duration::ZERO
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_growth_is_sleep() {
        let sleep = Sleep::default();
        let so_far = sleep.0.lock().slept;
        assert_eq!(sleep.woke_after(so_far), None);
        assert_eq!(sleep.woke_after(so_far + TOLERANCE), None, "the clocks are read one after the other");
        let woke = sleep.woke_after(so_far + Duration::from_secs(3)).expect("it has slept");
        assert_eq!(sleep.woke_after(so_far + Duration::from_secs(3)), Some(woke), "once is once");
        assert!(sleep.woke_after(so_far + Duration::from_secs(4)).is_some_and(|again| again >= woke));
        assert!(Sleep::default().woke().is_none(), "nobody suspends a machine in its tests");
    }
}
