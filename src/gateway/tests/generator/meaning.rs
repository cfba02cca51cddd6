//! What a filter means, read straight from its JSON and as simple as it can be written; and which filters are refused.
//!
//! Written from the reference of the grammar, beside the code that serves it.

use serde_json::{Map, Value, json};

const CLAUSES: [&str; 3] = ["must", "should", "must_not"];

/// Whether the point of this id and payload passes.
pub(super) fn passes(filter: &Value, id: &Value, payload: &Value) -> bool {
    let holds = |condition: &Value| holds(condition, id, payload);
    let (should, least) = (list(filter, "should"), list(&filter["min_should"], "conditions"));
    list(filter, "must").iter().all(holds)
        && !list(filter, "must_not").iter().any(holds)
        && (should.is_empty() || should.iter().any(holds))
        && least.iter().filter(|condition| holds(condition)).count() as u64
            >= filter["min_should"]["min_count"].as_u64().unwrap_or(0)
}

/// A clause: a list, or one condition without its brackets.
fn list(filter: &Value, name: &str) -> Vec<Value> {
    match &filter[name] {
        Value::Null => Vec::new(),
        Value::Array(list) => list.clone(),
        one => vec![one.clone()],
    }
}

fn holds(condition: &Value, id: &Value, payload: &Value) -> bool {
    if let Some(ids) = condition["has_id"].as_array() {
        return ids.iter().any(|wanted| same_id(wanted, id));
    }
    if let Some(key) = condition["is_empty"]["key"].as_str() {
        return is_empty(&values(key, payload));
    }
    if let Some(key) = condition["is_null"]["key"].as_str() {
        return spread(&values(key, payload)).contains(&&Value::Null);
    }
    if let Some(key) = condition["nested"]["key"].as_str() {
        let (key, filter) = (key.strip_suffix("[]").unwrap_or(key), &condition["nested"]["filter"]);
        let elements = values(key, payload).into_iter().filter_map(Value::as_array).flatten();
        return elements.filter(|each| each.is_object()).any(|each| passes(filter, id, each));
    }
    let Some(key) = condition["key"].as_str() else { return passes(condition, id, payload) };
    let found = values(key, payload);
    if let Some(wanted) = condition["is_empty"].as_bool() {
        return is_empty(&found) == wanted;
    }
    if let Some(wanted) = condition["is_null"].as_bool() {
        return spread(&found).contains(&&Value::Null) == wanted;
    }
    if condition["values_count"].is_object() {
        let counts: Vec<u64> = if found.is_empty() { vec![0] } else { found.into_iter().map(count).collect() };
        return counts
            .iter()
            .any(|count| within(&condition["values_count"], |bound| bound.as_u64().map(|bound| count.cmp(&bound))));
    }
    spread(&found).into_iter().any(|value| tested(condition, value))
}

fn tested(condition: &Value, value: &Value) -> bool {
    let wanted = &condition["match"];
    if let Some(list) = wanted["except"].as_array() {
        return !value.is_null() && !list.iter().any(|wanted| same(wanted, value));
    }
    if let Some(list) = wanted["any"].as_array() {
        return list.iter().any(|wanted| same(wanted, value));
    }
    if wanted.is_object() {
        return same(&wanted["value"], value);
    }
    let range = &condition["range"];
    let dates = range.as_object().is_some_and(|bounds| bounds.values().any(Value::is_string));
    match dates {
        true => value
            .as_str()
            .and_then(moment)
            .is_some_and(|found| within(range, |bound| moment(bound.as_str()?).map(|bound| found.cmp(&bound)))),
        false => value.is_number() && within(range, |bound| compare(value, bound)),
    }
}

/// Numbers are one by their value, everything else by its spelling.
fn same(wanted: &Value, found: &Value) -> bool {
    wanted == found || compare(wanted, found) == Some(std::cmp::Ordering::Equal)
}

/// How two numbers compare: as integers where both are, and as floats where one has a fraction or is beyond all integers.
fn compare(one: &Value, other: &Value) -> Option<std::cmp::Ordering> {
    let whole = |value: &Value| {
        let float = value.as_f64()?;
        let small = float.fract() == 0.0 && float.abs() < 1e30;
        value.as_i64().map(i128::from).or(value.as_u64().map(i128::from)).or(small.then_some(float as i128))
    };
    match (whole(one), whole(other)) {
        (Some(one), Some(other)) => Some(one.cmp(&other)),
        _ => one.as_f64()?.partial_cmp(&other.as_f64()?),
    }
}

/// Whether a value is within all bounds that are there; `against` holds it against one.
fn within(bounds: &Value, against: impl Fn(&Value) -> Option<std::cmp::Ordering>) -> bool {
    let bound = |name: &str, fits: fn(std::cmp::Ordering) -> bool| {
        bounds[name].is_null() || against(&bounds[name]).is_some_and(fits)
    };
    bound("gt", std::cmp::Ordering::is_gt)
        && bound("gte", std::cmp::Ordering::is_ge)
        && bound("lt", std::cmp::Ordering::is_lt)
        && bound("lte", std::cmp::Ordering::is_le)
}

