//! The leader alone is cut off (scenario 3).
//!
//! Situation: our leader and the etcd beside it are cut off from everything outside of site a:
//! from etcd's majority, from the other members, from the other sites. The services of a go on, and
//! everybody else sees that.
//!
//! Danger: two members think they lead; or the leader, which sees every other site dead, fails
//! over.
//!
//! Expectation: it stops leading by its own clock before another one begins, another leads with
//! a higher epoch, and no run begins. When the cut heals it follows.

use std::time::Duration;

use standfast_integration::lab::cluster::Kind;
use standfast_integration::lab::net::End;
use standfast_integration::lab::world::Setup;
use standfast_integration::parts::ground::ip;
use standfast_integration::parts::poll;
use standfast_proto::v1::Verdict;

use super::{Lab, Outcome};

const SOON: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_alone_steps_down_and_nothing_moves() -> Outcome {
    let mut lab = Lab::start(Setup::new(Kind::Etcd).led_from("w")).await?;
    let outcome = play(&mut lab).await;
    lab.end(outcome)
}

async fn play(lab: &mut Lab) -> Outcome {
    let customer = lab.world.customer().await?;
    lab.world.cluster.lead_from("a").await?;
    lab.world.until_steady().await?;
    let mut others = lab.world.cluster.api_of("b")?;
    let before = others.until_leader(SOON).await?;
    assert_eq!(before.site, "a");

    // Its own address, and the one that it shares with the site's etcd: what it calls from.
    for host in [40, 2] {
        lab.net.cut(End::Host(ip(1, host)))?;
    }
    // We stand in the router, to which the cut does not apply: we can still ask it.
    let after = others
        .until(SOON, "another leader", async |api| {
            let status = api.status().await.map_err(|e| e.to_string())?;
            let leader = status.leader.ok_or("nobody leads")?;
            if leader.epoch > before.epoch { Ok(leader) } else { Err(format!("{leader:?}")) }
        })
        .await?;
    assert_ne!(after.site, "a");
    poll(SOON, || async {
        let text = lab.world.cluster.members[0].get("metrics").await.map_err(|e| e.to_string())?;
        let line = text.lines().find(|line| line.starts_with("standfast_leader "));
        match line {
            Some("standfast_leader 0") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await?;

    // Long enough for a loss to be confirmed, had anybody seen one: until the cut has healed
    // and the old leader is eligible again.
    lab.net.heal()?;
    lab.world.until_steady().await?;
    assert!(others.runs().await?.is_empty(), "nothing was lost, so nothing moves");
    let site = others.site("a").await?;
    assert_eq!(site.verdict(), Verdict::Healthy);
    let record = customer.stop().await;
    assert!(record.failures.is_empty(), "customers noticed: {:?}", record.failures);
    Ok(())
}
