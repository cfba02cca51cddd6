//! Bounds on numbers and on moments.

use std::str::FromStr;

use jiff::tz::TimeZone;
use jiff::{Timestamp, civil};
use serde_json::Value;

use super::Number;

/// Up to four bounds; those that are absent hold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds<T> {
    /// Greater than this.
    pub gt: Option<T>,
    /// Greater than this or equal.
    pub gte: Option<T>,
    /// Less than this.
    pub lt: Option<T>,
    /// Less than this or equal.
    pub lte: Option<T>,
}

/// Bounds on a field's values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Range {
    /// For numbers, compared by their values; a value that is no number is outside.
    Number(Bounds<Number>),
    /// For strings that hold a date or time; any other value is outside.
    Datetime(Bounds<Timestamp>),
}

impl<T: PartialOrd> Bounds<T> {
    /// Whether `value` is within all bounds.
    pub fn hold(&self, value: &T) -> bool {
        self.gt.as_ref().is_none_or(|bound| value > bound)
            && self.gte.as_ref().is_none_or(|bound| value >= bound)
            && self.lt.as_ref().is_none_or(|bound| value < bound)
            && self.lte.as_ref().is_none_or(|bound| value <= bound)
    }
}

impl<T> Default for Bounds<T> {
    fn default() -> Self {
        Self { gt: None, gte: None, lt: None, lte: None }
    }
}

impl Range {
    /// Whether a field's value is within the bounds.
    pub fn holds(&self, value: &Value) -> bool {
        match self {
            Self::Number(bounds) => Number::of_value(value).is_some_and(|number| bounds.hold(&number)),
            Self::Datetime(bounds) => value.as_str().and_then(moment).is_some_and(|moment| bounds.hold(&moment)),
        }
    }
}

/// Reads RFC 3339, or the same without its offset (taken as UTC), or a date (its first moment in UTC), as Qdrant does.
pub(in crate::engine) fn moment(text: &str) -> Option<Timestamp> {
    if let Ok(moment) = Timestamp::from_str(text) {
        return Some(moment);
    }
    let local = civil::DateTime::from_str(text).ok()?;
    local.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_with_and_without_an_offset() {
        let noon = moment("2024-02-29T12:00:00Z");
        assert!(noon.is_some());
        assert_eq!(moment("2024-02-29T14:00:00+02:00"), noon);
        assert_eq!(moment("2024-02-29 12:00:00"), noon);
        assert_eq!(moment("2024-02-29T12:00"), noon);
        assert_eq!(moment("2024-02-29"), moment("2024-02-29T00:00:00Z"));
        for bad in ["", "noon", "2023-02-29", "2024-02-29T25:00:00Z", "12:00"] {
            assert_eq!(moment(bad), None, "{bad}");
        }
    }
}