fn is_empty(found: &[&Value]) -> bool {
    found.iter().all(|value| value.is_null() || **value == json!([]))
}

fn count(value: &Value) -> u64 {
    match value {
        Value::Null => 0,
        Value::Array(list) => list.len() as u64,
        _ => 1,
    }
}

fn spread<'a>(found: &[&'a Value]) -> Vec<&'a Value> {
    found.iter().flat_map(|value| value.as_array().map_or_else(|| vec![*value], |list| list.iter().collect())).collect()
}

/// Every value that a path leads to.
fn values<'a>(path: &str, payload: &'a Value) -> Vec<&'a Value> {
    let mut found = vec![payload];
    let mut rest = path;
    while !rest.is_empty() {
        rest = rest.strip_prefix('.').unwrap_or(rest);
        if let Some(inside) = rest.strip_prefix('[') {
            let (index, after) = inside.split_once(']').expect("a path of the generator");
            let lists = found.into_iter().filter_map(Value::as_array);
            found = match index.parse::<usize>() {
                Ok(index) => lists.filter_map(|list| list.get(index)).collect(),
                Err(_) => lists.flatten().collect(),
            };
            rest = after;
            continue;
        }
        let (key, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').expect("a path of the generator"),
            None => rest.split_at(rest.find(['.', '[']).unwrap_or(rest.len())),
        };
        found = found.into_iter().filter_map(|value| value.as_object()?.get(key)).collect();
        rest = after;
    }
    found
}

/// Nanoseconds since 1970 of a date, or of a date and a time with its offset.
pub(super) fn moment(text: &str) -> Option<i128> {
    let (date, time) = text.split_once('T').unwrap_or((text, "00:00:00Z"));
    let parts: Vec<i128> = date.split('-').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let [year, month, day] = parts[..] else { return None };
    let days = [31, if year % 4 == 0 { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    if !(1900..2100).contains(&year) || !(1..=12).contains(&month) || !(1..=days[month as usize - 1]).contains(&day) {
        return None;
    }
    let (clock, offset) = match time.split_once('+') {
        Some((clock, offset)) => (clock, offset.split_once(':')?.0.parse::<i128>().ok()? * 3_600),
        None => (time.strip_suffix('Z')?, 0),
    };
    let (whole, tenth) = clock.split_once('.').unwrap_or((clock, "0"));
    let parts: Vec<i128> = whole.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let [hour, minute, second] = parts[..] else { return None };
    let years: i128 = (1970..year).map(|year| if year % 4 == 0 { 366 } else { 365 }).sum::<i128>()
        - (year..1970).map(|year| if year % 4 == 0 { 366 } else { 365 }).sum::<i128>();
    let days = years + days[..month as usize - 1].iter().sum::<i128>() + day - 1;
    let seconds = days * 86_400 + hour * 3_600 + minute * 60 + second - offset;
    Some(seconds * 1_000_000_000 + tenth.parse::<i128>().ok()? * 100_000_000)
}

/// UUIDs are one however they are written.
pub(super) fn same_id(left: &Value, right: &Value) -> bool {
    let plain =
        |id: &Value| id.as_str().map(|text| text.replace(['-', '{', '}'], "").replace("urn:uuid:", "").to_lowercase());
    left == right || left.is_string() && plain(left) == plain(right)
}

/// What is found of a filter that is counted, not looked at.
#[derive(Default)]
struct Size {
    conditions: usize,
    depth: usize,
    longest_list: usize,
    longest_path: usize,
}

/// Whether a filter of the right form is within the limits.
pub(super) fn is_fit(filter: &Value) -> bool {
    let mut size = Size::default();
    measure(filter, 1, &mut size);
    size.conditions <= 1_000 && size.depth <= 16 && size.longest_list <= 10_000 && size.longest_path <= 1_024
}

fn measure(filter: &Value, depth: usize, size: &mut Size) {
    size.depth = size.depth.max(depth);
    let mut conditions: Vec<Value> = CLAUSES.iter().flat_map(|clause| list(filter, clause)).collect();
    conditions.extend(list(&filter["min_should"], "conditions"));
    for condition in conditions {
        size.conditions += 1;
        let object = condition.as_object().cloned().unwrap_or_default();
        let lists = [&condition["has_id"], &condition["match"]["any"], &condition["match"]["except"]];
        let longest = lists.iter().filter_map(|list| Some(list.as_array()?.len())).max();
        size.longest_list = size.longest_list.max(longest.unwrap_or_default());
        let keys = [
            &condition["key"],
            &condition["is_null"]["key"],
            &condition["is_empty"]["key"],
            &condition["nested"]["key"],
        ];
        let longest = keys.iter().filter_map(|key| Some(key.as_str()?.len())).max();
        size.longest_path = size.longest_path.max(longest.unwrap_or_default());
        if object.contains_key("nested") {
            measure(&condition["nested"]["filter"], depth + 1, size);
        } else if is_filter(&object) {
            measure(&condition, depth + 1, size);
        }
    }
}

fn is_filter(condition: &Map<String, Value>) -> bool {
    condition.is_empty() || CLAUSES.iter().chain(&["min_should"]).any(|clause| condition.contains_key(*clause))
}
