//! Everything breaks at random: about two minutes of what `make chaos` does for as long as it is told.
//!
//! Situation: sites as in earnest, a customer who orders without pause. Members, etcd, databases,
//! sentries, networks and disks fail by a schedule that follows from a seed; site a is lost while
//! more fails. Then all is mended.
//!
//! Danger: whatever nobody has thought of.
//!
//! Expectation: everything comes to rest, and the checker, which shares no code with the daemon, finds
//! nothing in what is left behind.

use std::time::Duration;

use standfast_integration::chaos::{self, schedule::Scene, schedule::Schedule};

use super::Outcome;

/// Its first two rounds are a loss each, in which leaders and etcd fail as well.
const SEED: u64 = 5;
/// No further round begins after it.
const SPAN: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn whatever_breaks_no_rule_is_broken() -> Outcome {
    assert!((0..2).all(|round| Schedule::draw(SEED, round).scene == Scene::Loss));
    let tally = chaos::play(SEED, SPAN, |line| println!("{line}")).await?;
    println!("what hit whom, and how often:\n{}{tally}", tally.table());
    assert_eq!(tally.bad, 0, "a rule was broken, or something did not come to rest: see above");
    assert!(tally.runs > 0 && tally.effects > 0 && tally.rows > 200, "nothing was tried: {tally}");
    Ok(())
}
