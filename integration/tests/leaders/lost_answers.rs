//! The answer of etcd to a write that counts is lost on the way.
//!
//! Situation: a member campaigns, or a leader journals that a step starts; etcd carries it out, and the
//! connection is silent from then on. Nobody who waits for the answer can know.
//!
//! Danger: the member takes it for failed and does it again under the same epoch, leads under an epoch that
//! it gave back, acts twice; or acts late, when somebody else leads already.
//!
//! Expectation: what is true is read back. Who cannot know whether it has won gives the lease back, which
//! takes the lead with it, and leads under the next epoch. An entry that was written is found to be ours and
//! acted upon, once. And who comes back when somebody else leads has neither written nor acted.

use std::time::Duration;

use standfast::records::{EPOCH, LEADER, Leader};
use standfast_core::journal::{Body, Event};
use standfast_integration::lab::relay::Relay;
use standfast_proto::v1::RunState;

use super::Outcome;
use super::stage::{SOON, Stage, api, start, whole};

/// The second one acts, and is known to have acted only by who did it.
const STEPS: &str = "  - id: gate
    wait.until: {all: [{tcp.connect: {endpoint: gate, at: $to}}]}
    timeout: 5m
  - id: act
    http.request: {endpoint: ear, at: $to, method: POST, path: /, idempotent: true}
    timeout: 2s
";

fn starts(event: &Event) -> bool {
    matches!(&event.body, Body::StepStarted { step, .. } if step.as_str() == "act")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_cannot_know_whether_it_has_won_leads_under_the_next_epoch() -> Outcome {
    let mut stage = Stage::set(&[], STEPS).await?;
    let relay = Relay::before(stage.etcd.address(0)).await?;
    relay.lose_answer_to("\"nonce\":");
    let mut member = stage.member("w", format!("http://{}", relay.address)).await?;
    tokio::time::timeout(SOON, relay.passed()).await?;
    let won: Leader = loop {
        match stage.value(LEADER).await? {
            Some(record) => break serde_json::from_slice(&record)?,
            None => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    };
    assert_eq!((won.member.as_str(), won.epoch.0), ("w1", 1), "etcd has carried the campaign out");
    relay.mend();

    let mut api = api(&[&member])?;
    let leads = api.until(SOON, "a leader of the next epoch", async |api| {
        let leader = api.status().await.map_err(|e| e.to_string())?.leader;
        leader.clone().filter(|leader| leader.epoch > 1).ok_or_else(|| format!("{leader:?}"))
    });
    let leads = leads.await?;
    assert_eq!((leads.member.as_str(), leads.epoch), ("w1", 2));
    member.until_ready().await?;
    assert_eq!(stage.value(EPOCH).await?, Some(b"2".to_vec()));
    let run = start(&mut api).await?;
    let _gate = tokio::net::TcpListener::bind(stage.gate).await?;
    let ended = api.until_run_is(&run, SOON, "ended", |run| run.ended_at.is_some()).await?;
    assert_eq!(ended.state(), RunState::Succeeded, "{}", ended.state_reason);
    // Under the epoch that it cannot know it had, nothing was done or written.
    assert_eq!(stage.acts(), [2]);
    let audit = stage.texts("audit/").await?;
    assert!(!audit.is_empty() && audit.iter().all(|line| !line.contains("\"epoch\":1,")), "{audit:#?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_whose_answer_is_lost_is_found_to_be_ours_and_acted_upon_once() -> Outcome {
    let mut stage = Stage::set(&[], STEPS).await?;
    let relay = Relay::before(stage.etcd.address(0)).await?;
    let mut member = stage.member("w", format!("http://{}", relay.address)).await?;
    member.until_ready().await?;
    let mut api = api(&[&member])?;
    let run = start(&mut api).await?;
    let epoch = lost(&stage, &relay, &run).await?;
    assert!(stage.acts().is_empty(), "nothing acts that is not known to be written");
    relay.mend();

    let ended = api.until_run_is(&run, SOON, "ended", |run| run.ended_at.is_some()).await?;
    assert_eq!(ended.state(), RunState::Succeeded, "{}", ended.state_reason);
    let journal = stage.journal(&run).await?;
    whole(&journal);
    assert_eq!(journal.iter().filter(|event| starts(event)).count(), 1, "written once: {journal:#?}");
    assert!(journal.iter().all(|event| event.epoch.0 == epoch), "by one leader: {journal:#?}");
    assert_eq!(stage.acts(), [epoch]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_cut_off_with_the_answer_has_not_acted_when_another_leads() -> Outcome {
    let mut stage = Stage::set(&[], STEPS).await?;
    let relay = Relay::before(stage.etcd.address(0)).await?;
    let mut first = stage.member("w", format!("http://{}", relay.address)).await?;
    first.until_ready().await?;
    let mut second = stage.member("b", stage.etcd.endpoint(0)).await?;
    second.until_ready().await?;
    let mut api = api(&[&second])?;
    let run = start(&mut api).await?;
    let epoch = lost(&stage, &relay, &run).await?;
    relay.cut();

    let ended = api.until_run_is(&run, SOON, "ended", |run| run.ended_at.is_some()).await?;
    assert_eq!(ended.state(), RunState::Succeeded, "{}", ended.state_reason);
    assert_eq!((ended.member.as_str(), ended.epoch > epoch), ("b1", true));
    relay.mend();
    first.until_ready().await?;
    let journal = stage.journal(&run).await?;
    whole(&journal);
    let by: Vec<_> = journal.iter().filter(|event| starts(event)).map(|event| event.epoch.0).collect();
    assert_eq!(by, [epoch, ended.epoch], "begun by the first, done by the second: {journal:#?}");
    assert_eq!(stage.acts(), [ended.epoch]);
    Ok(())
}

/// Opens the gate, and loses the answer to the entry that the next step starts; the epoch of that entry.
async fn lost(stage: &Stage, relay: &Relay, run: &str) -> Outcome<u64> {
    relay.lose_answer_to("\"step\":\"act\"");
    let _gate = tokio::net::TcpListener::bind(stage.gate).await?;
    tokio::time::timeout(SOON, relay.passed()).await?;
    loop {
        let journal = stage.journal(run).await?;
        if let Some(event) = journal.iter().find(|event| starts(event)) {
            return Ok(event.epoch.0);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
