//! The site dies that holds both leaders.
//!
//! Situation: three sites. Our leader and etcd's sit in site a, which dies at once.
//!
//! Danger: nobody is left who may decide, or two think they may; or the votes that were given
//! before the death count for a decision after it.
//!
//! Expectation: etcd elects, one of the two survivors leads with a higher epoch, confirms the
//! loss on its own clock, and the run begins within the bound that `lint` prints. The evidence
//! names both voters.

use std::time::{Duration, SystemTime};

use standfast::cli::human::timestamp;
use standfast_core::timing::{Profile, Timing};
use standfast_integration::lab::world::World;
use standfast_proto::v1::trigger::By;

use super::Outcome;

/// Two cores carry three sites, three etcd and a test: the bench holds the bound itself.
const SLOW_MACHINE: f64 = 1.5;

/// Answers the id of the run that came of it.
pub(crate) async fn play(world: &mut World) -> Outcome<String> {
    world.cluster.lead_from("a").await?;
    let mut api = world.cluster.api()?;
    let before = api.until_leader(Duration::from_secs(5)).await?;
    assert_eq!(before.site, "a");
    let (killed, dead) = world.kill_site_a()?;
    assert!(dead >= 10, "five guards and their programs, not {dead}");

    let run = api.until_run(Duration::from_secs(40)).await?;
    let run = api.run(&run.id).await?;
    let after = api.until_leader(Duration::from_secs(5)).await?;
    assert_ne!(after.site, "a");
    assert!(after.epoch > before.epoch, "{after:?} after {before:?}");
    let created = SystemTime::from(timestamp(run.created_at.as_ref()).ok_or("a time")?);
    let bound = Timing::of(Profile::Fast).bounds().in_turn.0;
    let took = created.duration_since(killed)?;
    assert!(took < bound.mul_f64(SLOW_MACHINE), "{took:?}, and {bound:?} is the bound");

    let Some(By::Automatic(trigger)) = run.trigger.and_then(|trigger| trigger.by) else {
        return Err("nobody but the cluster asked for it".into());
    };
    assert_eq!(trigger.member, after.member);
    for voter in ["b", "w"] {
        let says = |evidence: &&standfast_proto::v1::Evidence| {
            evidence.what.contains(&format!("of {voter} on a")) && evidence.answer.contains("DOWN")
        };
        assert!(trigger.evidence.iter().any(|e| says(&e)), "{voter} is heard: {:?}", trigger.evidence);
    }
    Ok(run.id)
}
