//! A manual trigger and a dry run from another language.
//!
//! Situation: the operators have no `standfast` program at hand, only Python with grpcio. They
//! know the address of a member and nothing of its messages: server reflection tells them.
//! First they want to see what a run would do, then they start it, while both sites live.
//!
//! Danger: a dry run that touches something; an interface that only its own client can speak.
//!
//! Expectation: the dry run answers every step with what it would do, and every target is
//! afterwards what it was before: databases, balancers, name, processes. The same script then
//! starts the run, as a drill; asked again with the same request id it gets the same run.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use standfast_integration::lab::api::{request_id, short};
use standfast_integration::lab::world::World;
use standfast_integration::parts::process::recorded;
use standfast_integration::parts::program;
use standfast_proto::v1::RunState;

use super::Outcome;

/// Everything that a step of the playbook could change.
#[derive(Debug, PartialEq)]
struct Targets {
    name: Vec<std::net::Ipv4Addr>,
    servers: Vec<String>,
    standby: (bool, bool),
    shop_in_b: bool,
    processes: BTreeSet<i32>,
}

async fn look(world: &World) -> Outcome<Targets> {
    let mut servers = Vec::new();
    for site in [&world.shop.a, &world.shop.b] {
        let state = site.haproxy.command("show servers state web").await?;
        // Administrative state and weights; the rest counts checks and seconds.
        let fields = |line: &str| line.split(' ').skip(3).take(5).map(str::to_owned).collect::<Vec<_>>();
        servers.extend(state.lines().skip(2).map(|line| format!("{} {:?}", site.name, fields(line))));
    }
    let mut processes = BTreeSet::new();
    for site in [&world.shop.a, &world.shop.b] {
        processes.extend(recorded(&site.folder)?.into_iter().filter(|p| p.is_alive()).map(|p| p.pid));
    }
    Ok(Targets {
        name: world.shop.bind.addresses().await?,
        servers,
        standby: (world.shop.a.postgres.is_standby().await?, world.shop.b.postgres.is_standby().await?),
        shop_in_b: tokio::net::TcpStream::connect(world.shop.b.addresses.web).await.is_ok(),
        processes,
    })
}

/// The Python that has grpcio; its absence is a failure, not a reason to be silent.
fn python() -> PathBuf {
    program("standfast-python").unwrap_or_else(|_| "/usr/bin/python3".into())
}

async fn call(world: &mut World, args: &[&str]) -> Outcome<Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios/by_hand.py");
    let server = world.cluster.member("w")?.grpc.to_string();
    let called = tokio::process::Command::new(python())
        .arg(script)
        .arg(server)
        .args(args)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .kill_on_drop(true)
        .output();
    let done = tokio::time::timeout(Duration::from_secs(60), called).await??;
    let said = String::from_utf8_lossy(&done.stderr);
    if !done.status.success() {
        let hint = "this test needs Python with grpcio: integration/parts.sh fetches python3-grpcio";
        return Err(format!("{} {}: {said}\n{hint}", python().display(), done.status).into());
    }
    Ok(serde_json::from_slice(&done.stdout)?)
}

pub(crate) async fn play(mut world: World) -> Outcome {
    let before = look(&world).await?;
    let (first, second) = (request_id(), request_id());
    let dry = call(&mut world, &["--dry-run", "--mode", "MODE_DRILL", "--request-id", &first]).await?;
    assert!(dry["run"].is_null(), "{dry:#}");
    let steps = dry["plan"]["steps"].as_array().ok_or("steps")?;
    let previews: Vec<(&str, &str)> = steps
        .iter()
        .map(|step| (step["id"].as_str().unwrap_or_default(), step["preview"].as_str().unwrap_or_default()))
        .collect();
    let expected = [
        ("tools", "PREVIEW_CANNOT_TELL"),
        ("fenced", "PREVIEW_WOULD_DO"),
        ("promote", "PREVIEW_WOULD_DO"),
        ("drain", "PREVIEW_WOULD_DO"),
        ("name", "PREVIEW_WOULD_DO"),
        ("ramp", "PREVIEW_WOULD_DO"),
    ];
    assert_eq!(previews, expected, "{dry:#}");
    assert_eq!(dry["plan"]["requires"][0]["outcome"], "CONDITION_OUTCOME_HOLDS", "{dry:#}");
    assert_eq!(look(&world).await?, before, "a dry run changes nothing");
    assert!(world.cluster.api()?.runs().await?.is_empty());

    let start = ["--mode", "MODE_DRILL", "--reason", "a drill, from Python", "--request-id", &second];
    let started = call(&mut world, &start).await?;
    let id = started["run"]["id"].as_str().ok_or_else(|| format!("a run: {started:#}"))?.to_owned();
    assert_eq!(started["run"]["trigger"]["operator"]["identity"], "local", "{started:#}");
    let again = call(&mut world, &start).await?;
    assert_eq!(again["run"]["id"], id.as_str(), "the same request is the same run");

    let mut api = world.cluster.api()?;
    let ended = api.until_run_is(&id, Duration::from_secs(60), "ended", |run| run.ended_at.is_some()).await?;
    assert_eq!(ended.state(), RunState::Succeeded, "{}", short(&ended));
    assert_eq!(ended.reason, "a drill, from Python");
    assert!(!world.shop.b.postgres.is_standby().await?);
    assert!(world.shop.a.all_dead()?, "a drill on the real thing: the fence is real");
    Ok(())
}
