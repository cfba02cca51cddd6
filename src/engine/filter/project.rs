//! What paths leave of a payload: only what they lead to, or all but that. A path means here what it means in a filter.
//!
//! Objects on the way keep their shape; of arrays stay the elements that something is left of. A path that leads nowhere
//! changes nothing.

use serde_json::{Map, Value};

use super::path::{Path, PathPart};

type Ways<'p> = Vec<&'p [PathPart]>;

/// What the paths lead to.
pub(in crate::engine) fn only(members: Map<String, Value>, paths: &[Path]) -> Map<String, Value> {
    object(keep(Value::Object(members), &paths.iter().map(Path::parts).collect()))
}

/// All but what the paths lead to.
pub(in crate::engine) fn without(members: Map<String, Value>, paths: &[Path]) -> Map<String, Value> {
    object(leave(Value::Object(members), &paths.iter().map(Path::parts).collect()))
}

fn object(value: Option<Value>) -> Map<String, Value> {
    match value {
        Some(Value::Object(members)) => members,
        _ => Map::new(),
    }
}

fn keep(value: Value, ways: &Ways<'_>) -> Option<Value> {
    // A path ends here: all below it is wanted.
    if ways.iter().any(|way| way.is_empty()) {
        return Some(value);
    }
    match value {
        Value::Object(members) if !ways.is_empty() => {
            let kept = |(key, value): (String, Value)| {
                let value = keep(value, &onward(ways, |part| is_key(part, &key)))?;
                Some((key, value))
            };
            let kept: Map<_, _> = members.into_iter().filter_map(kept).collect();
            // An object of which nothing is kept goes as well.
            (!kept.is_empty()).then_some(Value::Object(kept))
        }
        Value::Array(items) if !ways.is_empty() => {
            let kept = |(place, item)| keep(item, &onward(ways, |part| is_place(part, place)));
            let kept: Vec<_> = items.into_iter().enumerate().filter_map(kept).collect();
            (!kept.is_empty()).then_some(Value::Array(kept))
        }
        _ => None,
    }
}

fn leave(value: Value, ways: &Ways<'_>) -> Option<Value> {
    // A path ends here: all below it goes.
    if ways.iter().any(|way| way.is_empty()) {
        return None;
    }
    // What a path does not lead through stays as it is.
    let left = match value {
        Value::Object(members) if !ways.is_empty() => {
            let left = |(key, value): (String, Value)| {
                let value = leave(value, &onward(ways, |part| is_key(part, &key)))?;
                Some((key, value))
            };
            Value::Object(members.into_iter().filter_map(left).collect())
        }
        Value::Array(items) if !ways.is_empty() => {
            let left = |(place, item)| leave(item, &onward(ways, |part| is_place(part, place)));
            Value::Array(items.into_iter().enumerate().filter_map(left).collect())
        }
        other => other,
    };
    Some(left)
}

/// The rest of the ways whose next part leads here.
fn onward<'p>(ways: &Ways<'p>, leads_here: impl Fn(&PathPart) -> bool) -> Ways<'p> {
    ways.iter().filter_map(|way| way.split_first()).filter(|(part, _)| leads_here(part)).map(|(_, rest)| rest).collect()
}

fn is_key(part: &PathPart, key: &str) -> bool {
    matches!(part, PathPart::Key(wanted) if wanted == key)
}

fn is_place(part: &PathPart, place: usize) -> bool {
    match part {
        PathPart::Every => true,
        PathPart::Index(index) => *index == place,
        PathPart::Key(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    type Project = fn(Map<String, Value>, &[Path]) -> Map<String, Value>;

    fn with(project: Project, paths: &[&str]) -> Value {
        let payload = json!({"a": {"b": 1, "c": [{"d": 1, "e": 2}, {"e": 3}, 4]}, "a.b": 5, "n": {}});
        let paths: Vec<_> = paths.iter().map(|path| Path::parse(path).unwrap()).collect();
        Value::Object(project(payload.as_object().unwrap().clone(), &paths))
    }

    #[test]
    fn a_path_means_what_it_means_in_a_filter() {
        assert_eq!(with(only, &["a.b"]), json!({"a": {"b": 1}}));
        assert_eq!(with(only, &["\"a.b\"", "n"]), json!({"a.b": 5, "n": {}}));
        assert_eq!(with(only, &["a.c[].e", "a.b"]), json!({"a": {"b": 1, "c": [{"e": 2}, {"e": 3}]}}));
        assert_eq!(with(only, &["a.c[1]"]), json!({"a": {"c": [{"e": 3}]}}));
        assert_eq!(with(only, &["a", "a.b"]), with(only, &["a"]));
        assert_eq!(with(only, &["a.c.e", "x", "a.b.y"]), json!({}), "an array is entered by brackets only");
        assert_eq!(
            with(without, &["a.b", "\"a.b\"", "n.x"]),
            json!({"a": {"c": [{"d": 1, "e": 2}, {"e": 3}, 4]}, "n": {}})
        );
        assert_eq!(with(without, &["a.c[].e", "\"a.b\"", "n"]), json!({"a": {"b": 1, "c": [{"d": 1}, {}, 4]}}));
        assert_eq!(with(without, &["a.c[0]", "a.b", "n", "\"a.b\""]), json!({"a": {"c": [{"e": 3}, 4]}}));
    }
}
