//! A point's payload: JSON text, and the one reader of such texts.
//!
//! What checks a payload before it is stored and what looks into it afterwards walk it with the same code, so neither
//! can take what the other refuses. The walk gives no key a meaning of its own, whatever features `serde_json` is built
//! with. It is total: a text that is no payload is an error, wherever it comes from.

mod select;

use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Number, Value};

pub(super) use select::select_payload;

/// The JSON object that travels with a point, as its text: it is printed once, where it comes in, and parsed where
/// somebody looks into it. As a tree it would be built and taken apart in each replica, for nothing.
///
/// The text may come from a peer or a log, so [`validate`](crate::engine::commands::validate::validate) looks at it before it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload(Box<str>);

impl Default for Payload {
    fn default() -> Self {
        Self("{}".into())
    }
}

impl Payload {
    /// A payload of this text, which nobody has looked at yet.
    pub fn from_text(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// The payload as JSON.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// The text by itself.
    pub fn into_text(self) -> Box<str> {
        self.0
    }

    /// The members.
    ///
    /// # Errors
    /// Where the text is no JSON object.
    pub fn members(&self) -> Result<Map<String, Value>, serde_json::Error> {
        parse_payload(&self.0, |_| true)
    }

    /// How deep arrays and objects go, the payload itself being the first.
    ///
    /// # Errors
    /// Where the text is no JSON object, or one that [`Payload::members`] could not hold.
    pub(super) fn depth(&self) -> Result<usize, serde_json::Error> {
        read::<Depth>(&self.0, |_| true).map(|Depth(innermost)| innermost + 1)
    }
}

/// Compact, its keys in order: equal members have equal texts.
impl From<&Map<String, Value>> for Payload {
    fn from(members: &Map<String, Value>) -> Self {
        let text = serde_json::to_string(members).expect("JSON values have string keys and print into memory");
        Self(text.into())
    }
}

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            self.members().map_err(serde::ser::Error::custom)?.serialize(serializer)
        } else {
            serializer.serialize_str(&self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return Map::deserialize(deserializer).map(|members| Self::from(&members));
        }
        Box::deserialize(deserializer).map(Self)
    }
}

/// The members of a payload whose keys are `wanted`; the others are skipped unparsed.
///
/// # Errors
/// Where the text is no JSON object. What [`Payload::depth`] has passed is one.
pub(super) fn parse_payload(
    text: &str,
    wanted: impl Fn(&str) -> bool,
) -> Result<Map<String, Value>, serde_json::Error> {
    read::<Value>(text, wanted)
}

/// The members that are `wanted` of a stored payload. One that cannot be read, which no check has passed, has none:
/// that is the same on every replica.
pub(super) fn stored_members(text: &str, wanted: impl Fn(&str) -> bool) -> Map<String, Value> {
    parse_payload(text, wanted).unwrap_or_default()
}

/// Walks the text of a JSON object from end to end, and keeps what `K` keeps of the members that are `wanted`.
fn read<K: Keep>(text: &str, wanted: impl Fn(&str) -> bool) -> Result<K::Members, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let members = reader.deserialize_map(OuterObject { wanted, kept: PhantomData::<K> })?;
    reader.end().map(|()| members)
}

/// What is kept of JSON that is walked.
trait Keep: Sized {
    type Key;
    type List: Default;
    type Members: Default;

    fn key(text: &str) -> Self::Key;
    fn push(list: &mut Self::List, item: Self);
    fn insert(members: &mut Self::Members, key: Self::Key, value: Self);
    fn null() -> Self;
    fn bool(value: bool) -> Self;
    fn number(value: Option<Number>) -> Self;
    fn text(value: &str) -> Self;
    fn list(items: Self::List) -> Self;
    fn object(members: Self::Members) -> Self;
}

/// Everything is kept.
impl Keep for Value {
    type Key = String;
    type List = Vec<Self>;
    type Members = Map<String, Self>;

    fn key(text: &str) -> String {
        text.to_owned()
    }

