//! How members are read that serde would read less kindly: one of a few words in any letter case, `null` as absent, a
//! UUID.
//!
//! Comes in: the member's value. Goes out: the value of its type, or an error that says which values there are. Knows no
//! request.

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::marker::PhantomData;
use uuid::Uuid;

/// A type whose values are written as words.
pub(super) trait Words: Copy + 'static {
    /// What such a word is, as errors call it.
    const WHAT: &'static str;
    /// Each word with its meaning; of several for one meaning the first is the one that answers use.
    const WORDS: &'static [(&'static str, Self)];

    /// The meaning of a word, in any letter case.
    fn of(word: &str) -> Result<Self, String> {
        let known = Self::WORDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(word));
        let short: String = word.chars().take(40).collect();
        known.map(|(_, value)| *value).ok_or_else(|| format!("`{short}` is no {}: say {}", Self::WHAT, Self::listed()))
    }

    /// All words, for errors.
    fn listed() -> String {
        let words: Vec<_> = Self::WORDS.iter().map(|(word, _)| format!("`{word}`")).collect();
        match words.split_last() {
            Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
            _ => words.concat(),
        }
    }
}

/// Reads a word; to be used by the type's `Deserialize`.
pub(super) fn word<'de, T: Words, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    struct Word<T>(PhantomData<T>);
    impl<T: Words> Visitor<'_> for Word<T> {
        type Value = T;

        fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
            out.write_str(&T::listed())
        }

        fn visit_str<E: Error>(self, word: &str) -> Result<T, E> {
            T::of(word).map_err(E::custom)
        }
    }
    deserializer.deserialize_any(Word(PhantomData))
}

/// Gives types their words: `Deserialize` and `FromStr` in any letter case.
macro_rules! words {
    ($type:ty, $what:literal, [$($word:literal => $value:ident),+ $(,)?]) => {
        impl $crate::api::reading::Words for $type {
            const WHAT: &'static str = $what;
            const WORDS: &'static [(&'static str, Self)] = &[$(($word, Self::$value)),+];
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::api::reading::word(deserializer)
            }
        }

        impl std::str::FromStr for $type {
            type Err = String;

            fn from_str(word: &str) -> Result<Self, String> {
                <Self as $crate::api::reading::Words>::of(word)
            }
        }
    };
}
pub(super) use words;

/// Reads a member whose `null` means what its absence means: the type's default.
pub(super) fn null_is_absent<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Default + Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Reads a member that may be `null` as something else than one that is absent.
pub(super) fn said<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Reads a UUID, or `null` for none.
pub(super) fn uuid<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Uuid>, D::Error> {
    struct Text(Uuid);
    impl<'de> Deserialize<'de> for Text {
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
    Option::<Text>::deserialize(deserializer).map(|text| text.map(|Text(uuid)| uuid))
}
