//! A follower that answers, but is slower than the writes. Its leader's log is purged all the same, and the follower
//! gets snapshots.

use futures::future::join_all;

use super::*;
use crate::tests::kit::{Cluster, snapshot_storm};

/// Concurrent writes in a round, and rounds.
const AT_ONCE: u64 = 64;
const ROUNDS: u64 = 100;

/// Writes to the leader in rounds. Returns the greatest length of its log meanwhile, in entries.
async fn longest_log(cluster: &Cluster, leader: &Group<Registers>) -> u64 {
    let mut longest = 0;
    for round in 0..ROUNDS {
        let order = |number| Order::set("x", round * AT_ONCE + number).encode();
        let writes = join_all((0..AT_ONCE).map(|number| leader.write(order(number), later()))).await;
        assert!(writes.iter().all(Result::is_ok), "the other follower is quick, and two are a majority");
        let status = leader.status();
        longest = longest.max(status.last_log - status.purged);
        assert_eq!(cluster.violation(), None);
        sleep(Duration::from_millis(20)).await;
    }
    longest
}

#[test]
fn a_slow_follower_does_not_keep_the_log_from_being_cut() {
    for seed in 0..10 {
        simulate(async {
            let cluster = start(seed, 3, snapshot_storm()).await;
            let first = write_somewhere(&cluster, &[], 1).await;
            let (leader, slow) = (cluster.group(first).expect("runs"), others(&cluster, first)[0]);
            cluster.node(slow).log.slow_down(Duration::from_millis(500));
            let longest = longest_log(&cluster, &leader).await;
            // Entries that are being sent stay in the log until their message ends, so the log grows meanwhile.
            assert!(longest < ROUNDS * AT_ONCE / 3, "seed {seed}: the log came to {longest} entries");

            // On a quick disk the follower catches up.
            cluster.node(slow).log.slow_down(Duration::ZERO);
            let healed = Instant::now();
            while leader.status().matched.get(&slow).copied() < Some(leader.status().last_log) {
                assert!(healed.elapsed() < Duration::from_secs(20), "it does not catch up: {:?}", leader.status());
                sleep(Duration::from_millis(20)).await;
            }
            let follower = cluster.group(slow).expect("runs");
            follower.read(ReadMode::Linearizable, later()).await.expect("served");
            assert_eq!(value(&follower), value(&leader));
        });
    }
}
