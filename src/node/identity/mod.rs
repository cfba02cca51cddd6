//! Who this node is and where the others are: its directory, its name and number, how it came into its cluster, and the
//! addresses at which members find each other.
//!
//! Comes in: the settings of a start, and what other nodes say of themselves. Goes out: a place in a cluster that is
//! on disk before anyone is told of it. Must not know which replicas the node holds.

pub(super) mod address_exchange;
pub(super) mod announce_start;
pub(super) mod claimed_addresses;
pub(super) mod cluster_place;
pub(super) mod cluster_settings;
pub(super) mod data_dir;
pub(super) mod end_process;
pub(super) mod formation;
pub(super) mod identity_file;
pub(super) mod join;
pub(super) mod peer_addresses;
pub(super) mod seeds;
