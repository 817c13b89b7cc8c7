//! The tools are not started.
//!
//! Situation: the playbook has lost its first step, the one that has the deploy tool of site b
//! start the shop there. Site a dies.
//!
//! Danger: a playbook that was green in a review moves everything but the business: a promoted
//! database, a moved name, and nobody behind it.
//!
//! Expectation: the run does not succeed, because its verification asks the shop itself. The
//! customers are not served. (It also shows that nothing else starts the shop in b: the
//! demonstration's success is the tool's.)

use std::time::{Duration, Instant};

use standfast_integration::lab::api::short;
use standfast_integration::lab::bundle::Bundle;
use standfast_integration::lab::world::World;
use standfast_integration::parts::Result;
use standfast_proto::v1::RunState;

use super::Outcome;

const SOON: Duration = Duration::from_secs(20);

pub(crate) fn edit(bundle: &mut Bundle) -> Result<()> {
    bundle.remove_step("tools")?;
    bundle.edit_playbook("weights: [5, 25, 50, 100], hold: 10s", "weights: [100]")?;
    bundle.edit_playbook(
        "{within: 30s, all: [{http.get: {endpoint: shop-web",
        "{within: 2s, all: [{http.get: {endpoint: shop-web",
    )
}

pub(crate) async fn play(world: World) -> Outcome {
    let customer = world.customer().await?;
    let mut api = world.cluster.api()?;
    world.kill_site_a()?;
    // Until here site a has served; an answer that was under way may still be read.
    let dead = Instant::now() + Duration::from_secs(1);
    let run = api.until_run(SOON).await?;
    let stands =
        |run: &standfast_proto::v1::Run| !matches!(run.state(), RunState::Running | RunState::Unspecified);
    let run = api.until_run_is(&run.id, Duration::from_secs(90), "stands", stands).await?;
    assert_eq!(run.state(), RunState::Blocked, "a person is asked: {}", short(&run));
    assert!(run.state_reason.contains("ramp"), "{}", short(&run));
    assert!(run.state_reason.contains("http.get"), "{}", short(&run));
    let record = customer.stop().await;
    assert!(record.first_after(dead).is_none(), "nobody is served");
    Ok(())
}
