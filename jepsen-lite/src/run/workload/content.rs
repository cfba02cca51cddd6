//! The content of a write: vector and payload are functions of its number, so that a point that is read proves which write
//! it came from, and that its parts belong together.

use serde_json::{Value, json};

use crate::harness::seed::mix;
use crate::judge::history::edn::Edn;

/// The vector of a write, of `size` components that single precision and decimals hold exactly: two whole numbers, then
/// multiples of 1/64 in [-4, 4).
pub fn vector_of(write: i64, size: usize) -> Vec<f64> {
    let component = |place: usize| match place {
        0 => (write * 7919 % 10_007) as f64,
        1 => (write % 65_536) as f64,
        _ => ((mix(write as u64 ^ mix(place as u64)) % 512) as f64 - 256.0) / 64.0,
    };
    (0..size).map(component).collect()
}

/// The payload of a write.
pub fn payload_of(write: i64) -> Value {
    json!({"write": write, "check": write * 31 % 1009})
}

/// The point of a write, as an upsert takes it.
pub fn point(id: i64, write: i64, size: usize) -> Value {
    json!({"id": id, "vector": vector_of(write, size), "payload": payload_of(write)})
}

/// The write that a record is from, if its parts belong together, else `:torn`. The record has payload and vector.
pub fn shown(record: &Value, size: usize) -> Edn {
    let write = record["payload"]["write"].as_i64();
    let whole = write.filter(|write| record["payload"] == payload_of(*write));
    let same = |write: &i64| {
        let shown: Option<Vec<f64>> =
            record["vector"].as_array().map(|parts| parts.iter().filter_map(Value::as_f64).collect());
        shown.is_some_and(|shown| shown == vector_of(*write, size))
    };
    whole.filter(same).map_or_else(|| Edn::keyword("torn"), Edn::Int)
}

/// The value of one of several registers.
pub fn keyed(key: i64, value: Edn) -> Edn {
    Edn::Vector(vec![Edn::Int(key), value])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_shown_as_its_write_or_as_torn() {
        const SIZE: usize = 8;
        let record = point(1, 7, SIZE);
        assert_eq!(shown(&record, SIZE), Edn::Int(7));
        let with = |member: &str, value: Value| {
            let mut torn = record.clone();
            torn[member] = value;
            shown(&torn, SIZE)
        };
        for torn in [
            with("vector", json!(vector_of(8, SIZE))),
            with("vector", json!(vector_of(7, SIZE - 1))),
            with("vector", json!([1.0])),
            with("vector", Value::Null),
            with("payload", payload_of(8)),
            with("payload", json!({"write": 7})),
            with("payload", Value::Null),
        ] {
            assert_eq!(torn, Edn::keyword("torn"));
        }
    }

    #[test]
    fn components_survive_single_precision() {
        let vector = vector_of(123_456_789, 16);
        assert!(vector.iter().all(|component| f64::from(*component as f32) == *component), "{vector:?}");
    }
}
