//! The language of lessons. A step has something to say, a question, actions and checks. A lesson is data.
//! [`actions`](crate::demo::lessons::actions) knows what an action does, and [`checks`](super::checks) what a check
//! looks at.

/// A lesson.
pub(super) struct Lesson {
    pub name: &'static str,
    pub title: &'static str,
    /// Where the reader finds more, such as a section of a paper.
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

/// The question before a step: what does the reader expect?
pub(super) struct Question {
    pub ask: &'static str,
    pub choices: &'static [&'static str],
    /// The index of the right choice.
    pub right: usize,
    pub because: &'static str,
}

/// The roles that nodes have in a lesson. They are given out when it begins and kept to its end: `Leader` is the node
/// that led then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RoleName {
    /// The node that led the group when the lesson began.
    Leader,
    /// Its two followers at that time.
    First,
    Second,
    /// The node that leads the group now.
    Present,
}

/// What a lesson does to the cluster.
#[derive(Debug, Clone, Copy)]
pub(super) enum LessonAction {
    Kill(RoleName),
    KillAll,
    /// Starts every node that is down.
    StartAll,
    Start(RoleName),
    /// Cuts a node off from all others.
    Isolate(RoleName),
    /// Drops what the first node sends to the second.
    Cut(RoleName, RoleName),
    /// Delivers it again.
    Mend(RoleName, RoleName),
    /// Mends every link.
    Heal,
    /// Waits until the cluster has spread the shards' leaders over the nodes.
    Spread,
    /// Has these nodes stand for election at the same moment.
    Campaign(&'static [RoleName]),
    /// A write at QUORUM: through which node, which key, which value.
    Write(RoleName, usize, &'static str),
    /// So many writes through a node.
    WriteMany(RoleName, usize),
    /// A read: through which node, at which level, which key.
    Read(RoleName, &'static str, usize),
    /// Waits until earlier promises have run out: a little more than the longest election timeout.
    Outwait,
    /// Waits until a node other than the lesson's leader leads.
    AwaitNewLeader,
    /// Has the node leave the cluster.
    Remove(RoleName),
    /// Has the node, which has left, join again without data.
    Adopt(RoleName),
}

/// What must hold some time after a step's actions. "Since" means since the step began.
#[derive(Debug, Clone, Copy)]
pub(super) enum Check {
    /// A node was elected since, and it is not `but`.
    Elected { but: Option<RoleName> },
    /// No term of the lesson has two leaders.
    OneLeaderPerTerm,
    /// The newest leader has the votes of a majority.
    Majority,
    /// Nobody was elected for twice the longest election timeout.
    NobodyElected,
    /// The voter refused a vote for this reason since: a pre-vote if `pre`, else a real one.
    Refused { voter: RoleName, pre: bool, reason: &'static str },
    /// Two nodes stood for the same term since, and the term had no leader.
    SplitTerm,
    /// The read or write of this number, from 0, ended in this way.
    RequestOutcome(usize, RequestOutcome),
    /// These nodes hold the same log and have applied all of it.
    Agree(&'static [RoleName]),
    /// The node removed entries from the end of its log since.
    Truncated(RoleName),
    /// The node holds entries that are not committed.
    Uncommitted(RoleName),
    /// The first node has fewer entries than the second.
    Behind(RoleName, RoleName),
    /// The node removed entries from the start of its log since.
    Purged(RoleName),
    /// The node installed a snapshot since.
    SnapshotInstalled(RoleName),
    /// The node that led when the step began still leads, in the same term.
    SameLeader,
    /// The node is a voter of every group that it is a member of, and of at least one, as their leaders see it.
    Voter(RoleName),
    /// The node is no member of the lesson's group, as its leader sees it.
    NoMember(RoleName),
    /// The node was a voter of a joint membership since: in some group, and in every group in which it votes now.
    Joint(RoleName),
    /// The node was a learner since: in some group, and in every group in which it votes now.
    Learner(RoleName),
    /// The node's lease has run out since.
    LeaseExpired(RoleName),
    /// The node stopped leading since.
    SteppedDown(RoleName),
    /// The node served or refused a read of this mode since.
    ReadSeen { by: RoleName, mode: &'static str, outcome: &'static str },
    /// Every shard has a leader.
    EveryShardLed,
    /// More than one node leads shards.
    LeadersSpread,
    /// Elections were held since in exactly the groups that the lesson's leader led when the step began.
    OnlyOrphansElect,
}

/// How a read or a write ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RequestOutcome {
    /// It was acknowledged.
    Done,
    /// It failed, and the client was told so.
    Refused,
    /// It was answered with this value, which is not older than any acknowledged write.
    Fresh(&'static str),
    /// It was answered with this value, although a newer write had been acknowledged.
    Stale(&'static str),
}
