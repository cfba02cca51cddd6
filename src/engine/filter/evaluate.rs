//! Whether a filter holds for a point. Pure: the same filter and point give the same answer on every replica.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{Condition, Filter, Number, Path, Scalar, Test};
use crate::engine::queries::work_meter::Meter;
use crate::model::PointId;

impl Filter {
    /// Whether the point of this id and payload satisfies every clause.
    pub fn matches(&self, id: PointId, payload: &Map<String, Value>) -> bool {
        self.matches_within(id, payload, &Meter::unlimited())
    }

    /// As [`matches`](Self::matches), as far as `meter` lets it: once that has ended, the answer means nothing.
    pub fn matches_within(&self, id: PointId, payload: &Map<String, Value>, meter: &Meter<'_>) -> bool {
        // Each clause stops at the condition that decides it. An empty `should` asks for nothing.
        let holds = |condition: &Condition| !meter.spend(1) && condition.holds(id, payload, meter);
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
    fn holds(&self, id: PointId, payload: &Map<String, Value>, meter: &Meter<'_>) -> bool {
        match self {
            Self::Field(path, test) => test.holds(path, payload, meter),
            // A field that is not there is empty, and holds no null.
            Self::IsEmpty(path) => values(path, payload, meter).into_iter().all(is_empty),
            Self::IsNull(path) => {
                values(path, payload, meter).into_iter().any(|value| any(value, meter, Value::is_null))
            }
            Self::HasId(ids) => ids.contains(&id),
            Self::Nested(path, filter) => {
                // Elements are tested one by one: a single one has to satisfy the whole filter.
                let arrays = values(path, payload, meter).into_iter().filter_map(Value::as_array);
                let mut objects = arrays.flatten().take_while(|_| !meter.spend(1)).filter_map(Value::as_object);
                objects.any(|object| filter.matches_within(id, object, meter))
            }
            Self::Filter(filter) => filter.matches_within(id, payload, meter),
        }
    }
}

impl Test {
    fn holds(&self, path: &Path, payload: &Map<String, Value>, meter: &Meter<'_>) -> bool {
        let values = values(path, payload, meter);
        // A field that is not there has 0 values.
        if let Self::Count(bounds) = self {
            return if values.is_empty() {
                bounds.hold(&0)
            } else {
                values.into_iter().any(|value| bounds.hold(&count(value)))
            };
        }
        // One value that passes is enough, and of an array one element.
        values.into_iter().any(|value| any(value, meter, |one| self.passes(one)))
    }

    /// Whether one value, not an array, passes.
    fn passes(&self, value: &Value) -> bool {
        match self {
            Self::Value(wanted) => wanted.equals(value),
            Self::Any(list) => is_listed(list, value),
            // As in Qdrant: `null` is not a value that could differ.
            Self::Except(list) => !value.is_null() && !is_listed(list, value),
            Self::Range(range) => range.holds(value),
            Self::Count(bounds) => bounds.hold(&count(value)),
        }
    }
}

/// Returns `true` if one of the list equals the value, in the time of a look-up.
fn is_listed(list: &BTreeSet<Scalar>, value: &Value) -> bool {
    Sight::of(value).is_some_and(|found| list.contains::<dyn Comparable>(&found))
}

impl Scalar {
    fn equals(&self, value: &Value) -> bool {
        Sight::of(value) == Some(self.sight())
    }
}

/// A scalar that is only looked at, so that a list of scalars is asked for a payload's text without a copy of it. It
/// orders as [`Scalar`] does, or lists would not find what they hold.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Sight<'a> {
    Bool(bool),
    Number(Number),
    Text(&'a str),
}

impl<'a> Sight<'a> {
    /// The scalar that a payload's value is, if it is one that can be compared exactly.
    fn of(value: &'a Value) -> Option<Self> {
        match value {
            Value::Bool(found) => Some(Self::Bool(*found)),
            Value::Number(found) => Some(Self::Number(Number::of(found))),
            Value::String(found) => Some(Self::Text(found)),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }
}

/// What scalars and sights of them have in common.
trait Comparable {
    fn sight(&self) -> Sight<'_>;
}

impl Comparable for Scalar {
    fn sight(&self) -> Sight<'_> {
        match self {
            Self::Bool(value) => Sight::Bool(*value),
            Self::Number(value) => Sight::Number(*value),
            Self::Text(value) => Sight::Text(value),
        }
    }
}

impl Comparable for Sight<'_> {
    fn sight(&self) -> Sight<'_> {
        match *self {
            Self::Bool(value) => Sight::Bool(value),
            Self::Number(value) => Sight::Number(value),
            Self::Text(value) => Sight::Text(value),
        }
    }
}

