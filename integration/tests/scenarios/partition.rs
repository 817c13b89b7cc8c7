//! A member in the site lives while its services die.
//!
//! Situation: PostgreSQL, HAProxy, the shop and the deploy tool of site a die. Its daemon and
//! its etcd live on and are heard. The others, b and w, see the site down.
//!
//! Danger: the same picture, seen from outside, as a site whose network is cut and which goes
//! on writing. A failover by itself could end with two primaries.
//!
//! Expectation: PARTITIONED, not LOST. Nothing happens by itself; `why-not` names the member
//! that lives. A person is offered the run, with the command to type, and when that person
//! takes it, it succeeds: the fence cuts the power before anything is promoted.

use std::time::{Duration, Instant};

use standfast_integration::lab::api::{request_id, short};
use standfast_integration::lab::world::World;
use standfast_integration::parts::process::Process;
use standfast_proto::v1::{CreateRunRequest, Mode, RunState, Verdict, WaitingKind};

use super::Outcome;

const SOON: Duration = Duration::from_secs(20);

pub(crate) async fn play(world: &mut World) -> Outcome {
    // Asked where it lives on: what a's own member says of itself is not the question here.
    let mut api = world.cluster.api_of("b")?;
    world.shop.a.deploy.part().kill();
    world.shop.a.haproxy.part().kill();
    world.shop.a.postgres.part().kill();
    api.until(SOON, "the verdict PARTITIONED", async |api| {
        let site = api.site("a").await.map_err(|e| e.to_string())?;
        let verdict = site.verdict();
        if verdict == Verdict::Partitioned {
            Ok(())
        } else {
            Err(format!("{verdict:?}: {}", site.verdict_reason))
        }
    })
    .await?;
    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(5) {
        assert!(api.runs().await?.is_empty(), "a partition is no loss");
        assert_eq!(api.site("a").await?.verdict(), Verdict::Partitioned);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let why = api.why_not("a").await?;
    assert_eq!(why.refused_by, "G04", "{why:?}");
    let veto = why.guards.iter().find(|guard| guard.id == "G04").ok_or("G04 is asked")?;
    assert!(veto.reason.contains("a1 in a holds a live lease"), "{}", veto.reason);
    assert!(
        why.refusals.iter().any(|refusal| refusal.guard.as_ref().is_some_and(|g| g.id == "G04")),
        "{why:?}"
    );

    let status = api.status().await?;
    let offers = |item: &&standfast_proto::v1::WaitingItem| {
        item.kind() == WaitingKind::DecidePartition && item.site == "a"
    };
    let offer = status.waiting.iter().find(offers).ok_or_else(|| format!("{:?}", status.waiting))?;
    assert!(offer.commands.iter().any(|line| line.starts_with("standfast run start shop")), "{offer:?}");

    let alive: Vec<Process> = [world.cluster.member("a")?.part().process()].into_iter().flatten().collect();
    let request = CreateRunRequest {
        playbook: "shop".into(),
        from: "a".into(),
        to: "b".into(),
        mode: Mode::Emergency.into(),
        reason: "its services are dead, the customers wait".into(),
        request_id: request_id(),
        ..CreateRunRequest::default()
    };
    let run = api.create_run(request).await?.run.ok_or("a run")?;
    let ended = api.until_run_is(&run.id, Duration::from_secs(60), "ended", |run| run.ended_at.is_some());
    let run = ended.await?;
    assert_eq!(run.state(), RunState::Succeeded, "{}", short(&run));
    assert!(alive.iter().all(|process| !process.is_alive()), "the fence cut the power of all of a");
    assert!(!world.shop.b.postgres.is_standby().await?);
    Ok(())
}
