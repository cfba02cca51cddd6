//! The sources of points: NDJSON, or a matrix of vectors with a file of payloads. Both become one stream of rows.
//!
//! In: readers, and the number of the first row that is wanted. Out: [`InputRows`], which are read as they are asked
//! for. A row that is no point has the reason instead. Knows no cluster.

use super::npy::Npy;
use super::payload::Payloads;
use crate::api::{PointId, PointInput, VectorValue};
use crate::client::UnusableInput;
use anyhow::Context;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// One row of the input: a point, or why it is none.
pub struct InputRow {
    /// Its number, from 0.
    pub number: u64,
    /// The part of the input up to its end, from 0 to 1, if it is known.
    pub fraction: Option<f64>,
    /// The point, or what is wrong with the row.
    pub point: Result<PointInput, String>,
}

/// Rows in order. An error ends them.
pub type InputRows = Box<dyn Iterator<Item = anyhow::Result<InputRow>> + Send>;

/// The mark with which a file of UTF-8 may begin. It is no part of the text.
pub const BOM: &[u8] = b"\xef\xbb\xbf";

/// The refusal of input that is one JSON array.
const ARRAY: &str =
    "it is one JSON array, and points are read one a line: `jq -c '.[]' FILE.json > FILE.ndjson` writes them so";

/// The rows of an NDJSON file from row `skip` on. `bytes` is the size of the file, if it is known. An empty line gives
/// no row but keeps its number, so that numbers stay line numbers.
///
/// # Errors
/// [`UnusableInput`] for a JSON array, which is seen at the start of the input.
pub fn ndjson(mut reader: impl BufRead + Send + 'static, bytes: Option<u64>, skip: u64) -> anyhow::Result<InputRows> {
    let start = reader.fill_buf().context("cannot read the input")?;
    if start.strip_prefix(BOM).unwrap_or(start).trim_ascii_start().starts_with(b"[") {
        return Err(UnusableInput(ARRAY.to_owned()).into());
    }
    // Skipped and empty lines are counted too: they are part of the input that is done.
    let mut done = 0_u64;
    let lines = reader.split(b'\n').enumerate().map(move |(number, line)| {
        let mut line = line.with_context(|| format!("cannot read line {}", number + 1))?;
        done += line.len() as u64 + 1;
        if number == 0 && line.starts_with(BOM) {
            line.drain(..BOM.len());
        }
        Ok((number as u64, done, line))
    });
    // Errors pass the filter, because they must end the rows.
    let wanted = lines.filter(move |line| {
        line.as_ref().map_or(true, |(number, _, line)| *number >= skip && !line.trim_ascii().is_empty())
    });
    Ok(Box::new(wanted.map(move |line: anyhow::Result<_>| {
        let (number, done, line) = line?;
        let point = serde_json::from_slice(&line).map_err(|error| misread(number, &error));
        Ok(InputRow { number, fraction: bytes.map(|bytes| (done as f64 / bytes.max(1) as f64).min(1.0)), point })
    })))
}

/// Why row `number` is no point. The parser sees one line only, so the line number in its message is replaced.
fn misread(number: u64, error: &serde_json::Error) -> String {
    let (told, column) = (error.to_string(), error.column());
    let what = told.rsplit_once(" at line ").map_or(told.as_str(), |(what, _)| what);
    format!("line {}, column {column}: {what}", number + 1)
}

/// A matrix and its payloads.
pub struct Matrix<R> {
    vectors: Npy<R>,
    payloads: Option<Payloads>,
    id_offset: u64,
    next: u64,
}

