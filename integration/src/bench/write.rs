//! From the death of a site to the first write of a client that the other site accepts: the
//! demonstration's shop, with the leaders in the witness site.

use std::time::{Duration, Instant};

use standfast_proto::v1::GuardOutcome;

use super::figure::{Figure, Judged};
use crate::lab::api::short;
use crate::lab::cluster::Kind;
use crate::lab::world::{Setup, World};
use crate::parts::scratch::Scratch;
use crate::parts::{Error, Result, poll};

/// How often it is measured, each time with a shop of its own.
const TIMES: usize = 5;
const BOUND: Duration = Duration::from_secs(8);
const PATIENCE: Duration = Duration::from_secs(60);

/// Fast profile, three members on etcd.
pub async fn measure() -> Result<Vec<Figure>> {
    let mut samples = Vec::new();
    for _ in 0..TIMES {
        samples.push(once().await?);
    }
    let what = "death of a site that held no leader to a client's first accepted write, profile fast";
    Ok(vec![Figure::new("write", what, Judged::Median, BOUND, samples)])
}

async fn once() -> Result<Duration> {
    let scratch = Scratch::new()?;
    let setup = Setup { leaders: "w", ..Setup::new(Kind::Etcd) };
    let world = World::start(&scratch, setup, |_| {}).await?;
    let customer = world.customer().await?;
    world.cluster.lead_from("w").await?;
    world.until_steady().await?;
    let died = Instant::now();
    world.kill_site_a()?;
    // While the processes of site a die one after another, it may accept some more.
    let dead = Instant::now();
    let served = poll(PATIENCE, || async {
        let order = customer.look(|record| record.first_after(dead).map(|order| order.acknowledged));
        order.ok_or_else(|| customer.look(|record| format!("{:?}", record.failures.last())))
    });
    match served.await {
        Ok(served) => Ok(served - died),
        Err(last) => {
            let run = why(&world).await.unwrap_or_else(|error| error.to_string());
            Err(Error::answer("customer", format!("is not served: {last}; {run}")))
        }
    }
}

/// What the members say of it.
async fn why(world: &World) -> Result<String> {
    let mut api = world.cluster.api_of("w")?;
    let runs = api.runs().await?;
    if runs.is_empty() {
        let guards = api.why_not("a").await?.guards;
        let refuses = guards.iter().filter(|guard| guard.outcome() == GuardOutcome::Refused);
        let said: Vec<String> = refuses.map(|guard| format!("{} {}", guard.id, guard.reason)).collect();
        return Ok(format!("no run: {}", said.join("; ")));
    }
    Ok(runs.iter().map(short).collect::<Vec<_>>().join("; "))
}