impl PartialEq for dyn Comparable + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.sight() == other.sight()
    }
}

impl Eq for dyn Comparable + '_ {}

impl PartialOrd for dyn Comparable + '_ {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for dyn Comparable + '_ {
    fn cmp(&self, other: &Self) -> Ordering {
        self.sight().cmp(&other.sight())
    }
}

impl<'a> Borrow<dyn Comparable + 'a> for Scalar {
    fn borrow(&self) -> &(dyn Comparable + 'a) {
        self
    }
}

/// Every value the path leads to.
fn values<'a>(path: &Path, payload: &'a Map<String, Value>, meter: &Meter<'_>) -> Vec<&'a Value> {
    let values = path.values(payload);
    meter.spend(values.len() as u64);
    values
}

/// Applies `test` to the value, or to each element if it is an array.
fn any(value: &Value, meter: &Meter<'_>, test: impl Fn(&Value) -> bool) -> bool {
    match value {
        Value::Array(elements) => elements.iter().take_while(|_| !meter.spend(1)).any(test),
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

#[cfg(test)]
mod tests {
    use proptest::prelude::any;
    use proptest::prelude::{Just, Strategy, prop_assert_eq, prop_oneof};
    use serde_json::json;

    use super::super::numbers::{compare, numbers};
    use super::*;

    /// What equality means, written out case by case.
    fn equals(wanted: &Scalar, value: &Value) -> bool {
        match (wanted, value) {
            (Scalar::Bool(wanted), Value::Bool(found)) => wanted == found,
            (Scalar::Text(wanted), Value::String(found)) => wanted == found,
            (Scalar::Number(wanted), found) => compare(&wanted.to_value(), found) == Some(Ordering::Equal),
            _ => false,
        }
    }

    fn scalars() -> impl Strategy<Value = Scalar> {
        let text = prop_oneof!["[ab]{0,2}", Just("1".to_owned()), Just("true".to_owned()), any::<String>()];
        prop_oneof![
            any::<bool>().prop_map(Scalar::Bool),
            numbers().prop_map(|number| Scalar::Number(Number::of_value(&number).unwrap())),
            text.prop_map(Scalar::Text)
        ]
    }

    fn values() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(json!(null)),
            any::<bool>().prop_map(Value::from),
            numbers(),
            "[ab]{0,2}|1|true".prop_map(Value::from),
            Just(json!([1])),
            Just(json!({"a": 1})),
        ]
    }

    proptest::proptest! {
        #[test]
        fn a_look_up_means_what_asking_one_after_the_other_means(list in proptest::collection::vec(scalars(), 0..12), value in values()) {
            let expected = list.iter().any(|wanted| equals(wanted, &value));
            for wanted in &list {
                prop_assert_eq!(wanted.equals(&value), equals(wanted, &value));
            }
            let list: BTreeSet<Scalar> = list.into_iter().collect();
            prop_assert_eq!(is_listed(&list, &value), expected);
            prop_assert_eq!(Test::Any(list.clone()).passes(&value), expected);
            prop_assert_eq!(Test::Except(list).passes(&value), !value.is_null() && !expected);
        }

        #[test]
        fn a_sight_orders_like_its_scalar(one in scalars(), two in scalars()) {
            prop_assert_eq!(one.cmp(&two), one.sight().cmp(&two.sight()));
        }
    }

    #[test]
    fn a_meter_ends_an_evaluation_inside_of_one_point() {
        let payload = json!({"a": (0..100_000).collect::<Vec<_>>()});
        let filter = Filter::parse(&json!({"must_not": [{"key": "a", "match": {"any": [-1, -2]}}]})).unwrap();
        let asked = std::cell::Cell::new(0);
        let go_on = || {
            asked.set(asked.get() + 1);
            asked.get() < 5
        };
        let meter = Meter::new(u64::MAX, &go_on);
        filter.matches_within(PointId::Num(1), payload.as_object().unwrap(), &meter);
        assert!(meter.ended() && asked.get() == 5, "asked {} times", asked.get());
    }

    /// The finding's numbers: 20 lists of 10,000, and an array of 100,000 whose elements are in none of them.
    #[test]
    fn a_long_list_costs_a_long_array_a_look_up_each() {
        let payload = json!({"a": (0..100_000).collect::<Vec<_>>()});
        let list = |from: u64| json!({"key": "a", "match": {"any": (from..from + 10_000).collect::<Vec<_>>()}});
        let lists: Vec<Value> = (0..20).map(|place| list(100_000_000 + place * 10_000)).collect();
        let filter = Filter::parse(&json!({"should": lists})).unwrap();
        assert!(!filter.matches(PointId::Num(1), payload.as_object().unwrap()));
    }
}
