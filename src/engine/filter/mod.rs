//! Conditions on a point's payload and id, in Qdrant's grammar.
//!
//! JSON comes in through [`Filter::parse`], which names the path of what it does not understand; [`Filter::matches`]
//! evaluates. Limits are held there, once: between nodes and in logs a filter is its printed text, which may be larger
//! and is always read. The meaning follows Qdrant's documentation on filtering: a condition on a field with several values holds
//! if it holds for any of them, and a field that is absent satisfies no `match` and no `range`.

mod certain;
mod evaluate;
#[cfg(test)]
mod forms;
mod moment;
mod number;
#[cfg(test)]
mod numbers;
mod parse;
mod path;
mod print;
pub(in crate::engine) mod project;
mod range;
#[cfg(test)]
pub(super) mod reference;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

pub use moment::Moment;
pub use number::Number;
pub use parse::FilterError;
pub use path::Path;
pub use range::{Bounds, Range};

use crate::model::PointId;

/// Clauses that must all hold; an empty clause holds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Filter {
    /// Every one holds.
    pub must: Vec<Condition>,
    /// At least one holds, if there are any.
    pub should: Vec<Condition>,
    /// None holds.
    pub must_not: Vec<Condition>,
    /// At least so many hold.
    pub min_should: Option<MinShould>,
}

/// At least `min_count` of `conditions` hold.
#[derive(Debug, Clone, PartialEq)]
pub struct MinShould {
    /// Which conditions.
    pub conditions: Vec<Condition>,
    /// How many of them.
    pub min_count: usize,
}

/// Something that holds for a point or does not.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// Any value at this path passes the test.
    Field(Path, Test),
    /// There is nothing at this path: no value, `null`, or `[]`.
    IsEmpty(Path),
    /// There is a `null` at this path, alone or in an array; a field that is absent is not null.
    IsNull(Path),
    /// The point is one of these.
    HasId(BTreeSet<PointId>),
    /// One and the same object in the array at this path satisfies the whole filter.
    Nested(Path, Filter),
    /// A filter inside a filter.
    Filter(Filter),
}

/// What one value of a field has to be.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// Equal to this.
    Value(Scalar),
    /// Equal to one of these.
    Any(BTreeSet<Scalar>),
    /// There, and equal to none of these.
    Except(BTreeSet<Scalar>),
    /// Within bounds.
    Range(Range),
    /// The number of the field's values is within bounds: an array's length, 0 if absent or null, else 1.
    Count(Bounds<u64>),
}

/// A value that can be compared exactly.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scalar {
    /// `true` or `false`.
    Bool(bool),
    /// A number without a fraction, by its value.
    Number(Number),
    /// A string, whole and case-sensitive.
    Text(String),
}

impl Serialize for Filter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value = self.to_value();
        // A format that does not describe itself cannot hold free JSON: it gets the text.
        if serializer.is_human_readable() { value.serialize(serializer) } else { serializer.collect_str(&value) }
    }
}

impl<'de> Deserialize<'de> for Filter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value: Value = if deserializer.is_human_readable() {
            Value::deserialize(deserializer)?
        } else {
            serde_json::from_str(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)?
        };
        Self::parse_printed(&value).map_err(serde::de::Error::custom)
    }
}
