//! Dates and times in text: RFC 3339, § 5.6, and three shorter forms of it.
//!
//! ```text
//! 2024-02-29T12:00:00.5+02:00   RFC 3339: `t`, `z` and a space for the `T` too; any number of digits of a second
//! 2024-02-29T12:00:00.5         without its offset: UTC
//! 2024-02-29T12:00              without its seconds too
//! 2024-02-29                    a date: its first moment, in UTC
//! ```
//! Nothing else is a date. Digits beyond a nanosecond are cut off. The leap second 23:59:60 of UTC is the first moment of
//! the next day, as in POSIX time.

use std::fmt;

use jiff::Unit;
use jiff::civil::{self, Date};

const SECOND: i128 = 1_000_000_000;
const MINUTE: i128 = 60 * SECOND;
const DAY: i128 = 24 * 60 * MINUTE;
const EPOCH: Date = civil::date(1970, 1, 1);

/// A moment: nanoseconds since 1970 in UTC, of the years 0 to 9999 in some offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(i128);

impl Moment {
    /// Reads a text; `None` where it is no date.
    pub fn parse(text: &str) -> Option<Self> {
        let mut scan = Scan(text.as_bytes());
        let (year, _) = (scan.number(4)?, scan.one_of(b"-")?);
        let (month, _, day) = (scan.number(2)?, scan.one_of(b"-")?, scan.number(2)?);
        let date = Date::new(i16::try_from(year).ok()?, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()?;
        let days = i128::from(date.since((Unit::Day, EPOCH)).ok()?.get_days());
        let clock = if scan.is_at_end() { 0 } else { scan.time()? };
        scan.is_at_end().then_some(Self(days * DAY + clock))
    }

    /// Nanoseconds since 1970.
    pub fn nanoseconds(self) -> i128 {
        self.0
    }
}

/// RFC 3339, in an offset in which its year has four digits.
impl fmt::Display for Moment {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Years have four digits. A moment outside of them in UTC was written with an offset that brought it inside.
        let widest = 23 * 60 + 59;
        for (minutes, offset) in [(0, "Z"), (widest, "+23:59"), (-widest, "-23:59")] {
            let local = self.0 + minutes * MINUTE;
            let (days, clock) = (local.div_euclid(DAY), local.rem_euclid(DAY));
            let date = i64::try_from(days).ok().and_then(|days| {
                let days = jiff::Span::new().try_days(days).ok()?;
                EPOCH.checked_add(days).ok().filter(|date| date.year() >= 0)
            });
            let Some(date) = date else { continue };
            let (minute, rest) = (clock / MINUTE, clock % MINUTE);
            let (hour, minute, second, nano) = (minute / 60, minute % 60, rest / SECOND, rest % SECOND);
            return write!(out, "{date}T{hour:02}:{minute:02}:{second:02}.{nano:09}{offset}");
        }
        unreachable!("a moment that was read has such an offset")
    }
}

/// What is left to read.
struct Scan<'a>(&'a [u8]);

