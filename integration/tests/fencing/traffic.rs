//! `traffic.*`: the epoch that a balancer keeps, on a real HAProxy. It cannot compare by itself, so an
//! old leader is refused by its own look just before, and by what it reads back.

use super::{Outcome, leader};
use standfast::action::{act, inspect};
use standfast_core::action::Inspection::{Conflict, Needed};
use standfast_core::action::{Action, Balancer, FailureKind};
use standfast_core::time::Span;
use standfast_integration::given::{Given, fails, finds};
use standfast_integration::parts::haproxy::{BACKEND, Front, Haproxy, Server};
use standfast_integration::parts::scratch::Scratch;
use standfast_integration::parts::{poll, ports};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

fn ip(host: u8) -> IpAddr {
    Ipv4Addr::new(127, 77, 3, host).into()
}

async fn start(scratch: &Scratch) -> Outcome<(Haproxy, Balancer)> {
    let server = |name: &str| {
        Ok::<_, Box<dyn std::error::Error>>(Server {
            name: name.into(),
            address: ports::free(ip(20))?,
            weight: 100,
        })
    };
    let front = Front::web(ports::free(ip(5))?, &[server("web-a")?, server("web-b")?]);
    let haproxy = Haproxy::start(&scratch.site("b")?, ports::free(ip(5))?, &[front]).await?;
    let socket = format!("tcp://{}", haproxy.runtime);
    Ok((haproxy, Balancer { site: "b".into(), socket, backend: BACKEND.into() }))
}

fn drain(balancer: &Balancer) -> Action {
    Action::TrafficDrain { balancer: balancer.clone(), server: "web-a".into() }
}

fn ready(balancer: &Balancer) -> Action {
    Action::TrafficReady { balancer: balancer.clone(), server: "web-a".into() }
}

fn shift(balancer: &Balancer, weights: &[u8], hold: Duration) -> Action {
    Action::TrafficShift {
        balancer: balancer.clone(),
        server: "web-b".into(),
        others: vec!["web-a".into()],
        weights: weights.into(),
        hold: Span(hold),
        gates: Vec::new(),
    }
}

/// Whether somebody took `web-a` out of rotation, whatever the health check says of it.
async fn is_out(haproxy: &Haproxy) -> Outcome<bool> {
    let state = haproxy.command("show servers state web").await?;
    let fields =
        state.lines().map(|line| line.split(' ').collect::<Vec<_>>()).find(|f| f.get(3) == Some(&"web-a"));
    let admin: u32 = fields.and_then(|fields| fields.get(6)?.parse().ok()).ok_or(state)?;
    Ok(admin & 0x09 != 0)
}

/// Situation: leaders of growing epochs, then an old one.
/// Expectation: each leaves its epoch at the balancer; the old one is refused, also where nothing would
/// have to be changed; looking leaves nothing.
#[tokio::test]
async fn an_older_leader_finds_the_epoch_of_a_later_one() -> Outcome {
    let (scratch, given) = (Scratch::new()?, Given::new()?);
    let (haproxy, at) = start(&scratch).await?;
    finds(inspect(&drain(&at), &leader(&given, 0)).await, Needed, &["in rotation"]);
    assert!(haproxy.command("get var proc.standfast.web").await?.contains("not found"));
    act(&drain(&at), &leader(&given, 5)).await.map_err(|failure| failure.message)?;
    // It is so already, but by another: the next leader takes it over all the same.
    act(&drain(&at), &leader(&given, 6)).await.map_err(|failure| failure.message)?;
    assert!(haproxy.command("get var proc.standfast.web").await?.contains("value=<6>"));
    for action in [ready(&at), drain(&at), shift(&at, &[50], Duration::ZERO)] {
        fails(
            act(&action, &leader(&given, 5)).await,
            FailureKind::Refused,
            &["fenced by epoch 6", "epoch 5"],
        );
        finds(inspect(&action, &leader(&given, 5)).await, Conflict, &["fenced by epoch 6"]);
    }
    assert!(is_out(&haproxy).await?);
    assert_eq!(haproxy.weight("web-b").await?, 100);
    // A dry run is no leader.
    finds(inspect(&ready(&at), &leader(&given, 0)).await, Needed, &["out of rotation"]);
    Ok(())
}

/// What the epoch there is for, and what it cannot do: a balancer that starts anew has forgotten it.
#[tokio::test]
async fn without_the_epoch_there_the_older_leader_acts() -> Outcome {
    let (scratch, given) = (Scratch::new()?, Given::new()?);
    let (haproxy, at) = start(&scratch).await?;
    act(&drain(&at), &leader(&given, 6)).await.map_err(|failure| failure.message)?;
    assert!(is_out(&haproxy).await?);
    haproxy.command("experimental-mode on; set var proc.standfast.web int(0)").await?;
    act(&ready(&at), &leader(&given, 5)).await.map_err(|failure| failure.message)?;
    assert!(!is_out(&haproxy).await?);
    Ok(())
}

/// Situation: a leader of epoch 5 holds between two weights while one of epoch 6 writes.
/// Danger: it goes on with the next weight.
/// Expectation: it looks before each weight, and stops where it is.
#[tokio::test]
async fn a_ramp_stops_where_a_later_leader_came_in_between() -> Outcome {
    let (scratch, given) = (Scratch::new()?, Given::new()?);
    let (haproxy, at) = start(&scratch).await?;
    let ramp = shift(&at, &[20, 100], Duration::from_millis(1_500));
    let old = leader(&given, 5);
    let (stopped, played) = tokio::join!(act(&ramp, &old), async {
        poll(Duration::from_secs(5), || async {
            match haproxy.weight("web-b").await.map_err(|error| error.to_string())? {
                20 => Ok(()),
                other => Err(format!("weight {other}")),
            }
        })
        .await?;
        let back = shift(&at, &[10], Duration::ZERO);
        act(&back, &leader(&given, 6)).await.map_err(|failure| failure.message)
    });
    played?;
    fails(stopped, FailureKind::Refused, &["fenced by epoch 6"]);
    assert_eq!((haproxy.weight("web-b").await?, haproxy.weight("web-a").await?), (10, 90));
    Ok(())
}
