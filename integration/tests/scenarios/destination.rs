//! The destination is not healthy.
//!
//! Situation: the deploy tool of site b has hung for a while; nobody needed it. Now site a
//! dies.
//!
//! Danger: a run that begins and cannot go on: site a fenced, nothing started in b, and two
//! broken sites instead of one.
//!
//! Expectation: a is LOST and nothing begins. `why-not` names the guard and what b lacks, and
//! the refusal is stored with what was known. When the tool answers again, the run begins by
//! itself.

use std::time::{Duration, Instant};

use standfast_integration::lab::world::World;
use standfast_proto::v1::Verdict;

use super::Outcome;

const SOON: Duration = Duration::from_secs(20);

/// Answers the id of the run that began in the end.
pub(crate) async fn play(world: &mut World) -> Outcome<String> {
    let mut api = world.cluster.api()?;
    world.shop.b.deploy.part().pause();
    api.until(SOON, "a verdict on b", async |api| {
        let verdict = api.site("b").await.map_err(|e| e.to_string())?.verdict();
        if verdict == Verdict::Healthy { Err(format!("{verdict:?}")) } else { Ok(()) }
    })
    .await?;
    world.kill_site_a()?;
    let why = api
        .until(SOON, "a refusal by G05", async |api| {
            let why = api.why_not("a").await.map_err(|e| e.to_string())?;
            if why.refused_by == "G05" { Ok(why) } else { Err(format!("{:?}", why.guards)) }
        })
        .await?;
    let guard = why.guards.iter().find(|guard| guard.id == "G05").ok_or("G05 is asked")?;
    assert!(guard.reason.contains('b'), "it says what is wrong with b: {}", guard.reason);
    assert_eq!(api.site("a").await?.verdict(), Verdict::Lost);
    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(3) {
        assert!(api.runs().await?.is_empty(), "nothing begins");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let stored = api.why_not("a").await?.refusals;
    let refusal = stored.iter().find(|one| one.guard.as_ref().is_some_and(|guard| guard.id == "G05"));
    let refusal = refusal.ok_or_else(|| format!("no refusal is stored: {stored:?}"))?;
    assert_eq!((refusal.site.as_str(), refusal.to.as_str(), refusal.playbook.as_str()), ("a", "b", "shop"));
    assert!(!refusal.evidence.is_empty());

    world.shop.b.deploy.part().resume();
    Ok(api.until_run(SOON).await?.id)
}
