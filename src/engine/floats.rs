//! Vectors in binary forms: the components as one run of little-endian bytes, copied and never looked at one by one.
//!
//! In: serde, for the fields that hold vectors. Out: bytes in logs, records and calls between nodes; an ordinary array
//! where the format is for people. A run whose length is no whole number of components is refused.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bytes of one component.
const WIDTH: usize = size_of::<f32>();

/// A vector on its way out.
#[derive(Debug)]
pub(super) struct Out<'a>(pub(super) &'a [f32]);

/// A vector that has come in.
#[derive(Debug)]
pub(super) struct In(pub(super) Vec<f32>);

/// The components as little-endian bytes; a copy only where the machine's own order is another.
fn to_bytes(components: &[f32]) -> Cow<'_, [u8]> {
    if cfg!(target_endian = "little") {
        Cow::Borrowed(bytemuck::cast_slice(components))
    } else {
        Cow::Owned(components.iter().flat_map(|component| component.to_le_bytes()).collect())
    }
}

/// The components in little-endian bytes; `None` where they do not come out even.
fn from_bytes(bytes: &[u8]) -> Option<Vec<f32>> {
    let (components, rest) = bytes.as_chunks::<WIDTH>();
    rest.is_empty().then(|| components.iter().map(|component| f32::from_le_bytes(*component)).collect())
}

impl Serialize for Out<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match serializer.is_human_readable() {
            true => self.0.serialize(serializer),
            false => serializer.serialize_bytes(&to_bytes(self.0)),
        }
    }
}

impl<'de> Deserialize<'de> for In {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.is_human_readable() {
            true => deserializer.deserialize_seq(Components),
            false => deserializer.deserialize_bytes(Components),
        }
        .map(Self)
    }
}

/// A vector that is looked at only to see whether it is one.
#[derive(Debug)]
pub(super) struct Seen;

impl<'de> Deserialize<'de> for Seen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(Self)
    }
}

impl Visitor<'_> for Seen {
    type Value = Self;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a vector")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Self, E> {
        if bytes.len().is_multiple_of(WIDTH) { Ok(self) } else { Err(E::invalid_length(bytes.len(), &self)) }
    }
}

struct Components;

impl<'de> Visitor<'de> for Components {
    type Value = Vec<f32>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a vector")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<f32>, E> {
        from_bytes(bytes).ok_or_else(|| E::invalid_length(bytes.len(), &self))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Vec<f32>, A::Error> {
        Vec::deserialize(serde::de::value::SeqAccessDeserializer::new(seq))
    }
}

/// For `#[serde(with)]` on one vector.
pub(super) mod one {
    use super::*;

    pub(in crate::engine) fn serialize<S: Serializer>(vector: &[f32], serializer: S) -> Result<S::Ok, S::Error> {
        Out(vector).serialize(serializer)
    }

    pub(in crate::engine) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f32>, D::Error> {
        In::deserialize(deserializer).map(|vector| vector.0)
    }
}

/// For `#[serde(with)]` on vectors by name.
pub(super) mod named {
    use super::*;

    type Named = BTreeMap<String, Vec<f32>>;

    pub(in crate::engine) fn serialize<S: Serializer>(vectors: &Named, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(vectors.iter().map(|(name, vector)| (name, Out(vector))))
    }

    pub(in crate::engine) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Named, D::Error> {
        let vectors = BTreeMap::<String, In>::deserialize(deserializer)?;
        Ok(vectors.into_iter().map(|(name, vector)| (name, vector.0)).collect())
    }
}

/// For `#[serde(with)]` on vectors by name that may not have been asked for.
pub(super) mod maybe_named {
    use super::*;

    type Named = BTreeMap<String, Vec<f32>>;

    #[derive(Serialize)]
    struct Lent<'a>(#[serde(with = "named")] &'a Named);

    #[derive(Deserialize)]
    struct Owned(#[serde(with = "named")] Named);

    pub(in crate::engine) fn serialize<S: Serializer>(
        vectors: &Option<Named>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        vectors.as_ref().map(Lent).serialize(serializer)
    }

    pub(in crate::engine) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Named>, D::Error> {
        Ok(Option::<Owned>::deserialize(deserializer)?.map(|vectors| vectors.0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Held(#[serde(with = "one")] Vec<f32>);

    proptest! {
        #[test]
        fn every_component_comes_back_bit_for_bit(bits in prop::collection::vec(any::<u32>(), 0..50)) {
            let held = Held(bits.iter().copied().map(f32::from_bits).collect());
            let bytes = postcard::to_stdvec(&held).unwrap();
            let back: Held = postcard::from_bytes(&bytes).unwrap();
            prop_assert_eq!(back.0.into_iter().map(f32::to_bits).collect::<Vec<_>>(), bits);
            prop_assert!(postcard::from_bytes::<Held>(&bytes[..bytes.len() - 1]).is_err());
        }
    }

    #[test]
    fn half_a_component_is_refused() {
        assert_eq!(from_bytes(&[0, 0, 128, 63]), Some(vec![1.0]));
        assert_eq!(from_bytes(&[0, 0, 128, 63, 0]), None);
        assert!(postcard::from_bytes::<Held>(&[3, 0, 0, 0]).is_err());
    }

    #[test]
    fn people_see_numbers() {
        assert_eq!(serde_json::to_string(&Held(vec![1.0, -0.5])).unwrap(), "[1.0,-0.5]");
        assert_eq!(serde_json::from_str::<Held>("[1,-0.5]").unwrap(), Held(vec![1.0, -0.5]));
    }
}
