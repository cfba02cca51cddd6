//! Indexes over payload fields: which rows can satisfy a filter, without a look at their payloads.
//!
//! Derived from the points and never stored: only the [`PayloadSchema`] is. RowSource come in as they are put and removed; a
//! filter comes in and [`Narrowed`] goes out, a set of rows that misses none of those that match. The meaning of a
//! filter is that of [`filter`](super::filter), exactly: where an index cannot tell, it says so instead of guessing.
//! Nothing here knows vectors, versions or records.

mod building;
mod estimate;
mod field;
mod key;
mod narrow;
mod schema;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use roaring::RoaringBitmap;
use serde_json::{Map, Value};

use self::field::{Field, Terms};
use super::filter::Path;
use crate::engine::commands::reply::Refusal;

pub use crate::model::FieldType;
pub(super) use building::Building;
pub(super) use narrow::{Narrowed, RowSource, STEPS_PER_TEST, narrow};
pub use schema::{PayloadSchema, validate_schema};

/// The indexes of one collection in one shard.
///
/// Invariants, which [`PayloadIndexes::check`] holds: no two fields have one name, and those of each [`Field`].
#[derive(Debug, Default)]
pub(super) struct PayloadIndexes {
    /// In the order of their names.
    fields: Vec<Field>,
}

/// What a row's payload holds at each indexed field.
#[derive(Debug, Default, PartialEq)]
pub(super) struct RowTerms(Vec<Terms>);

impl PayloadIndexes {
    /// Empty indexes for those fields of `schema` that are not indexed here as that type.
    ///
    /// # Errors
    /// As [`validate_schema`].
    pub(super) fn missing(&self, schema: &PayloadSchema) -> Result<Self, Refusal> {
        validate_schema(schema)?;
        let there = |name: &str, kind| self.fields.iter().any(|field| field.name == name && field.kind == kind);
        let missing = schema.iter().filter(|(name, kind)| !there(name, **kind));
        let fields = missing.map(|(name, kind)| Ok(Field::new(name.clone(), schema::path(name)?, *kind)));
        Ok(Self { fields: fields.collect::<Result<_, Refusal>>()? })
    }

    /// Takes in `built`, and forgets the fields that `schema` does not name or that `built` replaces.
    pub(super) fn set(&mut self, schema: &PayloadSchema, built: Self) {
        let fields = std::mem::take(&mut self.fields).into_iter().chain(built.fields);
        let newest: BTreeMap<String, Field> = fields.map(|field| (field.name.clone(), field)).collect();
        self.fields = newest.into_values().filter(|field| schema.get(&field.name) == Some(&field.kind)).collect();
    }

    /// Takes in indexes of other fields that are complete.
    pub(super) fn add(&mut self, built: Self) {
        self.fields.extend(built.fields);
        self.fields.sort_by(|one, other| one.name.cmp(&other.name));
    }

    /// Whether nothing is indexed, so that payloads need not be looked at.
    pub(super) fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Whether an indexed field's path starts at this key of the payload.
    pub(super) fn reads(&self, key: &str) -> bool {
        self.fields.iter().any(|field| field.path.first_key() == key)
    }

    /// What a payload holds; only the members that these indexes [read](Self::reads) matter.
    pub(super) fn terms(&self, payload: &Map<String, Value>) -> RowTerms {
        RowTerms(self.fields.iter().map(|field| field.terms(payload)).collect())
    }

    /// Says which invariant does not hold, if one does not, where `rows` are those that were put.
    pub(super) fn check(&self, rows: &RoaringBitmap) -> Result<(), String> {
        if let Some(pair) = self.fields.windows(2).find(|pair| pair[0].name >= pair[1].name) {
            return Err(format!("the index of field `{}` comes before that of `{}`", pair[0].name, pair[1].name));
        }
        self.fields.iter().try_for_each(|field| field.check(rows))
    }

    /// Files a row that is not filed. The terms must be of these very fields.
    pub(super) fn put(&mut self, row: u32, terms: RowTerms) {
        debug_assert!(terms.0.is_empty() || terms.0.len() == self.fields.len(), "terms are of other fields");
        self.fields.iter_mut().zip(terms.0).for_each(|(field, terms)| field.put(row, terms));
    }

    /// Takes out a row that is filed under these terms.
    pub(super) fn remove(&mut self, row: u32, terms: &RowTerms) {
        debug_assert!(terms.0.is_empty() || terms.0.len() == self.fields.len(), "terms are of other fields");
        self.fields.iter_mut().zip(&terms.0).for_each(|(field, terms)| field.remove(row, terms));
    }

    /// How many rows have an indexed value, for each field in the order of their names.
    pub(super) fn counts(&self) -> impl Iterator<Item = (&str, FieldType, u64)> {
        self.fields.iter().map(|field| (field.name.as_str(), field.kind, field.indexed.len()))
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.fields.iter().map(Field::memory_bytes).sum()
    }

    fn find(&self, path: &Path) -> Option<&Field> {
        self.fields.iter().find(|field| field.path.leads_like(path))
    }
}
