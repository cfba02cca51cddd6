//! Which fields of a collection's payloads are indexed, and as what.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::engine::filter::Path;
use crate::engine::limits::MAX_INDEXED_FIELDS;
use crate::engine::reply::Refusal;

/// What an index takes the values of a field for; the names are Qdrant's. Values of any other kind may be there too:
/// they are found as well, only not by this index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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

/// The indexed fields by their paths.
pub type PayloadSchema = BTreeMap<String, FieldType>;

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

/// Checks a schema.
///
/// # Errors
/// [`Refusal::Invalid`] about `field_name`: a path that is malformed, or more fields than
/// [`MAX_INDEXED_FIELDS`].
pub fn validate_schema(schema: &PayloadSchema) -> Result<(), Refusal> {
    if schema.len() > MAX_INDEXED_FIELDS {
        let reason = format!("a collection has {MAX_INDEXED_FIELDS} indexed fields at most; drop one first");
        return Err(Refusal::invalid("field_name", reason));
    }
    schema.keys().try_for_each(|name| path(name).map(drop))
}

/// The path that a field's name is.
pub(super) fn path(name: &str) -> Result<Path, Refusal> {
    Path::parse(name).map_err(|reason| Refusal::invalid("field_name", reason))
}
