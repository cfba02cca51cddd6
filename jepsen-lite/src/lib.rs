//! Black-box fault tests on real processes.
//!
//! What comes in: the path of a `quiver` binary. What goes out: running clusters that a test may kill, pause, cut off,
//! starve of their disk, deceive about the time and start again ([`cluster`], [`disk`], [`proxy`], [`netns`], [`clock`]); answers
//! classified as *ok*, *certainly not applied* or *unknown* ([`client`]); and a judgement of whether what the store shows can
//! be explained by what it acknowledged ([`ledger`], [`load`]).
//!
//! This crate imports nothing of the store. It knows the command line, the HTTP interface and the signals, as any
//! operator does, so that a mistake in the store's own types cannot hide itself here.
//!
//! Histories in Jepsen's words are read and written by [`history`] and judged by [`check`], which know nothing of processes
//! or of a store.
//!
//! What strangers do to a port, and what that costs, is [`hostile`]'s business.
//!
//! Read in this order: [`process`], [`cluster`], [`client`], [`ledger`], [`load`], [`disk`]; then [`history`], [`check`].

pub mod cli;
pub mod harness;
pub mod hostile;
pub mod judge;
pub mod ledger;
pub mod load;
pub mod run;

pub use harness::{client, clock, cluster, crowd, disk, netns, ports, process, proxy, scratch, seed};
pub use judge::{check, history};
