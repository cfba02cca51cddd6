//! JSON into a [`Filter`], with the path of what is wrong.
//!
//! Every member that is not understood is an error: a condition that is skipped in silence returns points that the
//! client wanted to exclude, or deletes them.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{Bounds, Condition, Filter, MinShould, Moment, Number, Path, Range, Scalar, Test};
use crate::engine::commands::reply::Refusal;
use crate::model::PointId;
use crate::model::limits::{MAX_FILTER_CONDITIONS, MAX_FILTER_DEPTH, MAX_FILTER_VALUES, MAX_PATH_BYTES};

/// Why JSON is not a filter this build can evaluate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct FilterError {
    /// Where, like `filter.must[0].range.gt`.
    pub path: String,
    /// What is wrong there.
    pub reason: String,
    /// Whether Qdrant's grammar has it and this build does not.
    pub unsupported: bool,
}

impl From<FilterError> for Refusal {
    fn from(error: FilterError) -> Self {
        let FilterError { path: field, reason, unsupported } = error;
        if unsupported { Self::NotSupported { field, reason } } else { Self::Invalid { position: None, field, reason } }
    }
}

impl Filter {
    /// Reads a filter as a client sends it; paths in errors start with `filter`.
    ///
    /// # Errors
    /// The first thing that is unknown, not supported, of the wrong type, or over a limit.
    pub fn parse(value: &Value) -> Result<Self, FilterError> {
        Self::within(value, &AT_THE_DOOR)
    }

    /// Reads a filter that was printed for another node or for a log.
    pub(super) fn parse_printed(value: &Value) -> Result<Self, FilterError> {
        Self::within(value, &INSIDE)
    }

    fn within(value: &Value, limits: &'static FilterSize) -> Result<Self, FilterError> {
        let mut conditions = 0;
        let place = ParserPlace { path: "filter".to_owned(), depth: 0, nested: false, limits };
        place.filter(value, &mut conditions)
    }
}

/// How large a filter may be.
struct FilterSize {
    depth: usize,
    conditions: usize,
    values: usize,
    path_bytes: usize,
}

/// What a client may send.
const AT_THE_DOOR: FilterSize = FilterSize {
    depth: MAX_FILTER_DEPTH,
    conditions: MAX_FILTER_CONDITIONS,
    values: MAX_FILTER_VALUES,
    path_bytes: MAX_PATH_BYTES,
};

/// What a filter may be inside the cluster: a printed filter is larger than the one that was sent, since `is_empty: false`
/// is printed as a filter of its own, and the key of `nested` with brackets. So whatever passed the door passes here, with
/// much room to spare; the limits only keep what is no filter of Quiver's from taking all memory or stack.
const INSIDE: FilterSize = FilterSize {
    depth: 2 * MAX_FILTER_DEPTH,
    conditions: 4 * MAX_FILTER_CONDITIONS,
    values: 2 * MAX_FILTER_VALUES,
    path_bytes: 2 * MAX_PATH_BYTES,
};

/// Where the parser stands; a small value that is made anew for each step inward.
struct ParserPlace {
    path: String,
    depth: usize,
    /// Inside a `nested` condition, where elements have no id.
    nested: bool,
    limits: &'static FilterSize,
}

type Parsed<T> = Result<T, FilterError>;

impl ParserPlace {
    fn at(&self, member: &str) -> Self {
        Self { path: format!("{}.{member}", self.path), ..*self }
    }

    fn item(&self, index: usize) -> Self {
        Self { path: format!("{}[{index}]", self.path), ..*self }
    }

    fn wrong<T>(&self, reason: impl Into<String>) -> Parsed<T> {
        Err(FilterError { path: self.path.clone(), reason: reason.into(), unsupported: false })
    }

    fn unsupported<T>(&self, what: &str) -> Parsed<T> {
        Err(FilterError { path: self.path.clone(), reason: format!("{what} is not supported"), unsupported: true })
    }

