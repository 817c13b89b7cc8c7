//! `traffic.drain`, `traffic.ready` and `traffic.shift` on a real HAProxy, over both sockets.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use standfast::action::{act, inspect};
use standfast_core::action::Inspection::{Conflict, Needed, Satisfied, Unknown};
use standfast_core::action::{Action, Balancer, FailureKind};
use standfast_core::check::Check;
use standfast_core::time::Span;
use standfast_integration::given::{Given, fails, finds};
use standfast_integration::parts::haproxy::{BACKEND, Front, Haproxy, Server};
use standfast_integration::parts::part::{Part, Spec};
use standfast_integration::parts::ports;
use standfast_integration::parts::scratch::Scratch;

type Outcome = Result<(), Box<dyn std::error::Error>>;

const ENOUGH: Duration = Duration::from_secs(10);

fn ip(host: u8) -> IpAddr {
    Ipv4Addr::new(127, 77, 2, host).into()
}

/// A web service that says its name.
async fn web(name: &'static str) -> std::io::Result<SocketAddr> {
    let app = axum::Router::new().route("/", axum::routing::get(move || async move { name }));
    let listener = tokio::net::TcpListener::bind((ip(20), 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(address)
}

async fn start(scratch: &Scratch) -> Result<Haproxy, Box<dyn std::error::Error>> {
    let servers = [
        Server { name: "web-a".into(), address: web("web-a").await?, weight: 100 },
        Server { name: "web-b".into(), address: web("web-b").await?, weight: 100 },
    ];
    let site = scratch.site("b")?;
    let front = Front::web(ports::free(ip(5))?, &servers);
    let mut haproxy = Haproxy::start(&site, ports::free(ip(5))?, &[front]).await?;
    haproxy.until_status("web-a", "UP").await?;
    haproxy.until_status("web-b", "UP").await?;
    Ok(haproxy)
}

/// Who answers ten customers.
async fn served_by(haproxy: &Haproxy) -> Result<BTreeSet<String>, reqwest::Error> {
    let mut names = BTreeSet::new();
    for _customer in 0..10 {
        names.insert(reqwest::get(format!("http://{}/", haproxy.front)).await?.text().await?);
    }
    Ok(names)
}

fn balancer(socket: impl ToString) -> Balancer {
    Balancer { site: "b".into(), socket: socket.to_string(), backend: BACKEND.into() }
}

fn drain(balancer: &Balancer, server: &str) -> Action {
    Action::TrafficDrain { balancer: balancer.clone(), server: server.into() }
}

fn ready(balancer: &Balancer, server: &str) -> Action {
    Action::TrafficReady { balancer: balancer.clone(), server: server.into() }
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

async fn done(given: &Given, action: &Action) -> Result<String, String> {
    act(action, &given.context(ENOUGH)).await.map_err(|failure| failure.message)
}

#[tokio::test]
async fn a_server_goes_out_and_comes_back_over_both_sockets() -> Outcome {
    let scratch = Scratch::new()?;
    let given = Given::new()?;
    let haproxy = start(&scratch).await?;
    let sockets = [format!("tcp://{}", haproxy.runtime), format!("unix://{}", haproxy.socket.display())];
    for socket in sockets {
        let at = balancer(socket);
        finds(inspect(&drain(&at, "web-a"), &given.context(ENOUGH)).await, Needed, &["in rotation"]);
        finds(inspect(&ready(&at, "web-a"), &given.context(ENOUGH)).await, Satisfied, &["in rotation"]);
        for _twice in 0..2 {
            let seen = done(&given, &drain(&at, "web-a")).await?;
            assert!(seen.contains("out of rotation"), "{seen}");
        }
        assert_eq!(served_by(&haproxy).await?, ["web-b".to_owned()].into());
        finds(inspect(&drain(&at, "web-a"), &given.context(ENOUGH)).await, Satisfied, &["out of rotation"]);
        // Weight given to a server that takes no traffic would be a shift that moves nothing.
        let back = Action::TrafficShift {
            balancer: at.clone(),
            server: "web-a".into(),
            others: vec!["web-b".into()],
            weights: vec![100],
            hold: Span::ms(0),
            gates: Vec::new(),
        };
        finds(inspect(&back, &given.context(ENOUGH)).await, Conflict, &["traffic.ready"]);
        for _twice in 0..2 {
            let seen = done(&given, &ready(&at, "web-a")).await?;
            assert!(seen.contains("in rotation"), "{seen}");
        }
        assert_eq!(served_by(&haproxy).await?, ["web-a".to_owned(), "web-b".to_owned()].into());
    }
    Ok(())
}

/// Situation: a shift in three stages is interrupted after the second, and taken over.
/// Danger: it begins again at the first stage, and customers go back and forth.
/// Expectation: it goes on at the third; done again, it changes nothing.
#[tokio::test]
async fn a_shift_goes_on_where_it_stood() -> Outcome {
    let scratch = Scratch::new()?;
    let given = Given::new()?;
    let haproxy = start(&scratch).await?;
    let at = balancer(format!("tcp://{}", haproxy.runtime));
    let hold = Duration::from_millis(300);
    let weights = async || {
        Ok::<_, Box<dyn std::error::Error>>((haproxy.weight("web-a").await?, haproxy.weight("web-b").await?))
    };

    // The first leader has time for two stages.
    let first = given.context(Duration::from_millis(500));
    let failed = act(&shift(&at, &[5, 50, 100], hold), &first).await;
    fails(failed, FailureKind::Failed, &["2 of 3 stages stand", "more time"]);
    assert_eq!(weights().await?, (50, 50));
    finds(inspect(&shift(&at, &[5, 50, 100], hold), &given.context(ENOUGH)).await, Needed, &["web-b 50"]);

    let began = Instant::now();
    let seen = done(&given, &shift(&at, &[5, 50, 100], hold)).await?;
    assert!(seen.contains("web-a 0") && seen.contains("web-b 100"), "{seen}");
    assert_eq!(weights().await?, (0, 100));
    assert!(began.elapsed() >= hold, "what stood may just have been set, and is held again");
    finds(inspect(&shift(&at, &[5, 50, 100], hold), &given.context(ENOUGH)).await, Satisfied, &["web-b 100"]);
    let began = Instant::now();
    done(&given, &shift(&at, &[5, 50, 100], hold)).await?;
    assert!(began.elapsed() < hold);

    // Weights that are no stage of this plan: it begins at its first.
    haproxy.command("set server web/web-a weight 77").await?;
    finds(inspect(&shift(&at, &[100], hold), &given.context(ENOUGH)).await, Needed, &["web-a 77"]);
    done(&given, &shift(&at, &[100], hold)).await?;
    assert_eq!(weights().await?, (0, 100));

    // Leadership is lost while a stage is held: no further stage.
    let cx = given.context(ENOUGH);
    let cancel = cx.cancel.clone();
    let action = shift(&at, &[10, 90], Duration::from_secs(5));
    let (failed, ()) = tokio::join!(act(&action, &cx), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        cancel.cancel();
    });
    fails(failed, FailureKind::Ambiguous, &["may not act any longer"]);
    assert_eq!(weights().await?, (90, 10));
    Ok(())
}

/// A service whose health is what was put there.
async fn health() -> std::io::Result<(SocketAddr, Arc<AtomicU16>)> {
    let status = Arc::new(AtomicU16::new(200));
    let shown = status.clone();
    let answer = move || async move {
        StatusCode::from_u16(shown.load(Ordering::Relaxed)).expect("a status that the test put there")
    };
    let app = axum::Router::new().route("/", axum::routing::get(answer));
    let listener = tokio::net::TcpListener::bind((ip(20), 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok((address, status))
}

/// Situation: the destination falls ill while a ramp holds at its first weight.
/// Danger: the ramp goes on and takes all customers there.
/// Expectation: no further weight is set, the failure says why and how far it came; tried again,
/// it still waits, and it goes on from there once the destination is well.
#[tokio::test]
async fn a_gate_that_does_not_hold_stops_a_ramp_where_it_is() -> Outcome {
    let scratch = Scratch::new()?;
    let given = Given::new()?;
    let haproxy = start(&scratch).await?;
    let (address, status) = health().await?;
    let at = balancer(format!("tcp://{}", haproxy.runtime));
    let Action::TrafficShift { balancer, server, others, weights, hold, .. } =
        shift(&at, &[5, 50, 100], Duration::from_millis(200))
    else {
        unreachable!("a shift is a shift")
    };
    let url = format!("http://{address}/");
    let gate = Check::HttpGet { url: url.clone(), status: 200, body: None, below: None };
    let ramp = Action::TrafficShift { balancer, server, others, weights, hold, gates: vec![gate] };
    let weights = async || {
        Ok::<_, Box<dyn std::error::Error>>((haproxy.weight("web-a").await?, haproxy.weight("web-b").await?))
    };

    status.store(503, Ordering::Relaxed);
    for _twice in 0..2 {
        let stopped = act(&ramp, &given.context(ENOUGH)).await;
        fails(
            stopped,
            FailureKind::Failed,
            &["stopped at weight 5 on the way to 100", &url, "503", "web-b 5"],
        );
        assert_eq!(weights().await?, (95, 5));
    }
    finds(inspect(&ramp, &given.context(ENOUGH)).await, Needed, &["web-b 5"]);

    status.store(200, Ordering::Relaxed);
    let seen = done(&given, &ramp).await?;
    assert!(seen.contains("web-b 100"), "{seen}");
    assert_eq!(weights().await?, (0, 100));
    Ok(())
}

#[tokio::test]
async fn what_does_not_exist_is_named_and_names_are_no_commands() -> Outcome {
    let scratch = Scratch::new()?;
    let given = Given::new()?;
    let haproxy = start(&scratch).await?;
    let at = balancer(format!("tcp://{}", haproxy.runtime));
    let socket = &at.socket.clone();
    let nobody = act(&drain(&at, "web-x"), &given.context(ENOUGH)).await;
    fails(nobody, FailureKind::Refused, &["no server `web-x`", "web-a, web-b", socket]);
    finds(inspect(&drain(&at, "web-x"), &given.context(ENOUGH)).await, Conflict, &["`web-x`"]);
    let nowhere = Balancer { backend: "mail".into(), ..at.clone() };
    let failed = act(&drain(&nowhere, "web-a"), &given.context(ENOUGH)).await;
    fails(failed, FailureKind::Refused, &["backend mail", socket]);
    let trick = Balancer { backend: "web; disable server web/web-a".into(), ..at.clone() };
    let failed = act(&drain(&trick, "web-b"), &given.context(ENOUGH)).await;
    fails(failed, FailureKind::Refused, &["no name of a backend"]);
    let failed = act(&drain(&at, "web-b state maint; set server web/web-a"), &given.context(ENOUGH)).await;
    fails(failed, FailureKind::Refused, &["no server"]);
    finds(inspect(&ready(&at, "web-a"), &given.context(ENOUGH)).await, Satisfied, &[]);
    finds(inspect(&ready(&at, "web-b"), &given.context(ENOUGH)).await, Satisfied, &[]);
    Ok(())
}

#[tokio::test]
async fn a_silent_and_a_dead_balancer_are_unreachable() -> Outcome {
    let scratch = Scratch::new()?;
    let given = Given::new()?;
    let mut haproxy = start(&scratch).await?;
    let at = balancer(format!("tcp://{}", haproxy.runtime));
    let short = Duration::from_millis(300);
    for action in [drain(&at, "web-a"), ready(&at, "web-a"), shift(&at, &[100], short)] {
        haproxy.part().pause();
        let silent = act(&action, &given.context(short)).await;
        fails(silent, FailureKind::Unreachable, &[&at.socket, "did not answer within"]);
        finds(inspect(&action, &given.context(short)).await, Unknown, &[&at.socket]);
        haproxy.part().resume();
    }
    haproxy.part().kill();
    for action in [drain(&at, "web-a"), ready(&at, "web-a"), shift(&at, &[100], short)] {
        let dead = act(&action, &given.context(ENOUGH)).await;
        fails(dead, FailureKind::Unreachable, &[&haproxy.runtime.to_string(), "refused"]);
    }
    Ok(())
}

/// A balancer whose socket may look and not change: the credential of a balancer.
async fn for_readers(scratch: &Scratch, runtime: SocketAddr) -> Result<Part, Box<dyn std::error::Error>> {
    let site = scratch.site("b")?;
    let config = format!(
        "global\n    stats socket ipv4@{runtime} level user\n    maxconn 50\n\
         defaults\n    mode http\n    timeout connect 1s\n    timeout client 1s\n    timeout server 1s\n\
         frontend shop\n    bind {}\n    default_backend {BACKEND}\n\
         backend {BACKEND}\n    server web-a 127.77.2.20:9 weight 1\n    server web-b 127.77.2.20:9 weight 1\n",
        ports::free(ip(5))?
    );
    std::fs::write(site.join("readers.cfg"), config)?;
    let mut part = Spec::new(&site, "readers", "haproxy")?.args(["-db", "-f", "readers.cfg"]).start().await?;
    part.until_listening(runtime, ENOUGH).await?;
    Ok(part)
}

#[tokio::test]
async fn a_socket_that_may_only_look_refuses_and_says_what_it_needs() -> Outcome {
    let scratch = Scratch::new()?;
    let given = Given::new()?;
    let runtime = ports::free(ip(5))?;
    let _readers = for_readers(&scratch, runtime).await?;
    let at = balancer(format!("tcp://{runtime}"));
    for action in [drain(&at, "web-a"), shift(&at, &[100], ENOUGH)] {
        let denied = act(&action, &given.context(ENOUGH)).await;
        fails(denied, FailureKind::Refused, &[&at.socket, "level admin"]);
    }
    Ok(())
}
