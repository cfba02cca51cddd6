//! Every planted bug is caught, by the checker that is meant to catch it, within a stated number of seeds.

use super::{Mischief, Outcome, for_all, run};
use crate::mutants::{Mutant, plant};

/// The checkers that find something in one of the first `seeds` seeds with the bug planted, and the first such seed.
fn caught_by(mutant: Mutant, seeds: u64, checkers: &[&str]) -> Option<u64> {
    let found = for_all(1..1 + seeds, |seed| {
        let _planted = plant(mutant);
        let outcome = run(seed, Mischief::default()).judged();
        outcome.problems.iter().any(|(checker, _)| checkers.contains(checker))
    });
    found.into_iter().find(|(_, caught)| *caught).map(|(seed, _)| seed)
}

fn must_be_caught(mutant: Mutant, seeds: u64, checkers: &[&str]) {
    let caught = caught_by(mutant, seeds, checkers);
    println!("{mutant:?}: caught at seed {caught:?} of {seeds} by one of {checkers:?}");
    assert!(caught.is_some(), "{mutant:?} is not caught by {checkers:?} in {seeds} seeds");
}

/// For development.
#[test]
fn probe() {
    for mutant in [
        Mutant::SkipsSync, Mutant::OneForAll, Mutant::LeaseUnchecked, Mutant::NoReadRound, Mutant::ReadsTooEarly,
        Mutant::SilenceIsConsent, Mutant::ForgetsVotes, Mutant::AcksTooEarly, Mutant::LosesDeletes, Mutant::TrustsDamage,
        Mutant::KeepsOldKeys, Mutant::StrangersVote, Mutant::ShufflesPairs, Mutant::ForgetsPromises,
    ] {
        let found = for_all(1..31, |seed| {
            let _planted = plant(mutant);
            std::panic::catch_unwind(|| run(seed, Mischief::default()).judged().problems).unwrap_or_else(|_| vec![("panic", String::new())])
        });
        let mut by = std::collections::BTreeMap::<_, (u64, u64, String)>::new();
        for (seed, problems) in found {
            for (checker, what) in problems {
                let entry = by.entry(checker).or_insert((0, seed, what.chars().take(150).collect()));
                entry.0 += 1;
            }
        }
        println!("{mutant:?}: {by:#?}");
    }
}
