//! The cable of the active site is pulled.
//!
//! Situation: both leaders, ours and etcd's, are in site a, and not even we can reach it any more. Its
//! member, its database and its balancer are asked by their sockets, as somebody on their host would.
//!
//! Danger: what nobody sees is taken for dead, and it accepts writes; or its member believes that it
//! leads, and acts.
//!
//! Expectation: its sentry has stopped the database before b is promoted: the socket does not answer any
//! more. The balancer, which no sentry guards, still does, and has no server left. The member says that
//! it leads no longer, that the store is gone and that it is not ready; it takes nothing but questions.

use std::time::Duration;

use standfast::cli::exit::Exit;
use standfast_integration::lab::api::{Api, request_id};
use standfast_integration::lab::cluster::Kind;
use standfast_integration::lab::world::{Setup, World};
use standfast_integration::parts::poll;
use standfast_proto::v1::{CreateRunRequest, Mode, Run};

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

/// Whether the member of a says that it leads, by its socket.
async fn leads(world: &World) -> Outcome<bool> {
    let member = world.cluster.members.iter().find(|member| member.site == "a").ok_or("a member in a")?;
    Ok(member.get_beside("metrics").await?.contains("\nstandfast_leader 1\n"))
}

/// What the member of a says of itself, by its socket.
async fn alone(world: &World, beside: &mut Api) -> Outcome {
    assert!(!leads(world).await?, "it has stepped down by itself");
    let member = world.cluster.members.iter().find(|member| member.site == "a").ok_or("a member in a")?;
    let ready = member.get_beside("readyz").await?;
    assert!(ready.contains("NO  store: no write was confirmed for"), "{ready}");
    assert!(ready.contains("NO  leader"), "{ready}");
    let status = beside.status().await?;
    assert_eq!((status.member.as_str(), status.member_site.as_str()), ("a1", "a"));
    let store = status.store.ok_or("it says how the store is")?;
    assert!(!store.writable && !store.problem.is_empty(), "{store:?}");
    assert!(status.leader.is_none(), "{:?}", status.leader);
    let wish = CreateRunRequest {
        playbook: "shop".into(),
        from: "a".into(),
        to: "b".into(),
        mode: Mode::Emergency.into(),
        reason: "by the back door".into(),
        request_id: request_id(),
        ..CreateRunRequest::default()
    };
    let refused = beside.create_run(wish).await.err().ok_or("it takes a wish")?;
    assert_eq!(refused.exit, Exit::Denied, "{refused}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_whose_cable_is_pulled_is_asked_by_its_sockets() -> Outcome {
    let mut lab = Lab::start(Setup::new(Kind::Etcd).led_from("a").guarded()).await?;
    let outcome = play(&mut lab).await;
    lab.end(outcome)
}

async fn play(lab: &mut Lab) -> Outcome {
    lab.world.until_enforced().await?;
    let mut beside = lab.world.cluster.api_beside("a")?;
    let before = beside.until_leader(SOON).await?;
    assert_eq!(before.site, "a");
    assert!(leads(&lab.world).await?, "its own word");
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
    alone(&lab.world, &mut beside).await?;
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
