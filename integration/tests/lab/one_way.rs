//! Nothing comes out of the active site towards the other sites, customers excepted (scenario 4).
//!
//! Situation: packets from site a to b and to w are lost; those to a arrive, and customers are
//! served as always. A member in a cannot renew anything: to b and w the site looks lost.
//!
//! Danger: a failover although customers are served; or two shops.
//!
//! Expectation: b is promoted only if the fence holds. Here nobody can cut a's power and a's
//! database does not answer, so the fence cannot be proven: the run asks a person, and nothing
//! has moved. Customers notice nothing.

use std::time::Duration;

use standfast_integration::lab::cluster::Kind;
use standfast_integration::lab::net::End;
use standfast_integration::lab::world::Setup;
use standfast_proto::v1::{Run, RunState};

use super::{Lab, Outcome};

#[tokio::test(flavor = "multi_thread")]
async fn without_a_proven_fence_nobody_is_promoted() -> Outcome {
    let setup = Setup::new(Kind::Etcd).led_from("w").edited(|bundle| {
        bundle.edit_playbook(
            "any_of: [site_lease_expired, power_off, writes_refused]",
            "any_of: [site_lease_expired, writes_refused]",
        )
    });
    let mut lab = Lab::start(setup).await?;
    let outcome = play(&mut lab).await;
    lab.end(outcome)
}

async fn play(lab: &mut Lab) -> Outcome {
    let customer = lab.world.customer().await?;
    for other in ["b", "w"] {
        lab.net.drop(End::Site("a"), End::Site(other), 100)?;
    }
    let mut api = lab.world.cluster.api_of("w")?;
    let run = api.until_run(Duration::from_secs(40)).await?;
    let blocked = |run: &Run| run.state() == RunState::Blocked;
    let run = api.until_run_is(&run.id, Duration::from_secs(90), "asks a person", blocked).await?;
    assert!(run.state_reason.contains("fenced"), "{}", run.state_reason);
    assert!(lab.world.shop.b.postgres.is_standby().await?, "b was promoted without a fence");
    assert_eq!(lab.world.shop.bind.addresses().await?, [a_front(lab)], "the name moved");
    let record = customer.stop().await;
    assert!(record.failures.is_empty(), "customers noticed: {:?}", record.failures);
    Ok(())
}

fn a_front(lab: &Lab) -> std::net::Ipv4Addr {
    match lab.world.shop.a.addresses.front.ip() {
        std::net::IpAddr::V4(address) => address,
        std::net::IpAddr::V6(_) => unreachable!("sites have IPv4 addresses"),
    }
}
