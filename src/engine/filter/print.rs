//! A filter as JSON for another node or for a log: what `Filter::parse_printed` reads as the same filter.

use serde_json::{Map, Value, json};

use super::{Bounds, Condition, Filter, Range, Scalar, Test};

impl Filter {
    /// The filter as JSON.
    pub fn to_value(&self) -> Value {
        let mut object = Map::new();
        for (name, clause) in [("must", &self.must), ("should", &self.should), ("must_not", &self.must_not)] {
            if !clause.is_empty() {
                object.insert(name.to_owned(), conditions(clause));
            }
        }
        // Kept also without conditions: with a count above 0 it matches nothing.
        if let Some(least) = &self.min_should {
            let clause = json!({"conditions": conditions(&least.conditions), "min_count": least.min_count});
            object.insert("min_should".to_owned(), clause);
        }
        Value::Object(object)
    }
}

fn conditions(clause: &[Condition]) -> Value {
    clause.iter().map(Condition::to_value).collect()
}

impl Condition {
    fn to_value(&self) -> Value {
        match self {
            Self::Field(path, test) => {
                let (name, test) = test.to_value();
                json!({"key": path.to_string(), name: test})
            }
            Self::IsEmpty(path) => json!({"is_empty": {"key": path.to_string()}}),
            Self::IsNull(path) => json!({"is_null": {"key": path.to_string()}}),
            Self::HasId(ids) => json!({"has_id": ids}),
            // With brackets, since reading takes one pair away: without, `a[][]` would come back as another path.
            Self::Nested(path, filter) => json!({"nested": {"key": format!("{path}[]"), "filter": filter.to_value()}}),
            Self::Filter(filter) => filter.to_value(),
        }
    }
}

impl Test {
    fn to_value(&self) -> (&'static str, Value) {
        match self {
            Self::Value(value) => ("match", json!({"value": value.to_value()})),
            Self::Any(list) => ("match", json!({"any": list.iter().map(Scalar::to_value).collect::<Value>()})),
            Self::Except(list) => ("match", json!({"except": list.iter().map(Scalar::to_value).collect::<Value>()})),
            Self::Range(Range::Number(bounds)) => ("range", bounds.to_value(|number| number.to_value())),
            Self::Range(Range::Datetime(bounds)) => ("range", bounds.to_value(|moment| json!(moment.to_string()))),
            Self::Count(bounds) => ("values_count", bounds.to_value(|count| json!(count))),
        }
    }
}

impl<T> Bounds<T> {
    fn to_value(&self, print: impl Fn(&T) -> Value) -> Value {
        let named = [("gt", &self.gt), ("gte", &self.gte), ("lt", &self.lt), ("lte", &self.lte)];
        let present = named.into_iter().filter_map(|(name, bound)| Some((name.to_owned(), print(bound.as_ref()?))));
        Value::Object(present.collect())
    }
}

impl Scalar {
    fn to_value(&self) -> Value {
        match self {
            Self::Bool(value) => json!(value),
            Self::Number(value) => value.to_value(),
            Self::Text(value) => json!(value),
        }
    }
}
