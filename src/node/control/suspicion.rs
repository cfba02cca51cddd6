//! How suspect a silent node is: judged from how long it has been silent, against how regularly it answered before.
//!
//! Comes in: the moment of each answer. Goes out: alive, suspect or lost. Must not decide what becomes of a lost node.
//!
//! The measure is phi of the phi-accrual detector (Hayashibara et al., 2004) with exponential gaps, as in Cassandra: at
//! phi 8, a node that is alive is so silent with a probability of 10⁻⁸. This file is pure: its callers pass the time
//! in.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use raft_groups::NodeId;

use crate::placement::planner::Liveness;

/// A node with a higher phi is suspect.
const SUSPECT_PHI: f64 = 8.0;

/// Most gaps that are remembered of one node.
const MAX_GAPS: usize = 64;

/// Shorter gaps count as this long. Questions come no faster, and a quick series of answers must not make a later pause
/// look like a failure.
const SHORTEST_GAP: Duration = Duration::from_millis(100);

/// What is remembered of one node.
#[derive(Debug, Clone)]
struct AnswerHistory {
    /// When it last answered, or when the detector first heard of it.
    last: Duration,
    /// The times between its latest answers, oldest first.
    gaps: VecDeque<Duration>,
}

/// Remembers when nodes answered. Every moment is the time since one fixed moment, which the caller chooses.
#[derive(Debug, Clone, Default)]
pub(super) struct FailureDetector {
    histories: BTreeMap<NodeId, AnswerHistory>,
}

impl FailureDetector {
    /// Notes that `node` has answered at `now`.
    pub fn note_answer(&mut self, node: NodeId, now: Duration) {
        let history = self.histories.entry(node).or_insert_with(|| AnswerHistory { last: now, gaps: VecDeque::new() });
        // The first answer of a node that nobody looked for has no gap before it.
        let gap = now.saturating_sub(history.last);
        if !gap.is_zero() {
            history.gaps.push_back(gap.max(SHORTEST_GAP));
            if history.gaps.len() > MAX_GAPS {
                history.gaps.pop_front();
            }
        }
        history.last = now;
    }

    /// Forgets all nodes but `nodes`. The silence of a new one counts from `now` on.
    pub fn keep_nodes(&mut self, nodes: impl Iterator<Item = NodeId>, now: Duration) {
        let mut old = std::mem::take(&mut self.histories);
        let fresh = || AnswerHistory { last: now, gaps: VecDeque::new() };
        self.histories = nodes.map(|node| (node, old.remove(&node).unwrap_or_else(fresh))).collect();
    }

    /// Judges a node at `now`; it counts as lost after `lost_after` of silence. A node that is not known, or never
    /// answered, is suspect before that.
    pub fn judge(&self, node: NodeId, now: Duration, lost_after: Duration) -> Liveness {
        let Some(history) = self.histories.get(&node) else { return Liveness::Suspect };
        let silence = now.saturating_sub(history.last);
        // Long silence is loss, however irregular the answers were before.
        if silence >= lost_after {
            Liveness::Lost
        } else if history.gaps.is_empty() || history.phi(silence) > SUSPECT_PHI {
            Liveness::Suspect
        } else {
            Liveness::Alive
        }
    }
}

impl AnswerHistory {
    /// Minus the decimal logarithm of the probability that a node that is alive is silent for so long.
    fn phi(&self, silence: Duration) -> f64 {
        let total: Duration = self.gaps.iter().sum();
        let mean = total.as_secs_f64() / self.gaps.len().max(1) as f64;
        silence.as_secs_f64() / mean * std::f64::consts::LOG10_E
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOST: Duration = Duration::from_secs(60);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn silence_is_judged_by_what_was_usual() {
        let mut quick = FailureDetector::default();
        let mut slow = FailureDetector::default();
        for tick in 1..=20 {
            quick.note_answer(1, ms(500 * tick));
            slow.note_answer(1, ms(500 * tick));
        }
        for tick in 1..=20 {
            slow.note_answer(1, ms(10_000 + 3_000 * tick));
        }
        assert_eq!(quick.judge(1, ms(11_000), LOST), Liveness::Alive);
        assert_eq!(quick.judge(1, ms(25_000), LOST), Liveness::Suspect);
        assert_eq!(slow.judge(1, ms(85_000), LOST), Liveness::Alive);
        assert_eq!(quick.judge(1, ms(70_000), LOST), Liveness::Lost);
    }

    #[test]
    fn one_that_never_answered_is_suspect_and_then_lost() {
        let mut detector = FailureDetector::default();
        detector.keep_nodes([7].into_iter(), ms(1000));
        assert_eq!(detector.judge(7, ms(2000), LOST), Liveness::Suspect);
        assert_eq!(detector.judge(7, ms(61_000), LOST), Liveness::Lost);
        detector.note_answer(7, ms(62_000));
        assert_eq!(detector.judge(7, ms(62_000), LOST), Liveness::Alive);
        detector.keep_nodes(std::iter::empty(), ms(63_000));
        assert_eq!(detector.judge(7, ms(63_000), LOST), Liveness::Suspect);
    }
}
