//! openraft, the library that carries out Raft, as this crate uses it: with its types fixed, on tokio.
//!
//! [`types`] names openraft's types once for every group. [`runtime`] is tokio with randomness that a seed decides.
//! [`watch`] is a channel whose waiters wake in order. [`fatal`] puts the library's last error into plain words.
//! What openraft calls is elsewhere: its log in `storage::log`, its state machine in `storage::state`, its network
//! in `network`.

pub(crate) mod fatal;
pub(crate) mod runtime;
pub(crate) mod types;
pub(crate) mod watch;
