//! etcd is lost everywhere while all sites are healthy (scenario 13).
//!
//! Situation: all three etcd members stand still. The sites and their customers do not need
//! them.
//!
//! Danger: nobody can renew anything, so everything looks lost to everyone, and we become the
//! outage.
//!
//! Expectation: nobody leads, nothing moves, customers notice nothing; every member says loudly
//! that it is not ready, and why. When etcd comes back, somebody leads, and still nothing moves.

use std::time::Duration;

use standfast_integration::lab::cluster::Kind;
use standfast_integration::lab::world::Setup;
use standfast_integration::parts::poll;

use super::{Lab, Outcome};

const SOON: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn without_its_store_nothing_moves_and_every_member_says_so() -> Outcome {
    let mut lab = Lab::start(Setup::new(Kind::Etcd).led_from("w")).await?;
    let outcome = play(&mut lab).await;
    lab.end(outcome)
}

async fn play(lab: &mut Lab) -> Outcome {
    let customer = lab.world.customer().await?;
    let etcd = lab.world.cluster.etcd.as_mut().ok_or("etcd")?;
    for member in 0..3 {
        etcd.part(member).pause();
    }
    for member in &lab.world.cluster.members {
        poll(SOON, || async {
            let text = member.get("readyz").await.map_err(|e| e.to_string())?;
            let metrics = member.get("metrics").await.map_err(|e| e.to_string())?;
            let leads = metrics.contains("\nstandfast_leader 1\n");
            if text.contains("store") && !leads { Ok(()) } else { Err(text) }
        })
        .await
        .map_err(|last| format!("{} does not say that the store is gone: {last}", member.name))?;
    }
    let etcd = lab.world.cluster.etcd.as_mut().ok_or("etcd")?;
    for member in 0..3 {
        etcd.part(member).resume();
    }
    lab.world.until_steady().await?;
    let runs = lab.world.cluster.api()?.runs().await?;
    assert!(runs.is_empty(), "nothing was lost, so nothing moves: {runs:?}");
    let record = customer.stop().await;
    assert!(record.failures.is_empty(), "customers noticed: {:?}", record.failures);
    Ok(())
}
