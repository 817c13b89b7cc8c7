//! The key for the name server is wrong, and that shows in mid-run.
//!
//! Situation: a run has started the shop, fenced site a and promoted the database. Meanwhile
//! somebody has put a wrong TSIG key where the daemon reads it. The next step moves the name.
//!
//! Danger: past the point of no return, the run gives up, or claims a name that did not move;
//! or the key stands in a log.
//!
//! Expectation: the name server refuses, the run is Blocked at that step and says why; the name
//! is what it was. With the right key and a word of a person it goes on from there and
//! succeeds.

use std::time::Duration;

use standfast_integration::lab::api::{Api, request_id, short};
use standfast_integration::lab::bundle::Bundle;
use standfast_integration::lab::world::World;
use standfast_integration::parts::Result;
use standfast_proto::v1::runs_client::RunsClient;
use standfast_proto::v1::{ApproveRunRequest, RetryStepRequest, Run, RunState, WaitingKind};

use super::Outcome;

const SOON: Duration = Duration::from_secs(30);

/// A pause before the name is moved, so that the key can be changed in the middle of a run.
pub(crate) fn edit(bundle: &mut Bundle) -> Result<()> {
    super::short(bundle)?;
    bundle.edit_fleet("[kim, lee]", "[kim, lee, local]")?;
    bundle.edit_playbook(
        "  - id: name\n",
        "  - id: ask\n    approval.ask: {role: incident-commander, message: \"Move the name?\"}\n\n  - id: name\n",
    )
}

pub(crate) async fn play(world: &mut World, run: &str) -> Outcome {
    let mut api = world.cluster.api()?;
    let asked = |run: &Run| run.steps.iter().any(|step| step.id == "ask" && step.waits_for_approval);
    api.until_run_is(run, SOON, "asks for approval", asked).await?;
    let before = world.shop.bind.addresses().await?;
    let wrong = "d3JvbmcgYnkgb25lIGJ5dGUgYXQgbGVhc3Qgd3Jvbmc=";
    let name = &world.shop.bind.key_name;
    world.cluster.member("w")?.put_secret("tsig", &format!("{name}:{wrong}"))?;
    approve(&mut api, run).await?;

    let blocked = api.until_run_is(run, SOON, "is Blocked", |run| run.state() == RunState::Blocked).await?;
    assert!(blocked.past_point_of_no_return);
    assert!(blocked.state_reason.contains("name"), "{}", short(&blocked));
    let told = format!("{blocked:?}").to_lowercase();
    assert!(["badsig", "key", "signature"].iter().any(|word| told.contains(word)), "{}", short(&blocked));
    assert_eq!(world.shop.bind.addresses().await?, before, "the name is what it was");
    let waiting = api.status().await?.waiting;
    let question = waiting.iter().find(|item| item.kind() == WaitingKind::UnblockRun && item.run_id == run);
    assert!(question.is_some_and(|item| !item.commands.is_empty()), "{waiting:?}");

    let right = world.shop.bind.key.clone();
    world.cluster.member("w")?.put_secret("tsig", &format!("{name}:{right}"))?;
    let request = RetryStepRequest {
        id: run.into(),
        request_id: request_id(),
        reason: "the key is right now".into(),
        ..RetryStepRequest::default()
    };
    let send = async |channel, request| RunsClient::new(channel).retry_step(request).await;
    api.call(request, send).await?;
    let ended = api.until_run_is(run, Duration::from_secs(60), "ended", |run| run.ended_at.is_some()).await?;
    assert_eq!(ended.state(), RunState::Succeeded, "{}", short(&ended));
    assert_ne!(world.shop.bind.addresses().await?, before);

    let log = std::fs::read_to_string(world.cluster.member("w")?.part().log())?;
    assert!(!log.contains(wrong) && !log.contains(&right), "no key stands in the log");
    Ok(())
}

async fn approve(api: &mut Api, run: &str) -> Outcome {
    let request = ApproveRunRequest {
        id: run.into(),
        step: "ask".into(),
        request_id: request_id(),
        reason: "go on".into(),
        ..ApproveRunRequest::default()
    };
    let send = async |channel, request| RunsClient::new(channel).approve_run(request).await;
    api.call(request, send).await?;
    Ok(())
}
