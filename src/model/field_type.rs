//! What a payload field is indexed as.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

use super::words::{word, words};

/// What an index takes the values of a field for; the names are Qdrant's. Values of any other kind may be there too:
/// they are found as well, only not by this index.
///
/// JSON: the lowercase word. Binary: the number of the variant, which never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FieldType {
    /// Strings, for `match`.
    Keyword,
    /// Numbers, for `match` and `range`.
    Integer,
    /// Numbers, as [`FieldType::Integer`]: a JSON number may be written either way.
    Float,
    /// `true` and `false`.
    Bool,
    /// Strings that hold a date or a time, for `range`.
    Datetime,
    /// Strings that hold a UUID, for `match`; smaller than as keywords.
    Uuid,
}

words!(FieldType, "type of an index", [
    "keyword" => Keyword, "integer" => Integer, "float" => Float, "bool" => Bool, "datetime" => Datetime, "uuid" => Uuid,
]);

/// The variants by their numbers.
#[derive(Deserialize)]
#[serde(remote = "FieldType")]
enum FieldTypeNumber {
    Keyword,
    Integer,
    Float,
    Bool,
    Datetime,
    Uuid,
}

impl<'de> Deserialize<'de> for FieldType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() { word(deserializer) } else { FieldTypeNumber::deserialize(deserializer) }
    }
}

impl fmt::Display for FieldType {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Keyword => "keyword",
            Self::Integer => "integer",
            Self::Float => "float",
            Self::Bool => "bool",
            Self::Datetime => "datetime",
            Self::Uuid => "uuid",
        })
    }
}
