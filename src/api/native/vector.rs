//! A point's vectors on the wire: one bare array, or an object of named arrays.
//!
//! Parsed by hand rather than as an untagged enum: numbers go straight into `Vec<f32>` without an intermediate tree, and
//! an error keeps its place in the document. Whether components are finite is the engine's question, not this room's.

use serde::de::{MapAccess, SeqAccess, Visitor, value};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::fmt;

/// Room that is made for the components of a vector once its first has come.
const FIRST: usize = 64;

/// One default vector or several named ones.
#[derive(Clone, Debug, PartialEq)]
pub enum VectorValue {
    /// `[0.1, …]`: the collection's default vector.
    Single(Vec<f32>),
    /// `{"title": [0.1, …], …}`: vectors by name.
    Named(BTreeMap<String, Vec<f32>>),
}

impl VectorValue {
    /// All vectors by name; the default vector's name is the empty string.
    pub fn into_named(self) -> BTreeMap<String, Vec<f32>> {
        match self {
            Self::Single(vector) => BTreeMap::from([(String::new(), vector)]),
            Self::Named(vectors) => vectors,
        }
    }

    /// The reverse of [`VectorValue::into_named`]: a lone default vector becomes a bare array.
    pub fn from_named(mut vectors: BTreeMap<String, Vec<f32>>) -> Self {
        // A point whose one vector has no name is written in the short form.
        match (vectors.len(), vectors.remove("")) {
            (1, Some(vector)) => Self::Single(vector),
            (_, Some(vector)) => {
                vectors.insert(String::new(), vector);
                Self::Named(vectors)
            }
            (_, None) => Self::Named(vectors),
        }
    }
}

impl Serialize for VectorValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Single(vector) => vector.serialize(serializer),
            Self::Named(vectors) => vectors.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for VectorValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(VectorVisitor)
    }
}

struct VectorVisitor;

impl<'de> Visitor<'de> for VectorVisitor {
    type Value = VectorValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a vector [numbers…] or an object of named vectors")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<VectorValue, A::Error> {
        let mut vector = Vec::new();
        // Room grows with what has come: how many there are nobody says.
        while let Some(component) = seq.next_element()? {
            if vector.len() == vector.capacity() {
                vector.reserve(vector.len().max(FIRST));
            }
            vector.push(component);
        }
        // A body of a million vectors of one component must not hold room for 64 of each.
        if vector.capacity() > 2 * vector.len() {
            vector.shrink_to_fit();
        }
        Ok(VectorValue::Single(vector))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<VectorValue, A::Error> {
        BTreeMap::deserialize(value::MapAccessDeserializer::new(map)).map(VectorValue::Named)
    }
}
