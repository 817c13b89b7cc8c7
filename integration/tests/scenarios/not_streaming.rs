//! The standby is not streaming.
//!
//! Situation: for longer than the agreed five seconds the standby in site b has received
//! nothing, while site a went on taking orders. Then site a dies.
//!
//! Danger: the promotion of a standby that lacks more than was agreed to lose, without anybody
//! having said so.
//!
//! Expectation: the run is Blocked before its first step, with how far the standby was behind;
//! nothing at all was touched in b. A person who starts it by hand beforehand is refused by G10,
//! with the same words. Only a person of the right role may waive that, by name
//! and with a reason; then the run succeeds, and its report says who waived it and that the
//! RPO was missed.

use std::time::Duration;

use standfast::cli::exit::Exit;
use standfast_integration::lab::api::{request_id, short};
use standfast_integration::lab::bundle::Bundle;
use standfast_integration::lab::world::World;
use standfast_integration::parts::{Result, poll, shop::rows};
use standfast_proto::v1::runs_client::RunsClient;
use standfast_proto::v1::{ApproveRunRequest, CreateRunRequest, Mode, ObjectiveOutcome, RunState, StepState};

use super::Outcome;

const SOON: Duration = Duration::from_secs(30);

pub(crate) fn edit(bundle: &mut Bundle) -> Result<()> {
    super::short(bundle)?;
    bundle.edit_fleet("[kim, lee]", "[kim, lee, local]")
}

pub(crate) async fn play(world: World) -> Outcome {
    let customer = world.customer().await?;
    let mut api = world.cluster.api()?;
    let primary = world.shop.a.postgres.superuser().await?;
    primary
        .batch_execute(
            "alter role replicator nologin; \
             select pg_terminate_backend(pid) from pg_stat_replication",
        )
        .await?;
    let cut = rows(&world.shop.b).await?.len();
    // As the daemon sees it, which is what counts: the plan says how far the standby is behind.
    api.until(SOON, "a lag beyond what was agreed", async |api| {
        let plan = api.plan(standfast_proto::v1::Mode::Emergency).await.map_err(|e| e.to_string())?;
        let unmet = plan
            .requires
            .iter()
            .any(|one| one.outcome() == standfast_proto::v1::ConditionOutcome::DoesNotHold);
        if unmet && plan.would_be_refused { Ok(()) } else { Err(format!("{:?}", plan.requires)) }
    })
    .await?;
    let wish = CreateRunRequest {
        playbook: "shop".into(),
        from: "a".into(),
        mode: Mode::Emergency.into(),
        reason: "it looks bad".into(),
        request_id: request_id(),
        ..CreateRunRequest::default()
    };
    let refused = api.create_run(wish).await.err().ok_or("a person is refused")?;
    assert_eq!(refused.exit, Exit::Found, "{refused}");
    let said = refused.to_string();
    assert!(said.contains("G10 lag") && said.contains("behind") && said.contains("--override lag"), "{said}");
    assert!(api.runs().await?.is_empty(), "nothing is begun");

    let behind = world.shop.bind.addresses().await?;
    world.kill_site_a()?;

    let run = api.until_run(SOON).await?;
    let run = api.until_run_is(&run.id, SOON, "is Blocked", |run| run.state() == RunState::Blocked).await?;
    assert!(run.state_reason.contains("postgres.lag orders"), "{}", short(&run));
    assert!(run.state_reason.contains("behind"), "it says how far: {}", run.state_reason);
    assert!(run.steps.iter().all(|step| step.state() == StepState::Pending), "{}", short(&run));
    assert!(world.shop.b.postgres.is_standby().await?, "nothing is promoted");
    assert_eq!(world.shop.bind.addresses().await?, behind, "no name is moved");
    let web = tokio::net::TcpStream::connect(world.shop.b.addresses.web).await;
    assert!(web.is_err(), "nothing is started");

    let request = ApproveRunRequest {
        id: run.id.clone(),
        request_id: request_id(),
        reason: "the customers would rather have an old shop than none".into(),
        ..ApproveRunRequest::default()
    };
    let send = async |channel, request| RunsClient::new(channel).approve_run(request).await;
    api.call(request, send).await?;
    let ended = api.until_run_is(&run.id, Duration::from_secs(60), "ended", |run| run.ended_at.is_some());
    let ended = ended.await?;
    assert_eq!(ended.state(), RunState::Succeeded, "{}", short(&ended));
    let served = poll(SOON, || async {
        let last = customer.look(|record| record.orders.last().map(|order| order.site.clone()));
        if last.as_deref() == Some("b") { Ok(()) } else { Err(format!("{last:?}")) }
    });
    served.await?;
    let record = customer.stop().await;
    let lost = record.lost(&rows(&world.shop.b).await?).len();
    assert!(lost > 100, "orders of more than five seconds are gone: {lost}, {cut} had come");

    let report = api.report(&run.id).await?;
    let waived = report.overrides.iter().find(|waived| waived.name.contains("lag"));
    let waived = waived.ok_or_else(|| format!("the report names what was waived: {:?}", report.overrides))?;
    assert_eq!(waived.identity, "local");
    assert!(waived.reason.contains("rather"), "{waived:?}");
    let shop = report.objectives.iter().find(|one| one.service == "shop").ok_or("an objective")?;
    assert_eq!(shop.rpo_outcome(), ObjectiveOutcome::Missed, "{shop:?}");
    assert_eq!(shop.rto_outcome(), ObjectiveOutcome::Met, "{shop:?}");
    Ok(())
}
