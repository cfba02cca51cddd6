//! A write of points that is only looked at: read from end to end, and nothing of the points is kept.
//!
//! Its shape on the wire is that of [`Command::Upsert`](crate::engine::Command::Upsert), member by member; a property test holds
//! the two together.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::engine::floats::Seen;
use crate::engine::ids::{CollectionId, RequestId};
use crate::model::PointId;

/// A [`Command::Upsert`](crate::engine::Command::Upsert); its place among the variants must be the same.
#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "the members are read, and that is all; the first variants only take their places")]
pub(super) enum Glance<'a> {
    CreateCollection,
    DropCollection,
    Upsert {
        collection: CollectionId,
        request: Option<RequestId>,
        #[serde(borrow)]
        points: Each<PointGlance<'a>>,
    },
}

/// See [`PointWrite`](crate::engine::PointWrite).
#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "the members are read, and that is all")]
pub(super) struct PointGlance<'a> {
    id: PointId,
    /// Names and vectors: a map is a list of pairs.
    #[serde(borrow)]
    vectors: Each<(&'a str, Seen)>,
    payload: &'a str,
    if_version: Option<u64>,
}

/// A list whose items are read one after the other and forgotten.
#[derive(Debug)]
pub(in crate::engine) struct Each<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Each<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Self(PhantomData))
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Each<T> {
    type Value = Self;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<T>()?.is_some() {}
        Ok(self)
    }
}
