//! Black-box fault tests on real processes.
//!
//! What comes in: the path of a `quiver` binary. What goes out: running clusters that a test may kill, pause, cut off,
//! starve of their disk, deceive about the time and start again ([`cluster`], [`disk`], [`proxy`], [`netns`], [`clock`]); answers
//! classified as *ok*, *certainly not applied* or *unknown* ([`client`]); and a judgement of whether what the store shows can
//! be explained by what it acknowledged.
//!
//! This crate imports nothing of the store. It knows the command line, the HTTP interface and the signals, as any
//! operator does, so that a mistake in the store's own types cannot hide itself here.
//!
//! There is one judge. Histories in Jepsen's words are read and written by [`history`] and judged by [`check`], which know
//! nothing of processes or of a store. Whole runs write their histories in [`run`]; a test that does its own faults writes
//! one through a [`run::register_collection`], beside which [`run::load`] may write and search.
//!
//! What strangers do to a port, and what that costs, is [`hostile`]'s business.
//!
//! Read in this order: [`process`], [`cluster`], [`client`], [`disk`]; then [`history`], [`check`]; then [`run`].

pub mod cli;
pub mod harness;
pub mod hostile;
pub mod judge;
pub mod run;

pub use harness::{client, clock, cluster, crowd, disk, netns, ports, process, proxy, scratch, seed};
pub use judge::{check, history};
