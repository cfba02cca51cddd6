//! JSON that can be read in one way only. Serde itself allows two more ways: it takes an array for the members of an
//! object in their order, and of two members of one name it takes the last. Here both are errors wherever an object is
//! expected.
//!
//! Wraps a deserializer, its visitors and what they visit; knows no type of a request.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, Unexpected, Visitor};

/// A deserializer, a visitor, a seed or an access that reads so.
pub struct Strict<T> {
    inner: T,
    /// What an object is read as.
    object: ObjectRule,
}

/// What becomes of an object where one comes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ObjectRule {
    /// A type with members of its own, which refuses a second of one name; an array is none.
    Struct,
    /// Members of any name.
    Map,
}

impl<T> Strict<T> {
    /// The strict reading of `inner`.
    pub fn new(inner: T) -> Self {
        Self { inner, object: ObjectRule::Map }
    }
}

/// Passes each method on with the visitor wrapped.
macro_rules! forward {
    ($($method:ident($($argument:ident: $type:ty),*);)*) => {
        $(#[inline]
        fn $method<V: Visitor<'de>>(self, $($argument: $type,)* visitor: V) -> Result<V::Value, D::Error> {
            self.inner.$method($($argument,)* Strict::new(visitor))
        })*
    };
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Strict<D> {
    type Error = D::Error;

    forward! {
        deserialize_any(); deserialize_bool(); deserialize_i8(); deserialize_i16(); deserialize_i32(); deserialize_i64();
        deserialize_i128(); deserialize_u8(); deserialize_u16(); deserialize_u32(); deserialize_u64(); deserialize_u128();
        deserialize_f32(); deserialize_f64(); deserialize_char(); deserialize_str(); deserialize_string();
        deserialize_bytes(); deserialize_byte_buf(); deserialize_option(); deserialize_unit(); deserialize_seq();
        deserialize_map(); deserialize_identifier(); deserialize_ignored_any();
        deserialize_unit_struct(name: &'static str); deserialize_newtype_struct(name: &'static str);
        deserialize_tuple(length: usize); deserialize_tuple_struct(name: &'static str, length: usize);
        deserialize_enum(name: &'static str, variants: &'static [&'static str]);
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_struct(name, fields, Strict { inner: visitor, object: ObjectRule::Struct })
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

/// Passes each plain value on.
macro_rules! visit {
    ($($method:ident: $type:ty),*) => {
        $(#[inline]
        fn $method<E: Error>(self, value: $type) -> Result<V::Value, E> {
            self.inner.$method(value)
        })*
    };
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Strict<V> {
    type Value = V::Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(out)
    }

    visit! {
        visit_bool: bool, visit_i8: i8, visit_i16: i16, visit_i32: i32, visit_i64: i64, visit_i128: i128, visit_u8: u8,
        visit_u16: u16, visit_u32: u32, visit_u64: u64, visit_u128: u128, visit_f32: f32, visit_f64: f64,
        visit_char: char, visit_str: &str, visit_borrowed_str: &'de str, visit_string: String, visit_bytes: &[u8],
        visit_borrowed_bytes: &'de [u8], visit_byte_buf: Vec<u8>
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.inner.visit_some(Strict::new(deserializer))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.inner.visit_newtype_struct(Strict::new(deserializer))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<V::Value, A::Error> {
        match self.object {
            ObjectRule::Struct => Err(A::Error::invalid_type(Unexpected::Other("an array"), &"an object")),
            ObjectRule::Map => self.inner.visit_seq(Strict::new(seq)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        match self.object {
            ObjectRule::Struct => self.inner.visit_map(Strict { inner: map, object: ObjectRule::Struct }),
            ObjectRule::Map => self.inner.visit_map(Distinct { map, seen: BTreeSet::new() }),
        }
    }

    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<V::Value, A::Error> {
        self.inner.visit_enum(data)
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Strict<S> {
    type Value = S::Value;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        self.inner.deserialize(Strict::new(deserializer))
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Strict<A> {
    type Error = A::Error;

    #[inline]
    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.inner.next_element_seed(Strict::new(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Strict<A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.inner.next_key_seed(seed)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.inner.next_value_seed(Strict::new(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

/// Members of any name, each of which may come once.
struct Distinct<A> {
    map: A,
    seen: BTreeSet<Box<str>>,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Distinct<A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.map.next_key_seed(NameSeed { seed, seen: &mut self.seen })
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.map.next_value_seed(Strict::new(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.map.size_hint()
    }
}

/// A member's name, on its way to whoever reads it.
struct NameSeed<'s, S> {
    seed: S,
    seen: &'s mut BTreeSet<Box<str>>,
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for NameSeed<'_, S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        struct NameText;
        impl Visitor<'_> for NameText {
            type Value = Box<str>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a member's name")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Box<str>, E> {
                Ok(name.into())
            }
        }
        let name = deserializer.deserialize_str(NameText)?;
        // Readers disagree on which of two equal members counts, so neither does.
        if self.seen.contains(&name) {
            return Err(D::Error::custom(format_args!("`{name}` stands twice in one object")));
        }
        let value = self.seed.deserialize(serde::de::value::StrDeserializer::new(&name));
        self.seen.insert(name);
        value
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde::Deserialize;
    use serde_json::Value;

    use super::*;
    use crate::api;

    fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, serde_json::Error> {
        T::deserialize(Strict::new(&mut serde_json::Deserializer::from_str(text)))
    }

    #[test]
    fn an_array_is_no_object_and_a_member_comes_once() {
        type Outcome<T> = Result<T, serde_json::Error>;
        let point: Outcome<api::PointInput> = read(r#"[1,[0,0]]"#);
        assert!(point.unwrap_err().to_string().contains("expected an object"));
        for search in [
            r#"{"collection":"a","vector":[1],"params":[50,true]}"#,
            r#"{"collection":"a","vector":[1],"filter":{"must":[],"must":[]}}"#,
            r#"{"collection":"a","vector":[1],"filter":{"must":[{"key":"a","range":{"gte":5,"gt\u0065":0}}]}}"#,
        ] {
            assert!(serde_json::from_str::<api::Search>(search).is_ok(), "serde takes {search}");
            let _: serde_json::Error = read::<api::Search>(search).unwrap_err();
        }
        let named: Outcome<api::PointInput> = read(r#"{"id":1,"vector":{"t":[1,0],"t":[0,1]}}"#);
        assert!(named.unwrap_err().to_string().contains("`t` stands twice"));
        let payload: Outcome<api::PointInput> = read(r#"{"id":1,"vector":[1],"payload":{"a":{"b":1,"b":2}}}"#);
        assert!(payload.unwrap_err().to_string().contains("`b` stands twice"));
        let made: Outcome<api::CreateCollection> = read(r#"{"name":"a","vectors":{"t":[4,"dot"]}}"#);
        made.unwrap_err();
    }

    /// JSON with each object's members in any order, and some of them twice; whether any is.
    fn text() -> impl Strategy<Value = (String, bool)> {
        let leaf = prop_oneof![
            any::<Option<bool>>().prop_map(|value| Value::from(value).to_string()),
            any::<i64>().prop_map(|value| value.to_string()),
            any::<f32>().prop_map(|value| Value::from(value).to_string()),
            "[a-z\"\\\\]{0,3}".prop_map(|value| Value::from(value).to_string()),
        ];
        leaf.prop_map(|text| (text, false)).prop_recursive(4, 40, 5, |inner| {
            let list = prop::collection::vec(inner.clone(), 0..4).prop_map(|items| {
                let texts: Vec<_> = items.iter().map(|(text, _)| text.as_str()).collect();
                (format!("[{}]", texts.join(",")), items.iter().any(|(_, twice)| *twice))
            });
            let object = prop::collection::vec(("[a-e]", inner), 0..4).prop_map(|members| {
                let names: BTreeSet<_> = members.iter().map(|(name, _)| name).collect();
                let twice = names.len() < members.len() || members.iter().any(|(_, (_, twice))| *twice);
                let texts: Vec<_> = members.iter().map(|(name, (text, _))| format!("\"{name}\":{text}")).collect();
                (format!("{{{}}}", texts.join(",")), twice)
            });
            prop_oneof![list, object]
        })
    }

    proptest! {
        #[test]
        fn what_has_one_reading_is_read_as_serde_reads_it((text, twice) in text()) {
            match read::<Value>(&text) {
                Ok(value) => {
                    prop_assert!(!twice, "{}", text);
                    prop_assert_eq!(value, serde_json::from_str::<Value>(&text).unwrap());
                }
                Err(error) => prop_assert!(twice, "{}: {}", text, error),
            }
            let named: Result<BTreeMap<String, Value>, _> = read(&text);
            prop_assert_eq!(named.is_ok(), !twice && text.starts_with('{'));
        }
    }
}
