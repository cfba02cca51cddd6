//! The compact body of `POST /vectors`, for bulk writes: what JSON takes ten bytes for takes four here, and nothing is
//! parsed but the head. Content type [`CONTENT_TYPE`]; the answer is the same as to JSON.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | `QVPT` |
//! | 1 | version: 1 |
//! | 3 | 0 |
//! | 4 | h: bytes of the head |
//! | 4 | n: points |
//! | 4 | d: components of each vector |
//! | h | the head: a JSON object, [`PointsHead`] |
//! | 17 n | ids: a 0 byte, a number of 8 bytes and 8 bytes of 0; or a 1 byte and the 16 bytes of a UUID in its text's order |
//! | 4 d n | vectors: IEEE 754 binary32, point after point |
//! | 4 + length, n times | payloads: a length, and so many bytes of JSON text; a length of 0 means no payload |
//!
//! All numbers are little-endian; nothing follows the last payload. Each point has one vector, all the same one;
//! several vectors to a point, and `if_version`, are for JSON.

use super::PointId;
use super::options::request;
use uuid::Uuid;

/// The content type of such a body.
pub const CONTENT_TYPE: &str = "application/vnd.quiver.points";

const MAGIC: &[u8; 4] = b"QVPT";
const VERSION: u8 = 1;
const ID_BYTES: usize = 17;
const NUMBER: u8 = 0;
const UUID: u8 = 1;

request! {
    /// The head of the body: what the members of `POST /vectors` are in JSON, less the points.
    pub struct PointsHead {
        /// The collection's name.
        pub collection: String,
        /// Name of the vector that the points have; absent means the default vector.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub using: Option<String>,
        ..write,
    }
}

/// One point of such a body; the texts lie in the body itself.
#[derive(Clone, Debug, PartialEq)]
pub struct BinaryPoint<'a> {
    /// Its identity.
    pub id: PointId,
    /// Its vector.
    pub vector: Vec<f32>,
    /// Its payload as JSON text, which nobody has looked at; empty where there is none.
    pub payload: &'a str,
}

/// Why a body is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("byte {at}: {reason}")]
pub struct BadPoints {
    /// Place of the point, from 0; `None` where it is not about one.
    pub position: Option<usize>,
    /// Which part: `body`, `head`, `id`, `vector` or `payload`.
    pub field: &'static str,
    /// Where in the body, in bytes from 0.
    pub at: usize,
    /// What is wrong.
    pub reason: String,
}

/// The body of these points; `None` where their vectors differ in length, or there is more of anything than the layout
/// can count.
pub fn encode_points<'a>(
    head: &PointsHead,
    points: impl ExactSizeIterator<Item = (PointId, &'a [f32], &'a str)> + Clone,
) -> Option<Vec<u8>> {
    // Make room for all of it at once.
    let head = serde_json::to_vec(head).ok()?;
    let count = points.len();
    let columns = points.clone().next().map_or(0, |(_, vector, _)| vector.len());
    let texts: usize = points.clone().map(|(.., payload)| payload.len() + 4).sum();
    let mut body = Vec::with_capacity(20 + head.len() + count * (ID_BYTES + 4 * columns) + texts);
    // What it is, and its three counts.
    body.extend(MAGIC);
    body.extend([VERSION, 0, 0, 0]);
    for number in [head.len(), count, columns] {
        body.extend(u32::try_from(number).ok()?.to_le_bytes());
    }
    // The head, and the columns: ids, vectors, payloads.
    body.extend(head);
    points.clone().for_each(|(id, ..)| put_id(&mut body, id));
    for (_, vector, _) in points.clone() {
        if vector.len() != columns {
            return None;
        }
        vector.iter().for_each(|component| body.extend(component.to_le_bytes()));
    }
    for (.., payload) in points {
        body.extend(u32::try_from(payload.len()).ok()?.to_le_bytes());
        body.extend(payload.as_bytes());
    }
    Some(body)
}

fn put_id(body: &mut Vec<u8>, id: PointId) {
    match id {
        PointId::Num(number) => {
            body.push(NUMBER);
            body.extend(number.to_le_bytes());
            // Both kinds take 17 bytes, so that the ids form a table.
            body.extend([0; 8]);
        }
        PointId::Uuid(uuid) => {
            body.push(UUID);
            body.extend(uuid.as_bytes());
        }
    }
}

