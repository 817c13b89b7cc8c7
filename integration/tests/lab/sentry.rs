//! Sites that stop by themselves when they are cut off, outside of a laboratory: nothing but the
//! end of the site's lease can prove the fence.

use std::time::{Duration, Instant};

use standfast_integration::lab::api::Api;
use standfast_integration::lab::cluster::Kind;
use standfast_integration::lab::net::End;
use standfast_integration::lab::world::{Setup, World};
use standfast_integration::parts::poll;
use standfast_proto::v1::{Run, RunState, SiteLease};

use super::{Lab, Outcome};

const SOON: Duration = Duration::from_secs(30);

/// Waits until the lease of site a is as wanted, in the eyes of the members in `of`.
async fn until_lease(api: &mut Api, what: &str, is: impl Fn(&SiteLease) -> bool) -> Outcome {
    let seen = api.until(SOON, what, async |api| {
        let site = api.site("a").await.map_err(|e| e.to_string())?;
        let lease = site.lease.ok_or("a has no lease")?;
        if is(&lease) { Ok(()) } else { Err(format!("{lease:?}")) }
    });
    Ok(seen.await?)
}

fn enforced(lease: &SiteLease) -> bool {
    let well = |sentry: &standfast_proto::v1::Sentry| sentry.trouble.is_empty() && sentry.state == "open";
    lease.held && lease.sentries.len() == 1 && lease.sentries.iter().all(well)
}

async fn guarded() -> Outcome<Lab> {
    let setup = Setup::new(Kind::Etcd).led_from("w").guarded();
    let lab = Lab::start(setup).await?;
    lab.world.until_enforced().await?;
    Ok(lab)
}

/// Whether the database of site a takes a write now, asked beside the network: its process stands
/// still, is dead, or answers.
pub(super) async fn writes(world: &World) -> bool {
    let asked = async {
        let primary = world.shop.a.postgres.superuser().await.ok()?;
        primary.execute("create table if not exists asked (at timestamptz)", &[]).await.ok()
    };
    matches!(tokio::time::timeout(Duration::from_secs(2), asked).await, Ok(Some(_)))
}

/// Situation: the active site is cut off and lives on; nobody can cut its power. Danger: b is
/// promoted beside a living primary. Expectation: a's sentry stops it in time, b takes over by
/// itself after the lease has ended and the margin has passed, and when the cut heals a stays
/// stopped until a person lets it come back.
#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_is_cut_off_stops_itself_before_another_takes_over() -> Outcome {
    let mut lab = guarded().await?;
    let outcome = fenced(&mut lab).await;
    lab.end(outcome)
}

async fn fenced(lab: &mut Lab) -> Outcome {
    let customer = lab.world.customer().await?;
    assert!(writes(&lab.world).await, "a is the primary");
    lab.net.cut(End::Site("a"))?;
    let cut = Instant::now();
    poll(SOON, || async { if writes(&lab.world).await { Err("a writes".to_owned()) } else { Ok(()) } })
        .await?;
    let stopped = Instant::now();
    let mut others = lab.world.cluster.api_of("w")?;
    let run = others.until_run(SOON).await?;
    let promoted = |run: &Run| run.steps.iter().any(|step| step.id == "promote" && step.ended_at.is_some());
    others.until_run_is(&run.id, SOON, "promotes b", promoted).await?;
    assert!(!writes(&lab.world).await, "two databases write");
    println!("a stopped after {:?}, b was promoted after {:?}", stopped - cut, cut.elapsed());
    poll(Duration::from_secs(60), || async {
        let order = customer.look(|record| record.first_after(cut).cloned());
        order.filter(|order| order.site == "b").ok_or_else(|| "nobody is served by b".to_owned())
    })
    .await?;
    let over = |run: &Run| run.state() == RunState::Succeeded;
    others.until_run_is(&run.id, Duration::from_secs(90), "succeeds", over).await?;

    lab.net.heal()?;
    let mut api = lab.world.cluster.api()?;
    let stays = |lease: &SiteLease| !lease.held && lease.fenced_by == run.id;
    until_lease(&mut api, "a fenced site", stays).await?;
    let a = lab.world.cluster.member("a")?;
    a.until_ready().await?;
    assert!(!writes(&lab.world).await, "a fenced site came back by itself");
    Ok(())
}

/// Situation: the network of the active site is away for a moment, longer than its sentry waits.
/// Danger: a blip becomes an outage until somebody is awake. Expectation: the site stops, nobody
/// takes over, and it goes on by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_blip_is_no_lasting_outage() -> Outcome {
    let mut lab = guarded().await?;
    let outcome = blip(&mut lab).await;
    lab.end(outcome)
}

