//! Statistics of the times of many operations: percentiles, median, best. Pure.
//!
//! In: durations. Out: figures in milliseconds, with about three digits.

use std::time::Duration;

/// Times in milliseconds, in ascending order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Times(Vec<f64>);

impl Times {
    /// The times of these durations, which may be in any order.
    pub(crate) fn new(durations: impl IntoIterator<Item = Duration>) -> Self {
        let mut times: Vec<f64> = durations.into_iter().map(|duration| duration.as_secs_f64() * 1e3).collect();
        times.sort_by(f64::total_cmp);
        Self(times)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The nearest-rank percentile: the smallest time that at least `share` of all times do not exceed. `share` is from
    /// 0 to 1. Returns 0 if there are no times.
    pub(crate) fn percentile(&self, share: f64) -> f64 {
        let rank = (share * self.0.len() as f64).ceil() as usize;
        self.0.get(rank.clamp(1, self.0.len().max(1)) - 1).copied().unwrap_or(0.0)
    }

    /// The median.
    pub(crate) fn p50(&self) -> f64 {
        self.percentile(0.50)
    }

    /// The 99th percentile.
    pub(crate) fn p99(&self) -> f64 {
        self.percentile(0.99)
    }

    /// The shortest time; 0 if there are none.
    pub(crate) fn best(&self) -> f64 {
        self.percentile(0.0)
    }

    /// The longest time; 0 if there are none.
    pub(crate) fn worst(&self) -> f64 {
        self.percentile(1.0)
    }

    /// The median and the 99th percentile, in words.
    pub(crate) fn summary(&self) -> String {
        format!("p50 {}, p99 {}", millis(self.p50()), millis(self.p99()))
    }
}

/// A time in milliseconds, with about three digits and its unit.
pub(crate) fn millis(time: f64) -> String {
    format!("{} ms", digits(time))
}

/// A number with about three significant digits.
pub(crate) fn digits(number: f64) -> String {
    match number.abs() {
        size if size >= 100.0 => format!("{number:.0}"),
        size if size >= 10.0 => format!("{number:.1}"),
        size if size >= 0.1 || size == 0.0 => format!("{number:.2}"),
        _ => format!("{number:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let times = Times::new((1..=100).rev().map(Duration::from_millis));
        assert_eq!((times.best(), times.p50(), times.p99(), times.worst()), (1.0, 50.0, 99.0, 100.0));
        let one = Times::new([Duration::from_millis(7)]);
        assert_eq!((one.best(), one.p50(), one.p99(), one.worst()), (7.0, 7.0, 7.0, 7.0));
        let few = Times::new([3, 1, 2].map(Duration::from_millis));
        assert_eq!((few.p50(), few.p99()), (2.0, 3.0));
        let none = Times::default();
        assert_eq!((none.len(), none.p50(), none.worst()), (0, 0.0, 0.0));
    }

    #[test]
    fn numbers_keep_three_digits() {
        let shown: Vec<String> = [1234.5, 56.78, 1.234, 0.0, 0.0456].map(digits).into();
        assert_eq!(shown, ["1234", "56.8", "1.23", "0.00", "0.046"]);
    }
}