    fn push(list: &mut Self::List, item: Self) {
        list.push(item);
    }

    fn insert(members: &mut Self::Members, key: String, value: Self) {
        members.insert(key, value);
    }

    fn null() -> Self {
        Self::Null
    }

    fn bool(value: bool) -> Self {
        Self::Bool(value)
    }

    fn number(value: Option<Number>) -> Self {
        value.map_or(Self::Null, Self::Number)
    }

    fn text(value: &str) -> Self {
        Self::String(value.to_owned())
    }

    fn list(items: Self::List) -> Self {
        Self::Array(items)
    }

    fn object(members: Self::Members) -> Self {
        Self::Object(members)
    }
}

/// Only how deep arrays and objects go is kept: of a list and of members, the innermost of what is in them.
#[derive(Default)]
struct Depth(usize);

impl Keep for Depth {
    type Key = ();
    type List = Self;
    type Members = Self;

    fn key(_: &str) {}

    fn push(list: &mut Self, item: Self) {
        list.0 = list.0.max(item.0);
    }

    fn insert(members: &mut Self, (): (), value: Self) {
        members.0 = members.0.max(value.0);
    }

    fn null() -> Self {
        Self(0)
    }

    fn bool(_: bool) -> Self {
        Self(0)
    }

    fn number(_: Option<Number>) -> Self {
        Self(0)
    }

    fn text(_: &str) -> Self {
        Self(0)
    }

    fn list(items: Self) -> Self {
        Self(items.0 + 1)
    }

    fn object(members: Self) -> Self {
        Self(members.0 + 1)
    }
}

/// The outermost object.
struct OuterObject<K, F> {
    wanted: F,
    kept: PhantomData<K>,
}

impl<'de, K: Keep, F: Fn(&str) -> bool> Visitor<'de> for OuterObject<K, F> {
    type Value = K::Members;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<K::Members, A::Error> {
        let mut members = K::Members::default();
        while let Some(key) = from.next_key_seed(Key::<K, F>(&self.wanted, PhantomData))? {
            match key {
                Some(key) => K::insert(&mut members, key, from.next_value_seed(Any(PhantomData::<K>))?),
                // Skipped without a copy of the value.
                None => drop(from.next_value::<IgnoredAny>()?),
            }
        }
        Ok(members)
    }
}

/// A key, if it is wanted.
struct Key<'f, K, F>(&'f F, PhantomData<K>);

impl<'de, K: Keep, F: Fn(&str) -> bool> DeserializeSeed<'de> for Key<'_, K, F> {
    type Value = Option<K::Key>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<K: Keep, F: Fn(&str) -> bool> Visitor<'_> for Key<'_, K, F> {
    type Value = Option<K::Key>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a key")
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok((self.0)(text).then(|| K::key(text)))
    }
}

/// Any value inside.
struct Any<K>(PhantomData<K>);

impl<'de, K: Keep> DeserializeSeed<'de> for Any<K> {
    type Value = K;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<K, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, K: Keep> Visitor<'de> for Any<K> {
    type Value = K;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<K, E> {
        Ok(K::null())
    }

    fn visit_bool<E>(self, value: bool) -> Result<K, E> {
        Ok(K::bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<K, E> {
        Ok(K::number(Some(value.into())))
    }

    fn visit_i64<E>(self, value: i64) -> Result<K, E> {
        Ok(K::number(Some(value.into())))
    }

    fn visit_f64<E>(self, value: f64) -> Result<K, E> {
        Ok(K::number(Number::from_f64(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<K, E> {
        Ok(K::text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<K, A::Error> {
        let mut items = K::List::default();
        while let Some(item) = from.next_element_seed(Any(PhantomData::<K>))? {
            K::push(&mut items, item);
        }
        Ok(K::list(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, from: A) -> Result<K, A::Error> {
        OuterObject { wanted: |_: &str| true, kept: PhantomData::<K> }.visit_map(from).map(K::object)
    }
}

#[cfg(test)]
mod tests;
