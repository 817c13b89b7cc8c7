//! Seeds of whole clusters, and mutants that they have to find.

use super::*;

#[path = "cluster_test/scenarios.rs"]
mod scenarios;

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
    finds(Mutant::NoGuards, 8..=40, "a journal never forks");
}

#[test]
fn a_leader_that_does_not_demote_itself_is_found() {
    finds(Mutant::NoDemotion, 553..=560, "nobody acts under an epoch that is over");
}

#[test]
fn a_leader_that_hears_no_veto_is_found() {
    finds(Mutant::NoVeto, 9..=40, "no failover where somebody is alive");
}

#[test]
fn a_leader_that_does_not_wait_for_confirmation_is_found() {
    finds(Mutant::NoConfirm, 1..=20, "no failover without its evidence");
}

#[test]
fn a_leader_that_holds_nothing_down_is_found() {
    finds(Mutant::NoHoldDown, 1..=20, "one run for each hold-down");
}

#[test]
fn a_leader_that_acts_where_it_should_advise_is_found() {
    finds(Mutant::NoAdvice, 1..=20, "nothing acts by itself that may not");
}

#[test]
fn a_site_without_a_sentry_is_found() {
    finds(Mutant::NoSentry, 10..=40, "never two writers of one cluster");
}

#[test]
fn a_site_that_comes_back_although_it_is_fenced_is_found() {
    finds(Mutant::NoFencedKey, 1..=20, "never two writers of one cluster");
}

#[test]
fn a_leader_that_does_not_wait_for_what_lingers_is_found() {
    finds(Mutant::NoLinger, 1..=120, "effects of different epochs never overlap");
}

#[test]
fn a_leader_that_promotes_what_is_too_far_behind_is_found() {
    finds(Mutant::NoLag, 1..=150, "no promotion without its guards");
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
    assert!(shrunk.faults.len() <= 2, "a cut is enough: {:#?}", shrunk.faults);
}
