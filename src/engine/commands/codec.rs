//! The bytes of commands and replies: one format byte and a `postcard` body.
//!
//! Integrity is the log's job, so there is no checksum here. But bytes may come from a newer or a broken sender, so
//! decoding never panics and never trusts a length. Must not know what the bytes mean.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Bytes that are not a command or reply of a format this build knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not decodable: {0}")]
pub struct CodecError(pub String);

/// `format` and the `postcard` form of `value`.
pub(in crate::engine) fn encode<T: Serialize>(format: u8, value: &T) -> Bytes {
    let buffer = postcard::to_extend(value, vec![format]).expect("plain data into memory: no case of it can fail");
    Bytes::from(buffer)
}

/// Reads what [`encode`] wrote; every byte must be used.
pub(in crate::engine) fn decode<'a, T: Deserialize<'a>>(format: u8, bytes: &'a [u8]) -> Result<T, CodecError> {
    let Some((&first, body)) = bytes.split_first() else { return Err(CodecError("no bytes".to_owned())) };
    if first != format {
        return Err(CodecError(format!("format {first}, this build knows {format}")));
    }
    let (value, rest) = postcard::take_from_bytes(body).map_err(|error| CodecError(error.to_string()))?;
    if rest.is_empty() { Ok(value) } else { Err(CodecError(format!("{} bytes left over", rest.len()))) }
}
