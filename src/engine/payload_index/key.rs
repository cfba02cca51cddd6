//! What a value is filed under in an index: one total order for each kind of value, in which every range is contiguous.

use std::ops::Range;

use serde_json::{Number, Value};
use uuid::Uuid;

use super::schema::FieldType;
use crate::engine::filter::{self, Bounds, Scalar, moment};

/// An indexed value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Bool(bool),
    Number(NumberKey),
    /// Nanoseconds since 1970.
    Moment(i128),
    /// A UUID in its canonical spelling; one that is spelled otherwise is another string, and filed as that.
    Uuid(Uuid),
    Text(Box<str>),
}

/// A number as filters see it: ranges compare it as a 64-bit float, matches as the exact integer that it is. Integers
/// beyond 2^53 share an `order` with their neighbours and differ in `form`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct NumberKey {
    order: u64,
    form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Form {
    Fraction,
    Negative(i64),
    Natural(u64),
}

impl Key {
    /// Where an index of this type files one value, not an array; `None` if it does not.
    pub(super) fn of_value(kind: FieldType, value: &Value) -> Option<Self> {
        match (kind, value) {
            (FieldType::Keyword, Value::String(text)) => Some(Self::Text(text.as_str().into())),
            (FieldType::Integer | FieldType::Float, Value::Number(number)) => NumberKey::of(number).map(Self::Number),
            (FieldType::Bool, Value::Bool(value)) => Some(Self::Bool(*value)),
            (FieldType::Datetime, Value::String(text)) => {
                moment(text).map(|moment| Self::Moment(moment.as_nanosecond()))
            }
            (FieldType::Uuid, Value::String(text)) => Self::of_uuid(text),
            _ => None,
        }
    }

    /// Where an index of this type has exactly the values that equal `wanted`; `None` if it cannot tell.
    pub(super) fn of_scalar(kind: FieldType, wanted: &Scalar) -> Option<Self> {
        match (kind, wanted) {
            (FieldType::Keyword, Scalar::Text(text)) => Some(Self::Text(text.as_str().into())),
            (FieldType::Integer | FieldType::Float, Scalar::Integer(number)) => {
                let natural = u64::try_from(*number).ok().map(NumberKey::natural);
                let key = natural.or_else(|| i64::try_from(*number).ok().map(NumberKey::negative));
                key.map(Self::Number)
            }
            (FieldType::Bool, Scalar::Bool(value)) => Some(Self::Bool(*value)),
            (FieldType::Uuid, Scalar::Text(text)) => Self::of_uuid(text),
            // Two spellings of one moment are two strings, and `match` compares strings.
            _ => None,
        }
    }

    fn of_uuid(text: &str) -> Option<Self> {
        let uuid = Uuid::parse_str(text).ok()?;
        let canonical = uuid.hyphenated().encode_lower(&mut Uuid::encode_buffer()) == text;
        Some(if canonical { Self::Uuid(uuid) } else { Self::Text(text.into()) })
    }

    /// The keys, of an index of this type, of the values within the bounds; `None` if it does not order such values.
    pub(super) fn range(kind: FieldType, range: &filter::Range) -> Option<Range<Self>> {
        match (kind, range) {
            (FieldType::Integer | FieldType::Float, filter::Range::Number(bounds)) => {
                let Range { start, end } = half_open(bounds, |bound| i128::from(order(*bound)));
                let least = |order: i128| {
                    let order = u64::try_from(order.clamp(0, u64::MAX.into())).unwrap_or(u64::MAX);
                    Self::Number(NumberKey { order, form: Form::Fraction })
                };
                Some(least(start)..least(end))
            }
            (FieldType::Datetime, filter::Range::Datetime(bounds)) => {
                let Range { start, end } = half_open(bounds, |bound| bound.as_nanosecond());
                Some(Self::Moment(start)..Self::Moment(end))
            }
            _ => None,
        }
    }

    /// Bytes it takes beside itself.
    pub(super) fn heap_bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            _ => 0,
        }
    }
}

impl NumberKey {
    fn of(number: &Number) -> Option<Self> {
        if let Some(natural) = number.as_u64() {
            return Some(Self::natural(natural));
        }
        match number.as_i64() {
            Some(negative) => Some(Self::negative(negative)),
            None => number.as_f64().map(|fraction| Self { order: order(fraction), form: Form::Fraction }),
        }
    }

    fn natural(number: u64) -> Self {
        Self { order: order(number as f64), form: Form::Natural(number) }
    }

    fn negative(number: i64) -> Self {
        Self { order: order(number as f64), form: Form::Negative(number) }
    }
}

/// A number that orders like the float, both zeros alike: IEEE 754's bits, with those of negative numbers turned over.
fn order(number: f64) -> u64 {
    let bits = (number + 0.0).to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

/// The bounds as one half-open range of places; empty if they contradict each other.
fn half_open<T: PartialOrd>(bounds: &Bounds<T>, place: impl Fn(&T) -> i128) -> Range<i128> {
    let Bounds { gt, gte, lt, lte } = bounds;
    // What equals nothing, as no JSON number does, is within no bound.
    if [gt, gte, lt, lte].into_iter().flatten().any(|bound| bound.partial_cmp(bound).is_none()) {
        return 0..0;
    }
    let place = |bound: &Option<T>| bound.as_ref().map(&place);
    let start = place(gt).map(|place| place + 1).max(place(gte)).unwrap_or(i128::MIN);
    let ends = [place(lt), place(lte).map(|place| place + 1)];
    let end = ends.into_iter().flatten().min().unwrap_or(i128::MAX);
    start..end.max(start)
}
