//! Lessons about members: nodes that leave and join, and a follower that missed too much for the log.
//!
//! Data alone: what is said, asked, done and checked, in order.

use crate::demo::lessons::script::RoleName::{First, Leader, Second};
use crate::demo::lessons::script::{Check, Lesson, LessonAction, LessonStep, Question};

pub(super) const LESSONS: &[Lesson] = &[
    Lesson {
        name: "membership-change",
        title: "Members change",
        section: "Raft paper § 6",
        steps: &[
            LessonStep {
                say: "{second} is to leave the cluster. Who is a member stands in the log, like everything else.",
                question: Question {
                    ask: "Why not simply switch from the old members to the new ones?",
                    choices: &[
                        "It would take too long",
                        "For a moment two majorities could decide apart",
                        "The log would be too long",
                    ],
                    right: 1,
                    because: "Nodes learn of the change at different moments. In between, a joint membership needs a majority \
                              of the old and one of the new members.",
                },
                actions: &[LessonAction::Remove(Second)],
                checks: &[Check::Joint(Second), Check::NoMember(Second)],
            },
            LessonStep {
                say: "{second} loses its data and joins as a new node.",
                question: Question {
                    ask: "May it vote at once?",
                    choices: &["Yes", "No, it must catch up first"],
                    right: 1,
                    because: "A voter with an empty log would only make majorities harder to reach. It comes as a learner, is \
                              brought up to date, and then becomes a voter.",
                },
                actions: &[LessonAction::Adopt(Second)],
                checks: &[Check::Learner(Second), Check::Joint(Second), Check::Voter(Second)],
            },
        ],
    },
    Lesson {
        name: "snapshot-catch-up",
        title: "Too late for the log",
        section: "Raft paper § 7",
        steps: &[
            LessonStep {
                say: "{second} is killed. Clients write so much that {leader} takes a snapshot and purges the start of its log.",
                question: Question {
                    ask: "Why purge the log at all?",
                    choices: &["It would grow for ever", "Old entries may be wrong"],
                    right: 0,
                    because: "What the entries did is in the state; the entries themselves are not needed any more, unless \
                              somebody missed them.",
                },
                actions: &[LessonAction::Kill(Second), LessonAction::WriteMany(Leader, 150)],
                checks: &[Check::Purged(Leader)],
            },
            LessonStep {
                say: "{second} comes back and asks for entries that nobody has any more.",
                question: Question {
                    ask: "What does it get?",
                    choices: &[
                        "An error",
                        "The state as a snapshot, then the rest of the log",
                        "The whole log from {first}",
                    ],
                    right: 1,
                    because: "A snapshot stands for all the entries up to its index.",
                },
                actions: &[LessonAction::Start(Second)],
                checks: &[Check::SnapshotInstalled(Second), Check::Agree(&[Leader, First, Second])],
            },
        ],
    },
];