async fn blip(lab: &mut Lab) -> Outcome {
    // The member alone: the site's services are well, so nobody says DOWN.
    for host in [40, 2] {
        lab.net.cut(End::Host(standfast_integration::parts::ground::ip(1, host)))?;
    }
    poll(SOON, || async { if writes(&lab.world).await { Err("a writes".to_owned()) } else { Ok(()) } })
        .await?;
    lab.net.heal()?;
    poll(SOON, || async { if writes(&lab.world).await { Ok(()) } else { Err("a is stopped".to_owned()) } })
        .await?;
    let mut api = lab.world.cluster.api()?;
    until_lease(&mut api, "an enforced lease", enforced).await?;
    for run in api.runs().await? {
        assert!(!run.steps.iter().any(|step| step.id == "promote" && step.started_at.is_some()), "{run:?}");
    }
    Ok(())
}

/// Situation: etcd stands still everywhere, all sites are healthy and see each other (scenario
/// 13). Danger: no lease can be renewed, every sentry stops its host, and we are the outage.
/// Expectation: nobody stops.
#[tokio::test(flavor = "multi_thread")]
async fn losing_the_store_stops_no_site() -> Outcome {
    let mut lab = guarded().await?;
    let outcome = no_store(&mut lab).await;
    lab.end(outcome)
}

async fn no_store(lab: &mut Lab) -> Outcome {
    let customer = lab.world.customer().await?;
    let etcd = lab.world.cluster.etcd.as_mut().ok_or("etcd")?;
    (0..3).for_each(|member| etcd.part(member).pause());
    let lost = Instant::now();
    // Four times as long as a sentry waits.
    let window = standfast_core::timing::Timing::of(standfast_core::timing::Profile::Fast).isolate.0;
    while lost.elapsed() < 4 * window {
        let served = customer.look(|record| record.orders.len());
        poll(SOON, || async {
            let now = customer.look(|record| record.orders.len());
            if now > served { Ok(()) } else { Err("nobody is served".to_owned()) }
        })
        .await?;
    }
    let etcd = lab.world.cluster.etcd.as_mut().ok_or("etcd")?;
    (0..3).for_each(|member| etcd.part(member).resume());
    let mut api = lab.world.cluster.api()?;
    until_lease(&mut api, "an enforced lease", enforced).await?;
    assert!(api.runs().await?.is_empty(), "nothing was lost, so nothing moves");
    let record = customer.stop().await;
    assert!(record.failures.is_empty(), "customers noticed: {:?}", record.failures);
    Ok(())
}

/// Situation: the member in the active site dies; later the site is cut off (scenario 14). Danger:
/// the lease ended long ago for another reason, and is taken for a fence while the database lives.
/// Expectation: its sentry stopped it when the member went, so what looked like a proof is one.
#[tokio::test(flavor = "multi_thread")]
async fn a_site_without_its_member_is_stopped_before_it_is_cut_off() -> Outcome {
    let mut lab = guarded().await?;
    let outcome = without_member(&mut lab).await;
    lab.end(outcome)
}

async fn without_member(lab: &mut Lab) -> Outcome {
    lab.world.cluster.member("a")?.part().kill();
    poll(SOON, || async { if writes(&lab.world).await { Err("a writes".to_owned()) } else { Ok(()) } })
        .await?;
    lab.net.cut(End::Site("a"))?;
    let mut others = lab.world.cluster.api_of("w")?;
    let run = others.until_run(SOON).await?;
    let promoted = |run: &Run| run.steps.iter().any(|step| step.id == "promote" && step.ended_at.is_some());
    others.until_run_is(&run.id, SOON, "promotes b", promoted).await?;
    assert!(!writes(&lab.world).await, "two databases write");
    Ok(())
}

/// Situation: the sentry is dead when the site is cut off. Danger: the lease ends all the same.
/// Expectation: that proves nothing; a run is proposed and a person decides.
#[tokio::test(flavor = "multi_thread")]
async fn without_its_sentry_the_end_of_a_lease_proves_nothing() -> Outcome {
    let mut lab = guarded().await?;
    let outcome = without_sentry(&mut lab).await;
    lab.end(outcome)
}

async fn without_sentry(lab: &mut Lab) -> Outcome {
    lab.world.sentry.as_mut().ok_or("a sentry")?.part().kill();
    let mut api = lab.world.cluster.api()?;
    until_lease(&mut api, "a lease that nobody enforces", |lease| {
        lease.held && lease.sentries.iter().all(|sentry| sentry.trouble.contains("silent"))
    })
    .await?;
    api.until(SOON, "G09 says why", async |api| {
        let guards = api.why_not("a").await.map_err(|e| e.to_string())?.guards;
        let reason = guards.into_iter().find(|guard| guard.id == "G09").ok_or("no G09")?.reason;
        if reason.contains("sentry db-a of a had been silent") { Ok(()) } else { Err(reason) }
    })
    .await?;
    lab.net.cut(End::Site("a"))?;
    let mut others = lab.world.cluster.api_of("w")?;
    let run = others.until_run(SOON).await?;
    assert_eq!(run.state(), RunState::Proposed, "a person decides");
    assert!(writes(&lab.world).await, "a lives on");
    Ok(())
}