impl Scan<'_> {
    fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }

    fn one_of(&mut self, wanted: &[u8]) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        wanted.contains(first).then(|| self.0 = rest)?;
        Some(*first)
    }

    /// A number of exactly so many digits.
    fn number(&mut self, digits: usize) -> Option<i128> {
        let (text, rest) = self.0.split_at_checked(digits)?;
        self.0 = rest;
        text.iter().try_fold(0, |number, byte| byte.is_ascii_digit().then(|| number * 10 + i128::from(byte - b'0')))
    }

    /// Hours and minutes, in nanoseconds.
    fn hours_and_minutes(&mut self) -> Option<i128> {
        let (hour, _, minute) = (self.number(2)?, self.one_of(b":")?, self.number(2)?);
        (hour < 24 && minute < 60).then_some((hour * 60 + minute) * MINUTE)
    }

    /// What follows a date: a clock and its offset, as nanoseconds in UTC since the date's first moment there.
    fn time(&mut self) -> Option<i128> {
        self.one_of(b"Tt ")?;
        let clock = self.hours_and_minutes()?;
        // A clock without seconds has no offset either, and is UTC.
        if self.is_at_end() {
            return Some(clock);
        }
        self.one_of(b":")?;
        let second = self.number(2).filter(|second| *second <= 60)?;
        let fraction = if self.one_of(b".").is_some() { self.fraction()? } else { 0 };
        let offset = self.offset()?;
        let minute = clock - offset;
        let is_leap = second == 60;
        // It is put in only at the end of a day of UTC.
        if is_leap && minute.rem_euclid(DAY) != DAY - MINUTE {
            return None;
        }
        // A leap second counts as the first moment of the next day. Its fraction would reach beyond.
        Some(minute + second * SECOND + if is_leap { 0 } else { fraction })
    }

    /// At least one digit of a second, in nanoseconds.
    fn fraction(&mut self) -> Option<i128> {
        let digits = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (text, rest) = self.0.split_at(digits);
        self.0 = rest;
        let kept = text.iter().chain([b'0'; 9].iter()).take(9);
        (digits > 0).then(|| kept.fold(0, |number, byte| number * 10 + i128::from(byte - b'0')))
    }

    /// An offset from UTC, in nanoseconds; none is UTC.
    fn offset(&mut self) -> Option<i128> {
        if self.is_at_end() || self.one_of(b"Zz").is_some() {
            return Some(0);
        }
        let sign = if self.one_of(b"+-")? == b'-' { -1 } else { 1 };
        Some(sign * self.hours_and_minutes()?)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_moment_has_many_spellings() {
        let noon = Moment::parse("2024-02-29T12:00:00Z").unwrap();
        for same in [
            "2024-02-29T14:00:00+02:00",
            "2024-02-29 12:00:00",
            "2024-02-29t12:00:00z",
            "2024-02-29T12:00",
            "2024-02-29T12:00:00.000",
            "2024-02-29T12:00:00.0000000000001Z",
            "2024-02-29T12:00:00-00:00",
            "2024-03-01T11:59:00+23:59",
        ] {
            assert_eq!(Moment::parse(same), Some(noon), "{same}");
        }
        assert_eq!(Moment::parse("2024-02-29"), Moment::parse("2024-02-29T00:00:00Z"));
        assert_eq!(Moment::parse("2016-12-31T23:59:60Z"), Moment::parse("2017-01-01"));
        assert_eq!(Moment::parse("2016-12-31T15:59:60.5-08:00"), Moment::parse("2017-01-01"));
        assert!(Moment::parse("2016-12-31T23:59:60Z") > Moment::parse("2016-12-31T23:59:59.999999999Z"));
        for edge in ["0000-01-01T00:00:00+23:59", "9999-12-31T23:59:59.999999999-23:59", "9999-12-31T23:59:59Z"] {
            assert!(Moment::parse(edge).is_some(), "{edge}");
        }
    }

    #[test]
    fn what_is_no_date_is_none() {
        for bad in [
            "",
            "noon",
            "2023-02-29",
            "1900-02-29",
            "2024-13-01",
            "2024-00-10",
            "2024-02-29T24:00:00Z",
            "2024-02-29T12:60:00Z",
            "2024-02-29T12:00:60Z",
            "2024-02-29T23:59:60+01:00",
            "2024-02-29T12:00:00[Asia/Tokyo]",
            "2024-02-29T12:00:00Z[UTC]",
            "2024-02-29T12:00:00+0200",
            "2024-02-29T12:00:00+24:00",
            "2024-02-29T12:00:00.Z",
            "2024-02-29T12:00:00,5Z",
            "2024-02-29T12:00Z",
            "2024-02-29T12",
            "2024-02-29T",
            "2024-2-29",
            "20240229",
            "+002024-02-29",
            "-0001-02-28",
            "12:00",
            "2024-02-29T12:00:00Z ",
            " 2024-02-29",
            "２024-02-29",
        ] {
            assert_eq!(Moment::parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn moments_are_those_of_another_reader(seconds in -62_135_596_800i64..253_402_200_000, nano in 0i32..1_000_000_000) {
            let other = Timestamp::new(seconds, nano).unwrap();
            let moment = Moment::parse(&other.to_string()).unwrap();
            prop_assert_eq!(moment.nanoseconds(), other.as_nanosecond());
        }

        #[test]
        fn a_moment_comes_back_as_it_was(
            year in 0u16..10_000, day in 1u8..29, clock in 0u32..86_400, nano in 0u32..1_000_000_000, offset in -1439i32..1440,
        ) {
            let sign = if offset < 0 { '-' } else { '+' };
            let offset = offset.unsigned_abs();
            let text = format!(
                "{year:04}-12-{day:02}T{:02}:{:02}:{:02}.{nano:09}{sign}{:02}:{:02}",
                clock / 3600, clock / 60 % 60, clock % 60, offset / 60, offset % 60,
            );
            let moment = Moment::parse(&text).unwrap();
            prop_assert_eq!(Moment::parse(&moment.to_string()), Some(moment), "{} {}", text, moment);
        }

        #[test]
        fn no_text_panics(text in "[0-9TZtz:+. -]{0,40}") {
            if let Some(moment) = Moment::parse(&text) {
                prop_assert_eq!(Moment::parse(&moment.to_string()), Some(moment));
            }
        }
    }
}
