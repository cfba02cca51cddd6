//! What a shard can be told to do: the command, its bytes in the log, the rules it is checked by, and what it does.

pub(super) mod apply;
pub(super) mod codec;
pub(super) mod command;
pub(super) mod entry;
pub(super) mod first_look;
pub(super) mod guarded;
pub(super) mod reply;
pub(super) mod validate;
