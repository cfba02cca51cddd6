//! Types whose values are written as words: read in any letter case, refused with a list of the words there are.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserializer;
use serde::de::{Error, Visitor};

/// A type whose values are written as words.
pub trait Words: Copy + 'static {
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
pub fn word<'de, T: Words, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
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

/// Gives a type its words, and `FromStr` in any letter case.
macro_rules! words {
    ($type:ty, $what:literal, [$($word:literal => $value:ident),+ $(,)?]) => {
        impl $crate::model::words::Words for $type {
            const WHAT: &'static str = $what;
            const WORDS: &'static [(&'static str, Self)] = &[$(($word, Self::$value)),+];
        }

        impl std::str::FromStr for $type {
            type Err = String;

            fn from_str(word: &str) -> Result<Self, String> {
                <Self as $crate::model::words::Words>::of(word)
            }
        }
    };
}
pub(crate) use words;

/// As [`words!`], and `Deserialize` for types that are only ever read from JSON.
macro_rules! json_words {
    ($type:ty, $what:literal, [$($word:literal => $value:ident),+ $(,)?]) => {
        $crate::model::words::words!($type, $what, [$($word => $value),+]);

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::model::words::word(deserializer)
            }
        }
    };
}
pub(crate) use json_words;

impl Words for super::Role {
    const WHAT: &'static str = "role";
    const WORDS: &'static [(&'static str, Self)] = &[
        ("leader", Self::Leader),
        ("follower", Self::Follower),
        ("learner", Self::Learner),
        ("candidate", Self::Candidate),
    ];
}

impl Words for super::ReadMode {
    const WHAT: &'static str = "read mode";
    const WORDS: &'static [(&'static str, Self)] =
        &[("follower", Self::Follower), ("lease", Self::Lease), ("linearizable", Self::Linearizable)];
}

impl Words for super::Way {
    const WHAT: &'static str = "way of a search";
    const WORDS: &'static [(&'static str, Self)] = &[
        ("exact", Self::Exact),
        ("codes", Self::Codes),
        ("graph", Self::Graph),
        ("graph_then_codes", Self::GraphThenCodes),
        ("graph_of_vectors", Self::GraphOfVectors),
        ("graph_then_exact", Self::GraphThenExact),
    ];
}

impl Words for super::Quantization {
    const WHAT: &'static str = "quantization";
    const WORDS: &'static [(&'static str, Self)] = &[("int8", Self::Int8), ("binary", Self::Binary)];
}

impl Words for super::Distance {
    const WHAT: &'static str = "distance";
    const WORDS: &'static [(&'static str, Self)] = &[
        ("cosine", Self::Cosine),
        ("dot", Self::Dot),
        ("euclid", Self::Euclid),
        ("euclidean", Self::Euclid),
        ("l2", Self::Euclid),
        ("manhattan", Self::Manhattan),
    ];
}

#[cfg(test)]
mod tests {
    use super::super::{Quantization, ReadMode, Role, Way};
    use super::*;

    fn answers_use<T: Words + serde::Serialize>() {
        for (word, value) in T::WORDS {
            assert_eq!(serde_json::to_value(value).unwrap(), *word);
        }
    }

    #[test]
    fn words_of_other_crates_are_those_that_answers_use() {
        answers_use::<Role>();
        answers_use::<ReadMode>();
        answers_use::<Way>();
        answers_use::<Quantization>();
    }
}
