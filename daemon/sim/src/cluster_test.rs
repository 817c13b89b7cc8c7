//! Seeds of whole clusters, and mutants that they have to find.

use super::*;

#[test]
fn some_seeds_break_nothing() {
    let town = Town::default();
    let mut seen = Coverage::default();
    for seed in 0..12 {
        let outcome = town.seed(seed);
        assert_eq!(outcome.broken, None, "seed {seed}, with {:#?}", outcome.faults);
        seen.add(&outcome.coverage);
    }
    assert!(seen.runs > 0 && seen.terms > 12, "{seen}");
}

#[test]
fn a_seed_is_one_story_word_for_word() {
    let town = Town::default();
    let faults = town.seed(3).faults;
    let (once, again) = (town.replay(3, faults.clone()), town.replay(3, faults));
    assert!(once.story.len() > 20, "{:#?}", once.story);
    assert_eq!((once.story, once.events), (again.story, again.events));
}

/// A simulator that cannot fail proves nothing: each mutant is found, within these seeds.
fn finds(mutant: Mutant, seeds: std::ops::RangeInclusive<u64>, invariant: &str) {
    let town = Town::with(mutant);
    let found = seeds.clone().find_map(|seed| town.seed(seed).broken);
    let found = found.unwrap_or_else(|| panic!("{} is not found in {seeds:?}", mutant.name()));
    assert_eq!(found.invariant, invariant, "{found}");
}

#[test]
fn a_store_that_does_not_compare_is_found() {
    finds(Mutant::NoGuards, 20..=40, "a journal never forks");
}

#[test]
fn a_leader_that_does_not_demote_itself_is_found() {
    finds(Mutant::NoDemotion, 260..=280, "nobody acts under an epoch that is over");
}

#[test]
fn a_fence_without_proof_is_found_and_shrunk() {
    let town = Town::with(Mutant::FenceWithoutProof);
    let outcome = town.seed(1);
    let broken = outcome.broken.clone().expect("the site writes on behind the cut");
    assert_eq!(broken.invariant, "never two writers of one cluster", "{broken}");
    let shrunk = shrink(&town, 1, &outcome);
    assert_eq!(shrunk.broken.map(|broken| broken.invariant), Some(broken.invariant));
    assert!(shrunk.faults.len() <= outcome.faults.len() && !shrunk.story.is_empty());
    assert_eq!(shrunk.faults.len(), 1, "one cut is enough: {:#?}", shrunk.faults);
}
