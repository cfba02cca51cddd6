//! Hands over all that a node leads, before it stops. Such a planned failover costs no election timeout.
//!
//! Comes in: a deadline. Goes out: the groups that this node still leads. Each replica chooses who leads next: it
//! asks its most advanced voter.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Host;
use crate::inspect::NudgeError;
use crate::{GroupId, Role};

/// Pause between two checks of who leads.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Pause before a group that is still led here is handed over again.
const AGAIN_AFTER: Duration = Duration::from_millis(500);

impl Host {
    /// Hands over each group that this node leads, and waits until another node leads it. Returns the groups that
    /// this node still leads at `deadline`. A group that nobody else can lead is not waited for, and not returned.
    pub async fn hand_over_all(&self, deadline: Instant) -> Vec<GroupId> {
        let moves = self.replicas().into_iter().map(|replica| async move {
            let group = replica.status().group;
            let mut asked: Option<Instant> = None;
            while replica.status().role == Role::Leader {
                if Instant::now() >= deadline {
                    return Some(group);
                }
                // The request may be lost, or the successor may fail to get elected. So it is repeated.
                if asked.is_none_or(|asked| asked.elapsed() > AGAIN_AFTER) {
                    match replica.step_down().await {
                        Ok(_) => asked = Some(Instant::now()),
                        Err(NudgeError::NobodyElse) => return None,
                        Err(error) => tracing::debug!(%group, %error, "cannot hand over yet"),
                    }
                }
                sleep(LOOK_EVERY).await;
            }
            None
        });
        futures::future::join_all(moves).await.into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::kit::{Order, later, settings, simulate, start, write_somewhere};

    #[test]
    fn what_is_handed_over_is_led_elsewhere_before_an_election_could_begin() {
        for seed in 0..10 {
            simulate(async {
                let cluster = start(seed, 3, settings()).await;
                let old = write_somewhere(&cluster, &[], 1).await;
                // By now the followers hold the whole log.
                sleep(settings().election_max).await;
                let began = Instant::now();
                let left = cluster.host(old).expect("runs").hand_over_all(later()).await;
                assert_eq!(left, [], "seed {seed}");
                let new = write_somewhere(&cluster, &[old], 2).await;
                assert!(began.elapsed() < settings().election_min, "seed {seed}: {:?}", began.elapsed());
                assert_ne!(new, old);
                assert_eq!(cluster.violation(), None);
            });
        }
    }

    #[test]
    fn a_lone_voter_keeps_what_it_leads_and_is_not_waited_for() {
        simulate(async {
            let cluster = start(1, 1, settings()).await;
            let id = write_somewhere(&cluster, &[], 1).await;
            let began = Instant::now();
            assert_eq!(cluster.host(id).expect("runs").hand_over_all(later()).await, []);
            assert!(began.elapsed() < Duration::from_secs(1));
            let group = cluster.group(id).expect("runs");
            group.write(Order::set("x", 2).encode(), later()).await.expect("it still leads");
        });
    }
}
