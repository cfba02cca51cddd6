//! A reader of `.npy`, NumPy's array format, for the one shape that vectors come in: two dimensions, C order,
//! little-endian f32, f16 or i8 (<https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>, versions 1
//! to 3).
//!
//! The header is one line of a fixed grammar, and a resumed ingest must reach a row by its number. So the reader is our
//! own code.

use anyhow::{Context, bail, ensure};
use half::f16;
use std::io::{Read, Seek, SeekFrom};

/// The type of the numbers in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Number {
    F32,
    F16,
    I8,
}

impl Number {
    fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
            Self::I8 => 1,
        }
    }
}

/// The rows of a matrix, read one after the other.
pub struct Npy<R> {
    reader: R,
    number: Number,
    /// The byte of the file at which row 0 begins.
    data_start: u64,
    /// Rows of the matrix.
    pub rows: u64,
    /// Components of a row.
    pub columns: usize,
    /// The bytes of one row.
    buffer: Vec<u8>,
}

impl<R: Read + Seek> Npy<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// Says what is wrong: magic, version, type, order, or number of dimensions.
    pub fn open(mut reader: R) -> anyhow::Result<Self> {
        let mut start = [0; 8];
        reader.read_exact(&mut start).context("too short for a .npy file")?;
        ensure!(start.starts_with(b"\x93NUMPY"), "not a .npy file: it does not start with NumPy's magic");
        // Version 1 has a header of at most 65,535 bytes; later ones have a longer length field.
        let length = match start[6] {
            1 => u32::from(u16::from_le_bytes(read_array(&mut reader)?)),
            2 | 3 => u32::from_le_bytes(read_array(&mut reader)?),
            version => {
                bail!("version {version} of the .npy format is not supported: save it as version 1")
            }
        };
        // No length is believed before a bound: a damaged file must not take gigabytes of memory.
        ensure!(length <= 1 << 20, "the header claims {length} bytes: the file is damaged");
        let mut header = vec![0; length as usize];
        reader.read_exact(&mut header).context("the file ends within its header")?;
        let header = String::from_utf8(header).context("the header is no text")?;
        let (number, rows, columns) = parse(&header)?;
        let data_start = reader.stream_position()?;
        Ok(Self { reader, number, data_start, rows, columns, buffer: vec![0; columns * number.bytes()] })
    }

    /// Goes to the row of this number, from 0, so that [`Npy::next_row`] reads it.
    ///
    /// # Errors
    /// The error of the reader.
    pub fn seek_row(&mut self, row: u64) -> std::io::Result<()> {
        let place = self.data_start + row * self.buffer.len() as u64;
        self.reader.seek(SeekFrom::Start(place)).map(drop)
    }

    /// Reads the next row as `columns` numbers. int8 numbers are taken as they are, because cosine needs no scale.
    ///
    /// # Errors
    /// The error of the reader, also where the rows have ended.
    pub fn next_row(&mut self) -> std::io::Result<Vec<f32>> {
        self.reader.read_exact(&mut self.buffer)?;
        Ok(match self.number {
            Number::F32 => self.buffer.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
            Number::F16 => self.buffer.as_chunks().0.iter().map(|bytes| f16::from_le_bytes(*bytes).to_f32()).collect(),
            Number::I8 => self.buffer.iter().map(|byte| f32::from(*byte as i8)).collect(),
        })
    }
}

fn read_array<const N: usize>(reader: &mut impl Read) -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    reader.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Reads type, rows and columns from `{'descr': '<f2', 'fortran_order': False, 'shape': (100000, 384), }`.
fn parse(header: &str) -> anyhow::Result<(Number, u64, usize)> {
    let value = |key: &str| header.split_once(&format!("'{key}':")).map(|(_, rest)| rest.trim_start());
    let descr = value("descr").and_then(|rest| rest.split('\'').nth(1)).context("the header names no type")?;
    let number = match descr {
        "<f4" => Number::F32,
        "<f2" => Number::F16,
        "|i1" | "<i1" => Number::I8,
        other => bail!("numbers of type `{other}` are not supported: convert to float32, float16 or int8"),
    };
    // Rows must lie one after the other.
    let order = value("fortran_order").context("the header names no order")?;
    ensure!(order.starts_with("False"), "the array is in Fortran order: save numpy.ascontiguousarray(x)");
    let shape =
        value("shape").and_then(|rest| rest.strip_prefix('(')?.split_once(')')).context("the header names no shape")?.0;
    let sizes: Vec<u64> =
        shape.split(',').map(str::trim).filter(|size| !size.is_empty()).map(str::parse).collect::<Result<_, _>>()?;
    // A vector has at most 65,535 components.
    match sizes[..] {
        [rows, columns] if (1..=65_535).contains(&columns) => Ok((number, rows, columns as usize)),
        _ => bail!("shape ({shape}) is no list of vectors: two dimensions are needed, the second from 1 to 65535"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn file(header: &str, data: &[u8]) -> Cursor<Vec<u8>> {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        Cursor::new(bytes)
    }

    #[test]
    fn rows_of_all_three_types_are_read_and_found_by_number() {
        let mut i8s =
            Npy::open(file("{'descr': '|i1', 'fortran_order': False, 'shape': (2, 3), }\n", &[1, 2, 255, 4, 5, 6]))
                .unwrap();
        assert_eq!((i8s.rows, i8s.columns), (2, 3));
        assert_eq!(i8s.next_row().unwrap(), [1.0, 2.0, -1.0]);
        i8s.seek_row(1).unwrap();
        assert_eq!(i8s.next_row().unwrap(), [4.0, 5.0, 6.0]);
        assert!(i8s.next_row().is_err());
        let data: Vec<u8> = [0.5_f32, -2.0].iter().flat_map(|x| x.to_le_bytes()).collect();
        let mut f32s = Npy::open(file("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }\n", &data)).unwrap();
        assert_eq!(f32s.next_row().unwrap(), [0.5, -2.0]);
        let data: Vec<u8> = [0.5_f32, -2.0].iter().flat_map(|x| f16::from_f32(*x).to_le_bytes()).collect();
        let mut f16s = Npy::open(file("{'descr': '<f2', 'fortran_order': False, 'shape': (1, 2), }\n", &data)).unwrap();
        assert_eq!(f16s.next_row().unwrap(), [0.5, -2.0]);
    }

    #[test]
    fn other_files_are_refused_with_a_reason() {
        for (header, reason) in [
            ("{'descr': '<f8', 'fortran_order': False, 'shape': (1, 2), }", "<f8"),
            ("{'descr': '<f4', 'fortran_order': True, 'shape': (1, 2), }", "Fortran"),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (7,), }", "two dimensions"),
            ("{}", "no type"),
        ] {
            let error = Npy::open(file(header, &[])).err().unwrap().to_string();
            assert!(error.contains(reason), "{error}");
        }
        assert!(Npy::open(Cursor::new(b"PK\x03\x04 and more".to_vec())).is_err());
    }
}
