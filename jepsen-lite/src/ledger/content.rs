//! The content of a write: vector and payload as functions of its id.

use serde_json::{Value, json};

use crate::harness::seed::mix;

/// The vector and payload of write `write` to `key`. Components are multiples of 1/64 in [-4, 4): exact in f32 and in
/// decimal, so they come back bit for bit. No component row is all zero.
pub fn content(key: u64, write: u64, size: usize) -> (Vec<f32>, Value) {
    let component = |index: usize| ((mix(write ^ mix(index as u64)) % 512) as f32 - 256.0) / 64.0;
    let mut vector: Vec<f32> = (0..size).map(component).collect();
    if let Some(first) = vector.first_mut() {
        *first = 1.0 + (write % 64) as f32 / 64.0;
    }
    let payload = json!({"write": write, "key": key, "check": format!("{:016x}", mix(write ^ mix(key)))});
    (vector, payload)
}

/// A point as the store showed it.
#[derive(Clone, Debug, PartialEq)]
pub struct ShownPoint {
    /// Its version, where the store told.
    pub version: Option<u64>,
    /// Its default vector, where it was asked for.
    pub vector: Option<Vec<f32>>,
    /// Its payload.
    pub payload: Value,
}

impl ShownPoint {
    /// Reads a record of the native API: `{"id", "version", "vector", "payload"}`. Returns the id as well.
    pub fn from_record(record: &Value) -> Option<(u64, Self)> {
        let vector = record["vector"].as_array().map(|components| {
            components.iter().map(|component| component.as_f64().map_or(f32::NAN, |number| number as f32)).collect()
        });
        let seen = Self { version: record["version"].as_u64(), vector, payload: record["payload"].clone() };
        Some((record["id"].as_u64()?, seen))
    }

    /// The write it claims to come from.
    pub fn write(&self) -> Option<u64> {
        self.payload["write"].as_u64()
    }

    /// What is wrong with its parts, if they do not belong together.
    pub(super) fn torn(&self, key: u64, write: u64, size: usize) -> Option<String> {
        let (vector, payload) = content(key, write, size);
        if self.payload != payload {
            return Some(format!("payload {} instead of {payload}", self.payload));
        }
        let shown = self.vector.as_ref()?;
        let differs = shown.iter().zip(&vector).position(|(shown, written)| shown != written);
        match differs {
            _ if shown.len() != size => Some(format!("{} components instead of {size}", shown.len())),
            Some(index) => Some(format!("component {index} is {} instead of {}", shown[index], vector[index])),
            None => None,
        }
    }
}
