//! The active site is cut off and lives on.
//!
//! Situation: three sites, both leaders in the witness. The router drops everything that goes
//! into site a or comes out of it. Everything in a still runs: the database accepts, the members
//! try.
//!
//! Danger: b is promoted while a still accepts orders, and there are two shops.
//!
//! Expectation: the run begins as if the site were dead, and promotes only after the fence is
//! proven: a's power is cut by a way that does not lead through the cut network. Customers are
//! served by b, and there is one writer.

use std::time::{Duration, Instant};

use standfast_integration::lab::cluster::Kind;
use standfast_integration::lab::net::End;
use standfast_integration::lab::world::Setup;
use standfast_integration::parts::poll;
use standfast_proto::v1::{Run, RunState};

use super::{Lab, Outcome};

#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_is_cut_off_is_fenced_before_another_takes_over() -> Outcome {
    let mut lab = Lab::start(Setup::new(Kind::Etcd).led_from("w")).await?;
    let outcome = play(&mut lab).await;
    lab.end(outcome)
}

async fn play(lab: &mut Lab) -> Outcome {
    let customer = lab.world.customer().await?;
    lab.net.cut(End::Site("a"))?;
    let cut = Instant::now();
    let served = poll(Duration::from_secs(60), || async {
        let order = customer.look(|record| record.first_after(cut).cloned());
        order.filter(|order| order.site == "b").ok_or_else(|| "nobody is served by b".to_string())
    });
    served.await?;
    assert!(lab.world.shop.a.all_dead()?, "its power was cut before b was promoted");
    let mut api = lab.world.cluster.api_of("w")?;
    let run = api.until_run(Duration::from_secs(5)).await?;
    let over = |run: &Run| run.state() == RunState::Succeeded;
    api.until_run_is(&run.id, Duration::from_secs(90), "succeeds", over).await?;
    Ok(())
}
