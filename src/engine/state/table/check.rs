//! What must hold of a table, looked at in builds with debug assertions: a broken one is found where it breaks, and not
//! where a search meets it.

use std::collections::{BTreeMap, BTreeSet};

use roaring::RoaringBitmap;
use vector_index::Row;

use super::Table;

/// Points up to which a table is looked at whole after each command.
const CHECKED_WHOLE: usize = 128;

impl Table {
    /// Holds the invariants after a command, all of them where there are few points.
    pub(in crate::engine::state) fn assert_sound(&self) {
        debug_assert!(self.is_counted());
        debug_assert_eq!(if self.points.len() <= CHECKED_WHOLE { self.check() } else { Ok(()) }, Ok(()));
    }

    /// Returns `true` if there are as many rows as points and empty ones. Costs next to nothing.
    pub(super) fn is_counted(&self) -> bool {
        self.points.len() == self.rows.len() + self.empty.len() && self.live.len() == self.rows.len() as u64
    }

    /// Returns `true` if each of these vectors has a space to lie in.
    pub(super) fn has_spaces(&self, vectors: &BTreeMap<String, Vec<f32>>) -> bool {
        vectors.keys().all(|name| self.spaces.contains_key(name))
    }

    /// Says which invariant does not hold, if one does not. Looks at every point.
    pub(in crate::engine::state) fn check(&self) -> Result<(), String> {
        self.check_rows()?;
        let points = || self.points.iter().flatten();
        let bytes: usize = points().map(|point| point.payload.len()).sum();
        if bytes != self.payload_bytes {
            return Err(format!("payloads take {bytes} bytes, and {} are counted", self.payload_bytes));
        }
        let hash = points().fold(0_u64, |sum, point| sum.wrapping_add(point.hash));
        if hash != self.points_hash {
            return Err(format!("the points' hashes add up to {hash:016x}, not to {:016x}", self.points_hash));
        }
        if !self.spaces.keys().eq(self.config.vectors.keys()) {
            return Err("the spaces are not those of the configuration".to_owned());
        }
        for (name, space) in &self.spaces {
            let of_points = self.rows.values().filter(|row| space.has(**row)).count();
            if of_points != space.len() {
                return Err(format!("space `{name}` has {} vectors, {of_points} of them of points", space.len()));
            }
        }
        self.check_indexes()
    }

    /// Rows, ids and points belong together.
    fn check_rows(&self) -> Result<(), String> {
        let empty: BTreeSet<Row> = self.empty.iter().copied().collect();
        let is_empty = |row: &Row| self.points.get(row.0 as usize).is_some_and(Option::is_none);
        if !self.is_counted() || empty.len() != self.empty.len() || !empty.iter().all(is_empty) {
            let (rows, ids, empty) = (self.points.len(), self.rows.len(), self.empty.len());
            return Err(format!("{rows} rows are not those of {ids} ids and {empty} that are empty"));
        }
        let strays = self
            .rows
            .iter()
            .find(|(id, row)| !self.live.contains(row.0) || self.get(**row).is_none_or(|point| point.id != **id));
        match strays {
            Some((id, row)) => Err(format!("row {} is not that of point {id}", row.0)),
            None => Ok(()),
        }
    }

    /// Indexes know rows with points, and no others.
    fn check_indexes(&self) -> Result<(), String> {
        let has_none = self.indexes.is_empty() && self.building.is_none() && self.schema_hash == 0;
        if self.schema_version == 0 && !has_none {
            return Err("there are indexes, and no payload schema".to_owned());
        }
        self.indexes.check(&self.live)?;
        let Some(building) = &self.building else { return Ok(()) };
        // Indexes that are being built know only the rows that were read.
        let mut read: RoaringBitmap = self.live.clone();
        read.remove_range(building.next()..);
        building.indexes().check(&read)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use vector_index::Space;

    use super::super::terms;
    use super::*;
    use crate::engine::collection::{CollectionConfig, Distance};
    use crate::engine::payload_index::{Building, PayloadIndexes, PayloadSchema};
    use crate::engine::state::Point;
    use crate::model::{FieldType, PointId};

    fn schema() -> PayloadSchema {
        PayloadSchema::from([("colour".to_owned(), FieldType::Keyword)])
    }

    /// An index of the field `colour` that knows no row.
    fn colours() -> PayloadIndexes {
        PayloadIndexes::default().missing(&schema()).expect("the schema is sound")
    }

    /// Points 1 and 2 in rows 0 and 1; row 2 is empty.
    fn table() -> Table {
        let config = CollectionConfig::single(2, Distance::Dot);
        let mut table = Table::new(config, 5, |_, params| Space::new(params));
        let indexes = table.begin_indexes(&schema()).expect("the schema is sound");
        assert_eq!(table.set_schema(&schema(), 1, indexes, 9), 0);
        for number in 1..4 {
            let (id, payload): (_, Arc<str>) = (PointId::Num(number), Arc::from(r#"{"colour":"red"}"#));
            let reindex = table.reindex(id, &payload);
            let vectors = BTreeMap::from([(String::new(), vec![number as f32, 1.0])]);
            let point = Point { id, version: number, payload, hash: 100 * number };
            assert_eq!(table.put(point, &vectors, reindex), None);
        }
        assert_eq!(table.remove(PointId::Num(3)), Some(300));
        table
    }

    type Break = fn(&mut Table);

    #[test]
    fn every_broken_invariant_is_found() {
        assert_eq!(table().check(), Ok(()));
        let breaks: [(Break, &str); 12] = [
            (|table| table.points.push(None), "rows are not those of 2 ids"),
            (|table| table.empty = vec![Row(1)], "rows are not those of 2 ids"),
            (
                |table| {
                    table.rows.insert(PointId::Num(1), Row(1));
                },
                "row 1 is not that of point 1",
            ),
            (|table| table.live = RoaringBitmap::from([0, 2]), "row 1 is not that of point 2"),
            (|table| table.payload_bytes += 1, "payloads take 32 bytes, and 33 are counted"),
            (|table| table.points_hash += 1, "the points' hashes add up to"),
            (|table| drop(table.spaces.remove("")), "the spaces are not those of the configuration"),
            (|table| table.spaces.values_mut().for_each(|space| space.put(Row(2), &[1.0, 1.0])), "has 3 vectors, 2"),
            (|table| table.schema_version = 0, "there are indexes, and no payload schema"),
            (
                |table| {
                    let terms = table.reindex(PointId::Num(9), r#"{"colour":"red"}"#).new;
                    table.indexes.put(2, terms);
                },
                "field `colour`",
            ),
            (|table| table.indexes.add(colours()), "the index of field `colour` comes before that of `colour`"),
            (
                |table| {
                    let mut indexes = colours();
                    indexes.put(1, terms(&indexes, r#"{"colour":"red"}"#));
                    // None of its rows was read yet.
                    table.building = Building::begin(indexes);
                },
                "the index of field `colour` knows a row without a point",
            ),
        ];
        for (break_it, expected) in breaks {
            let mut table = table();
            break_it(&mut table);
            let broken = table.check().expect_err(expected);
            assert!(broken.contains(expected), "{broken} is not: {expected}");
        }
    }
}
