//! Sites that are far from each other.
//!
//! Situation: each packet takes 10 ms to leave a site and 10 ms to enter one, so that an answer from
//! another site takes 40 ms at least; many hundred kilometres of fibre. Then site a is cut off.
//!
//! Danger: what is far is taken for dead, leaders change all the time, or the windows of the profile fast
//! are too short for anything to happen.
//!
//! Expectation: all is well and nothing moves for as long as nothing is lost; then b takes over.

use std::time::{Duration, Instant};

use standfast_integration::lab::cluster::Kind;
use standfast_integration::lab::far::Far;
use standfast_integration::lab::net::End;
use standfast_integration::lab::world::Setup;
use standfast_integration::parts::poll;

use super::{Lab, Outcome};

const LATE: Duration = Duration::from_millis(10);
const WATCHED: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn what_is_far_is_not_lost() -> Outcome {
    let mut lab = Lab::start(Setup::new(Kind::Etcd).led_from("w").guarded()).await?;
    let outcome = play(&mut lab).await;
    lab.end(outcome)
}

async fn play(lab: &mut Lab) -> Outcome {
    lab.world.until_enforced().await?;
    let mut away = Vec::new();
    for site in ["a", "b", "w"] {
        away.push(Far::away(site, LATE).await?);
    }
    lab.world.until_steady().await?;
    lab.world.until_enforced().await?;
    let customer = lab.world.customer().await?;
    let mut api = lab.world.cluster.api()?;
    let (before, since) = (api.until_leader(WATCHED).await?, Instant::now());
    while since.elapsed() < WATCHED {
        lab.world.until_steady().await?;
        assert!(api.runs().await?.is_empty(), "nothing was lost, so nothing moves");
    }
    assert_eq!(api.until_leader(WATCHED).await?.epoch, before.epoch, "the leader did not change");
    customer.look(|record| {
        assert!(record.failures.is_empty(), "customers noticed: {:?}", record.failures);
        // There and back.
        let fastest = record.orders.iter().map(|order| order.acknowledged - order.sent).min();
        assert!(fastest.is_some_and(|fastest| fastest >= 2 * LATE), "{fastest:?} is not far");
    });

    lab.net.cut(End::Site("a"))?;
    let cut = Instant::now();
    let served = poll(Duration::from_secs(60), || async {
        let by_b = customer.look(|record| record.orders.iter().any(|order| order.site == "b"));
        if by_b { Ok(()) } else { Err("nobody is served by b".to_owned()) }
    });
    served.await?;
    println!("served again after {:?}", cut.elapsed());
    Ok(())
}
