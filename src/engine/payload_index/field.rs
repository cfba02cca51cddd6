//! The index of one field: which rows hold which values.

use std::collections::BTreeMap;
use std::ops::Range;

use raft_groups::mutants::{Mutant, is_planted};
use roaring::RoaringBitmap;
use serde_json::{Map, Value};

use super::key::IndexKey;
use crate::engine::filter::Path;
use crate::model::FieldType;

/// Bytes that a value takes beside its text: the key, its rows' header, and its part of a tree two thirds full.
const KEY_BYTES: usize = 96;

/// Bytes that one row takes among those of a value, spare capacity included.
const ROW_BYTES: usize = 4;

/// The rows of one value. Most values of a timestamp or an id have one row, which needs no bitmap.
#[derive(Debug)]
pub(super) enum Posting {
    One(u32),
    Many(RoaringBitmap),
}

/// What one point holds at the field.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Terms {
    /// The indexed values, each once.
    keys: Vec<IndexKey>,
    /// Whether it holds a value, not null, that is of no kind for this index.
    other: bool,
    /// Whether it holds a null.
    null: bool,
    /// Whether there is anything but nulls and empty arrays.
    filled: bool,
}

/// The index of one field.
///
/// Invariants, which [`Field::check`] holds:
/// 1. Only rows that were put, and not removed since, are in any set or posting.
/// 2. `several` and all postings are parts of `indexed`; `indexed` and `other` are parts of `filled`.
/// 3. `row_bytes` counts the rows of all postings.
#[derive(Debug)]
pub(in crate::engine) struct Field {
    pub(super) name: String,
    pub(super) path: Path,
    pub(super) kind: FieldType,
    postings: BTreeMap<IndexKey, Posting>,
    /// Rows with an indexed value.
    pub(super) indexed: RoaringBitmap,
    /// Rows with two indexed values or more.
    pub(super) several: RoaringBitmap,
    /// Rows as [`Terms::other`].
    pub(super) other: RoaringBitmap,
    /// Rows as [`Terms::null`].
    pub(super) null: RoaringBitmap,
    /// Rows as [`Terms::filled`].
    pub(super) filled: RoaringBitmap,
    key_bytes: usize,
    row_bytes: usize,
}

impl Posting {
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::One(_) => 1,
            Self::Many(rows) => rows.len(),
        }
    }

    pub(super) fn add_to(&self, set: &mut RoaringBitmap) {
        match self {
            Self::One(row) => drop(set.insert(*row)),
            Self::Many(rows) => *set |= rows,
        }
    }

    fn insert(&mut self, row: u32) {
        match self {
            Self::One(first) if is_planted(Mutant::IndexMissesRow) => {
                *self = Self::Many(RoaringBitmap::from_iter([*first]))
            }
            Self::One(first) => *self = Self::Many(RoaringBitmap::from_iter([*first, row])),
            Self::Many(rows) => drop(rows.insert(row)),
        }
    }

    /// Takes a row out; whether none is left.
    fn remove(&mut self, row: u32) -> bool {
        // The only row of a value goes with the value, which the caller drops.
        let Self::Many(rows) = self else { return true };
        rows.remove(row);
        if rows.len() == 1
            && let Some(last) = rows.min()
        {
            *self = Self::One(last);
        }
        false
    }
}

impl Field {
    pub(super) fn new(name: String, path: Path, kind: FieldType) -> Self {
        Self {
            name,
            path,
            kind,
            postings: BTreeMap::new(),
            indexed: RoaringBitmap::new(),
            several: RoaringBitmap::new(),
            other: RoaringBitmap::new(),
            null: RoaringBitmap::new(),
            filled: RoaringBitmap::new(),
            key_bytes: 0,
            row_bytes: 0,
        }
    }

    /// What a payload holds at the field, as filters look at it: every value the path leads to, and of arrays each
    /// element.
    pub(super) fn terms(&self, payload: &Map<String, Value>) -> Terms {
        let mut terms = Terms::default();
        // An array counts by its elements, as a filter looks at them.
        for value in self.path.values(payload) {
            match value {
                Value::Array(elements) => {
                    terms.filled |= !elements.is_empty();
                    elements.iter().for_each(|element| terms.take(self.kind, element));
                }
                single => {
                    terms.filled |= !single.is_null();
                    terms.take(self.kind, single);
                }
            }
        }
        // Each value once, so that a row is filed and counted once under it.
        terms.keys.sort_unstable();
        terms.keys.dedup();
        terms
    }

    /// Files the terms of a row that has none yet.
    pub(super) fn put(&mut self, row: u32, terms: Terms) {
        for (set, member) in self.sets(&terms) {
            if member {
                set.insert(row);
            }
        }
        // Most values have one row; only the second makes a bitmap of it.
        self.row_bytes += terms.keys.len() * ROW_BYTES;
        for key in terms.keys {
            let bytes = KEY_BYTES + key.heap_bytes();
            match self.postings.entry(key) {
                std::collections::btree_map::Entry::Occupied(mut posting) => posting.get_mut().insert(row),
                std::collections::btree_map::Entry::Vacant(place) => {
                    place.insert(Posting::One(row));
                    self.key_bytes += bytes;
                }
            }
        }
    }

