//! From the death of a site to the first write of a client that the other site accepts: the
//! demonstration's shop, with the leaders in the witness site.

use std::time::{Duration, Instant};

use super::figure::{Figure, Judged};
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
    world.until_steady().await?;
    world.cluster.lead_from("w").await?;
    let died = Instant::now();
    world.kill_site_a()?;
    let served = poll(PATIENCE, || async {
        let order = customer.look(|record| record.first_after(died).map(|order| order.acknowledged));
        order.ok_or_else(|| customer.look(|record| format!("{:?}", record.failures.last())))
    });
    let served = served.await.map_err(|last| Error::answer("customer", format!("is not served: {last}")))?;
    Ok(served - died)
}
