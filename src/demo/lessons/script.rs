//! The language that lessons are written in: steps of something to say, a question, actions, and checks. A lesson is
//! data; what an action does is in [`actions`](crate::demo::lessons::actions), what a check looks at in
//! [`checks`](super::checks).

/// A lesson.
pub(super) struct Lesson {
    pub name: &'static str,
    pub title: &'static str,
    /// Where it is written down.
    pub section: &'static str,
    pub steps: &'static [LessonStep],
}

/// One step of a lesson.
pub(super) struct LessonStep {
    pub say: &'static str,
    pub question: Question,
    pub actions: &'static [LessonAction],
    pub checks: &'static [Check],
}

/// What do you expect?
pub(super) struct Question {
    pub ask: &'static str,
    pub choices: &'static [&'static str],
    pub right: usize,
    pub because: &'static str,
}

/// The roles are given out when a lesson begins, and kept: whoever led then is "the leader" to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RoleName {
    /// Who led the group when the lesson began.
    Leader,
    /// Its two followers then.
    First,
    Second,
    /// Whoever leads the group now.
    Present,
}

/// What a lesson does to the cluster.
#[derive(Debug, Clone, Copy)]
pub(super) enum LessonAction {
    Kill(RoleName),
    KillAll,
    /// Starts whoever is down.
    StartAll,
    Start(RoleName),
    /// Cuts a node off from all others.
    Isolate(RoleName),
    /// What the first sends to the second is lost.
    Cut(RoleName, RoleName),
    /// That way is whole again.
    Mend(RoleName, RoleName),
    /// Mends every link.
    Heal,
    /// Waits until the cluster has spread the shards' leaders over the nodes.
    Spread,
    /// These stand for election at once, all at the same moment.
    Campaign(&'static [RoleName]),
    /// A write at QUORUM: through whom, which key, what.
    Write(RoleName, usize, &'static str),
    /// So many writes.
    WriteMany(RoleName, usize),
    /// A read: through whom, at which level, which key.
    Read(RoleName, &'static str, usize),
    /// Waits until promises made before have run out: one longest election timeout, and a little.
    Outwait,
    /// Waits until somebody other than the lesson's leader leads.
    AwaitNewLeader,
    /// The node leaves the cluster.
    Remove(RoleName),
    /// The node, which has left, joins anew without data.
    Adopt(RoleName),
}

/// What must come to hold after a step's actions. "Since" is since the step began.
#[derive(Debug, Clone, Copy)]
pub(super) enum Check {
    /// Somebody was elected since; other than the one named.
    Elected { but: Option<RoleName> },
    /// No term of the lesson has two leaders.
    OneLeaderPerTerm,
    /// The newest leader has the votes of a majority.
    Majority,
    /// Nobody was elected for twice the longest election timeout.
    NobodyElected,
    /// The named refused a vote for this reason since; in a pre-vote or a real vote.
    Refused { voter: RoleName, pre: bool, reason: &'static str },
    /// Two stood for the same term since, and it had no leader.
    SplitTerm,
    /// A read or write of this step (numbered from 0) ended so.
    RequestOutcome(usize, RequestOutcome),
    /// These hold the same log, as far as it is committed.
    Agree(&'static [RoleName]),
    /// The named removed entries from the end of its log since.
    Truncated(RoleName),
    /// The named holds entries that are not committed.
    Uncommitted(RoleName),
    /// The named has fewer entries than the other.
    Behind(RoleName, RoleName),
    /// The named removed entries from the start of its log since.
    Purged(RoleName),
    /// The named installed a snapshot since.
    SnapshotInstalled(RoleName),
    /// The named leads still, in the term it led in when the step began.
    SameLeader,
    /// The named is a voter of every group that it is a member of, and of one at least, as their leaders see it.
    Voter(RoleName),
    /// The named is no member of the lesson's group, as its leader sees it.
    NoMember(RoleName),
    /// The named was a voter of a joint membership since: in some group, and in every group that it votes in now.
    Joint(RoleName),
    /// The named was a learner since: in some group, and in every group that it votes in now.
    Learner(RoleName),
    /// The lease of the named has run out since.
    LeaseExpired(RoleName),
    /// The named leads no more.
    SteppedDown(RoleName),
    /// A read of this mode was served, or refused, by the named since.
    ReadSeen { by: RoleName, mode: &'static str, outcome: &'static str },
    /// Every shard has a leader.
    EveryShardLed,
    /// More than one node leads shards.
    LeadersSpread,
    /// Elections since were held only in the groups that the lesson's leader led when the step began, and in all of them.
    OnlyOrphansElect,
}

/// How a read or a write ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RequestOutcome {
    /// Acknowledged.
    Done,
    /// Not, and the client was told so.
    Refused,
    /// Answered with this value, not older than any acknowledged write.
    Fresh(&'static str),
    /// Answered with this value, although a newer write had been acknowledged.
    Stale(&'static str),
}
