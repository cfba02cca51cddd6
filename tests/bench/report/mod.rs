//! The report: one row for each measure, as a table for people and as JSON for programs.
//!
//! In: figures with their units, and the bars that they are compared with. Out: text. Measures nothing.

pub(crate) mod chart;
pub(crate) mod times;

use quiver::output::table::Table;
use serde_json::{Map, Value, json};

/// One measure.
pub(crate) struct ReportRow {
    name: String,
    figure: String,
    detail: String,
    /// The bar in words, and `true` if it is met.
    bar: Option<(String, bool)>,
    numbers: Map<String, Value>,
}

impl ReportRow {
    /// A row with a name and a figure, unit included.
    pub(crate) fn new(name: impl Into<String>, figure: impl Into<String>) -> Self {
        Self { name: name.into(), figure: figure.into(), detail: String::new(), bar: None, numbers: Map::new() }
    }

    /// Replaces the figure.
    pub(crate) fn figure(mut self, figure: impl Into<String>) -> Self {
        self.figure = figure.into();
        self
    }

    /// Adds what else is worth knowing.
    pub(crate) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    /// Adds the bar that the figure is compared with.
    pub(crate) fn bar(mut self, bar: impl Into<String>, met: bool) -> Self {
        self.bar = Some((bar.into(), met));
        self
    }

    /// Adds a bar if it `applies`: a bar that was set for one size says nothing of another.
    pub(crate) fn bar_where(self, applies: bool, bar: impl Into<String>, met: bool) -> Self {
        if applies { self.bar(bar, met) } else { self }
    }

    /// Adds a number for programs. Its name ends with its unit.
    pub(crate) fn number(mut self, name: &str, value: f64) -> Self {
        self.numbers.insert(name.into(), value.into());
        self
    }

    fn verdict(&self) -> String {
        match &self.bar {
            None => String::new(),
            Some((bar, true)) => format!("{bar}: met"),
            Some((bar, false)) => format!("{bar}: MISSED"),
        }
    }
}

/// The rows of a run, in order.
#[derive(Default)]
pub(crate) struct Report {
    rows: Vec<ReportRow>,
}

impl Report {
    /// Adds a row.
    pub(crate) fn add(&mut self, row: ReportRow) {
        self.rows.push(row);
    }

    /// How many bars are met, and how many there are.
    pub(crate) fn bars(&self) -> (usize, usize) {
        let bars: Vec<bool> = self.rows.iter().filter_map(|row| row.bar.as_ref().map(|(_, met)| *met)).collect();
        (bars.iter().filter(|met| **met).count(), bars.len())
    }

    /// The rows as a table.
    pub(crate) fn render(&self) -> String {
        let mut table = Table::new(["measure", "figure", "detail", "bar"]);
        for row in &self.rows {
            table.row([row.name.clone(), row.figure.clone(), row.detail.clone(), row.verdict()]);
        }
        table.render(0)
    }

    /// The rows as JSON, with what `about` says of the run.
    pub(crate) fn json(&self, about: Value) -> Value {
        let each = self.rows.iter().map(|row| {
            let bar = row.bar.as_ref().map(|(bar, met)| json!({ "text": bar, "met": met }));
            json!({ "measure": row.name, "figure": row.figure, "detail": row.detail, "bar": bar, "numbers": row.numbers })
        });
        json!({ "about": about, "rows": each.collect::<Vec<_>>() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_shows_its_bar_and_keeps_its_numbers() {
        let mut report = Report::default();
        report.add(ReportRow::new("disk", "900/s").detail("p50 1 ms").number("per_second", 900.0));
        report.add(ReportRow::new("group commit", "5.0 x").bar(">= 5 x", true));
        report.add(ReportRow::new("elections", "2").bar("0", false).bar_where(false, ">= 2", true));
        let lines: Vec<String> = report.render().lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), 4);
        assert!(lines[1].starts_with("disk") && lines[1].ends_with("p50 1 ms"), "{}", lines[1]);
        assert!(lines[2].ends_with(">= 5 x: met") && lines[3].ends_with("0: MISSED"), "{lines:?}");
        assert_eq!(report.bars(), (1, 2));
        let json = report.json(json!({ "quick": true }));
        assert_eq!(json["rows"][0]["numbers"]["per_second"], 900.0);
        assert_eq!((&json["rows"][1]["bar"]["met"], &json["rows"][0]["bar"]), (&json!(true), &Value::Null));
    }
}
