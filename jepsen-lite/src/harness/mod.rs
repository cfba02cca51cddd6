//! Real processes and what hurts them: nodes, disks, networks, clocks, and the client that talks to them.

pub mod client;
pub mod clock;
pub mod cluster;
pub mod crowd;
pub mod disk;
pub mod netns;
pub mod ports;
pub mod process;
pub mod proxy;
pub mod scratch;
pub mod seed;
