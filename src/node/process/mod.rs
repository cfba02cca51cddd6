//! A process from its start to its end: what it takes of the machine, its ports, its health, and the order in which its
//! parts start and stop.
//!
//! Comes in: the settings of `quiver server` and `quiver gateway`. Goes out: a process that serves until it is told to
//! stop. This room puts the parts of the other rooms together; none of them knows it.

mod background;
mod gateway;
mod gateway_node;
mod health;
mod logging;
mod memory_trim;
mod node_phase;
mod os_limits;
mod port;
mod process_stats;
mod server;
mod server_node;
mod startup;

pub use gateway::run_gateway;
pub use logging::start_logging;
pub use server::run_server;
