//! Taking a payload schema on: its indexes are built at once where points are few, else a bounded step at a time.

use vector_index::Row;

use super::{Table, terms};
use crate::engine::commands::reply::Refusal;
use crate::engine::payload_index::{Building, PayloadIndexes, PayloadSchema, RowTerms};

/// Points, and bytes of their payloads, up to which an index is built where a command asks for it.
const ROWS_AT_ONCE: usize = 4_096;
const BYTES_AT_ONCE: usize = 1 << 20;

/// Points, and bytes of their payloads, about, of a step of building.
const ROWS_OF_A_STEP: usize = 512;
const BYTES_OF_A_STEP: usize = 256 << 10;

/// Rows that a step of building has read, and the first that it has not.
pub(in crate::engine) struct BuildStep {
    rows: Vec<(u32, RowTerms)>,
    next: u32,
}

impl Table {
    /// The indexes that `schema` asks for and that are not there: complete where the points are few, else empty and to be
    /// built by [steps](Self::build_step).
    ///
    /// # Errors
    /// As [`validate_schema`](crate::engine::payload_index::validate_schema).
    pub(in crate::engine) fn begin_indexes(
        &self,
        schema: &PayloadSchema,
    ) -> Result<(PayloadIndexes, Option<Building>), Refusal> {
        let mut missing = self.indexes.missing(schema)?;
        // Many points would hold the command up: they are read beside those that follow.
        if self.rows.len() > ROWS_AT_ONCE || self.payload_bytes > BYTES_AT_ONCE {
            return Ok((PayloadIndexes::default(), Building::begin(missing)));
        }
        // Few points are read at once, and queries use the index from this command on.
        if !missing.is_empty() {
            for row in self.rows.values() {
                missing.put(row.0, terms(&missing, &self.at(*row).payload));
            }
        }
        Ok((missing, None))
    }

    /// Takes a schema on, with what [`begin_indexes`](Self::begin_indexes) made for it; the hash of the schema's record so
    /// far, 0 if there was none.
    pub(in crate::engine::state) fn set_schema(
        &mut self,
        schema: &PayloadSchema,
        version: u64,
        (built, building): (PayloadIndexes, Option<Building>),
        hash: u64,
    ) -> u64 {
        self.indexes.set(schema, built);
        // What was being built for an older schema is given up.
        self.building = building;
        self.schema_version = version;
        std::mem::replace(&mut self.schema_hash, hash)
    }

    /// Reads the next rows for the indexes that are being built; nothing where none are.
    pub(in crate::engine) fn build_step(&self) -> Option<BuildStep> {
        let building = self.building.as_ref()?;
        // Bounded by rows and by bytes, since a payload may be large.
        let (mut rows, mut next, mut bytes) = (Vec::new(), building.next(), 0);
        while (next as usize) < self.points.len() && rows.len() < ROWS_OF_A_STEP && bytes < BYTES_OF_A_STEP {
            if let Some(point) = self.get(Row(next)) {
                rows.push((next, terms(building.indexes(), &point.payload)));
                bytes += point.payload.len();
            }
            next += 1;
        }
        Some(BuildStep { rows, next })
    }

    /// Takes in what a step has read, since when nothing was changed.
    pub(in crate::engine) fn settle_build(&mut self, step: BuildStep) {
        let Some(mut building) = self.building.take() else {
            debug_assert!(false, "a step was read for indexes that are not being built");
            return;
        };
        building.take(step.rows, step.next);
        // Queries see a field once all rows are in.
        match building.finished(self.points.len() as u32) {
            Ok(built) => self.indexes.add(built),
            Err(unfinished) => self.building = Some(unfinished),
        }
        self.assert_sound();
    }
}
