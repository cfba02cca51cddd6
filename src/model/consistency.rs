//! How much agreement a request asks for, in the client's words.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::words::{Words, words};

/// How much agreement a request asks for. A write is never acknowledged before a majority has it on disk, at any level.
///
/// One form everywhere: the lowercase word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Consistency {
    /// Read any replica's applied state, which may be stale and says so.
    One,
    /// Read the leader under its lease; a write waits for a majority.
    #[default]
    Quorum,
    /// Read an index that a majority confirmed for this request; a write also waits until every voter has applied it.
    All,
}

impl Consistency {
    /// The word used on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::One => "one",
            Self::Quorum => "quorum",
            Self::All => "all",
        }
    }
}

impl fmt::Display for Consistency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for Consistency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Consistency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return super::words::word(deserializer);
        }
        let word = String::deserialize(deserializer)?;
        Self::of(&word).map_err(serde::de::Error::custom)
    }
}

words!(Consistency, "consistency", ["one" => One, "quorum" => Quorum, "majority" => Quorum, "all" => All]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_binary_form_is_the_word_that_maps_have_always_held() {
        for level in [Consistency::One, Consistency::Quorum, Consistency::All] {
            let word = level.as_str().to_owned();
            assert_eq!(postcard::to_allocvec(&level).unwrap(), postcard::to_allocvec(&word).unwrap());
            let bytes = postcard::to_allocvec(&word).unwrap();
            assert_eq!(postcard::from_bytes::<Consistency>(&bytes), Ok(level));
            assert_eq!(serde_json::to_string(&level).unwrap(), format!("\"{word}\""));
        }
        assert!(postcard::from_bytes::<Consistency>(&postcard::to_allocvec("some").unwrap()).is_err());
    }
}
