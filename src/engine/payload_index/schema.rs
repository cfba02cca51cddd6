//! Which fields of a collection's payloads are indexed, and as what.

use std::collections::BTreeMap;

use crate::engine::commands::reply::Refusal;
use crate::engine::filter::Path;
use crate::model::FieldType;
use crate::model::limits::MAX_INDEXED_FIELDS;

/// The indexed fields by their paths.
pub type PayloadSchema = BTreeMap<String, FieldType>;

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
