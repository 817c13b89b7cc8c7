//! How many whole clusters a core simulates, and how much virtual time that covers.

use std::time::Duration;

use standfast_sim::cluster::Town;

use super::figure::{Figure, Judged};
use super::processor;
use crate::parts::{Error, Result};

/// Fifty seeds a second.
const BOUND: Duration = Duration::from_millis(20);
/// Seeds differ; so many of them in a row do not.
const SEEDS: u32 = 500;
const TIMES: u32 = 5;

/// Other seeds each time, the same whenever it is measured.
pub async fn measure() -> Result<Vec<Figure>> {
    let town = Town::default();
    let (mut samples, mut minutes) = (Vec::new(), Vec::new());
    for time in 0..TIMES {
        let (began, mut covered) = (processor(), Duration::ZERO);
        for seed in time * SEEDS..(time + 1) * SEEDS {
            let outcome = town.seed(u64::from(seed) + 1);
            if let Some(broken) = outcome.broken {
                return Err(Error::answer("cluster", format!("seed {}: {broken}", seed + 1)));
            }
            covered += outcome.lasted;
        }
        samples.push(processor().saturating_sub(began) / SEEDS);
        minutes.push((covered.as_secs() / 60) as usize);
    }
    Ok(vec![
        Figure::new(
            "cluster-seed",
            &format!("one seed of the cluster simulator, mean of {SEEDS}, processor time of one thread"),
            Judged::Median,
            BOUND,
            samples,
        ),
        Figure::counting("cluster-minutes", &format!("virtual minutes that {SEEDS} seeds cover"), minutes),
    ])
}
