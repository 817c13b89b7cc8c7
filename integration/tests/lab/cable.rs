//! The cable of the active site is pulled.
//!
//! Situation: not even we can reach site a any more. Its database and its balancer are asked by their
//! sockets, as somebody on their host would.
//!
//! Danger: what nobody sees is taken for dead, and it accepts writes.
//!
//! Expectation: its sentry has stopped the database before b is promoted: the socket does not answer any
//! more. The balancer, which no sentry guards, still does, and has no server left.

use std::time::Duration;

use standfast_integration::lab::cluster::Kind;
use standfast_integration::lab::world::{Setup, World};
use standfast_integration::parts::poll;
use standfast_proto::v1::Run;

use super::{Lab, Outcome};

const SOON: Duration = Duration::from_secs(30);

/// Whether the database of a answers that it may be written, by its socket.
async fn accepts(world: &World) -> Outcome<bool> {
    let asked = async {
        let database = world.shop.a.postgres.superuser_beside().await?;
        let row = database.query_one("select not pg_is_in_recovery()", &[]).await?;
        Ok::<bool, Box<dyn std::error::Error>>(row.get(0))
    };
    match tokio::time::timeout(Duration::from_secs(1), asked).await {
        Ok(answer) => answer,
        Err(_) => Ok(false),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_whose_cable_is_pulled_is_asked_by_its_sockets() -> Outcome {
    let mut lab = Lab::start(Setup::new(Kind::Etcd).led_from("w").guarded()).await?;
    let outcome = play(&mut lab).await;
    lab.end(outcome)
}

async fn play(lab: &mut Lab) -> Outcome {
    lab.world.until_enforced().await?;
    lab.net.link("a", false)?;
    assert!(accepts(&lab.world).await?, "nobody was there to stop it yet");
    let over_the_network = lab.world.shop.a.haproxy.command("show info");
    let answer = tokio::time::timeout(Duration::from_secs(1), over_the_network).await;
    assert!(!matches!(answer, Ok(Ok(_))), "there is no cable: {answer:?}");

    let mut others = lab.world.cluster.api_of("w")?;
    let run = others.until_run(SOON).await?;
    let promotes = |run: &Run| run.steps.iter().any(|step| step.id == "promote" && step.started_at.is_some());
    others.until_run_is(&run.id, SOON, "promotes b", promotes).await?;
    assert!(!accepts(&lab.world).await?, "two databases write");
    poll(SOON, || async {
        let servers = lab.world.shop.a.haproxy.command_unix("show servers state").await;
        let servers = servers.map_err(|e| e.to_string())?;
        // Operational state: 0 stopped, 2 running.
        let states = servers.lines().filter_map(|line| line.split(' ').nth(5)?.parse::<u8>().ok());
        if states.clone().count() == 2 && states.clone().all(|state| state == 0) {
            Ok(())
        } else {
            Err(servers)
        }
    })
    .await?;
    lab.net.link("a", true)?;
    Ok(())
}
