//! Derives from two statuses of a replica what must have happened in between.
//!
//! Comes in: two statuses, and how long the lease still holds. Goes out: the events between them. It must not ask
//! the replica for anything.

use std::collections::BTreeMap;
use std::time::Duration;

use super::event::EventKind;
use super::recorder::Recorder;
use crate::{GroupStatus, Role};

/// What the listeners know of a replica's lease.
#[derive(Default)]
pub struct StatusDiff {
    lease_holds: bool,
}

impl StatusDiff {
    /// Tells what is new in a status, and whether a leader's lease of length `lease` begins or ends. `change` is the
    /// status before, the status now, and for how long the lease still holds; `None` if nobody listens.
    pub fn tell_changes(
        &mut self,
        recorder: &Recorder,
        change: Option<(GroupStatus, GroupStatus, Option<Duration>)>,
        lease: Duration,
    ) {
        let Some((before, now, lease_left)) = change else {
            *self = Self::default();
            return;
        };
        let term = now.term;
        let holds = lease_left.is_some_and(|left| !left.is_zero());
        let ms = lease.as_millis() as u64;
        match (std::mem::replace(&mut self.lease_holds, holds), holds) {
            (false, true) => recorder.tell(term, || EventKind::LeaseGranted { ms }),
            (true, false) => recorder.tell(term, || EventKind::LeaseExpired { ms }),
            _ => {}
        }
        // These change all the time, and would make an event of every look.
        let lasting =
            |status| GroupStatus { leader_contact: None, matched: BTreeMap::new(), digests: BTreeMap::new(), ..status };
        let (before, now) = (lasting(before), lasting(now));
        if before != now {
            tell_difference(recorder, &before, &now);
            recorder.tell(term, || EventKind::Status(Box::new(now)));
        }
    }

    /// Returns after how long a lease that the listeners know of runs out. Nothing else happens without a change of
    /// metrics.
    pub fn wake_after(&self, lease_left: impl Fn() -> Option<Duration>) -> Option<Duration> {
        self.lease_holds.then(lease_left)?.filter(|left| !left.is_zero())
    }
}

fn tell_difference(recorder: &Recorder, before: &GroupStatus, now: &GroupStatus) {
    let led = before.role == Role::Leader;
    let leads = now.role == Role::Leader;
    if led && (!leads || before.term != now.term) {
        recorder.tell(now.term, || EventKind::SteppedDown { leader: now.leader });
    }
    if leads && (!led || before.term != now.term) {
        recorder.tell(now.term, || EventKind::Elected);
    }
    if now.committed > before.committed {
        recorder.tell(now.term, || EventKind::Committed { index: now.committed });
    }
}
