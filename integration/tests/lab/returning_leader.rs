//! The old leader comes back (what Patroni 3.0.2 loses on etcd v3).
//!
//! Situation: our leader, etcd's leader and the primary are in site a. The site is cut off, or the
//! leader and its etcd stand still; b is promoted under another leader, and customers order there.
//! Then the old leader comes back, with all that it knew.
//!
//! Danger: it takes its key back, because nothing says to it that the lease is another one by now;
//! the new primary is demoted, and what it has acknowledged is gone.
//!
//! Expectation: every write of the old leader compares the revision with which it got its key, so it
//! finds that it leads no longer, and follows. The epoch does not go back, b stays the primary, no row
//! that b has acknowledged is lost, and a stays fenced.

use std::time::{Duration, Instant};

use standfast_core::timing::{Profile, Timing};
use standfast_integration::lab::cluster::Kind;
use standfast_integration::lab::net::End;
use standfast_integration::lab::world::Setup;
use standfast_integration::parts::poll;
use standfast_integration::parts::shop::rows;
use standfast_proto::v1::{Run, RunState};

use super::sentry::writes;
use super::{Lab, Outcome};

const SOON: Duration = Duration::from_secs(30);

/// How the leader is away.
#[derive(Clone, Copy)]
enum Away {
    Cut,
    Stopped,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_was_cut_off_does_not_take_its_key_back() -> Outcome {
    come_back(Away::Cut).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_stood_still_with_its_etcd_does_not_take_its_key_back() -> Outcome {
    come_back(Away::Stopped).await
}

async fn come_back(away: Away) -> Outcome {
    let setup = Setup::new(Kind::Etcd).guarded();
    let setup = setup.edited(|bundle| bundle.edit_playbook("hold: 10s", "hold: 1s"));
    let mut lab = Lab::start(setup).await?;
    let outcome = play(&mut lab, away).await;
    lab.end(outcome)
}

async fn play(lab: &mut Lab, away: Away) -> Outcome {
    lab.world.until_enforced().await?;
    let customer = lab.world.customer().await?;
    lab.world.cluster.lead_from("a").await?;
    let mut others = lab.world.cluster.api_of("w")?;
    let before = others.until_leader(SOON).await?;
    assert_eq!(before.site, "a");

    match away {
        Away::Cut => lab.net.cut(End::Site("a"))?,
        Away::Stopped => {
            lab.world.cluster.member("a")?.part().pause();
            lab.world.cluster.etcd.as_mut().ok_or("etcd")?.part(0).pause();
        }
    }
    let gone = Instant::now();
    let run = others.until_run(SOON).await?;
    let over = |run: &Run| run.state() == RunState::Succeeded;
    let run = others.until_run_is(&run.id, Duration::from_secs(90), "succeeds", over).await?;
    let served = poll(SOON, || async {
        let by_b = |n: &usize| *n >= 100;
        let n = customer.look(|record| record.orders.iter().filter(|order| order.site == "b").count());
        Some(n).filter(by_b).ok_or_else(|| format!("b has acknowledged {n} orders"))
    });
    served.await?;
    let led = others.until_leader(SOON).await?;
    assert!(led.epoch > before.epoch && led.site != "a", "{led:?} after {before:?}");

    match away {
        Away::Cut => lab.net.heal()?,
        Away::Stopped => {
            lab.world.cluster.etcd.as_mut().ok_or("etcd")?.part(0).resume();
            lab.world.cluster.member("a")?.part().resume();
        }
    }
    let back = Instant::now();
    println!("away for {:?}", back - gone);
    // Longer than any lease of it could last.
    let mut own = lab.world.cluster.api_of("a")?;
    while back.elapsed() < 3 * Timing::of(Profile::Fast).ttl.0 {
        for api in [&mut own, &mut others] {
            let leader = api.status().await.ok().and_then(|status| status.leader);
            let back = leader.filter(|leader| leader.site == "a" || leader.epoch < led.epoch);
            assert!(back.is_none() || back.as_ref() == Some(&before), "{back:?} leads, after {led:?}");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    lab.world.cluster.member("a")?.until_ready().await?;
    let follows = own.until_leader(SOON).await?;
    assert!(follows.epoch >= led.epoch && follows.site != "a", "{follows:?} after {led:?}");

    assert!(!lab.world.shop.b.postgres.is_standby().await?, "b was demoted");
    let lease = own.site("a").await?.lease.ok_or("a has no lease")?;
    assert!(!lease.held && lease.fenced_by == run.id, "{lease:?}");
    assert!(!writes(&lab.world).await, "two databases write");
    let record = customer.stop().await;
    let present = rows(&lab.world.shop.b).await?;
    let kept = |id: &i64| present.contains(id);
    let by_b: Vec<i64> =
        record.orders.iter().filter(|order| order.site == "b").map(|order| order.id).collect();
    assert!(by_b.iter().all(kept), "b has lost what it acknowledged");
    assert!(record.orders.iter().any(|order| order.sent > back && order.site == "b"), "b serves on");
    Ok(())
}
