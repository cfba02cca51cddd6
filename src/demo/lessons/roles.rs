//! Which node has which role in a lesson, and how the cluster is made whole before the roles are given out.
//!
//! In: the supervisor. Out: [`Roles`], once every node is up, every link is whole, and the group agrees on one leader.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::script::RoleName;
use crate::demo::supervisor::refused::Refused;
use crate::demo::supervisor::settings::SHARDS;
use crate::demo::supervisor::{ProcessState, Supervisor};

/// The group that lessons are about: the first shard.
pub(super) const GROUP: u64 = 1;

/// How long the cluster may take to become whole before a lesson, beside what elections take.
const SETTLE_PATIENCE: Duration = Duration::from_secs(60);
/// Pause between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Which node has which role: the leader at the start of the lesson, and its two followers.
#[derive(Debug, Clone)]
pub(super) struct Roles {
    pub leader: String,
    pub first: String,
    pub second: String,
}

impl Roles {
    /// The node that has the role `who`.
    ///
    /// # Errors
    /// [`Refused::Conflict`] where the present leader is asked for and nobody leads.
    pub fn node(&self, supervisor: &Supervisor, who: RoleName) -> Result<String, Refused> {
        let nobody = || Refused::Conflict("nobody leads the group at the moment".to_owned());
        match who {
            RoleName::Leader => Ok(self.leader.clone()),
            RoleName::First => Ok(self.first.clone()),
            RoleName::Second => Ok(self.second.clone()),
            RoleName::Present => supervisor.view.lock().leader(GROUP).map(|(node, _)| node).ok_or_else(nobody),
        }
    }
}

/// Starts every node, mends every link, and waits until the group's members agree on one leader.
pub(super) async fn settle(supervisor: &Arc<Supervisor>) -> Result<Roles, Refused> {
    supervisor.heal().await?;
    // Links come first: a node that starts must reach the others.
    for (name, node) in supervisor.nodes() {
        match node.state {
            ProcessState::Up => {}
            ProcessState::Down => drop(supervisor.restart(&name).await?),
            ProcessState::Paused => drop(supervisor.resume(&name).await?),
        }
    }
    let until = Instant::now() + SETTLE_PATIENCE + supervisor.timings.election_max() * 8;
    loop {
        if let Some(roles) = agreed(supervisor).filter(|_| supervisor.client.is_ready()) {
            // The cluster may have been about to move the leader, so it is pinned and looked at once more.
            supervisor.pin_leader().await;
            if agreed(supervisor).is_some_and(|now| now.leader == roles.leader) {
                return Ok(roles);
            }
        }
        if Instant::now() > until {
            return Err(Refused::Conflict("the cluster does not come to rest: is every node up?".to_owned()));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// The roles, if the group is whole: its three voters run, know one leader and have applied all that it has. The
/// cluster map and all other shards must have leaders too, so that reads and writes work.
fn agreed(supervisor: &Supervisor) -> Option<Roles> {
    let view = supervisor.view.lock();
    let (leader, term) = view.leader(GROUP)?;
    let lead = view.replica(GROUP, &leader)?;
    let same = |name: &&String| {
        view.replica(GROUP, name).is_some_and(|replica| {
            replica.term == term && replica.leader.as_ref() == Some(&leader) && replica.applied == lead.last_log
        })
    };
    // A lesson needs exactly three voters that agree, and no change of members under way.
    let agree = lead.voters.iter().filter(same).count();
    let led = (0..=u64::from(SHARDS)).all(|group| view.leader(group).is_some());
    if agree < 3 || lead.voters.len() != 3 || lead.joint || !led {
        return None;
    }
    let mut followers = lead.voters.iter().filter(|name| **name != leader).cloned();
    let (first, second) = (followers.next()?, followers.next()?);
    Some(Roles { leader, first, second })
}
