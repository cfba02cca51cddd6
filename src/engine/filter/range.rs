//! Bounds on numbers and on moments.

use serde_json::Value;

use super::{Moment, Number};

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
    Datetime(Bounds<Moment>),
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
            Self::Datetime(bounds) => value.as_str().and_then(Moment::parse).is_some_and(|moment| bounds.hold(&moment)),
        }
    }
}