    fn object<'a>(&self, value: &'a Value) -> Parsed<&'a Map<String, Value>> {
        value.as_object().map_or_else(|| self.wrong("expected an object"), Ok)
    }

    fn filter(&self, value: &Value, count: &mut usize) -> Parsed<Filter> {
        let place = Self { path: self.path.clone(), depth: self.depth + 1, ..*self };
        // Checked on the way in, so that a deep filter ends before it takes the stack.
        if place.depth > self.limits.depth {
            return self.wrong(format!("filters go {} deep at most", self.limits.depth));
        }
        // A member that nobody knows is refused: a filter that is half understood would match too much.
        let mut filter = Filter::default();
        for (name, value) in self.object(value)? {
            let inner = place.at(name);
            match name.as_str() {
                "must" => filter.must = inner.conditions(value, count)?,
                "should" => filter.should = inner.conditions(value, count)?,
                "must_not" => filter.must_not = inner.conditions(value, count)?,
                "min_should" => filter.min_should = inner.min_should(value, count)?,
                _ => return inner.wrong("unknown member; a filter has must, should, must_not, min_should"),
            }
        }
        Ok(filter)
    }

    /// A list of conditions; one alone may stand without its brackets, and `null` is no condition.
    fn conditions(&self, value: &Value, count: &mut usize) -> Parsed<Vec<Condition>> {
        match value {
            Value::Null => Ok(Vec::new()),
            Value::Array(list) => {
                let each = list.iter().enumerate();
                each.map(|(index, value)| self.item(index).condition(value, count)).collect()
            }
            Value::Object(_) => Ok(vec![self.condition(value, count)?]),
            _ => self.wrong("expected a list of conditions"),
        }
    }

    fn min_should(&self, value: &Value, count: &mut usize) -> Parsed<Option<MinShould>> {
        // As everywhere here, `null` counts as absent.
        if value.is_null() {
            return Ok(None);
        }
        let object = self.object(value)?;
        self.only(object, &["conditions", "min_count"])?;
        let Some(conditions) = object.get("conditions") else { return self.wrong("conditions is missing") };
        let conditions = self.at("conditions").conditions(conditions, count)?;
        match object.get("min_count").and_then(Value::as_u64) {
            Some(least) => Ok(Some(MinShould { conditions, min_count: usize::try_from(least).unwrap_or(usize::MAX) })),
            None => self.at("min_count").wrong("expected a whole number, 0 or more"),
        }
    }

    fn condition(&self, value: &Value, count: &mut usize) -> Parsed<Condition> {
        // One count goes through the whole filter, however its conditions are nested.
        *count += 1;
        if *count > self.limits.conditions {
            return self.wrong(format!("a filter has {} conditions at most", self.limits.conditions));
        }
        let object = self.object(value)?;
        let has = |name: &str| object.get(name);
        if has("key").is_some() {
            return self.field(object);
        }
        // A filter may stand wherever a condition does.
        let clauses = ["must", "should", "must_not", "min_should"];
        if object.keys().any(|key| clauses.contains(&key.as_str())) {
            return self.filter(value, count).map(Condition::Filter);
        }
        // What is left has one member, which says what kind it is.
        let Some((name, inner)) = object.iter().next() else { return self.filter(value, count).map(Condition::Filter) };
        self.only(object, &[name])?;
        let place = self.at(name);
        match name.as_str() {
            "is_empty" => place.keyed(inner).map(Condition::IsEmpty),
            "is_null" => place.keyed(inner).map(Condition::IsNull),
            "has_id" => place.has_id(inner),
            "nested" => place.nested(inner, count),
            "has_vector" => place.unsupported("has_vector"),
            _ => place.wrong("unknown condition; known are key (with match, range or values_count), is_empty, is_null, has_id, nested, and filters"),
        }
    }

    fn only(&self, object: &Map<String, Value>, known: &[&str]) -> Parsed<()> {
        match object.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => self.at(key).wrong(format!("unknown member; known here: {}", known.join(", "))),
            None => Ok(()),
        }
    }

    fn path(&self, object: &Map<String, Value>) -> Parsed<Path> {
        let place = self.at("key");
        let Some(key) = object.get("key").and_then(Value::as_str) else { return place.wrong("expected a string") };
        Path::parse_within(key, self.limits.path_bytes).or_else(|reason| place.wrong(reason))
    }

    /// The operand of `is_empty` and `is_null`.
    fn keyed(&self, value: &Value) -> Parsed<Path> {
        let object = self.object(value)?;
        self.only(object, &["key"])?;
        self.path(object)
    }

    fn has_id(&self, value: &Value) -> Parsed<Condition> {
        if self.nested {
            return self.wrong("has_id cannot stand inside nested: the elements have no id");
        }
        self.list(value, |place, value| {
            let id = serde_json::from_value::<PointId>(value.clone());
            id.or_else(|_| place.wrong("expected a point id: a whole number from 0 to 18446744073709551615, or a UUID"))
        })
        .map(Condition::HasId)
    }

    fn nested(&self, value: &Value, count: &mut usize) -> Parsed<Condition> {
        let object = self.object(value)?;
        self.only(object, &["key", "filter"])?;
        // As in Qdrant: `a` and `a[]` both mean each element of the array `a`.
        let path = self.path(object)?.without_last_every();
        let Some(filter) = object.get("filter") else { return self.wrong("filter is missing") };
        let inner = Self { nested: true, ..self.at("filter") };
        Ok(Condition::Nested(path, inner.filter(filter, count)?))
    }

    fn list<T: Ord>(&self, value: &Value, read: impl Fn(&Self, &Value) -> Parsed<T>) -> Parsed<BTreeSet<T>> {
        let Some(list) = value.as_array() else { return self.wrong("expected a list") };
        if list.len() > self.limits.values {
            return self.wrong(format!("a list has {} values at most", self.limits.values));
        }
        list.iter().enumerate().map(|(index, value)| read(&self.item(index), value)).collect()
    }

    /// A condition with a `key`: exactly one test beside it; members that are `null` count as absent.
    fn field(&self, object: &Map<String, Value>) -> Parsed<Condition> {
        let path = self.path(object)?;
        let mut tests = object.iter().filter(|(name, value)| *name != "key" && !value.is_null());
        let Some((name, value)) = tests.next() else {
            return self.wrong("a condition with a key needs a test, such as match or range");
        };
        let place = self.at(name);
        let condition = match name.as_str() {
            "match" => Condition::Field(path, place.matching(value)?),
            "range" => Condition::Field(path, Test::Range(place.range(value)?)),
            "values_count" => Condition::Field(path, Test::Count(place.count(value)?)),
            "is_empty" => place.flag(value, Condition::IsEmpty(path))?,
            "is_null" => place.flag(value, Condition::IsNull(path))?,
            "geo_bounding_box" | "geo_radius" | "geo_polygon" => return place.unsupported(name),
            _ => return place.wrong("unknown test; known are match, range, values_count, is_empty, is_null"),
        };
        // Of two tests it would not be clear whether one or both must hold.
        match tests.next() {
            Some((second, _)) => {
                self.at(second).wrong(format!("a condition has one test, and this one has {name} already"))
            }
            None => Ok(condition),
        }
    }

    /// `is_empty: true` beside a key; `false` asks for the opposite.
    fn flag(&self, value: &Value, condition: Condition) -> Parsed<Condition> {
        match value.as_bool() {
            Some(true) => Ok(condition),
            Some(false) => Ok(Condition::Filter(Filter { must_not: vec![condition], ..Filter::default() })),
            None => self.wrong("expected true or false"),
        }
    }

    fn matching(&self, value: &Value) -> Parsed<Test> {
        let mut members = self.object(value)?.iter().filter(|(_, value)| !value.is_null());
        let (Some((name, value)), None) = (members.next(), members.next()) else {
            return self.wrong("expected exactly one of value, any, except");
        };
        let place = self.at(name);
        match name.as_str() {
            "value" => place.scalar(value).map(Test::Value),
            "any" => place.list(value, Self::scalar).map(Test::Any),
            "except" => place.list(value, Self::scalar).map(Test::Except),
            "text" | "text_any" | "phrase" => place.unsupported("full-text match"),
            _ => place.wrong("unknown member; expected value, any or except"),
        }
    }

    fn scalar(&self, value: &Value) -> Parsed<Scalar> {
        match value {
            Value::Bool(value) => Ok(Scalar::Bool(*value)),
            Value::String(value) => Ok(Scalar::Text(value.clone())),
            Value::Number(number) => match Number::of(number) {
                number if number.is_whole() => Ok(Scalar::Number(number)),
                _ => self.wrong("a number with a fraction cannot be matched exactly; use range"),
            },
            _ => self.wrong("expected a string, a whole number, or true or false"),
        }
    }

    fn range(&self, value: &Value) -> Parsed<Range> {
        // One text makes all bounds moments, so a number among them is refused where it stands.
        if self.object(value)?.values().any(Value::is_string) {
            let read = |place: &Self, value: &Value| {
                match value.as_str().and_then(Moment::parse) {
                Some(moment) => Ok(moment),
                None => place.wrong("expected a date or time such as 2024-02-29 or 2024-02-29T12:00:00Z (RFC 3339), like the other bounds"),
            }
            };
            return self.bounds(value, read).map(Range::Datetime);
        }
        // Without a text among them, the bounds are numbers.
        let read =
            |place: &Self, value: &Value| Number::of_value(value).map_or_else(|| place.wrong("expected a number"), Ok);
        self.bounds(value, read).map(Range::Number)
    }

    fn count(&self, value: &Value) -> Parsed<Bounds<u64>> {
        self.bounds(value, |place, value| {
            value.as_u64().map_or_else(|| place.wrong("expected a whole number, 0 or more"), Ok)
        })
    }

    fn bounds<T>(&self, value: &Value, read: impl Fn(&Self, &Value) -> Parsed<T>) -> Parsed<Bounds<T>> {
        let mut bounds = Bounds::default();
        for (name, value) in self.object(value)?.iter().filter(|(_, value)| !value.is_null()) {
            let place = self.at(name);
            // A misspelled bound is refused: the range without it would match too much.
            let bound = match name.as_str() {
                "gt" => &mut bounds.gt,
                "gte" => &mut bounds.gte,
                "lt" => &mut bounds.lt,
                "lte" => &mut bounds.lte,
                _ => return place.wrong("unknown member; known are gt, gte, lt, lte"),
            };
            *bound = Some(read(&place, value)?);
        }
        Ok(bounds)
    }
}
