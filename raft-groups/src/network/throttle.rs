//! A bound on the bytes a second of all snapshots together that a node sends.
//!
//! A sender that has sent bytes waits until the time for these and for all bytes before them has passed. It must not
//! know what is sent.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, sleep_until};

/// The bound, shared by all senders of a node. Time in which nothing was sent is not saved up.
#[derive(Debug)]
pub struct Throttle {
    bytes_per_second: u64,
    /// The time at which the rate allows for all that was sent so far; `None` before the first bytes.
    paid_at: Mutex<Option<Instant>>,
}

impl Throttle {
    /// Makes a bound of this many bytes a second, at least 1.
    pub fn new(bytes_per_second: u64) -> Self {
        Self { bytes_per_second: bytes_per_second.max(1), paid_at: Mutex::new(None) }
    }

    /// Waits until the rate allows for `bytes` more, which were just sent. All senders share the rate.
    pub async fn pay(&self, bytes: u64) {
        let paid_at = {
            let mut paid_at = self.paid_at.lock();
            let now = Instant::now();
            let from = paid_at.map_or(now, |paid_at| paid_at.max(now));
            let until = from + Duration::from_secs_f64(bytes as f64 / self.bytes_per_second as f64);
            assert!(until >= from, "a sender gets ahead of those before it");
            *paid_at = Some(until);
            until
        };
        sleep_until(paid_at).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures::future::join_all;

    use super::*;
    use crate::sim::SimPlan;
    use crate::tests::kit::{Cluster, Order, simulate};
    use crate::{GroupStatus, RaftSettings, Role};

    #[test]
    fn all_senders_share_one_rate() {
        simulate(async {
            let (throttle, began) = (Arc::new(Throttle::new(1_000_000)), Instant::now());
            let send = |_| {
                let throttle = throttle.clone();
                async move {
                    for _ in 0..10 {
                        throttle.pay(100_000).await;
                    }
                }
            };
            // Three senders of 1 MB each take as long as one sender of 3 MB.
            join_all((0..3).map(send)).await;
            let took = began.elapsed().as_secs_f64();
            assert!((3.0..3.1).contains(&took), "3 MB at 1 MB/s took {took} s");
        });
    }

    /// A new member gets a large state at the allowed rate, and no faster, while its group takes writes.
    #[test]
    fn a_copy_takes_as_long_as_the_rate_says() {
        const RATE: u64 = 50_000;
        simulate(async {
            let settings =
                RaftSettings { snapshot_rate: RATE, snapshot_after: 200, keep_entries: 0, ..Default::default() };
            let plan = SimPlan { spares: 1, ..SimPlan::new(5, 3, settings) };
            let cluster = Cluster::start(plan).await.expect("it starts");
            let leads = |status: &GroupStatus| status.role == Role::Leader && status.committed > 0;
            let leader = loop {
                match cluster.groups().find(|(_, group)| leads(&group.status())) {
                    Some((_, group)) => break group.clone(),
                    None => tokio::time::sleep(Duration::from_millis(10)).await,
                }
            };
            let deadline = || Instant::now() + Duration::from_secs(30);
            for number in 0..2_500_u64 {
                // Names that do not compress, so the bytes sent are about the bytes stored.
                let noise = |round: u64| (number * 8 + round + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
                let name: String = (0..8).map(|round| format!("{:016x}", noise(round))).collect();
                leader.write(Order::set(&name, number).encode(), deadline()).await.expect("three are there");
            }
            // Writes go on while the fourth node gets the state.
            let (began, since) = (Instant::now(), cluster.net.now());
            while leader.status().voters.len() < 4 {
                let wanted = (1..=4).collect();
                leader.converge(&wanted, deadline()).await.expect("it leads");
                let order = Order::set("beside", began.elapsed().as_millis() as u64);
                let written = leader.write(order.encode(), deadline()).await;
                written.expect("it serves meanwhile");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            let took = began.elapsed().as_secs_f64();
            // Only chunks of a snapshot are that large.
            let copied = cluster.net.messages().into_iter().filter(|m| m.to == 4 && m.at >= since && m.bytes > 10_000);
            let bytes: usize = copied.map(|message| message.bytes).sum();
            assert!(bytes > 150_000, "{bytes} bytes are no large state");
            assert!(
                bytes as f64 / took <= RATE as f64 * 1.01,
                "{bytes} bytes in {took} s are more than {RATE} a second"
            );
            assert!(
                took < 4.0 * bytes as f64 / RATE as f64,
                "{bytes} bytes took {took} s: something else held them up"
            );
        });
    }
}
