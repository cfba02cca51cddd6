//! What is left of a pass over endpoints of which none gave an answer that counts.
//!
//! In: why each endpoint was silent, or what it refused. Out: one [`Failure`] that names them all, and says whether the
//! request may have been carried out. Sends nothing.

use super::failure::Failure;

/// What a request does to the cluster.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// Nothing: one that failed leaves nothing unknown.
    Read,
    /// It changes something.
    Change,
}

/// How the call of one endpoint failed.
pub(super) enum CallFailure {
    /// There was no answer.
    Silent(Silence),
    /// There was one, and it says what failed.
    Answered(Failure),
}

/// An endpoint that did not answer.
pub(super) struct Silence {
    /// Its URL and why.
    pub(super) tried: String,
    /// `true` if the request may have arrived.
    pub(super) sent: bool,
    /// `true` if it took the request and did not answer in time.
    pub(super) late: bool,
}

/// The endpoints of one pass that gave no answer that counts.
#[derive(Default)]
pub(super) struct Silences {
    tried: Vec<String>,
    sent: bool,
    late: bool,
}

impl Silences {
    pub(super) fn add(&mut self, silence: Silence) {
        self.tried.push(silence.tried);
        self.sent |= silence.sent;
        self.late |= silence.late;
    }

    /// Adds an endpoint that answered with a failure that may pass.
    pub(super) fn add_answer(&mut self, url: &str, failure: &Failure) {
        self.tried.push(format!("{url} ({failure})"));
    }

    /// Returns `true` if the request may have been carried out.
    pub(super) fn leave_unknown(&self, effect: Effect) -> bool {
        self.sent && effect == Effect::Change
    }

    /// The failure of the whole pass.
    pub(super) fn failure(self, effect: Effect) -> Failure {
        let (sent, late) = (self.leave_unknown(effect), self.late);
        let tried = if self.tried.is_empty() { "anyone: no URL was given".to_owned() } else { self.tried.join(", ") };
        Failure::Unreachable { tried, late, sent }
    }
}
