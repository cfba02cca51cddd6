//! Rates and percentiles of the last minute, for `/stats`. `/metrics` has the full histograms; this is the summary that
//! a person or a script reads without a collector.
//!
//! Comes in: one duration for each answered request. Goes out: requests a second, p50 and p99.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Length of a slot; the window is [`SLOTS`] of them.
const SLOT: Duration = Duration::from_secs(10);
const SLOTS: usize = 6;
/// Buckets grow by a quarter of an octave from 16 µs: 96 of them reach 270 s, at most 19 % off.
const BUCKETS: usize = 96;
const SMALLEST_MICROS: f64 = 16.0;

#[derive(Clone)]
struct OneSecond {
    /// Number of slots between the meter's birth and this one; 0 marks a slot never used.
    number: u64,
    buckets: [u32; BUCKETS],
}

/// Counts what happens now in one slot and forgets the oldest.
pub struct RollingWindow {
    born: Instant,
    slots: Mutex<Vec<OneSecond>>,
}

/// What a [`RollingWindow`] has seen in the last minute.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Summary {
    /// Events a second.
    pub rate: f64,
    /// The median, in milliseconds.
    pub p50_ms: f64,
    /// The 99th percentile, in milliseconds.
    pub p99_ms: f64,
}

impl Default for RollingWindow {
    fn default() -> Self {
        Self { born: Instant::now(), slots: Mutex::new(vec![OneSecond { number: 0, buckets: [0; BUCKETS] }; SLOTS]) }
    }
}

impl RollingWindow {
    /// Counts one event that took `took`.
    pub fn record(&self, took: Duration) {
        self.record_at(self.born.elapsed(), took);
    }

    /// The last minute, or the time since birth where that is shorter.
    pub fn summary(&self) -> Summary {
        self.summary_at(self.born.elapsed())
    }

    fn record_at(&self, age: Duration, took: Duration) {
        let number = slot_number(age);
        let mut slots = self.slots.lock();
        let slot = &mut slots[number as usize % SLOTS];
        if slot.number != number {
            *slot = OneSecond { number, buckets: [0; BUCKETS] };
        }
        slot.buckets[bucket(took)] += 1;
    }

    fn summary_at(&self, age: Duration) -> Summary {
        let now = slot_number(age);
        let mut merged = [0u64; BUCKETS];
        // A slot is cleared only when it is used again, so old ones may still be there.
        for slot in self.slots.lock().iter().filter(|slot| slot.number + SLOTS as u64 > now) {
            merged.iter_mut().zip(slot.buckets).for_each(|(sum, count)| *sum += u64::from(count));
        }
        let total: u64 = merged.iter().sum();
        // The newest slot has only begun: the window is the full slots and the part of it that has passed.
        let begun = SLOT.as_secs_f64() * (SLOTS - 1) as f64 + (age.as_secs_f64() % SLOT.as_secs_f64());
        let seconds = age.as_secs_f64().min(begun).max(1.0);
        Summary {
            rate: total as f64 / seconds,
            p50_ms: percentile(&merged, total, 0.50),
            p99_ms: percentile(&merged, total, 0.99),
        }
    }
}

/// Counted from 1, so that an unused slot (0) never looks current.
fn slot_number(age: Duration) -> u64 {
    age.as_secs() / SLOT.as_secs() + 1
}

fn bucket(took: Duration) -> usize {
    let octaves = (took.as_micros() as f64 / SMALLEST_MICROS).max(1.0).log2();
    ((octaves * 4.0) as usize).min(BUCKETS - 1)
}

/// The upper edge of the bucket that holds the wanted rank; 0 where nothing was counted.
fn percentile(buckets: &[u64; BUCKETS], total: u64, share: f64) -> f64 {
    let rank = (total as f64 * share).ceil() as u64;
    let mut seen = 0;
    let found = buckets.iter().position(|count| {
        seen += count;
        rank > 0 && seen >= rank
    });
    found.map_or(0.0, |index| SMALLEST_MICROS * 2f64.powf((index + 1) as f64 / 4.0) / 1_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_within_a_bucket_of_the_truth() {
        let window = RollingWindow::default();
        let second = Duration::from_secs(1);
        (1..=1_000).for_each(|ms| window.record_at(second, Duration::from_millis(ms)));
        let summary = window.summary_at(second);
        assert!((500.0..600.0).contains(&summary.p50_ms), "{summary:?}");
        assert!((990.0..1_190.0).contains(&summary.p99_ms), "{summary:?}");
        assert_eq!(summary.rate, 1_000.0);
    }

    #[test]
    fn old_slots_are_forgotten() {
        let window = RollingWindow::default();
        window.record_at(Duration::from_secs(5), second_of(5));
        assert!(window.summary_at(Duration::from_secs(59)).rate > 0.0);
        assert_eq!(window.summary_at(Duration::from_secs(61)), Summary::default());
    }

    #[test]
    fn an_unused_meter_says_zero() {
        assert_eq!(RollingWindow::default().summary(), Summary::default());
    }

    fn second_of(n: u64) -> Duration {
        Duration::from_secs(n)
    }
}
