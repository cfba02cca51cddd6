//! What a value is filed under in an index: one total order for each kind of value, in which every range is contiguous.

use std::ops::Range;

use serde_json::Value;
use uuid::Uuid;

use crate::engine::filter::{self, Bounds, Moment, Number, Scalar};
use crate::model::FieldType;

/// An indexed value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum IndexKey {
    Bool(bool),
    /// By its value, whichever way it is written.
    Number(Number),
    /// Nanoseconds since 1970.
    Moment(i128),
    /// A UUID in its canonical spelling; one that is spelled otherwise is another string, and filed as that.
    Uuid(Uuid),
    Text(Box<str>),
}

impl IndexKey {
    /// Where an index of this type files one value, not an array; `None` if it does not.
    pub(super) fn of_value(kind: FieldType, value: &Value) -> Option<Self> {
        match (kind, value) {
            (FieldType::Keyword, Value::String(text)) => Some(Self::Text(text.as_str().into())),
            (FieldType::Integer | FieldType::Float, Value::Number(number)) => Some(Self::Number(Number::of(number))),
            (FieldType::Bool, Value::Bool(value)) => Some(Self::Bool(*value)),
            (FieldType::Datetime, Value::String(text)) => {
                Moment::parse(text).map(|moment| Self::Moment(moment.nanoseconds()))
            }
            (FieldType::Uuid, Value::String(text)) => Self::of_uuid(text),
            _ => None,
        }
    }

    /// Where an index of this type has exactly the values that equal `wanted`; `None` if it cannot tell.
    pub(super) fn of_scalar(kind: FieldType, wanted: &Scalar) -> Option<Self> {
        match (kind, wanted) {
            (FieldType::Keyword, Scalar::Text(text)) => Some(Self::Text(text.as_str().into())),
            (FieldType::Integer | FieldType::Float, Scalar::Number(number)) => Some(Self::Number(*number)),
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
                let Range { start, end } = half_open(bounds, |bound| bound.place());
                Some(Self::Number(Number::at_place(start))..Self::Number(Number::at_place(end)))
            }
            (FieldType::Datetime, filter::Range::Datetime(bounds)) => {
                let Range { start, end } = half_open(bounds, |bound| bound.nanoseconds());
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

/// The bounds as one half-open range of places; empty if they contradict each other.
fn half_open<T>(bounds: &Bounds<T>, place: impl Fn(&T) -> i128) -> Range<i128> {
    let Bounds { gt, gte, lt, lte } = bounds;
    let place = |bound: &Option<T>| bound.as_ref().map(&place);
    // Places are whole numbers: just after `gt`, and just after `lte`, stands the next place.
    let start = place(gt).map(|place| place + 1).max(place(gte)).unwrap_or(i128::MIN);
    let ends = [place(lt), place(lte).map(|place| place + 1)];
    let end = ends.into_iter().flatten().min().unwrap_or(i128::MAX);
    start..end.max(start)
}
