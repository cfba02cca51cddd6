//! Version 1 of the requests and responses of consensus.
//!
//! Each form fixes the bytes of one message, and never changes. [`super::types`] has the forms that records hold as
//! well.

use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderError, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use serde::{Deserialize, Serialize};

use super::Formed;
use super::types::{EntryForm, LogIdForm, VoteForm};
use crate::NodeId;
use crate::consensus::types::{LogEntry, RaftTypes, Vote};

/// A leader's AppendEntries: its vote, the log id before the entries, the entries, and how far its log is committed
/// (Raft, figure 2).
#[derive(Serialize, Deserialize)]
pub struct AppendForm {
    vote: VoteForm,
    previous: Option<LogIdForm>,
    entries: Vec<EntryForm>,
    committed: Option<LogIdForm>,
}

impl Formed for AppendEntriesRequest<RaftTypes> {
    type Form = AppendForm;

    fn form(&self) -> AppendForm {
        AppendForm {
            vote: self.vote.form(),
            previous: self.prev_log_id.form(),
            entries: self.entries.iter().map(Formed::form).collect(),
            committed: self.leader_commit.form(),
        }
    }

    fn of_form(form: AppendForm) -> Result<Self, &'static str> {
        Ok(Self {
            vote: Vote::of_form(form.vote)?,
            prev_log_id: Option::of_form(form.previous)?,
            entries: form.entries.into_iter().map(LogEntry::of_form).collect::<Result<_, _>>()?,
            leader_commit: Option::of_form(form.committed)?,
        })
    }
}

/// What a follower did with a leader's entries.
#[derive(Serialize, Deserialize)]
pub enum AppendedForm {
    All,
    UpTo(Option<LogIdForm>),
    Conflict,
    HigherVote(VoteForm),
}

impl Formed for AppendEntriesResponse<RaftTypes> {
    type Form = AppendedForm;

    fn form(&self) -> AppendedForm {
        match self {
            Self::Success => AppendedForm::All,
            Self::PartialSuccess(upto) => AppendedForm::UpTo(upto.form()),
            Self::Conflict => AppendedForm::Conflict,
            Self::HigherVote(vote) => AppendedForm::HigherVote(vote.form()),
        }
    }

    fn of_form(form: AppendedForm) -> Result<Self, &'static str> {
        Ok(match form {
            AppendedForm::All => Self::Success,
            AppendedForm::UpTo(upto) => Self::PartialSuccess(Option::of_form(upto)?),
            AppendedForm::Conflict => Self::Conflict,
            AppendedForm::HigherVote(vote) => Self::HigherVote(Vote::of_form(vote)?),
        })
    }
}

/// A candidate's RequestVote: its vote, the end of its log, and whether the leader itself asked for the election.
#[derive(Serialize, Deserialize)]
pub struct VoteRequestForm {
    vote: VoteForm,
    last: Option<LogIdForm>,
    transfer: bool,
}

impl Formed for VoteRequest<RaftTypes> {
    type Form = VoteRequestForm;

    fn form(&self) -> VoteRequestForm {
        VoteRequestForm { vote: self.vote.form(), last: self.last_log_id.form(), transfer: self.leadership_transfer }
    }

    fn of_form(form: VoteRequestForm) -> Result<Self, &'static str> {
        let request = Self::new(Vote::of_form(form.vote)?, Option::of_form(form.last)?);
        Ok(Self { leadership_transfer: form.transfer, ..request })
    }
}

/// A voter's own vote, whether it was given to the candidate, and the end of the voter's log.
#[derive(Serialize, Deserialize)]
pub struct VoteResponseForm {
    vote: VoteForm,
    granted: bool,
    last: Option<LogIdForm>,
}

impl Formed for VoteResponse<RaftTypes> {
    type Form = VoteResponseForm;

    fn form(&self) -> VoteResponseForm {
        VoteResponseForm { vote: self.vote.form(), granted: self.vote_granted, last: self.last_log_id.form() }
    }

    fn of_form(form: VoteResponseForm) -> Result<Self, &'static str> {
        Ok(Self::new(Vote::of_form(form.vote)?, Option::of_form(form.last)?, form.granted))
    }
}

/// A leader's request that another node takes over once its log ends at `last` (Ongaro's thesis, § 3.10).
#[derive(Serialize, Deserialize)]
pub struct TransferForm {
    from: VoteForm,
    to: NodeId,
    last: Option<LogIdForm>,
}

impl Formed for TransferLeaderRequest<RaftTypes> {
    type Form = TransferForm;

    fn form(&self) -> TransferForm {
        TransferForm {
            from: self.from_leader().form(),
            to: *self.to_node_id(),
            last: self.last_log_id().copied().form(),
        }
    }

    fn of_form(form: TransferForm) -> Result<Self, &'static str> {
        Ok(Self::new(Vote::of_form(form.from)?, form.to, Option::of_form(form.last)?))
    }
}

/// Whether a node takes over; if not, why.
#[derive(Serialize, Deserialize)]
pub enum TransferredForm {
    Yes,
    VoteChanged { expected: VoteForm, actual: VoteForm },
    LogBehind { expected: Option<LogIdForm>, actual: Option<LogIdForm> },
}

impl Formed for TransferLeaderResponse<RaftTypes> {
    type Form = TransferredForm;

    fn form(&self) -> TransferredForm {
        match self {
            Ok(()) => TransferredForm::Yes,
            Err(TransferLeaderError::VoteChanged { expected, actual }) => {
                TransferredForm::VoteChanged { expected: expected.form(), actual: actual.form() }
            }
            Err(TransferLeaderError::LogNotFlushed { expected, actual }) => {
                TransferredForm::LogBehind { expected: expected.form(), actual: actual.form() }
            }
        }
    }

    fn of_form(form: TransferredForm) -> Result<Self, &'static str> {
        Ok(match form {
            TransferredForm::Yes => Ok(()),
            TransferredForm::VoteChanged { expected, actual } => {
                let (expected, actual) = (Vote::of_form(expected)?, Vote::of_form(actual)?);
                Err(TransferLeaderError::VoteChanged { expected, actual })
            }
            TransferredForm::LogBehind { expected, actual } => {
                let (expected, actual) = (Option::of_form(expected)?, Option::of_form(actual)?);
                Err(TransferLeaderError::LogNotFlushed { expected, actual })
            }
        })
    }
}

/// The vote of a replica that has installed a snapshot.
#[derive(Serialize, Deserialize)]
pub struct InstalledForm {
    vote: VoteForm,
}

impl Formed for SnapshotResponse<RaftTypes> {
    type Form = InstalledForm;

    fn form(&self) -> InstalledForm {
        InstalledForm { vote: self.vote.form() }
    }

    fn of_form(form: InstalledForm) -> Result<Self, &'static str> {
        Ok(Self::new(Vote::of_form(form.vote)?))
    }
}
