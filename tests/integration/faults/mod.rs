//! What a cluster keeps when its nodes, disks and networks fail, and while it changes.

mod damage;
mod divergence;
mod failover;
mod jepsen;
mod membership;
mod own_changes;
mod power_loss;
mod recovery;
mod retries;
mod staleness;
