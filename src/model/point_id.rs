//! What a client calls a point.

use std::fmt;
use std::str::FromStr;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;
use vector_index::Key;

/// Digits of a UUID without its hyphens. No 64-bit number has so many.
const UUID_DIGITS: usize = 32;

const EXPECTED: &str = "a whole number from 0 to 18446744073709551615 or a UUID string";

/// What a client calls a point: an unsigned 64-bit number, exact to the last digit, or a UUID; in JSON a number or a
/// string.
///
/// Ordered for scrolling: every number before every UUID. The binary form is what logs and records hold, so it never
/// changes without a new format byte there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PointId {
    /// A number chosen by the client.
    Num(u64),
    /// A UUID chosen by the client; any version.
    Uuid(Uuid),
}

/// A text that is neither an unsigned 64-bit number nor a UUID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no point id: {EXPECTED}")]
pub struct BadPointId(pub String);

impl fmt::Display for PointId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Num(number) => out.pad(&number.to_string()),
            Self::Uuid(uuid) => out.pad(&uuid.to_string()),
        }
    }
}

impl FromStr for PointId {
    type Err = BadPointId;

    fn from_str(text: &str) -> Result<Self, BadPointId> {
        // Only digits: `u64::from_str` would also take "+7", a second spelling of the same id. So many are a UUID without its
        // hyphens, which may have no letter.
        let is_number = (1..UUID_DIGITS).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        if is_number {
            return text.parse().map(Self::Num).map_err(|_| BadPointId(text.to_owned()));
        }
        Uuid::parse_str(text).map(Self::Uuid).map_err(|_| BadPointId(text.to_owned()))
    }
}

/// Keys are in the order of ids.
impl From<PointId> for Key {
    fn from(id: PointId) -> Self {
        match id {
            PointId::Num(number) => Self(0, u128::from(number)),
            PointId::Uuid(uuid) => Self(1, uuid.as_u128()),
        }
    }
}

impl From<u64> for PointId {
    fn from(number: u64) -> Self {
        Self::Num(number)
    }
}

impl From<Uuid> for PointId {
    fn from(uuid: Uuid) -> Self {
        Self::Uuid(uuid)
    }
}

/// The binary form of [`PointId`].
#[derive(Serialize, Deserialize)]
enum BinaryPointId {
    Num(u64),
    Uuid(Uuid),
}

impl Serialize for PointId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match (*self, serializer.is_human_readable()) {
            (Self::Num(number), true) => serializer.serialize_u64(number),
            (Self::Uuid(uuid), true) => serializer.collect_str(&uuid),
            (Self::Num(number), false) => BinaryPointId::Num(number).serialize(serializer),
            (Self::Uuid(uuid), false) => BinaryPointId::Uuid(uuid).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for PointId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return deserializer.deserialize_any(Readable);
        }
        Ok(match BinaryPointId::deserialize(deserializer)? {
            BinaryPointId::Num(number) => Self::Num(number),
            BinaryPointId::Uuid(uuid) => Self::Uuid(uuid),
        })
    }
}

struct Readable;

impl Visitor<'_> for Readable {
    type Value = PointId;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(EXPECTED)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<PointId, E> {
        Ok(PointId::Num(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<PointId, E> {
        // A string is a UUID: taking "7" for the number 7 would give one point two names.
        Uuid::parse_str(text).map(PointId::Uuid).map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_form_is_a_number_or_a_uuid_string() {
        let uuid = Uuid::from_u128(7);
        assert_eq!(serde_json::to_string(&PointId::Num(u64::MAX)).unwrap(), "18446744073709551615");
        assert_eq!(serde_json::to_string(&PointId::Uuid(uuid)).unwrap(), format!("\"{uuid}\""));
        assert_eq!(serde_json::from_str::<PointId>("7").unwrap(), PointId::Num(7));
        for bad in ["-1", "1.5", "\"7\"", "\"x\"", "null", "18446744073709551616", "[1]"] {
            assert!(serde_json::from_str::<PointId>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn text_form_parses_back_and_orders_numbers_first() {
        let uuid = PointId::Uuid(Uuid::nil());
        assert!(PointId::Num(u64::MAX) < uuid);
        for id in [PointId::Num(0), PointId::Num(u64::MAX), uuid] {
            assert_eq!(id.to_string().parse(), Ok(id));
        }
        for bad in ["", "+7", "-7", "7 ", "18446744073709551616", "zz"] {
            assert!(bad.parse::<PointId>().is_err(), "{bad}");
        }
    }
}
