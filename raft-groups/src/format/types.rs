//! Version 1 of what messages and records both hold: votes, log ids, entries, memberships.
//!
//! Each form fixes the bytes of one value, and never changes: directories of every earlier release hold them.

use std::collections::BTreeSet;

use openraft::vote::RaftLeaderId as _;
use openraft::{EntryPayload, Membership};
use serde::{Deserialize, Serialize};

use super::Formed;
use crate::NodeId;
use crate::consensus::types::{CommandBytes, LogEntry, LogId, Node, SnapshotMeta, StoredMembership, Vote};

type LeaderId = openraft::impls::leader_id_std::LeaderId<u64, NodeId>;

/// A vote: its term, the candidate, and whether that candidate is known to have won.
#[derive(Serialize, Deserialize)]
pub struct VoteForm {
    term: u64,
    /// Never `None`. It is an option because the layout of openraft 0.10.0-alpha.37 has one here.
    candidate: Option<NodeId>,
    committed: bool,
}

impl Formed for Vote {
    type Form = VoteForm;

    fn form(&self) -> VoteForm {
        let Self { leader_id: LeaderId { term, voted_for }, committed } = *self;
        VoteForm { term, candidate: Some(voted_for), committed }
    }

    fn of_form(form: VoteForm) -> Result<Self, &'static str> {
        let candidate = form.candidate.ok_or("a vote for nobody")?;
        Ok(Self { leader_id: LeaderId::new(form.term, candidate), committed: form.committed })
    }
}

/// Term and index of an entry.
#[derive(Serialize, Deserialize)]
pub struct LogIdForm {
    term: u64,
    index: u64,
}

impl Formed for LogId {
    type Form = LogIdForm;

    fn form(&self) -> LogIdForm {
        LogIdForm { term: self.leader_id.term, index: self.index }
    }

    fn of_form(form: LogIdForm) -> Result<Self, &'static str> {
        // A log id does not say who led in its term.
        Ok(Self::new(LeaderId::new(form.term, 0).to_committed(), form.index))
    }
}

/// One log entry. Its command is bytes that have a version of their own.
#[derive(Serialize, Deserialize)]
pub struct EntryForm {
    log_id: LogIdForm,
    payload: PayloadForm,
}

#[derive(Serialize, Deserialize)]
enum PayloadForm {
    Blank,
    Command(CommandBytes),
    Membership(MembershipForm),
}

impl Formed for LogEntry {
    type Form = EntryForm;

    fn form(&self) -> EntryForm {
        let payload = match &self.payload {
            EntryPayload::Blank => PayloadForm::Blank,
            EntryPayload::Normal(command) => PayloadForm::Command(command.clone()),
            EntryPayload::Membership(membership) => PayloadForm::Membership(membership.form()),
        };
        EntryForm { log_id: self.log_id.form(), payload }
    }

    fn of_form(form: EntryForm) -> Result<Self, &'static str> {
        let payload = match form.payload {
            PayloadForm::Blank => EntryPayload::Blank,
            PayloadForm::Command(command) => EntryPayload::Normal(command),
            PayloadForm::Membership(membership) => EntryPayload::Membership(Membership::of_form(membership)?),
        };
        Ok(Self { log_id: LogId::of_form(form.log_id)?, payload })
    }
}

/// The sets of voters, each of which must agree, and all members. Members in no set are learners.
#[derive(Serialize, Deserialize)]
pub struct MembershipForm {
    voters: Vec<BTreeSet<NodeId>>,
    members: BTreeSet<NodeId>,
}

impl Formed for Membership<NodeId, Node> {
    type Form = MembershipForm;

    fn form(&self) -> MembershipForm {
        MembershipForm {
            voters: self.get_joint_config().clone(),
            members: self.nodes().map(|(node, _)| *node).collect(),
        }
    }

    fn of_form(form: MembershipForm) -> Result<Self, &'static str> {
        Ok(Self::new_with_defaults(form.voters, form.members))
    }
}

/// A membership with the log id of its entry.
#[derive(Serialize, Deserialize)]
pub struct StoredMembershipForm {
    log_id: Option<LogIdForm>,
    membership: MembershipForm,
}

impl Formed for StoredMembership {
    type Form = StoredMembershipForm;

    fn form(&self) -> StoredMembershipForm {
        StoredMembershipForm { log_id: self.log_id().form(), membership: self.membership().form() }
    }

    fn of_form(form: StoredMembershipForm) -> Result<Self, &'static str> {
        Ok(Self::new(Option::of_form(form.log_id)?, Membership::of_form(form.membership)?))
    }
}

/// What a snapshot contains: its last log id and its membership.
#[derive(Serialize, Deserialize)]
pub struct SnapshotMetaForm {
    last: Option<LogIdForm>,
    membership: StoredMembershipForm,
    /// Always empty. The layout of openraft 0.10.0-alpha.37 has the id of the snapshot here.
    reserved: String,
}

impl Formed for SnapshotMeta {
    type Form = SnapshotMetaForm;

    fn form(&self) -> SnapshotMetaForm {
        let (last, membership) = (self.last_log_id.form(), self.last_membership.form());
        SnapshotMetaForm { last, membership, reserved: String::new() }
    }

    fn of_form(form: SnapshotMetaForm) -> Result<Self, &'static str> {
        let last_membership = StoredMembership::of_form(form.membership)?;
        Ok(Self { last_log_id: Option::of_form(form.last)?, last_membership })
    }
}
