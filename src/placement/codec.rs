//! The bytes of the meta group's commands and replies. Must not know what they mean.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// First byte of every command and reply; another one means another version of Quiver wrote it.
///
/// | first byte | then |
/// |---|---|
/// | 2 | postcard, as [`format`](crate::placement::machine::format) reads it |
/// | 5 | JSON; members that a later release adds are skipped |
///
/// 3 and 4 are those of an [`Entry`](crate::engine::Entry), which a command may be in.
const FORMAT: u8 = 5;
/// What earlier releases wrote, which logs and remembered replies may hold.
const BEFORE: u8 = 2;

/// Bytes that are not a command or reply of this version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a meta {what} of format {FORMAT}: {reason}")]
pub struct MetaCodecError {
    /// `command` or `reply`.
    pub what: &'static str,
    /// What was met instead.
    pub reason: String,
}

/// Returns `true` if a newer release wrote these bytes.
pub(super) fn is_newer(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|format| *format > FORMAT)
}

/// The bytes of a command or a reply.
pub(super) fn encode<T: Serialize>(value: &T) -> Bytes {
    let mut bytes = vec![FORMAT];
    serde_json::to_writer(&mut bytes, value).expect("writing to memory cannot fail, and these types are JSON");
    bytes.into()
}

/// Reads what [`encode`] wrote, or what earlier releases did.
pub(super) fn decode<T: DeserializeOwned>(what: &'static str, bytes: &[u8]) -> Result<T, MetaCodecError> {
    let fail = |reason: String| MetaCodecError { what, reason };
    match bytes.split_first() {
        Some((&FORMAT, rest)) => serde_json::from_slice(rest).map_err(|e| fail(e.to_string())),
        Some((&BEFORE, rest)) => postcard::from_bytes(rest).map_err(|e| fail(e.to_string())),
        Some((other, _)) => Err(fail(format!("the first byte is {other}"))),
        None => Err(fail("there are no bytes".to_owned())),
    }
}
