//! Whether a filter holds for a point. Pure: the same filter and point give the same answer on every replica.

use serde_json::{Map, Value};

use super::{Condition, Filter, Path, Scalar, Test};
use crate::engine::ids::PointId;

impl Filter {
    /// Whether the point of this id and payload satisfies every clause.
    pub fn matches(&self, id: PointId, payload: &Map<String, Value>) -> bool {
        let holds = |condition: &Condition| condition.holds(id, payload);
        self.must.iter().all(holds)
            && !self.must_not.iter().any(holds)
            && (self.should.is_empty() || self.should.iter().any(holds))
            && self.min_should.as_ref().is_none_or(|clause| {
                clause.conditions.iter().filter(|condition| holds(condition)).take(clause.min_count).count()
                    == clause.min_count
            })
    }

    /// Visits the payload's top-level keys that the filter looks at; a key may come twice.
    pub(in crate::engine) fn each_key<'a>(&'a self, visit: &mut dyn FnMut(&'a str)) {
        let least = self.min_should.iter().flat_map(|clause| &clause.conditions);
        for condition in self.must.iter().chain(&self.should).chain(&self.must_not).chain(least) {
            match condition {
                Condition::Field(path, _)
                | Condition::IsEmpty(path)
                | Condition::IsNull(path)
                | Condition::Nested(path, _) => {
                    visit(path.first_key());
                }
                Condition::Filter(filter) => filter.each_key(visit),
                Condition::HasId(_) => {}
            }
        }
    }
}

impl Condition {
    fn holds(&self, id: PointId, payload: &Map<String, Value>) -> bool {
        match self {
            Self::Field(path, test) => test.holds(path, payload),
            Self::IsEmpty(path) => path.values(payload).into_iter().all(is_empty),
            Self::IsNull(path) => path.values(payload).into_iter().any(|value| any(value, Value::is_null)),
            Self::HasId(ids) => ids.contains(&id),
            Self::Nested(path, filter) => {
                let arrays = path.values(payload).into_iter().filter_map(Value::as_array);
                arrays.flatten().filter_map(Value::as_object).any(|object| filter.matches(id, object))
            }
            Self::Filter(filter) => filter.matches(id, payload),
        }
    }
}

impl Test {
    fn holds(&self, path: &Path, payload: &Map<String, Value>) -> bool {
        let values = path.values(payload);
        if let Self::Count(bounds) = self {
            return if values.is_empty() {
                bounds.hold(&0)
            } else {
                values.into_iter().any(|value| bounds.hold(&count(value)))
            };
        }
        values.into_iter().any(|value| any(value, |one| self.passes(one)))
    }

    /// Whether one value, not an array, passes.
    fn passes(&self, value: &Value) -> bool {
        match self {
            Self::Value(wanted) => wanted.equals(value),
            Self::Any(list) => list.iter().any(|wanted| wanted.equals(value)),
            // As in Qdrant: `null` is not a value that could differ.
            Self::Except(list) => !value.is_null() && !list.iter().any(|wanted| wanted.equals(value)),
            Self::Range(range) => range.holds(value),
            Self::Count(bounds) => bounds.hold(&count(value)),
        }
    }
}

impl Scalar {
    fn equals(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Bool(wanted), Value::Bool(found)) => wanted == found,
            (Self::Text(wanted), Value::String(found)) => wanted == found,
            (Self::Integer(wanted), Value::Number(found)) => found.as_i128() == Some(*wanted),
            _ => false,
        }
    }
}

/// Applies `test` to the value, or to each element if it is an array.
fn any(value: &Value, test: impl Fn(&Value) -> bool) -> bool {
    match value {
        Value::Array(elements) => elements.iter().any(test),
        single => test(single),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(elements) => elements.is_empty(),
        _ => false,
    }
}

fn count(value: &Value) -> u64 {
    match value {
        Value::Null => 0,
        Value::Array(elements) => elements.len() as u64,
        _ => 1,
    }
}
