//! Bugs that tests plant on purpose, to see that a checker finds them.
//!
//! A fault test is worth what it catches. Each [`Mutant`] is a mistake that consensus, or a machine under it, is known
//! to be written with; the simulation plants one on its own thread (`plant`), a real process takes the one that
//! `QUIVER_MUTANT` names. A build without tests has none: there [`is_planted`] is a constant, and the name of that
//! variable, which tests look for in the binary, is not in it.

/// A bug, by what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// Syncs succeed and do nothing.
    SkipsSync,
    /// A restarted node does not wait until its forgotten promises have run out.
    ForgetsPromises,
    /// A linearizable read is served like one of a follower.
    OneForAll,
    /// A leader takes its lease for granted.
    LeaseUnchecked,
    /// A leader takes itself for confirmed without asking anyone.
    NoReadRound,
    /// A leader serves reads before an entry of its own term is committed.
    ReadsTooEarly,
    /// A follower that does not answer counts as one that has the entries.
    SilenceIsConsent,
    /// A vote newer than the log is forgotten at a restart.
    ForgetsVotes,
    /// Entries are acknowledged before they are durable.
    AcksTooEarly,
    /// Deletions are applied in memory and never stored.
    LosesDeletes,
    /// Checksums are not compared.
    TrustsDamage,
    /// A snapshot is installed over the old state, whose other keys stay.
    KeepsOldKeys,
    /// What is applied may be cut off the log, and be contradicted by a leader.
    CutsApplied,
    /// An entry is applied whatever was applied before it.
    AppliesWithGaps,
    /// Nobody minds in which life a node takes part.
    IgnoresLives,
    /// A replica takes entries from two leaders of one term.
    FollowsTwoLeaders,
    /// Nobody holds the states of replicas against each other.
    NeverComparesStates,
    /// The ends of log and state are compared by their terms before their indexes.
    ComparesTermFirst,
    /// A replica votes though its log does not say that it is a member.
    StrangersVote,
    /// Pairs are sent in the order of a hash map.
    ShufflesPairs,
    /// A machine carries out again what was asked under the same request id.
    RepeatsRequests,
    /// A machine does not read back which requests it has carried out: a snapshot, and a restart, make it forget them.
    ForgetsRequests,
    /// A machine forgets what it carried out while copies of it may still come.
    ForgetsEarly,
    /// Neither a leader nor a machine minds that a named write comes later than it may.
    TakesLateCopies,
    /// A shard makes a collection again that it has dropped.
    ForgetsDrops,
    /// A leader whose machine has slept counts on what it heard before.
    SleepsOnLease,
    /// A leader waits for the answer to a heartbeat no longer than until the next.
    HurriesFollowers,
    /// A node does not mind that its disk does not answer.
    HangsUnseen,
    /// The map frees a dropped collection's name before every shard was told.
    FreesNamesEarly,
    /// The cluster map's machine carries out again what was asked under the same request id.
    RepeatsMapChanges,
    /// A machine panics while it decides what a command does.
    PanicsDeciding,
    /// A machine panics while it decides what a deletion does.
    PanicsOnDeletes,
    /// A shard answers an entry of a newer release as if it said nothing.
    AnswersNewerEntries,
    /// What cannot be read is proposed all the same.
    ProposesGarbage,
    /// A follower promises a leader as long as its own settings say, not as long as the leader asks.
    PromisesItsOwn,
    /// A restarted node waits for promises of its present settings, and not for longer ones that it gave before.
    ForgetsLongPromises,
    /// A leader uses its whole lease, as if no follower's clock ran faster than its own.
    LeaseIsPromise,
    /// A store that failed is believed again.
    BelievesFailedStores,
    /// The erasure of a replica takes the state of the group behind it too.
    ErasesNeighbours,
    /// A write of megabytes reaches the store's tree step by step, and half of it is there after a crash.
    TearsLargeWrites,
    /// An opening does not carry on a write of megabytes that was decided before a crash.
    ForgetsLargeWrites,
    /// What was cut off the log before a snapshot is installed may come back under it.
    LeavesCutEntries,
    /// What a leader of before had committed counts as what is committed now.
    EarlierTermIsFresh,
    /// A change of members is carried out whatever they are by then.
    ChangesMembersBlindly,
    /// A log and a state that contradict each other are opened together.
    TrustsTogether,
    /// A survivor of last resort is judged by the membership that it knows itself.
    JudgesByItself,
    /// Two halves of a membership are judged as one set of voters.
    JudgesTheUnion,
    /// A recovered map gives out again the numbers that a lost one gave out.
    ReusesNumbers,
    /// What a machine leaves to be cleared away stays for ever.
    ForgetsToErase,
    /// A query goes on whatever its deadline says.
    NeverEndsQueries,
    /// A deletion by filter takes also what was written after it began.
    DeletesNewer,
    /// Two survivors of last resort go on in one term.
    SharesRecoveryTerms,
    /// A report of a survivor is believed whoever it is of.
    BelievesAnyReport,
    /// A message of another version is read as if it were of this one.
    ReadsOtherVersions,
    /// A body may hold as many frames as fit.
    TakesEndlessFrames,
    /// A read waits for a place that no log will reach.
    WaitsForLapsedTokens,
    /// A node that cannot read a call counts as one that does not answer.
    UnreadableIsSilence,
    /// A shard remembers as many request ids as clients send.
    RemembersWithoutEnd,
    /// A directory of an earlier format is used and not marked.
    LeavesDirectoriesUnmarked,
    /// A node starts with the timings that it is given, whatever the cluster's are.
    KeepsOwnTimings,
    /// What is fetched for an answer is shown though it has changed since.
    MixesStates,
    /// Requests that wait for others take the places of all.
    WaitsAmongAll,
    /// An answer is paid for only until it is made.
    AnswersForFree,
    /// A payload index lacks the second row of each value.
    IndexMissesRow,
    /// What is erased may appear again, and nobody looks.
    ErasesOnce,
    /// Of an edit the sync budget counts its key and its value, and not what sled writes beside them.
    CountsEditsAlone,
    /// The sync budget takes the parts of a large value for values like those that came of late.
    ForgetsParts,
    /// A batch goes to sled whatever was written before it and is not synced.
    SyncsTooLate,
    /// A replica hands on entries of a leader whose indexes leave some out.
    TakesEntriesWithHoles,
    /// A survivor goes on alone in a term that a lost member can have reached.
    SharesLostTerms,
    /// The end of a log is read from its oldest entry on.
    ReadsOldestFirst,
    /// What is put together for a client is put together after the client has gone.
    WorksForNobody,
    /// Routes from elsewhere take bodies and give answers without the limits of the others.
    LeavesRoutesUnlimited,
    /// A cluster takes as many collections as clients create.
    CollectsWithoutEnd,
    /// A large answer keeps its place for as long as its client waits.
    WaitsAsLongAsClients,
    /// Shards are asked for large answers before these have a place.
    AsksAllAtOnce,
    /// A client may take a large answer at the least rate of a small one.
    SendsForHours,
}

