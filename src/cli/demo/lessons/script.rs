//! The language that lessons are written in: steps of something to say, a question, deeds, and checks. A lesson is data;
//! what a deed does is in [`acts`](super::acts), what a check looks at in [`checks`](super::checks).

/// A lesson.
pub(super) struct Lesson {
    pub name: &'static str,
    pub title: &'static str,
    /// Where it is written down.
    pub section: &'static str,
    pub steps: &'static [Step],
}

/// One step of a lesson.
pub(super) struct Step {
    pub say: &'static str,
    pub question: Question,
    pub acts: &'static [Act],
    pub checks: &'static [Check],
}

/// What do you expect?
pub(super) struct Question {
    pub ask: &'static str,
    pub choices: &'static [&'static str],
    pub right: usize,
    pub because: &'static str,
}

/// The parts are given out when a lesson begins, and kept: whoever led then is "the leader" to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    /// Who led the group when the lesson began.
    Leader,
    /// Its two followers then.
    First,
    Second,
    /// Whoever leads the group now.
    Present,
}

/// A deed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Act {
    Kill(Who),
    KillAll,
    /// Starts whoever is down.
    StartAll,
    Start(Who),
    /// Cuts a node off from all others.
    Isolate(Who),
    /// What the first sends to the second is lost.
    Cut(Who, Who),
    /// That way is whole again.
    Mend(Who, Who),
    /// Mends every link.
    Heal,
    /// Waits until the cluster has spread the shards' leaders over the nodes.
    Spread,
    /// These stand for election at once, all at the same moment.
    Campaign(&'static [Who]),
    /// A write at QUORUM: through whom, which key, what.
    Write(Who, usize, &'static str),
    /// So many writes.
    WriteMany(Who, usize),
    /// A read: through whom, at which level, which key.
    Read(Who, &'static str, usize),
    /// Waits until promises made before have run out: one longest election timeout, and a little.
    Outwait,
    /// Waits until somebody other than the lesson's leader leads.
    AwaitNewLeader,
    /// The node leaves the cluster.
    Remove(Who),
    /// The node, which has left, joins anew without data.
    Adopt(Who),
}

/// What must come to hold after a step's deeds. "Since" is since the step began.
#[derive(Debug, Clone, Copy)]
pub(super) enum Check {
    /// Somebody was elected since; other than the one named.
    Elected { but: Option<Who> },
    /// No term of the lesson has two leaders.
    OneLeaderPerTerm,
    /// The newest leader has the votes of a majority.
    Majority,
    /// Nobody was elected for twice the longest election timeout.
    NobodyElected,
    /// The named refused a vote for this reason since; in a pre-vote or a real vote.
    Refused { voter: Who, pre: bool, reason: &'static str },
    /// Two stood for the same term since, and it had no leader.
    SplitTerm,
    /// A read or write of this step (numbered from 0) ended so.
    Outcome(usize, Outcome),
    /// These hold the same log, as far as it is committed.
    Agree(&'static [Who]),
    /// The named removed entries from the end of its log since.
    Truncated(Who),
    /// The named holds entries that are not committed.
    Uncommitted(Who),
    /// The named has fewer entries than the other.
    Behind(Who, Who),
    /// The named removed entries from the start of its log since.
    Purged(Who),
    /// The named installed a snapshot since.
    SnapshotInstalled(Who),
    /// The named leads still, in the term it led in when the step began.
    SameLeader,
    /// The named is a voter of every group that it is a member of, and of one at least, as their leaders see it.
    Voter(Who),
    /// The named is no member of the lesson's group, as its leader sees it.
    NoMember(Who),
    /// The named was a voter of a joint membership since: in some group, and in every group that it votes in now.
    Joint(Who),
    /// The named was a learner since: in some group, and in every group that it votes in now.
    Learner(Who),
    /// The lease of the named has run out since.
    LeaseExpired(Who),
    /// The named leads no more.
    SteppedDown(Who),
    /// A read of this mode was served, or refused, by the named since.
    ReadSeen { by: Who, mode: &'static str, outcome: &'static str },
    /// Every shard has a leader.
    EveryShardLed,
    /// More than one node leads shards.
    LeadersSpread,
    /// Elections since were held only in the groups that the lesson's leader led when the step began, and in all of them.
    OnlyOrphansElect,
}

/// How a read or a write ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Acknowledged.
    Done,
    /// Not, and the client was told so.
    Refused,
    /// Answered with this value, not older than any acknowledged write.
    Fresh(&'static str),
    /// Answered with this value, although a newer write had been acknowledged.
    Stale(&'static str),
}
