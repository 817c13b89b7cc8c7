//! Our leader is killed in mid-step, twice.
//!
//! Situation: site a is lost and a run moves the shop. The leader dies while the promotion,
//! the point of no return, is being verified; and the one who takes over dies, too, while the
//! traffic is being moved, weight by weight.
//!
//! Danger: what was done is done again, what was not done is taken for done, or the run stands
//! still for ever.
//!
//! Expectation: the next leader goes on at the very step. A promotion that inspects as done is
//! accepted without being done again. A shift that stands half-way is neither: it is looked at at
//! once, left alone for as long as what the dead leader began may linger, and then, since it may be
//! repeated, goes on from the weight where it stood, without a person. No finished step is acted upon
//! again, and epochs never go back.

use std::net::SocketAddr;
use std::time::Duration;

use standfast_integration::lab::api::short;
use standfast_integration::lab::bundle::Bundle;
use standfast_integration::lab::events::Recorder;
use standfast_integration::lab::world::World;
use standfast_integration::parts::ground::ip;
use standfast_integration::parts::{Result, ports};
use standfast_proto::v1::{JournalEventKind, RunState, StepState};

use super::Outcome;

const SOON: Duration = Duration::from_secs(30);

/// Something that the verification of the promotion waits for, and that this test opens.
pub(crate) fn door() -> Result<SocketAddr> {
    ports::free(ip(3, 9))
}

pub(crate) fn edit(bundle: &mut Bundle, door: SocketAddr) -> Result<()> {
    bundle.edit_playbook("hold: 10s", "hold: 3s")?;
    let resource =
        format!("  door: {{endpoint: {{a: \"http://{door}\", b: \"http://{door}\"}}}}\n  orders:\n");
    bundle.edit_fleet("  orders:\n", &resource)?;
    bundle.edit_playbook(
        "verify: {within: 30s, all: [{postgres.writable: {cluster: orders, at: $to}}]}",
        "verify: {within: 60s, all: [{postgres.writable: {cluster: orders, at: $to}}, \
         {tcp.connect: {endpoint: door, at: $to}}]}",
    )
}

pub(crate) async fn play(world: &mut World, run: &str, door: SocketAddr, recorder: &Recorder) -> Outcome {
    let mut api = world.cluster.api()?;
    let is = |step: &'static str, state: StepState| {
        move |run: &standfast_proto::v1::Run| run.steps.iter().any(|s| s.id == step && s.state() == state)
    };
    api.until_run_is(run, SOON, "verifies promote", is("promote", StepState::Verifying)).await?;
    let first = api.until_leader(SOON).await?;
    world.cluster.member(&first.site)?.part().kill();
    let taken = api.until_run_is(run, SOON, "is taken over", |now| now.epoch > first.epoch).await?;
    let second = api.until_leader(SOON).await?;
    assert_ne!(second.site, first.site);
    assert_eq!(second.epoch, taken.epoch);
    let open = tokio::net::TcpListener::bind(door).await?;

    // The first one comes back, and may lead again when the second one dies.
    world.cluster.member(&first.site)?.restart().await?;
    api.until_run_is(run, SOON, "ramps", is("ramp", StepState::Started)).await?;
    let weight = async |world: &World| world.shop.b.haproxy.weight("web-b").await;
    api.until(SOON, "a second weight", async |_| match weight(world).await {
        Ok(weight) if weight >= 25 => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await?;
    world.cluster.member(&second.site)?.part().kill();
    let stands = weight(world).await?;
    assert!(stands < 100, "in the middle: {stands}");
    let taken = api.until_run_is(run, SOON, "is taken over", |now| now.epoch > second.epoch).await?;
    assert!(taken.past_point_of_no_return);
    let ended = api.until_run_is(run, Duration::from_secs(60), "ended", |run| run.ended_at.is_some()).await?;
    assert_eq!(ended.state(), RunState::Succeeded, "{}", short(&ended));
    assert_eq!(weight(world).await?, 100);
    drop(open);

    let sql = "select timeline_id from pg_control_checkpoint()";
    let admin = world.shop.b.postgres.superuser().await?;
    admin.batch_execute("checkpoint").await?;
    let timeline: i32 = admin.query_one(sql, &[]).await?.get(0);
    assert_eq!(timeline, 2, "promoted once");

    let journal = recorder.journal(run);
    let started = |step: &str| {
        let of = |line: &&standfast_proto::v1::JournalEvent| {
            line.kind() == JournalEventKind::StepStateChanged
                && line.step == step
                && line.step_state() == StepState::Started
        };
        journal.iter().filter(of).count()
    };
    for step in ["tools", "fenced", "promote", "name"] {
        assert_eq!(started(step), 1, "{step} is done once: {journal:#?}");
    }
    assert_eq!(started("ramp"), 2, "once by each hand: {journal:#?}");
    assert!(journal.windows(2).all(|pair| pair[0].epoch <= pair[1].epoch), "epochs never go back");
    let sequences: Vec<u64> = journal.iter().map(|line| line.sequence).collect();
    assert_eq!(sequences, (1..=journal.len() as u64).collect::<Vec<_>>(), "without gaps, across two deaths");
    Ok(())
}