/// Returns `true` if the bug is planted: never, in a build without tests.
#[cfg(not(any(test, feature = "mutants")))]
pub const fn is_planted(_: Mutant) -> bool {
    false
}

#[cfg(any(test, feature = "mutants"))]
pub use planted::{Planted, is_planted, plant};

#[cfg(any(test, feature = "mutants"))]
mod planted {
    use std::cell::Cell;
    use std::sync::OnceLock;

    use super::Mutant;

    thread_local! {
        static HERE: Cell<Option<Mutant>> = const { Cell::new(None) };
    }

    /// What keeps a bug planted.
    #[must_use = "the bug is gone as soon as this is"]
    pub struct Planted(());

    impl Drop for Planted {
        fn drop(&mut self) {
            HERE.set(None);
        }
    }

    /// Plants a bug in everything that runs on this thread, in place of one planted before.
    pub fn plant(mutant: Mutant) -> Planted {
        HERE.set(Some(mutant));
        Planted(())
    }

    /// Returns `true` if the bug is planted: on this thread, or in this process by `QUIVER_MUTANT`.
    pub fn is_planted(mutant: Mutant) -> bool {
        static EVERYWHERE: OnceLock<Option<Mutant>> = OnceLock::new();
        HERE.get() == Some(mutant) || *EVERYWHERE.get_or_init(named) == Some(mutant)
    }

    fn named() -> Option<Mutant> {
        let name = std::env::var("QUIVER_MUTANT").ok()?;
        let known = [
            ("skip-sync", Mutant::SkipsSync),
            ("one-for-all", Mutant::OneForAll),
            ("lease-unchecked", Mutant::LeaseUnchecked),
            ("no-read-round", Mutant::NoReadRound),
            ("silence-is-consent", Mutant::SilenceIsConsent),
            ("cut-applied", Mutant::CutsApplied),
            ("ignore-lives", Mutant::IgnoresLives),
            ("forget-promises", Mutant::ForgetsPromises),
            ("ack-too-early", Mutant::AcksTooEarly),
            ("repeat-requests", Mutant::RepeatsRequests),
            ("forget-requests", Mutant::ForgetsRequests),
            ("forget-early", Mutant::ForgetsEarly),
            ("take-late-copies", Mutant::TakesLateCopies),
            ("forget-drops", Mutant::ForgetsDrops),
            ("sleep-on-lease", Mutant::SleepsOnLease),
            ("hurry-followers", Mutant::HurriesFollowers),
            ("hang-unseen", Mutant::HangsUnseen),
            ("free-names-early", Mutant::FreesNamesEarly),
            ("repeat-map-changes", Mutant::RepeatsMapChanges),
        ];
        let mutant = known.iter().find(|(known, _)| *known == name).map(|(_, mutant)| *mutant);
        Some(mutant.unwrap_or_else(|| panic!("QUIVER_MUTANT names no bug: {name}")))
    }
}
