//! Lessons about logs: what a leader that was cut off still believes, how logs are repaired, and why voters compare
//! them.
//!
//! Data alone: what is said, asked, done and checked, in order.

use crate::demo::lessons::script::RequestOutcome::{Done, Fresh, Refused, Stale};
use crate::demo::lessons::script::RoleName::{First, Leader, Present, Second};
use crate::demo::lessons::script::{Check, Lesson, LessonAction, LessonStep, Question};

pub(super) const LESSONS: &[Lesson] = &[
    Lesson {
        name: "stale-leader",
        title: "A partition and the stale leader",
        section: "Raft paper § 8",
        steps: &[
            LessonStep {
                say: "A value is written. Then {leader} is cut off from the others. It runs on, and clients still reach it.",
                question: Question {
                    ask: "How many nodes believe that they lead after a while?",
                    choices: &["None", "One", "Two"],
                    right: 2,
                    because: "The others elect one in a later term. {leader} has not heard of it: it is a leader of an \
                              earlier term. No term has two.",
                },
                actions: &[
                    LessonAction::Write(Leader, 1, "old"),
                    LessonAction::Isolate(Leader),
                    LessonAction::AwaitNewLeader,
                ],
                checks: &[
                    Check::RequestOutcome(0, Done),
                    Check::Elected { but: Some(Leader) },
                    Check::LeaseExpired(Leader),
                    Check::OneLeaderPerTerm,
                ],
            },
            LessonStep {
                say: "A newer value is written through the new leader. Then clients read: at the old leader at ONE and at \
                      QUORUM, at the new leader at QUORUM.",
                question: Question {
                    ask: "What does the old leader answer at QUORUM?",
                    choices: &["The old value", "The new value", "Nothing: it refuses"],
                    right: 2,
                    because: "Its lease has run out, and no majority answers it. It does not know that it is deposed, but it \
                              knows that it cannot know. At ONE it gives the old value, and that is what ONE means.",
                },
                actions: &[
                    LessonAction::Write(Present, 1, "new"),
                    LessonAction::Read(Leader, "one", 1),
                    LessonAction::Read(Leader, "quorum", 1),
                    LessonAction::Read(Present, "quorum", 1),
                ],
                checks: &[
                    Check::RequestOutcome(0, Done),
                    Check::RequestOutcome(1, Stale("old")),
                    Check::RequestOutcome(2, Refused),
                    Check::RequestOutcome(3, Fresh("new")),
                ],
            },
            LessonStep {
                say: "The partition ends.",
                question: Question {
                    ask: "Which of the two leaders stays?",
                    choices: &["The one that led first", "The one of the higher term", "They vote anew"],
                    right: 1,
                    because: "Whoever sees a higher term than its own steps down, leaders too.",
                },
                actions: &[LessonAction::Heal],
                checks: &[Check::SteppedDown(Leader), Check::Agree(&[Leader, First, Second]), Check::OneLeaderPerTerm],
            },
        ],
    },
    Lesson {
        name: "log-repair",
        title: "Logs are mended",
        section: "Raft paper § 5.3",
        steps: &[
            LessonStep {
                say: "{leader} is cut off, and a client writes through it at once.",
                question: Question {
                    ask: "Where is that write now?",
                    choices: &["Nowhere", "In the log of {leader}, not committed", "In every log"],
                    right: 1,
                    because: "A leader appends first and asks afterwards. Without a majority the entry stays uncommitted.",
                },
                actions: &[LessonAction::Isolate(Leader), LessonAction::Write(Leader, 1, "lost")],
                checks: &[Check::RequestOutcome(0, Refused), Check::Uncommitted(Leader)],
            },
            LessonStep {
                say: "The others elect a leader, and a client writes through that one.",
                question: Question {
                    ask: "Two entries, one place in the log. Which is true?",
                    choices: &["The first", "The committed one", "Whichever has the later clock"],
                    right: 1,
                    because: "What is committed stays for ever. What is not may be replaced.",
                },
                actions: &[LessonAction::AwaitNewLeader, LessonAction::Write(Present, 1, "kept")],
                checks: &[Check::RequestOutcome(0, Done), Check::Uncommitted(Leader), Check::OneLeaderPerTerm],
            },
            LessonStep {
                say: "The link is mended. The new leader finds out where its log and that of {leader} part.",
                question: Question {
                    ask: "What happens to the uncommitted entry?",
                    choices: &["It is merged", "It is removed, and the leader's entries take its place"],
                    right: 1,
                    because: "Followers' logs are made equal to the leader's; a leader never removes entries of its own.",
                },
                actions: &[LessonAction::Heal],
                checks: &[Check::Truncated(Leader), Check::Agree(&[Leader, First, Second])],
            },
            LessonStep {
                say: "A last look, through the node that had held the lost write.",
                question: Question {
                    ask: "What does it answer?",
                    choices: &["lost", "kept"],
                    right: 1,
                    because: "It was never acknowledged, so nobody was lied to.",
                },
                actions: &[LessonAction::Read(Leader, "quorum", 1)],
                checks: &[Check::RequestOutcome(0, Fresh("kept"))],
            },
        ],
    },
    Lesson {
        name: "why-votes-check-the-log",
        title: "Why voters compare logs",
        section: "Raft paper § 5.4.1",
        steps: &[
            LessonStep {
                say: "{second} is cut off and misses two writes.",
                question: Question {
                    ask: "Are the writes acknowledged?",
                    choices: &["Yes", "No"],
                    right: 0,
                    because: "{leader} and {first} are a majority.",
                },
                actions: &[
                    LessonAction::Isolate(Second),
                    LessonAction::Write(Leader, 1, "newer"),
                    LessonAction::Write(Leader, 1, "newest"),
                ],
                checks: &[Check::RequestOutcome(0, Done), Check::RequestOutcome(1, Done), Check::Behind(Second, First)],
            },
            LessonStep {
                say: "{leader} is killed, and {second} can be heard again: it stands for election, and asks {first}.",
                question: Question {
                    ask: "Does {first} vote for {second}?",
                    choices: &["Yes, there is no other leader", "No, its log is behind"],
                    right: 1,
                    because: "Were {second} elected, it would make {first} remove the two acknowledged writes. Voters refuse \
                              whoever has less than they have; so every leader has all that was acknowledged.",
                },
                actions: &[
                    LessonAction::Kill(Leader),
                    LessonAction::Outwait,
                    LessonAction::Mend(Second, First),
                    LessonAction::Campaign(&[Second]),
                ],
                checks: &[Check::Refused { voter: First, pre: false, reason: "log_behind" }, Check::NobodyElected],
            },
            LessonStep {
                say: "Now {first} is heard as well.",
                question: Question {
                    ask: "Who is elected?",
                    choices: &["{first}", "{second}", "Either"],
                    right: 0,
                    because: "Of the two only {first} has everything; {second} may vote for it, not the other way.",
                },
                actions: &[LessonAction::Heal],
                checks: &[Check::Elected { but: Some(Second) }, Check::Agree(&[First, Second])],
            },
            LessonStep {
                say: "{leader} is started again.",
                question: Question {
                    ask: "Were acknowledged writes lost?",
                    choices: &["No", "Yes, one"],
                    right: 0,
                    because: "All three hold them.",
                },
                actions: &[LessonAction::StartAll, LessonAction::Read(First, "quorum", 1)],
                checks: &[Check::RequestOutcome(0, Fresh("newest")), Check::Agree(&[Leader, First, Second])],
            },
        ],
    },
];
