//! How a search may go about it.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::limits::MAX_EF;

/// How a search may go about it. In JSON both members may be absent or `null`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchParams {
    /// How widely a walk through the graph looks, 1 to [`MAX_EF`]; at least as widely as
    /// the limit. Absent means what [`default_ef`](vector_index::default_ef) says.
    #[serde(default)]
    #[schemars(range(min = 1, max = MAX_EF))]
    pub ef: Option<usize>,
    /// Compare with every candidate instead of asking the index: only the exact answer will do.
    #[serde(default, deserialize_with = "no_if_null")]
    #[schemars(with = "Option<bool>")]
    pub exact: bool,
}

/// The binary form has no `null`.
fn no_if_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    if deserializer.is_human_readable() {
        return Option::deserialize(deserializer).map(Option::unwrap_or_default);
    }
    bool::deserialize(deserializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read() {
        let params = SearchParams { ef: Some(7), exact: true };
        let bytes = postcard::to_allocvec(&params).unwrap();
        assert_eq!(bytes, postcard::to_allocvec(&(Some(7_usize), true)).unwrap());
        assert_eq!(postcard::from_bytes(&bytes), Ok(params));
        for none in ["{}", r#"{"ef":null,"exact":null}"#, r#"{"exact":false}"#] {
            assert_eq!(serde_json::from_str::<SearchParams>(none).unwrap(), SearchParams::default());
        }
        assert!(serde_json::from_str::<SearchParams>(r#"{"hnsw_ef":7}"#).is_err());
    }
}
