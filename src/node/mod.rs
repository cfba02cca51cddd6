//! A process of Quiver, put together and taken apart: how a node starts, works and stops.
//!
//! ```text
//!            a start                                   the work                                     the stop
//!
//!  process::server                      control::map_feed ──▶ the newest ClusterMap             process::server
//!   │ data_dir, identity_file                                   │                                │ leaders hand over
//!   │ HTTP port: health `starting`         ┌────────────────────┼─────────────────────┐          │ HTTP port closes
//!   ▼                                      ▼                    ▼                     ▼          │ graphs are saved
//!  process::startup                control::replicas   control::membership     control::collection_sweep    │ stores close
//!   │ cluster_place ◀─ formation    opens and erases    moves led groups        drops            ▼ peer port closes
//!   │               ◀─ join                                     │
//!   │ stores, peer port                                         │ confirms
//!   │ replicas                                                  ▼
//!   └ process::background ──────▶ control::driver ──▶ what the map is to say next
//!     (lists every loop)          (on the node that leads the map's group)
//! ```
//!
//! **A start.** [`process`]'s `server` limits what the process takes (`os_limits`, `memory_trim`) and locks the
//! directory (`identity::data_dir`). It reads who this node is, binds both ports (`process::port`), and counts the
//! start (`identity::identity_file`). From then on HTTP is answered, with nothing behind it. `process::startup` does
//! the rest in this order:
//!
//! 1. The node takes its place in a cluster (`identity::cluster_place`). It has one already, or it forms a cluster with
//!    nodes that ask it (`identity::formation`), or it asks to join one (`identity::join`). The place is on disk before
//!    anyone is told.
//! 2. Its stores open, and its peer port is served within the memory that it may take (`process::port::body_memory`).
//!    Members that came back at new addresses find each other (`identity::address_exchange`).
//! 3. Its replicas open (`control::replicas`). The replica of the map's group is first, because all others wait for a
//!    map.
//! 4. Each loop begins as soon as it can work (`process::background` lists them all). Meanwhile `process::node_phase`
//!    says how far the node is, and `process::health` how fit.
//!
//! **The work.** Nobody tells a node what to do. It follows the map, which comes from its own replica or from other
//! nodes (`control::map_feed`). Four loops do the work: replicas are opened and erased (`control::replicas`); groups
//! that the node leads get their members (`control::membership`); collections that the map dropped are swept
//! (`control::collection_sweep`); graphs are built and saved (`control::indexing`, `control::graph_files`). The node that leads
//! the map's group also decides what the map says next (`control::driver`). It judges nodes by their silence
//! (`control::suspicion`). The map learns of each start and its addresses (`identity::announce_start`), and the
//! node's file learns of the map (`identity::seeds`). A process that is not the newest of its node ends
//! (`identity::end_process`): the map says so (`identity::announce_start`), or a peer (`identity::address_exchange`).
//!
//! **The stop.** [`stop_signal`] passes SIGTERM on. The node hands over the groups that it leads while HTTP still
//! answers. Then the graphs are saved and the stores close. The peer port closes last.
//!
//! **Beside it.** A gateway is a process without replicas (`process::gateway`). [`recovery`] works on the directory of
//! a stopped node: groups that lost their majority for good go on with what that node has. The map hears of it when the
//! node starts again.
//!
//! No room below this one knows that it exists. Inside, imports go one way: `process` → `recovery` → `identity` →
//! `control`.

mod control;
mod error;
mod identity;
mod process;
mod recovery;
mod stop_signal;
#[cfg(test)]
mod tests;

pub use crate::placement::Verdict;
pub use error::NodeError;
pub use process::{run_gateway, run_server, start_logging};
pub use recovery::{LastResort, ReplicaRow, SurvivorReport, last_resort};
