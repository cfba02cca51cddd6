//! How members are read that serde would read less kindly: `null` as absent, a UUID.
//!
//! Comes in: the member's value. Goes out: the value of its type, or an error that says which values there are. Knows no
//! request.

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;
use uuid::Uuid;

use crate::model::words::{Words, word};

/// Reads a member whose `null` means what its absence means: the type's default.
pub(super) fn null_is_absent<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Default + Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Reads a UUID, or `null` for none.
pub(super) fn uuid<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Uuid>, D::Error> {
    struct UuidText(Uuid);
    impl<'de> Deserialize<'de> for UuidText {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_any(TextVisitor).map(Self)
        }
    }
    struct TextVisitor;
    impl Visitor<'_> for TextVisitor {
        type Value = Uuid;

        fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
            out.write_str("a UUID, such as \"6f9619ff-8b86-d011-b42d-00cf4fc964ff\",")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Uuid, E> {
            text.parse().map_err(|_| E::invalid_value(serde::de::Unexpected::Str(text), &self))
        }
    }
    Option::<UuidText>::deserialize(deserializer).map(|text| text.map(|UuidText(uuid)| uuid))
}

/// Reads a word, or `null` for none.
pub(super) fn optional_word<'de, T: Words, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    struct WordValue<T>(T);
    impl<'de, T: Words> Deserialize<'de> for WordValue<T> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            word(deserializer).map(Self)
        }
    }
    Option::<WordValue<T>>::deserialize(deserializer).map(|word| word.map(|WordValue(value)| value))
}

/// Reads a word whose `null` means what its absence means: the type's default.
pub(super) fn word_or_default<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Words + Default,
    D: Deserializer<'de>,
{
    optional_word(deserializer).map(Option::unwrap_or_default)
}
