//! The router over a cluster in memory: leaders that move, outcomes that are lost, maps that are stale.