    /// Takes out the terms that a row was put with.
    pub(super) fn remove(&mut self, row: u32, terms: &Terms) {
        for (set, member) in self.sets(terms) {
            if member {
                set.remove(row);
            }
        }
        // A value goes with its last row.
        self.row_bytes -= terms.keys.len() * ROW_BYTES;
        for key in &terms.keys {
            if self.postings.get_mut(key).is_some_and(|posting| posting.remove(row)) {
                self.postings.remove(key);
                self.key_bytes -= KEY_BYTES + key.heap_bytes();
            }
        }
    }

    /// The sets that are not of a value, each with whether a row of these terms belongs there.
    fn sets(&mut self, terms: &Terms) -> [(&mut RoaringBitmap, bool); 5] {
        [
            (&mut self.indexed, !terms.keys.is_empty()),
            (&mut self.several, terms.keys.len() > 1),
            (&mut self.other, terms.other),
            (&mut self.null, terms.null),
            (&mut self.filled, terms.filled),
        ]
    }

    /// Says which invariant does not hold, if one does not, where `rows` are those that were put. Looks at every posting.
    pub(super) fn check(&self, rows: &RoaringBitmap) -> Result<(), String> {
        let sets = [&self.indexed, &self.several, &self.other, &self.null, &self.filled];
        let (mut filed, mut count) = (RoaringBitmap::new(), 0);
        // All postings together must be the indexed rows.
        for posting in self.postings.values() {
            posting.add_to(&mut filed);
            count += posting.len() as usize;
        }
        // A planted bug leaves rows out of their postings.
        let misses = is_planted(Mutant::IndexMissesRow);
        let rules = [
            (sets.iter().all(|set| set.is_subset(rows)), "knows a row without a point"),
            (filed == self.indexed || misses, "files other rows than those that are indexed"),
            (self.several.is_subset(&self.indexed), "has several values of a row that is not indexed"),
            (self.indexed.is_subset(&self.filled), "has a value of a row that is not filled"),
            (self.other.is_subset(&self.filled), "has a value of another kind of a row that is not filled"),
            (count * ROW_BYTES == self.row_bytes || misses, "counts other rows than it files"),
        ];
        match rules.iter().find(|(holds, _)| !holds) {
            None => Ok(()),
            Some((_, broken)) => Err(format!("the index of field `{}` {broken}", self.name)),
        }
    }

    pub(super) fn posting(&self, key: &IndexKey) -> Option<&Posting> {
        self.postings.get(key)
    }

    pub(super) fn postings(&self, keys: Range<IndexKey>) -> impl Iterator<Item = &Posting> {
        self.postings.range(keys).map(|(_, posting)| posting)
    }

    pub(super) fn memory_bytes(&self) -> usize {
        let sets = [&self.indexed, &self.several, &self.other, &self.null, &self.filled];
        self.key_bytes + self.row_bytes + sets.into_iter().map(RoaringBitmap::serialized_size).sum::<usize>()
    }
}

impl Terms {
    fn take(&mut self, kind: FieldType, value: &Value) {
        match IndexKey::of_value(kind, value) {
            Some(key) => self.keys.push(key),
            None if value.is_null() => self.null = true,
            None => self.other = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use raft_groups::mutants::plant;
    use serde_json::json;

    use super::*;

    fn field() -> Field {
        let path = Path::parse("colour").expect("it is a path");
        let mut field = Field::new("colour".to_owned(), path, FieldType::Keyword);
        for (row, value) in (0..).zip([json!("red"), json!(["red", "blue"]), json!([7, "blue"]), json!(null)]) {
            let payload = Map::from_iter([("colour".to_owned(), value)]);
            let terms = field.terms(&payload);
            field.put(row, terms);
        }
        field
    }

    type Break = fn(&mut Field);

    #[test]
    fn every_broken_invariant_is_found() {
        let rows = RoaringBitmap::from([0, 1, 2, 3]);
        assert_eq!(field().check(&rows), Ok(()));
        let breaks: [(Break, &str); 6] = [
            (
                |field| {
                    field.null.insert(9);
                },
                "knows a row without a point",
            ),
            (
                |field| {
                    field.indexed.remove(0);
                },
                "files other rows than those that are indexed",
            ),
            (
                |field| {
                    field.several.insert(3);
                },
                "has several values of a row that is not indexed",
            ),
            (
                |field| {
                    field.filled.remove(0);
                },
                "has a value of a row that is not filled",
            ),
            (
                |field| {
                    field.other.insert(3);
                },
                "has a value of another kind of a row that is not filled",
            ),
            (|field| field.row_bytes += ROW_BYTES, "counts other rows than it files"),
        ];
        for (break_it, expected) in breaks {
            let mut field = field();
            break_it(&mut field);
            assert_eq!(field.check(&rows), Err(format!("the index of field `colour` {expected}")));
        }
        let _bug = plant(Mutant::IndexMissesRow);
        assert_eq!(field().check(&rows), Ok(()), "a planted bug is left to the checkers of searches");
    }
}
