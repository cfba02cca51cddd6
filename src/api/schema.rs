//! The JSON schemas of what is read by hand. All other types have theirs derived, with their comments, defaults and limits.
//!
//! Comes in: the forms that the types' own readers take. Goes out: schemas (JSON Schema 2020-12, which OpenAPI 3.1 speaks).
//! That both agree is held by `gateway/tests/openapi.rs`: what a schema allows is read, and what is read it allows.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::native::index::IndexObject;
use super::word_schema::words;
use super::{Index, Level, PayloadText, PointId, VectorSettings, VectorValue, Vectors, WithPayload, WithVector};
use crate::model::limits::{MAX_VECTOR_SIZE, MAX_VECTORS_PER_COLLECTION};
use crate::model::{Consistency, FieldType};

/// The member of a schema that says which of a gateway's own limits its bound is. The gateway puts its numbers there.
pub const X_LIMIT: &str = "x-limit";

/// The schema of `field_schema`: a type, or an object with one and Qdrant's options.
pub struct FieldSchema;

/// Gives types their schema by the value of an expression in a generator of schemas.
macro_rules! schemas {
    ($($type:ty, $name:literal, |$schemas:ident| $schema:expr;)+) => {
        $(impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema($schemas: &mut SchemaGenerator) -> Schema {
                $schema
            }
        })+
    };
}

schemas! {
    PointId, "PointId", |_schemas| json_schema!({
        "description": "What a client calls a point: an unsigned 64-bit number, exact to the last digit, or a UUID.",
        "oneOf": [
            {"type": "integer", "format": "uint64", "minimum": 0, "maximum": u64::MAX},
            {"type": "string", "format": "uuid"},
        ],
    });
    Level, "Level", |_schemas| json_schema!({
        "description": "A level, or a number of replicas: 1 is `one`, the replication factor or more is `all`, what lies \
                        between is `quorum`.",
        "anyOf": [
            words::<Consistency>(),
            {"type": "integer", "format": "uint64", "minimum": 1},
            {"type": "string", "pattern": "^[1-9][0-9]{0,9}$"},
        ],
    });
    WithPayload, "WithPayload", |_schemas| json_schema!({
        "description": "Which of a payload to return: all, none, what these paths lead to, or all but that.",
        "oneOf": [{"type": "boolean"}, names(), only("include"), only("exclude")],
    });
    WithVector, "WithVector", |_schemas| json_schema!({
        "description": "Which vectors to return: all, none, or those of these names.",
        "oneOf": [{"type": "boolean"}, names()],
    });
    VectorValue, "Vector", |_schemas| json_schema!({
        "description": "A point's one vector without a name, or its vectors by name.",
        "oneOf": [components(), {"type": "object", "additionalProperties": components()}],
    });
    PayloadText, "Payload", |_schemas| json_schema!({"description": "A point's payload.", "type": "object"});
    Vectors, "Vectors", |schemas| json_schema!({
        "description": "Vectors by name, or one without a name in Qdrant's form.",
        "anyOf": [
            schemas.subschema_for::<VectorSettings>(),
            {
                "type": "object",
                "minProperties": 1,
                "maxProperties": MAX_VECTORS_PER_COLLECTION,
                "additionalProperties": schemas.subschema_for::<VectorSettings>(),
            },
        ],
    });
    Index, "Index", |schemas| json_schema!({
        "description": "How vectors are indexed: a kind, or a kind and its settings.",
        "oneOf": [words::<super::IndexKind>(), schemas.subschema_for::<IndexObject>()],
    });
    FieldSchema, "FieldSchema", |_schemas| json_schema!({
        "description": "What a field is indexed as: a type, or an object with one and with Qdrant's options, as far as they \
                        ask for what there is anyway.",
        "oneOf": [
            words::<FieldType>(),
            {"type": "object", "properties": {"type": words::<FieldType>()}, "required": ["type"]},
        ],
    });
}

fn names() -> Value {
    json!({"type": "array", "items": {"type": "string"}})
}

fn only(member: &str) -> Value {
    json!({"type": "object", "properties": {member: names()}, "required": [member], "additionalProperties": false})
}

fn components() -> Value {
    json!({"type": "array", "items": {"type": "number"}, "minItems": 1, "maxItems": MAX_VECTOR_SIZE})
}
