//! What a shard can be told to do: the command, its bytes in the log, the rules it is checked by, and what it does.
//!
//! `command`, `entry` and `codec` are what is asked and its bytes, `validate` what the door looks at, `first_look` what the
//! leader finds out before it proposes. `apply` decides and carries out, behind `panic_barrier`; `version_condition` is a
//! part of deciding. `reply` is the answer.

pub(super) mod apply;
pub(super) mod codec;
pub(super) mod command;
pub(super) mod entry;
pub(super) mod first_look;
pub(super) mod panic_barrier;
pub(super) mod reply;
pub(super) mod validate;
mod version_condition;
