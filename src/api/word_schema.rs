//! The JSON schema of a type whose values are words: all of them, in any letter case.

use std::borrow::Cow;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::model::words::Words;

/// The member of a schema that says: these words are read in any letter case.
pub const ANY_CASE: &str = "x-any-case";

/// The schema of a type whose values are words, in any letter case.
pub struct WordSchema<T>(PhantomData<T>);

impl<T: Words> JsonSchema for WordSchema<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        T::WHAT.replace(' ', "_").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        words::<T>()
    }
}

/// The schema itself.
pub fn words<T: Words>() -> Schema {
    let words: Vec<&str> = T::WORDS.iter().map(|(word, _)| *word).collect();
    json_schema!({"type": "string", "enum": words, (ANY_CASE): true})
}