impl<R: std::io::Read + std::io::Seek + Send + 'static> Matrix<R> {
    /// Begins at row `skip`. Row n of `vectors` gets the id n + `id_offset` and line n of `payloads`.
    ///
    /// # Errors
    /// The row cannot be reached in one of the files.
    pub fn new(mut vectors: Npy<R>, mut payloads: Option<Payloads>, id_offset: u64, skip: u64) -> anyhow::Result<Self> {
        vectors.seek_row(skip)?;
        if let Some(payloads) = &mut payloads {
            payloads.skip(skip)?;
        }
        Ok(Self { vectors, payloads, id_offset, next: skip })
    }

    /// The rows.
    pub fn rows(mut self) -> InputRows {
        Box::new(std::iter::from_fn(move || (self.next < self.vectors.rows).then(|| self.read())))
    }

    fn read(&mut self) -> anyhow::Result<InputRow> {
        let number = self.next;
        let vector = self.vectors.next_row().with_context(|| format!("cannot read row {number} of the vectors"))?;
        // A payload that cannot be read spoils its row alone.
        let payload = self.payloads.as_mut().map(|payloads| payloads.next(number)).transpose()?;
        self.next += 1;
        let id = number.checked_add(self.id_offset).context("--id-offset takes ids beyond 64 bits")?;
        let point = payload.transpose().map(|payload| PointInput {
            id: PointId::Num(id),
            vector: VectorValue::Single(vector),
            payload,
            if_version: None,
        });
        Ok(InputRow { number, fraction: Some(self.next as f64 / self.vectors.rows as f64), point })
    }
}

/// Opens a matrix file and reads its header.
///
/// # Errors
/// The file cannot be opened, or is no matrix of vectors ([`Npy::open`]).
pub fn open_npy(path: &Path) -> anyhow::Result<Npy<BufReader<File>>> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    Npy::open(BufReader::with_capacity(1 << 20, file)).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ndjson_rows_keep_their_line_numbers_and_bad_lines_their_reasons() {
        let text = "{\"id\":1,\"vector\":[1]}\n\nnonsense\n{\"id\":2,\"vector\":[1],\"color\":3}\n";
        let rows: Vec<InputRow> =
            ndjson(text.as_bytes(), Some(text.len() as u64), 0).unwrap().map(|row| row.unwrap()).collect();
        assert_eq!(rows.iter().map(|row| row.number).collect::<Vec<_>>(), [0, 2, 3]);
        assert!(rows[0].point.is_ok());
        assert!(rows[1].point.as_ref().unwrap_err().starts_with("line 3, column "));
        assert!(rows[2].point.as_ref().unwrap_err().contains("color"));
        assert!(!rows[2].point.as_ref().unwrap_err().contains("line 1"));
        assert_eq!(rows[2].fraction, Some(1.0));
        assert_eq!(ndjson(text.as_bytes(), None, 3).unwrap().count(), 1);
    }

    #[test]
    fn a_mark_of_utf_8_is_no_part_of_the_first_line() {
        let text: &[u8] = b"\xef\xbb\xbf{\"id\":1,\"vector\":[1]}\n{\"id\":2,\"vector\":[1]}\n";
        let rows: Vec<InputRow> = ndjson(text, None, 0).unwrap().map(|row| row.unwrap()).collect();
        assert!(rows.len() == 2 && rows.iter().all(|row| row.point.is_ok()));
    }

    /// Input without an end and without a line's end, of which nobody reads more than the start.
    struct Endless(&'static [u8]);

    impl std::io::Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            assert!(!self.0.is_empty(), "more than the start is read");
            let (start, rest) = self.0.split_at(buffer.len().min(self.0.len()));
            buffer[..start.len()].copy_from_slice(start);
            self.0 = rest;
            Ok(start.len())
        }
    }

    #[test]
    fn an_array_is_refused_before_it_is_read_with_the_way_out() {
        for text in ["[{\"id\":1,", " \n [\n", "\u{feff}["] {
            let error = ndjson(BufReader::new(Endless(text.as_bytes())), None, 0).err().expect("an array");
            assert!(error.is::<UnusableInput>() && error.to_string().contains("jq"), "{error}");
        }
    }
}
