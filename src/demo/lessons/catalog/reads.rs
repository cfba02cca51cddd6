//! Lessons about reads and links: three ways to read, a link that is broken in one direction, and many groups side by
//! side.
//!
//! Data alone: what is said, asked, done and checked, in order.

use crate::demo::lessons::script::RequestOutcome::{Done, Fresh, Refused, Stale};
use crate::demo::lessons::script::RoleName::{First, Leader, Present, Second};
use crate::demo::lessons::script::{Check, Lesson, LessonAction, LessonStep, Question};

pub(super) const LESSONS: &[Lesson] = &[
    Lesson {
        name: "three-reads",
        title: "Stale, lease and linearizable reads",
        section: "Raft thesis § 6.4",
        steps: &[
            LessonStep {
                say: "A value is written; then {first}, a follower, is asked for it at ONE, at QUORUM and at ALL.",
                question: Question {
                    ask: "Which of the three costs a round of messages to a majority?",
                    choices: &["ONE", "QUORUM", "ALL"],
                    right: 2,
                    because: "ONE is answered from the follower's own state. QUORUM goes to the leader, whose lease lets it \
                              answer by itself while clocks run alike. ALL has a majority confirm the leader for this read.",
                },
                actions: &[
                    LessonAction::Write(Present, 1, "now"),
                    LessonAction::Read(First, "one", 1),
                    LessonAction::Read(First, "quorum", 1),
                    LessonAction::Read(First, "all", 1),
                ],
                checks: &[
                    Check::RequestOutcome(1, Done),
                    Check::RequestOutcome(2, Fresh("now")),
                    Check::RequestOutcome(3, Fresh("now")),
                    Check::ReadSeen { by: First, mode: "follower", outcome: "ok" },
                    // The present leader, because leadership may have moved between two steps.
                    Check::ReadSeen { by: Present, mode: "lease", outcome: "ok" },
                ],
            },
            LessonStep {
                say: "{first} is cut off, a newer value is written, and {first} is asked again.",
                question: Question {
                    ask: "Which of the three levels gives a wrong answer?",
                    choices: &["ONE gives an old value, the others refuse", "All give the old value", "All refuse"],
                    right: 0,
                    because: "ONE says how old its answer may be and promises no more. The others would rather refuse than \
                              guess.",
                },
                actions: &[
                    LessonAction::Isolate(First),
                    LessonAction::Write(Leader, 1, "newer"),
                    LessonAction::Read(First, "one", 1),
                    LessonAction::Read(First, "quorum", 1),
                    LessonAction::Read(First, "all", 1),
                ],
                checks: &[
                    Check::RequestOutcome(0, Done),
                    Check::RequestOutcome(1, Stale("now")),
                    Check::RequestOutcome(2, Refused),
                    Check::RequestOutcome(3, Refused),
                ],
            },
            LessonStep {
                say: "The links are mended.",
                question: Question {
                    ask: "Will {first} be told of the write?",
                    choices: &["Yes, by the leader", "Only when a client asks for it"],
                    right: 0,
                    because: "The leader goes on trying, and sends what is missing.",
                },
                actions: &[LessonAction::Heal],
                checks: &[Check::Agree(&[Leader, First, Second])],
            },
        ],
    },
    Lesson {
        name: "one-way-cut",
        title: "A one-way cut, and pre-vote",
        section: "Raft thesis § 9.6",
        steps: &[
            LessonStep {
                say: "What {leader} sends to {first} is lost; everything else arrives. {first} hears no heartbeats and thinks \
                      that there is no leader.",
                question: Question {
                    ask: "Will {first} depose a leader that is well?",
                    choices: &["Yes, with a higher term", "No: it asks before it stands, and is told no"],
                    right: 1,
                    because: "In the pre-vote it asks whether it would be elected. {second} hears the leader and says no, so \
                              no term is raised and nobody is disturbed.",
                },
                actions: &[LessonAction::Cut(Leader, First)],
                checks: &[
                    Check::Refused { voter: Second, pre: true, reason: "leader_alive" },
                    Check::NobodyElected,
                    Check::SameLeader,
                ],
            },
            LessonStep {
                say: "The link is mended.",
                question: Question {
                    ask: "What changes?",
                    choices: &["A new term begins", "Nothing but {first} catching up"],
                    right: 1,
                    because: "Its term was never raised, so it simply follows again.",
                },
                actions: &[LessonAction::Heal],
                checks: &[Check::Agree(&[Leader, First, Second]), Check::SameLeader],
            },
        ],
    },
    Lesson {
        name: "eight-groups",
        title: "Eight groups on three nodes",
        section: "README: the shape of the data",
        steps: &[
            LessonStep {
                say: "The data is in eight shards. Each is a Raft group of its own, with its own log, leader and term, and \
                      leaders are spread over the nodes.",
                question: Question {
                    ask: "Why not one group for everything?",
                    choices: &["One leader would do all the work", "Raft allows no more than 8 entries"],
                    right: 0,
                    because: "Groups are independent: each has a leader, so all nodes share the work, and a crash stops only \
                              the groups that the dead node led.",
                },
                actions: &[LessonAction::Spread],
                checks: &[Check::EveryShardLed, Check::LeadersSpread],
            },
            LessonStep {
                say: "{leader} is killed.",
                question: Question {
                    ask: "How many of the eight groups must elect a leader?",
                    choices: &["All", "Those that {leader} led", "One"],
                    right: 1,
                    because: "For the others it was a follower, and a majority of them is still there.",
                },
                actions: &[LessonAction::Kill(Leader)],
                checks: &[Check::OnlyOrphansElect, Check::EveryShardLed],
            },
            LessonStep {
                say: "{leader} comes back; the cluster will hand it some of its groups again.",
                question: Question {
                    ask: "What does a hand-over cost?",
                    choices: &["A new term in the group, and a moment", "An outage of the timeout's length"],
                    right: 0,
                    because: "The leader asks a follower that has everything to stand at once.",
                },
                actions: &[LessonAction::StartAll],
                checks: &[Check::EveryShardLed, Check::Agree(&[Leader, First, Second])],
            },
        ],
    },
];
