//! The way to a value inside a payload: `a.b`, `a[0].b`, `a[].b`, `"a key with dots".b`.
//!
//! As in Qdrant: `[]` means every element of an array, and an array in the middle of a path is entered only by
//! brackets.

use std::fmt;

use serde_json::{Map, Value};

use crate::model::limits::MAX_PATH_BYTES;

/// A parsed path; it always starts with a key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path {
    text: String,
    parts: Vec<PathPart>,
}

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PathPart {
    Key(String),
    Index(usize),
    Every,
}

impl Path {
    /// Reads a path.
    ///
    /// # Errors
    /// What is wrong with it, in words for the client.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::parse_within(text, MAX_PATH_BYTES)
    }

    /// As [`Path::parse`], with another limit on the text's length.
    pub(super) fn parse_within(text: &str, max_bytes: usize) -> Result<Self, String> {
        // The length comes first: every error below repeats the text.
        if text.len() > max_bytes {
            return Err(format!("a key is {max_bytes} bytes at most"));
        }
        // Keys are parted by dots, and each may be followed by brackets.
        let mut parts = Vec::new();
        let mut rest = text;
        loop {
            let (key, after) =
                take_key(rest).ok_or_else(|| format!("`{text}` is not a key path like a.b, a[].b or a[0]"))?;
            parts.push(PathPart::Key(key));
            rest = after;
            while let Some(bracket) = rest.strip_prefix('[') {
                let (inside, after) =
                    bracket.split_once(']').ok_or_else(|| format!("`{text}` has a [ without its ]"))?;
                parts.push(match inside {
                    "" => PathPart::Every,
                    index => {
                        PathPart::Index(index.parse().map_err(|_| format!("`{text}`: [{index}] is not an index"))?)
                    }
                });
                rest = after;
            }
            // The text stays as it was written, and is printed so.
            if rest.is_empty() {
                return Ok(Self { text: text.to_owned(), parts });
            }
            rest = rest.strip_prefix('.').ok_or_else(|| format!("`{text}`: a dot is missing before `{rest}`"))?;
        }
    }

    /// The same path without one `[]` at its end: the array itself, where the path leads to its elements.
    pub(super) fn without_last_every(mut self) -> Self {
        if self.parts.pop_if(|part| *part == PathPart::Every).is_some() {
            self.text.truncate(self.text.len() - "[]".len());
        }
        self
    }

    /// Whether both lead to the same values of every payload: `"a"` and `a` are two spellings of one path.
    pub(in crate::engine) fn leads_like(&self, other: &Self) -> bool {
        self.parts == other.parts
    }

    /// The path from the payload to what `inner` leads to in each element of the array at this path.
    pub(in crate::engine) fn in_each(&self, inner: &Self) -> Self {
        let parts = self.parts.iter().cloned().chain([PathPart::Every]).chain(inner.parts.iter().cloned());
        Self { text: format!("{}[].{}", self.text, inner.text), parts: parts.collect() }
    }

    /// Its steps.
    pub(super) fn parts(&self) -> &[PathPart] {
        &self.parts
    }

    /// The key of the payload object that the path starts with.
    pub fn first_key(&self) -> &str {
        match self.parts.first() {
            Some(PathPart::Key(key)) => key,
            _ => "",
        }
    }

    /// Every value the path leads to, in order; none if it leads nowhere.
    pub fn values<'a>(&self, object: &'a Map<String, Value>) -> Vec<&'a Value> {
        let Some((PathPart::Key(key), rest)) = self.parts.split_first() else { return Vec::new() };
        // Each part leads from every value so far to some, to one, or to none.
        let mut found: Vec<&Value> = object.get(key).into_iter().collect();
        for part in rest {
            found = match part {
                PathPart::Key(key) => found.into_iter().filter_map(|value| value.as_object()?.get(key)).collect(),
                PathPart::Index(index) => found.into_iter().filter_map(|value| value.as_array()?.get(*index)).collect(),
                PathPart::Every => found.into_iter().filter_map(Value::as_array).flatten().collect(),
            };
        }
        found
    }
}

/// A key, quoted or plain, and what follows it.
fn take_key(text: &str) -> Option<(String, &str)> {
    if let Some(quoted) = text.strip_prefix('"') {
        return quoted.split_once('"').map(|(key, rest)| (key.to_owned(), rest));
    }
    let end = text.find(['.', '[', ']', '"']).unwrap_or(text.len());
    (end > 0).then(|| (text[..end].to_owned(), &text[end..]))
}

impl fmt::Display for Path {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_lead_through_objects_and_arrays() {
        let payload = json!({"a": {"b": [{"c": 1}, {"c": 2}, 3]}, "x.y": {"z": 4}, "n": [[1, 2], [3]]});
        let at = |path: &str| json!(Path::parse(path).unwrap().values(payload.as_object().unwrap()));
        assert_eq!(at("a.b[].c"), json!([1, 2]));
        assert_eq!(at("a.b[1].c"), json!([2]));
        assert_eq!(at("a.b.c"), json!([]), "an array is entered by brackets only");
        assert_eq!(at("a.b[9]"), json!([]));
        assert_eq!(at("\"x.y\".z"), json!([4]));
        assert_eq!(at("x.y"), json!([]));
        assert_eq!(at("n[][]"), json!([1, 2, 3]));
        assert_eq!(at("n[0]"), json!([[1, 2]]));
    }

    #[test]
    fn a_malformed_path_is_refused() {
        for bad in ["", ".", "a.", ".a", "a[", "a[x]", "a]", "a[-1]", "[0]", "a..b", "a[0]b", "\"a", "\"a\"b"] {
            assert!(Path::parse(bad).is_err(), "{bad}");
        }
        assert!(Path::parse(&"a".repeat(MAX_PATH_BYTES + 1)).is_err());
    }
}
