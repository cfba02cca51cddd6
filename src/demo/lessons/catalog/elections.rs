//! Lessons about elections: the first one, one after a crash, one that nobody wins; and what needs a majority.
//!
//! Data alone: what is said, asked, done and checked, in order.

use crate::demo::lessons::script::RequestOutcome::{Done, Fresh, Refused};
use crate::demo::lessons::script::RoleName::{First, Leader, Present, Second};
use crate::demo::lessons::script::{Check, Lesson, LessonAction, LessonStep, Question};

pub(super) const LESSONS: &[Lesson] = &[
    Lesson {
        name: "first-election",
        title: "The first election",
        section: "Raft paper § 5.2",
        steps: &[
            LessonStep {
                say: "All nodes are killed and started again. Nobody leads, nobody sends heartbeats. Each follower waits a \
                      random time, then asks the others for their votes.",
                question: Question {
                    ask: "Who will be the leader?",
                    choices: &[
                        "The node with the lowest number",
                        "Whoever led before",
                        "Whoever's time runs out first",
                    ],
                    right: 2,
                    because: "Nothing but chance decides among nodes with equal logs. A node that has just restarted votes \
                              for nobody for one election timeout: it may have forgotten a promise.",
                },
                actions: &[LessonAction::KillAll, LessonAction::StartAll],
                checks: &[Check::Elected { but: None }, Check::Majority, Check::OneLeaderPerTerm],
            },
            LessonStep {
                say: "A leader takes writes. It appends them to its log, sends them to its followers, and acknowledges what \
                      a majority has on disk.",
                question: Question {
                    ask: "A client writes through the leader. Who holds the write in the end?",
                    choices: &["The leader alone", "A majority", "All three nodes"],
                    right: 2,
                    because: "A majority is enough to acknowledge; the last follower gets it all the same.",
                },
                actions: &[LessonAction::WriteMany(Present, 1)],
                checks: &[Check::Agree(&[Leader, First, Second])],
            },
        ],
    },
    Lesson {
        name: "leader-crash",
        title: "The leader crashes",
        section: "Raft paper § 5.2, § 5.4",
        steps: &[
            LessonStep {
                say: "{leader} leads. A client writes a value, and it is acknowledged.",
                question: Question {
                    ask: "What does the acknowledgement promise?",
                    choices: &["The leader has it in memory", "A majority has it on disk", "Every node has it on disk"],
                    right: 1,
                    because: "Any later leader needs votes from a majority, and every two majorities share a node: so it \
                              will have the write too.",
                },
                actions: &[LessonAction::Write(Leader, 1, "before the crash")],
                checks: &[Check::RequestOutcome(0, Done), Check::Agree(&[Leader, First, Second])],
            },
            LessonStep {
                say: "Now {leader} is killed with -9: no goodbye, no flush.",
                question: Question {
                    ask: "How do the others find out?",
                    choices: &["They are told by the operator", "Heartbeats stay away", "A write fails"],
                    right: 1,
                    because: "A follower that hears nothing for its election timeout first asks whether it would be \
                              elected (pre-vote), then stands for a new term.",
                },
                actions: &[LessonAction::Kill(Leader)],
                checks: &[Check::Elected { but: Some(Leader) }, Check::Majority, Check::OneLeaderPerTerm],
            },
            LessonStep {
                say: "There is a new leader. Does it know the value that its predecessor acknowledged?",
                question: Question {
                    ask: "What does a read through the new leader find?",
                    choices: &["The value", "Nothing", "An error until the old leader is back"],
                    right: 0,
                    because: "Nobody can be elected without every acknowledged entry in its log.",
                },
                actions: &[
                    LessonAction::AwaitNewLeader,
                    LessonAction::WriteMany(Present, 1),
                    LessonAction::Read(Present, "quorum", 1),
                ],
                checks: &[Check::RequestOutcome(0, Fresh("before the crash"))],
            },
            LessonStep {
                say: "{leader} is started again, on its data.",
                question: Question {
                    ask: "Will it lead again at once?",
                    choices: &["Yes, it led before", "No, it follows"],
                    right: 1,
                    because: "There is a leader of a later term. The one that comes back hears it, follows, and gets what it \
                              missed.",
                },
                actions: &[LessonAction::Start(Leader)],
                checks: &[Check::Agree(&[Leader, First, Second]), Check::SameLeader],
            },
        ],
    },
    Lesson {
        name: "split-vote",
        title: "A split vote",
        section: "Raft paper § 5.2",
        steps: &[
            LessonStep {
                say: "{leader} is killed, and {first} and {second} stand for election at the same moment, for the same term.",
                question: Question {
                    ask: "Who wins that term?",
                    choices: &["{first}", "{second}", "Nobody", "Both"],
                    right: 2,
                    because: "Each has voted for itself and has no second vote to give. Random timeouts make it unlikely \
                              that they meet again: in a later term one of them is first.",
                },
                actions: &[LessonAction::Kill(Leader), LessonAction::Campaign(&[First, Second])],
                checks: &[
                    Check::SplitTerm,
                    Check::Elected { but: Some(Leader) },
                    Check::Majority,
                    Check::OneLeaderPerTerm,
                ],
            },
            LessonStep {
                say: "The third node comes back.",
                question: Question {
                    ask: "With three voters, can two candidates still split the vote?",
                    choices: &["Yes, if the third votes for neither in time", "No"],
                    right: 0,
                    because: "Three voters make it rare, not impossible: the third may be down, or stand as well.",
                },
                actions: &[LessonAction::AwaitNewLeader, LessonAction::StartAll],
                checks: &[Check::Agree(&[Leader, First, Second])],
            },
        ],
    },
    Lesson {
        name: "no-quorum",
        title: "No majority, no decision",
        section: "Raft paper § 5.4, § 8",
        steps: &[
            LessonStep {
                say: "{first} and {second} are killed. {leader} is alone, and a client writes through it.",
                question: Question {
                    ask: "What becomes of the write?",
                    choices: &["It is acknowledged", "It is refused, and its fate stays open", "It is lost for good"],
                    right: 1,
                    because: "{leader} may append it, but cannot commit it. When a majority is back it may be committed, or \
                              be replaced. So the client is told that nobody knows.",
                },
                actions: &[
                    LessonAction::Kill(First),
                    LessonAction::Kill(Second),
                    LessonAction::Write(Leader, 1, "alone"),
                ],
                checks: &[Check::RequestOutcome(0, Refused), Check::LeaseExpired(Leader), Check::NobodyElected],
            },
            LessonStep {
                say: "Reads, then. At ONE any replica answers from what it has; at QUORUM a leader must hold a lease.",
                question: Question {
                    ask: "Which of the two is answered?",
                    choices: &["Both", "ONE only", "QUORUM only", "Neither"],
                    right: 1,
                    because: "Without a majority's answers the lease has run out: somebody else might lead by now. ONE asks \
                              for no promise and gets none.",
                },
                actions: &[LessonAction::Read(Leader, "one", 2), LessonAction::Read(Leader, "quorum", 2)],
                checks: &[Check::RequestOutcome(0, Done), Check::RequestOutcome(1, Refused)],
            },
            LessonStep {
                say: "{first} comes back: two of three are a majority.",
                question: Question {
                    ask: "Can clients write again, with one node still down?",
                    choices: &["Yes", "No, all three are needed"],
                    right: 0,
                    because: "A majority is enough for everything: elections, commits, reads.",
                },
                actions: &[LessonAction::Start(First), LessonAction::WriteMany(Leader, 1)],
                checks: &[Check::Agree(&[Leader, First])],
            },
            LessonStep {
                say: "And {second}.",
                question: Question {
                    ask: "What must an operator do so that {second} catches up?",
                    choices: &["Copy the data", "Nothing"],
                    right: 1,
                    because: "The leader finds out where the logs part and sends the rest.",
                },
                actions: &[LessonAction::Start(Second)],
                checks: &[Check::Agree(&[Leader, First, Second])],
            },
        ],
    },
];
