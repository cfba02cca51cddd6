//! The figures: one table for people, one JSON document for machines.

use crate::cli::table::Table;
use serde::Serialize;

/// One figure.
#[derive(Serialize)]
pub(super) struct Row {
    name: String,
    value: f64,
    unit: &'static str,
    /// CPU time of all server processes, in milliseconds for each operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    server_cpu_ms_per_op: Option<f64>,
    note: String,
}

impl Row {
    /// A figure without notes.
    pub(super) fn new(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { name: name.into(), value, unit, server_cpu_ms_per_op: None, note: String::new() }
    }

    /// What to know beside it.
    pub(super) fn note(self, note: &str) -> Self {
        Self { note: note.into(), ..self }
    }

    /// What one operation cost the servers.
    pub(super) fn cpu(self, seconds: f64, operations: u64) -> Self {
        Self { server_cpu_ms_per_op: Some(seconds * 1e3 / operations.max(1) as f64), ..self }
    }
}

/// All figures of a run.
#[derive(Serialize)]
pub(super) struct Report {
    version: &'static str,
    cores: usize,
    corpus: String,
    warnings: Vec<String>,
    figures: Vec<Row>,
}

impl Report {
    /// An empty report on this machine.
    pub(super) fn new(corpus: &str) -> Self {
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        Self {
            version: env!("CARGO_PKG_VERSION"),
            cores,
            corpus: corpus.into(),
            warnings: Vec::new(),
            figures: Vec::new(),
        }
    }

    /// Adds a figure.
    pub(super) fn add(&mut self, row: Row) {
        self.figures.push(row);
    }

    /// Adds something that spoils the figures.
    pub(super) fn warn(&mut self, warning: &str) {
        self.warnings.push(warning.into());
    }

    /// For people.
    pub(super) fn render(&self) -> String {
        let mut table = Table::new(["measured", "value", "unit", "server CPU/op", "note"]);
        for row in &self.figures {
            let cpu = row.server_cpu_ms_per_op.map_or_else(String::new, |ms| format!("{ms:.3} ms"));
            table.row([row.name.clone(), number(row.value), row.unit.into(), cpu, row.note.clone()]);
        }
        let warnings: String = self.warnings.iter().map(|warning| format!("warning: {warning}\n")).collect();
        format!(
            "\nQuiver {}, 3 nodes, replication factor 3, every write synced by a majority; clients and nodes share {} cores.\n{}\n{warnings}\n{}",
            self.version,
            self.cores,
            self.corpus,
            table.render(0)
        )
    }

    /// For machines.
    pub(super) fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }
}

/// Three digits that matter.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => crate::cli::table::thousands(value.round() as u64),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// The value that a share `q` (0 to 1) of `values` does not exceed; 0 of none.
pub(super) fn percentile(values: &mut [f64], q: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let place = ((values.len() as f64 * q).ceil() as usize).saturating_sub(1);
    values.get(place).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let mut values = [4.0, 1.0, 3.0, 2.0];
        assert_eq!((percentile(&mut values, 0.5), percentile(&mut values, 0.99)), (2.0, 4.0));
        assert_eq!(percentile(&mut [], 0.5), 0.0);
    }
}
