//! The filters of the data set: which points pass each, and how each is asked for.
//!
//! Two filters follow the vectors, because a category is a region of meaning. One does not, because a bucket is a hash.
//! So an index cannot pass by being good at one kind only.

use anyhow::Context;
use flate2::read::GzDecoder;
use serde_json::{Map, Value, json};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// The members of a point's payload that the filters test.
pub(crate) struct Label {
    category: String,
    bucket: u64,
}

impl Label {
    /// The label of a payload, if it has one.
    pub(crate) fn of(payload: &Map<String, Value>) -> Option<Self> {
        let category = payload.get("category")?.as_str()?.to_owned();
        Some(Self { category, bucket: payload.get("bucket")?.as_u64()? })
    }

    /// The label as a payload.
    pub(crate) fn payload(&self) -> Map<String, Value> {
        let members = [("category", json!(self.category)), ("bucket", json!(self.bucket))];
        members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// A part of the points.
pub(crate) struct Part {
    /// Its name, as in the names of the data's files.
    pub(crate) name: &'static str,
    /// The category of its points. Without one, their bucket is 0.
    category: Option<&'static str>,
    /// The bar of the index alone, in searches per second of processor time.
    pub(crate) bar: f64,
}

/// The parts that come with exact answers: 6.4 %, 0.9 % and 1.0 % of the data.
pub(crate) const PARTS: [Part; 3] = [
    Part { name: "noun.animal", category: Some("noun.animal"), bar: 2_500.0 },
    Part { name: "noun.event", category: Some("noun.event"), bar: 15_000.0 },
    Part { name: "bucket0", category: None, bar: 15_000.0 },
];

/// The fields that the filters test, and the types of their payload indexes.
pub(crate) const FIELDS: [(&str, &str); 2] = [("category", "keyword"), ("bucket", "integer")];

impl Part {
    /// Returns `true` if a point with this label is in the part.
    pub(crate) fn has(&self, label: &Label) -> bool {
        self.category.map_or(label.bucket == 0, |category| label.category == category)
    }

    /// The part as the filter of a search.
    pub(crate) fn filter(&self) -> Value {
        let condition = match self.category {
            Some(category) => json!({ "key": "category", "match": { "value": category } }),
            None => json!({ "key": "bucket", "match": { "value": 0 } }),
        };
        json!({ "must": [condition] })
    }
}

/// Reads the labels of all rows from gzipped, tab-separated text whose first line names the columns.
pub(crate) fn read_labels(path: &Path) -> anyhow::Result<Vec<Label>> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    labels(BufReader::new(GzDecoder::new(file))).with_context(|| path.display().to_string())
}

fn labels(text: impl BufRead) -> anyhow::Result<Vec<Label>> {
    let mut lines = text.lines();
    let header = lines.next().context("it is empty")??;
    // The header says where the two columns are; others are ignored.
    let column = |name| header.split('\t').position(|column| column == name);
    let place = column("category").zip(column("bucket")).context("no columns `category` and `bucket`")?;
    let label = |line: std::io::Result<String>| {
        let line = line?;
        let fields: Vec<&str> = line.split('\t').collect();
        let both = fields.get(place.0).zip(fields.get(place.1)).context("a line is too short")?;
        Ok(Label { category: (*both.0).to_owned(), bucket: both.1.parse().context("a bucket is no number")? })
    };
    lines.map(label).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_leaves_the_points_of_its_part() {
        let text = "id\tbucket\tcategory\tgloss\n0\t7\tnoun.animal\ta\n1\t0\tnoun.event\tb\n2\t0\tnoun.animal\t\n";
        let labels = labels(text.as_bytes()).unwrap();
        let parts = PARTS.map(|part| labels.iter().map(|label| part.has(label)).collect::<Vec<_>>());
        assert_eq!(parts, [[true, false, true], [false, true, false], [false, true, true]]);
        assert!(
            labels.iter().all(|label| Label::of(&label.payload()).is_some_and(|again| again.bucket == label.bucket))
        );
        assert!(super::labels("id\tbucket\n1\t0\n".as_bytes()).is_err());
    }
}
