//! Payloads of a matrix: line n belongs to row n. A file has JSON lines or a table of tab-separated values, gzipped or
//! not.
//!
//! A table's first line names the columns. Whole numbers become numbers, and every other cell becomes a string. A
//! member `id` is left out, because the point already has the row's number as its id.

use anyhow::{Context, bail};
use flate2::read::MultiGzDecoder;
use serde_json::{Map, Value};
use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read};
use std::path::Path;

/// Payloads, line by line.
pub struct Payloads {
    lines: std::io::Lines<Box<dyn BufRead + Send>>,
    /// Names of a table's columns; `None` for JSON lines.
    columns: Option<Vec<String>>,
}

impl Payloads {
    /// Opens a file. The end of its name gives the format: `.jsonl`, `.ndjson` or `.tsv`, each with or without `.gz`.
    ///
    /// # Errors
    /// Where the file cannot be read, or its name gives no format.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        // The suffix .gz stands behind the one that gives the format.
        let name = path.to_string_lossy();
        let plain = name.strip_suffix(".gz");
        let reader: Box<dyn Read + Send> =
            if plain.is_some() { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
        let reader: Box<dyn BufRead + Send> = Box::new(BufReader::with_capacity(1 << 20, reader));
        match plain.unwrap_or(&name).rsplit('.').next() {
            Some("jsonl" | "ndjson") => Ok(Self { lines: reader.lines(), columns: None }),
            Some("tsv") => Self::table(reader).with_context(|| format!("cannot read {name}")),
            _ => bail!("{name}: payloads are read from .jsonl or .tsv, plain or .gz"),
        }
    }

    /// JSON lines from memory.
    pub fn embedded(text: &'static str) -> Self {
        let reader: Box<dyn BufRead + Send> = Box::new(Cursor::new(text));
        Self { lines: reader.lines(), columns: None }
    }

    fn table(reader: Box<dyn BufRead + Send>) -> anyhow::Result<Self> {
        let mut lines = reader.lines();
        let header = lines.next().context("it is empty")??;
        let columns = without_mark(header).split('\t').map(str::to_owned).collect();
        Ok(Self { lines, columns: Some(columns) })
    }

    /// Skips the next `rows` lines. Call it before any other line is read.
    ///
    /// # Errors
    /// A line cannot be read, or there are fewer.
    pub fn skip(&mut self, rows: u64) -> anyhow::Result<()> {
        for row in 0..rows {
            self.line(row)?;
        }
        Ok(())
    }

    /// Reads the payload of row `row`.
    ///
    /// # Errors
    /// The inner error concerns that row alone. The outer one ends the reading: the file has ended or cannot be read.
    pub fn next(&mut self, row: u64) -> anyhow::Result<Result<Map<String, Value>, String>> {
        let line = self.line(row)?;
        let parsed = match &self.columns {
            None => serde_json::from_str(&line).map_err(|error| format!("payload of row {row}: {error}")),
            Some(columns) => cells(columns, &line).map_err(|reason| format!("payload of row {row}: {reason}")),
        };
        Ok(parsed.map(|mut payload| {
            payload.remove("id");
            payload
        }))
    }

    fn line(&mut self, row: u64) -> anyhow::Result<String> {
        let line = self
            .lines
            .next()
            .with_context(|| format!("the payloads end before row {row}: one line a row is needed"))?;
        let line = line.with_context(|| format!("cannot read the payload of row {row}"))?;
        Ok(if row == 0 { without_mark(line) } else { line })
    }
}

/// The first line of a file without the mark of UTF-8.
fn without_mark(line: String) -> String {
    line.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(line)
}

/// One line of a table as a payload.
fn cells(columns: &[String], line: &str) -> Result<Map<String, Value>, String> {
    let cells: Vec<&str> = line.split('\t').collect();
    if cells.len() != columns.len() {
        return Err(format!("{} cells under {} columns", cells.len(), columns.len()));
    }
    let value = |cell: &str| cell.parse::<i64>().map_or_else(|_| Value::from(cell), Value::from);
    Ok(columns.iter().zip(cells).map(|(column, cell)| (column.clone(), value(cell))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::io::Write;

    #[test]
    fn a_gzipped_table_becomes_payloads_with_numbers() {
        let file = tempfile::Builder::new().suffix(".tsv.gz").tempfile().unwrap();
        let mut gzip = flate2::write::GzEncoder::new(file.reopen().unwrap(), flate2::Compression::fast());
        gzip.write_all(b"\xef\xbb\xbfid\tpos\tbucket\n0\tnoun\t13\n1\tverb\n").unwrap();
        gzip.finish().unwrap();
        let mut payloads = Payloads::open(file.path()).unwrap();
        assert_eq!(Value::from(payloads.next(0).unwrap().unwrap()), json!({"pos": "noun", "bucket": 13}));
        assert!(payloads.next(1).unwrap().unwrap_err().contains("2 cells under 3 columns"));
        assert!(payloads.next(2).is_err());
    }
}
