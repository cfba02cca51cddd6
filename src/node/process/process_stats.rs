//! What a process measures of itself, and what a node measures beside: time, processor, disk, distances.
//!
//! Comes in: the clock, the kernel's counters, and the host of a node's groups. Goes out: the numbers of
//! [`NodeMeasures`]. Must not judge them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use raft_groups::{Host, NodeId};

use crate::routing::NodeMeasures;

/// Pause between two looks at the processor time.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);

/// This process's measurements.
pub(super) struct ProcessStats {
    started: Instant,
    /// The share of all processors that this process used in the last second, from 0 to 1, as the bits of an `f32`.
    load: AtomicU32,
}

impl ProcessStats {
    /// Starts the measurements: the uptime counts from now on.
    pub fn new() -> Self {
        Self { started: Instant::now(), load: AtomicU32::new(0) }
    }

    /// How long the process has been running.
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// Measures the load once a second, for ever.
    pub async fn watch_load(&self) {
        let cores = std::thread::available_parallelism().map_or(1.0, |cores| cores.get() as f64);
        let mut before = (Instant::now(), read_processor_time());
        loop {
            tokio::time::sleep(SAMPLE_EVERY).await;
            let now = (Instant::now(), read_processor_time());
            let used = now.1.saturating_sub(before.1).as_secs_f64();
            // The share is of all processors, not of one.
            let share = used / (now.0 - before.0).as_secs_f64() / cores;
            self.load.store((share.clamp(0.0, 1.0) as f32).to_bits(), Ordering::Relaxed);
            before = now;
        }
    }
}

/// The measurements of a process that holds replicas.
pub(super) struct HostStats {
    pub process: Arc<ProcessStats>,
    /// It knows the disk use, and the distances to other nodes.
    pub host: Host,
}

impl NodeMeasures for HostStats {
    fn load(&self) -> f32 {
        f32::from_bits(self.process.load.load(Ordering::Relaxed))
    }

    fn disk_bytes(&self) -> u64 {
        self.host.disk_bytes()
    }

    fn uptime(&self) -> Duration {
        self.process.uptime()
    }

    fn round_trips(&self) -> BTreeMap<NodeId, Duration> {
        self.host.round_trips()
    }
}

/// The processor time that this process has used, in user mode and in kernel mode together.
fn read_processor_time() -> Duration {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: `usage` is a whole, writable rusage, and all-zero bytes are a valid one even where the call fails.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr());
        usage.assume_init()
    };
    let time = |t: libc::timeval| Duration::new(t.tv_sec.unsigned_abs(), t.tv_usec.unsigned_abs() as u32 * 1000);
    time(usage.ru_utime) + time(usage.ru_stime)
}
