//! Ids of points, in every spelling.

use rand::Rng;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use super::json::Json;

/// An id; numbers come before UUIDs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Id {
    Number(u64),
    Uuid(u128),
}

impl Id {
    /// One of a few, so that points are met again.
    pub(super) fn any(rng: &mut StdRng) -> Self {
        const NUMBERS: [u64; 5] = [1 << 53, (1 << 53) + 1, i64::MAX as u64, (i64::MAX as u64) + 1, u64::MAX];
        const UUIDS: [u128; 5] = [0, 10, 11, 0x1234_5678_1234_5678_1234_5678_1234_5678, u128::MAX];
        match rng.random_range(0..10) {
            0..7 => Self::Number(rng.random_range(0..12)),
            7 => Self::Number(NUMBERS[rng.random_range(0..NUMBERS.len())]),
            _ => Self::Uuid(UUIDS[rng.random_range(0..UUIDS.len())]),
        }
    }

    /// As answers write it.
    pub(super) fn value(self) -> Value {
        match self {
            Self::Number(number) => json!(number),
            Self::Uuid(uuid) => json!(uuid::Uuid::from_u128(uuid).to_string()),
        }
    }

    /// As a request may write it.
    pub(super) fn json(self, rng: &mut StdRng) -> Json {
        match self {
            Self::Number(number) => number.into(),
            Self::Uuid(uuid) => {
                let uuid = uuid::Uuid::from_u128(uuid);
                Json::Text(match rng.random_range(0..6) {
                    0 => uuid.simple().to_string(),
                    1 => uuid.to_string().to_uppercase(),
                    2 => uuid.urn().to_string(),
                    3 => uuid.braced().to_string(),
                    _ => uuid.to_string(),
                })
            }
        }
    }
}
