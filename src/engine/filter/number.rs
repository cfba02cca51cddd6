//! JSON numbers as the values that they are: one exact order over integers and fractions (RFC 8259, § 6: a number is a
//! value, not its spelling).

use serde_json::Value;

/// A number. Equal values are equal however they are spelled: `1`, `1.0` and `1e0`; `0` and `-0.0`.
///
/// It is the nearest 64-bit float, and how far beyond it the number lies. No float lies between an integer and its nearest
/// one, so that this pair orders as the values do. Invariant: `rest` is 0 but for integers beyond 2^53, where it has
/// 1,024 at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Number {
    /// Orders as the float does.
    order: u64,
    rest: i16,
}

impl Number {
    /// The value of a JSON number.
    pub fn of(number: &serde_json::Number) -> Self {
        match (number.as_i128(), number.as_f64()) {
            (Some(integer), _) => Self::integer(integer),
            (None, float) => Self { order: order(float.unwrap_or_default()), rest: 0 },
        }
    }

    /// The value of a JSON value, where that is a number.
    pub fn of_value(value: &Value) -> Option<Self> {
        value.as_number().map(Self::of)
    }

    fn integer(integer: i128) -> Self {
        let nearest = integer as f64;
        // An integer of JSON has 64 bits, and then nothing is cut here.
        let rest = (integer - nearest as i128).clamp(i16::MIN.into(), i16::MAX.into());
        Self { order: order(nearest), rest: rest as i16 }
    }

    /// Whether it has no fraction.
    pub fn is_whole(self) -> bool {
        float(self.order).fract() == 0.0
    }

    /// The number in JSON, as an integer where it is one of 64 bits.
    pub fn to_value(self) -> Value {
        let float = float(self.order);
        // Beyond the range of the cast it is at the range's end, which no 64 bits hold either.
        let integer = self.is_whole().then(|| float as i128 + i128::from(self.rest));
        match integer.map(|integer| (i64::try_from(integer), u64::try_from(integer))) {
            Some((Ok(integer), _)) => integer.into(),
            Some((_, Ok(natural))) => natural.into(),
            _ => float.into(),
        }
    }

    /// Its place among all numbers, with a place between any two that differ.
    pub(in crate::engine) fn place(self) -> i128 {
        i128::from(self.order) << 16 | (i128::from(self.rest) - i128::from(i16::MIN))
    }

    /// The number at a place, or the bound of all numbers before or behind it.
    pub(in crate::engine) fn at_place(place: i128) -> Self {
        let place = place.clamp(0, (i128::from(u64::MAX) << 16) | 0xffff);
        let rest = (place & 0xffff) + i128::from(i16::MIN);
        Self { order: (place >> 16) as u64, rest: rest as i16 }
    }
}

/// A number that orders like the float, both zeros alike: IEEE 754's bits, with those of negative numbers turned over.
fn order(number: f64) -> u64 {
    let bits = (number + 0.0).to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

/// The float that orders so.
fn float(order: u64) -> f64 {
    f64::from_bits(if order >> 63 == 1 { order & !(1 << 63) } else { !order })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::numbers::{compare, numbers};
    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        #[test]
        fn numbers_order_as_their_values_do(one in numbers(), other in numbers()) {
            let (left, right) = (Number::of_value(&one).unwrap(), Number::of_value(&other).unwrap());
            prop_assert_eq!(Some(left.cmp(&right)), compare(&one, &other), "{} {}", one, other);
            prop_assert_eq!(left.place().cmp(&right.place()), left.cmp(&right));
            prop_assert_eq!(Number::at_place(left.place()), left);
        }

        #[test]
        fn a_number_comes_back_as_the_same_value(value in numbers()) {
            let number = Number::of_value(&value).unwrap();
            let printed = number.to_value();
            prop_assert_eq!(Number::of_value(&printed), Some(number), "{} {}", value, printed);
            let read: Value = serde_json::from_str(&printed.to_string()).unwrap();
            prop_assert_eq!(Number::of_value(&read), Some(number));
        }
    }
}
