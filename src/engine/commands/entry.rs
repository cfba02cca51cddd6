//! What a group's log holds of a command: the command as its sender encoded it, the group's time, and for how long the
//! command may be applied.
//!
//! **A group's time** counts milliseconds and is nobody's clock: the leader puts into each entry the greatest time that
//! the state has seen plus what its own monotonic clock says has passed since. It passes no faster than real time and
//! stands still while nobody leads, so a clock that is set, a node that is paused and a new leader make nothing be
//! forgotten early.
//!
//! | first byte | then |
//! |---|---|
//! | 3 | the time, `u64` little-endian; the command |
//! | 4 | the time; who named the write, `u8`; born, `u64`; lasts, `u32`; the command |
//! | any other | it is the command's own: no time was given. No command begins with 3 or 4 |
//!
//! A release that changes what a command means, or adds one, raises the first byte of the command: an older replica then
//! stops instead of doing something else than the newer ones.

use bytes::{BufMut as _, Bytes, BytesMut};
use raft_groups::BrokenInvariant;
use serde::{Deserialize, Serialize};

use super::codec::CodecError;
use super::command::Command;
use crate::model::limits::REMEMBERED_MS;

const STAMPED: u8 = 3;
const LIMITED: u8 = 4;

/// Who gave a write its request id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum MadeBy {
    /// A client, who may send the request again for as long as ids are remembered.
    Client,
    /// A gateway, for a client who gave none: only the gateway repeats it, until its deadline.
    Gateway,
}

/// The span of its group's time in which a named write may be applied. A copy that comes later is refused, since what
/// the name was used for may be forgotten by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lifetime {
    /// Who named it.
    pub made_by: MadeBy,
    /// A time that the group had reached when the write was first sent; 0: its sender does not know any.
    pub born_ms: u64,
    /// How long after that it may be applied.
    pub lasts_ms: u32,
}

/// One entry, read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The group's time when it was proposed; 0 where none was given.
    pub time_ms: u64,
    /// In which span it may be applied; `None`: always.
    pub lifetime: Option<Lifetime>,
    /// The command.
    pub command: &'a [u8],
}

impl Lifetime {
    /// Of a write that was not sent yet.
    pub fn unborn(made_by: MadeBy) -> Self {
        Self { made_by, born_ms: 0, lasts_ms: 0 }
    }

    /// The last moment at which it may be applied. No write lasts longer than names are remembered.
    pub fn end_ms(&self) -> u64 {
        self.born_ms.saturating_add(u64::from(self.lasts_ms).min(REMEMBERED_MS))
    }
}

impl<'a> Entry<'a> {
    /// The bytes for the log.
    pub fn encode(&self) -> Bytes {
        // The command stands last, so that its end is the entry's.
        let mut bytes = BytesMut::with_capacity(self.command.len() + 22);
        bytes.put_u8(if self.lifetime.is_some() { LIMITED } else { STAMPED });
        bytes.put_u64_le(self.time_ms);
        if let Some(Lifetime { made_by, born_ms, lasts_ms }) = self.lifetime {
            bytes.put_u8(made_by as u8);
            bytes.put_u64_le(born_ms);
            bytes.put_u32_le(lasts_ms);
        }
        bytes.put_slice(self.command);
        bytes.freeze()
    }

    /// Returns `true` if a newer release wrote this entry of a shard's log, or the command in it. Nobody here knows what it
    /// does, so it must neither be answered nor passed over.
    pub fn is_newer(bytes: &[u8]) -> bool {
        let is_command = |entry: Entry<'_>| Command::is_newer(entry.command);
        bytes.first().is_some_and(|first| *first > LIMITED) || Entry::decode(bytes).is_ok_and(is_command)
    }

    /// Reads an entry of the log. The command is not looked at.
    ///
    /// # Errors
    /// Where the bytes are cut, or name nobody who could have named the write.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, CodecError> {
        let cut = || CodecError("the entry is cut".to_owned());
        // No length is read from the bytes, so none can lie: the command is what is left over.
        match bytes.split_first() {
            Some((&STAMPED, rest)) => {
                let (time_ms, command) = number(rest).ok_or_else(cut)?;
                Ok(Self { time_ms, lifetime: None, command })
            }
            Some((&LIMITED, rest)) => {
                let (time_ms, rest) = number(rest).ok_or_else(cut)?;
                let (made_by, rest) = rest.split_first().ok_or_else(cut)?;
                let (born_ms, rest) = number(rest).ok_or_else(cut)?;
                let (lasts, command) = rest.split_first_chunk::<4>().ok_or_else(cut)?;
                let made_by = match made_by {
                    0 => MadeBy::Client,
                    1 => MadeBy::Gateway,
                    other => return Err(CodecError(format!("nobody has the number {other}"))),
                };
                let lifetime = Lifetime { made_by, born_ms, lasts_ms: u32::from_le_bytes(*lasts) };
                Ok(Self { time_ms, lifetime: Some(lifetime), command })
            }
            // No command begins with 3 or 4, so these bytes are one that came without a time.
            _ => Ok(Self { time_ms: 0, lifetime: None, command: bytes }),
        }
    }
}

/// Why a group stops at an entry of a newer release.
pub fn written_by_newer(index: u64) -> BrokenInvariant {
    BrokenInvariant(format!("the entry at index {index} was written by a newer Quiver: upgrade this node"))
}

fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    bytes.split_first_chunk::<8>().map(|(number, rest)| (u64::from_le_bytes(*number), rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_entry_reads_back(time_ms: u64, by_gateway: bool, born_ms: u64, lasts_ms: u32, limited: bool, command: Vec<u8>) {
            let made_by = if by_gateway { MadeBy::Gateway } else { MadeBy::Client };
            let lifetime = limited.then_some(Lifetime { made_by, born_ms, lasts_ms });
            let entry = Entry { time_ms, lifetime, command: &command };
            let bytes = entry.encode();
            prop_assert_eq!(Entry::decode(&bytes), Ok(entry));
        }

        #[test]
        fn what_is_cut_or_garbage_is_an_error_or_a_command(bytes: Vec<u8>, first in 2u8..6) {
            let bytes = [vec![first], bytes].concat();
            match Entry::decode(&bytes) {
                Ok(entry) => prop_assert!(bytes.ends_with(entry.command)),
                Err(_) => prop_assert!(first == 3 || first == 4),
            }
        }
    }

    #[test]
    fn an_entry_of_before_is_its_command() {
        let entry = Entry::decode(&[2, 7, 7]);
        assert_eq!(entry, Ok(Entry { time_ms: 0, lifetime: None, command: &[2, 7, 7] }));
    }

    #[test]
    fn no_write_outlasts_what_is_remembered() {
        let lifetime = Lifetime { made_by: MadeBy::Client, born_ms: 5, lasts_ms: u32::MAX };
        assert_eq!(lifetime.end_ms(), 5 + REMEMBERED_MS);
    }
}
