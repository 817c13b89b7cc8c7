//! Makes a failing seed smaller: the fewest faults, and the shortest, that still break the same.

use super::{Outcome, Planned, Town};
use std::time::Duration;

/// Takes faults away, then shortens what is left, as long as the same invariant breaks; the story of
/// the rest. `outcome` is of `seed`.
pub fn shrink(town: &Town, seed: u64, outcome: &Outcome) -> Outcome {
    let invariant = outcome.broken.as_ref().map(|broken| broken.invariant);
    let breaks = |faults: &[Planned]| {
        let again = town.live(seed, Some(faults.to_vec()), false);
        again.broken.is_some_and(|broken| Some(broken.invariant) == invariant)
    };
    let mut faults = outcome.faults.clone();
    let mut place = 0;
    while place < faults.len() {
        let mut fewer = faults.clone();
        fewer.remove(place);
        if breaks(&fewer) {
            faults = fewer;
            place = 0;
        } else {
            place += 1;
        }
    }
    for place in 0..faults.len() {
        while faults[place].lasts > Duration::from_secs(1) {
            let mut shorter = faults.clone();
            shorter[place].lasts /= 2;
            if !breaks(&shorter) {
                break;
            }
            faults = shorter;
        }
    }
    town.replay(seed, faults)
}
