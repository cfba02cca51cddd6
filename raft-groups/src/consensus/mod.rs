//! The library that carries out Raft, as this crate uses it: openraft, with its types fixed, on tokio.
//!
//! [`types`] names openraft's types once for every group, [`runtime`] is tokio with randomness that a seed decides,
//! [`watch`] a channel whose waiters wake in order, [`fatal`] the library's last words in plain ones. The seams that
//! openraft calls are elsewhere: its log in `storage::log`, its state machine in `storage::state`, its messages in
//! `network`.

pub(crate) mod fatal;
pub(crate) mod runtime;
pub(crate) mod types;
pub(crate) mod watch;
