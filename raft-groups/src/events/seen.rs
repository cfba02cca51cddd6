//! From one status of a replica to the next: what must have happened in between.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Recorder, What};
use crate::{GroupStatus, Role};

/// What the listeners have been told of a replica.
#[derive(Default)]
pub struct Seen {
    /// The last status, with what changes by itself left out; `None` while nobody listens.
    status: Option<GroupStatus>,
    lease_holds: bool,
}

impl Seen {
    /// Tells what is new in `status`; `lease_left` is how long a leader's lease of `lease` still holds.
    pub fn look(&mut self, recorder: &Recorder, status: &GroupStatus, lease: Duration, lease_left: Option<Duration>) {
        if !recorder.is_on() {
            *self = Self::default();
            return;
        }
        let now = GroupStatus { leader_contact: None, matched: BTreeMap::new(), ..status.clone() };
        let before = self.status.replace(now.clone());
        let term = now.term;
        let holds = lease_left.is_some_and(|left| !left.is_zero());
        let ms = lease.as_millis() as u64;
        match (std::mem::replace(&mut self.lease_holds, holds), holds) {
            (false, true) => recorder.tell(term, || What::LeaseGranted { ms }),
            (true, false) => recorder.tell(term, || What::LeaseExpired { ms }),
            _ => {}
        }
        // Whoever has begun to listen was given the status as it was then.
        let Some(before) = before.filter(|before| *before != now) else { return };
        tell_difference(recorder, &before, &now);
        recorder.tell(term, || What::Status(Box::new(now)));
    }

    /// After how long something will have happened although the replica's status stays: its lease will have run out.
    pub fn wake_after(&self, lease_left: Option<Duration>) -> Option<Duration> {
        lease_left.filter(|left| self.lease_holds && !left.is_zero())
    }
}

fn tell_difference(recorder: &Recorder, before: &GroupStatus, now: &GroupStatus) {
    let led = before.role == Role::Leader;
    let leads = now.role == Role::Leader;
    if led && (!leads || before.term != now.term) {
        recorder.tell(now.term, || What::SteppedDown { leader: now.leader });
    }
    if leads && (!led || before.term != now.term) {
        recorder.tell(now.term, || What::Elected);
    }
    if (&before.voters, &before.learners, before.joint) != (&now.voters, &now.learners, now.joint) {
        let (voters, learners, joint) = (now.voters.clone(), now.learners.clone(), now.joint);
        recorder.tell(now.term, || What::Membership { voters, learners, joint, index: now.members_at.unwrap_or(0) });
    }
    if now.committed > before.committed {
        recorder.tell(now.term, || What::Committed { index: now.committed });
    }
}
