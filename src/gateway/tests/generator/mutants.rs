//! Bugs planted on purpose: the generator finds each within the gate's cases.

use raft_groups::mutants::{Mutant, plant};

use super::steps::Case;
use super::{CASES, world};

/// The first case that finds the bug, and what it finds.
fn found(mutant: Mutant) -> Option<(u64, String)> {
    let _planted = plant(mutant);
    (1..=CASES).find_map(|seed| world::play(&Case::of(seed)).err().map(|(wrong, _)| (seed, wrong)))
}

fn must_be_found(mutant: Mutant) {
    let found = found(mutant);
    println!("{mutant:?}: {found:?}");
    assert!(found.is_some(), "{mutant:?} is not found in {CASES} cases");
}

#[test]
fn a_write_that_is_carried_out_again_is_found() {
    must_be_found(Mutant::RepeatsRequests);
}

#[test]
fn requests_that_are_forgotten_at_a_restart_are_found() {
    must_be_found(Mutant::ForgetsRequests);
}

#[test]
fn an_index_that_misses_a_row_is_found() {
    must_be_found(Mutant::IndexMissesRow);
}

#[test]
fn requests_that_are_forgotten_early_are_found() {
    must_be_found(Mutant::ForgetsEarly);
}

#[test]
fn late_copies_that_are_carried_out_are_found() {
    must_be_found(Mutant::TakesLateCopies);
}

#[test]
fn collections_that_late_copies_bring_back_are_found() {
    must_be_found(Mutant::ForgetsDrops);
}

#[test]
fn a_machine_that_panics_over_deletions_is_found() {
    must_be_found(Mutant::PanicsOnDeletes);
}
