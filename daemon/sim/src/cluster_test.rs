//! Seeds of whole clusters, and mutants that they have to find.

use super::*;

#[path = "cluster_test/mutants.rs"]
mod mutants;
#[path = "cluster_test/scenarios.rs"]
mod scenarios;
#[path = "cluster_test/stage.rs"]
mod stage;

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