/// Reads a body.
///
/// `read_head` reads the head's JSON, and says in words for people what is wrong with it.
///
/// # Errors
/// The first thing that is not as the layout says. No length in the body is believed before the bytes are there.
pub fn decode_points(
    body: &[u8],
    read_head: impl FnOnce(&[u8]) -> Result<PointsHead, String>,
) -> Result<(PointsHead, Vec<BinaryPoint<'_>>), BadPoints> {
    let mut reader = ByteReader { body, at: 0 };
    // It is such a body, of the version that is known.
    let start = reader.take(8, "body", None)?;
    if !start.starts_with(MAGIC) {
        return Err(wrong(None, "body", 0, "does not start with `QVPT`"));
    }
    if start[4..] != [VERSION, 0, 0, 0] {
        return Err(wrong(
            None,
            "body",
            4,
            format!("version {:?} is not known here: only [1, 0, 0, 0] is", &start[4..]),
        ));
    }
    // The counts, and the head.
    let [head_bytes, count, columns] =
        [reader.number("body", None)?, reader.number("body", None)?, reader.number("body", None)?];
    let at = reader.at;
    let head = reader.take(head_bytes, "head", None)?;
    let head = read_head(head).map_err(|reason| wrong(None, "head", at, reason))?;
    // Both tables are there as a whole before room is made for any point.
    let ids = reader.table(count, ID_BYTES, "id")?;
    let vectors_at = reader.at;
    let vectors = reader.table(count, columns.saturating_mul(4), "vector")?;
    // One point of each row of the tables and each payload.
    let mut points = Vec::with_capacity(count);
    for position in 0..count {
        let id_at = vectors_at - ids.len() + position * ID_BYTES;
        let id =
            id(&ids[position * ID_BYTES..][..ID_BYTES]).map_err(|reason| wrong(Some(position), "id", id_at, reason))?;
        let vector = vectors[position * columns * 4..][..columns * 4].as_chunks().0;
        let vector = vector.iter().map(|component| f32::from_le_bytes(*component)).collect();
        points.push(BinaryPoint { id, vector, payload: reader.payload(position)? });
    }
    // Nothing may follow.
    match body.len() - reader.at {
        0 => Ok((head, points)),
        more => Err(wrong(None, "body", reader.at, format!("{more} bytes follow the last payload"))),
    }
}

/// Reads a head as serde does, for tests.
#[cfg(test)]
pub fn read_head(head: &[u8]) -> Result<PointsHead, String> {
    serde_json::from_slice(head).map_err(|error| error.to_string())
}

fn id(bytes: &[u8]) -> Result<PointId, String> {
    match bytes.split_first() {
        // A number leaves the last 8 of its 16 bytes at 0.
        Some((&NUMBER, [number @ .., 0, 0, 0, 0, 0, 0, 0, 0])) => {
            let number = number.try_into().map_err(|_| "is cut")?;
            Ok(PointId::Num(u64::from_le_bytes(number)))
        }
        Some((&UUID, uuid)) => Uuid::from_slice(uuid).map(PointId::Uuid).map_err(|error| error.to_string()),
        Some((&NUMBER, _)) => Err("8 bytes of 0 must follow a number".to_owned()),
        Some((kind, _)) => Err(format!("kind {kind} is neither 0, a number, nor 1, a UUID")),
        None => Err("is cut".to_owned()),
    }
}

struct ByteReader<'a> {
    body: &'a [u8],
    at: usize,
}

impl<'a> ByteReader<'a> {
    fn take(&mut self, bytes: usize, field: &'static str, position: Option<usize>) -> Result<&'a [u8], BadPoints> {
        let left = &self.body[self.at..];
        let Some(taken) = left.get(..bytes) else {
            let reason = format!("{bytes} bytes should be here, and the body has {} more", left.len());
            return Err(wrong(position, field, self.at, reason));
        };
        self.at += bytes;
        Ok(taken)
    }

    fn number(&mut self, field: &'static str, position: Option<usize>) -> Result<usize, BadPoints> {
        let bytes = self.take(4, field, position)?;
        Ok(bytes.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte)))
    }

    /// `count` rows of so many bytes; a body that is cut names the first row that is not whole.
    fn table(&mut self, count: usize, row: usize, field: &'static str) -> Result<&'a [u8], BadPoints> {
        let whole = (self.body.len() - self.at).checked_div(row).unwrap_or(count);
        self.take(count.saturating_mul(row), field, (whole < count).then_some(whole))
    }

    fn payload(&mut self, position: usize) -> Result<&'a str, BadPoints> {
        let bytes = self.number("payload", Some(position))?;
        let at = self.at;
        let text = std::str::from_utf8(self.take(bytes, "payload", Some(position))?);
        text.map_err(|error| wrong(Some(position), "payload", at, format!("is no UTF-8: {error}")))
    }
}

fn wrong(position: Option<usize>, field: &'static str, at: usize, reason: impl Into<String>) -> BadPoints {
    BadPoints { position, field, at, reason: reason.into() }
}

#[cfg(test)]
mod tests;
