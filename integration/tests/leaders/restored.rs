//! etcd is restored from a backup.
//!
//! Situation: etcd is saved; a later leader leads under a higher epoch; then etcd is lost and restored from
//! what was saved, as a new cluster at the same address. It tells an epoch of the past, and a leader.
//!
//! Danger: a member leads under an epoch that was given before, and targets take what is late of an old
//! leader for the word of the new one.
//!
//! Expectation: who has seen the higher epoch does not lead, and says why and what is to be done; after
//! `standfast member bump-epoch` it leads again, under an epoch that nobody has seen.

use standfast::records::EPOCH;
use standfast_integration::parts::poll;
use standfast_proto::v1::cluster_client::ClusterClient;
use standfast_proto::v1::{BumpEpochRequest, RunState};

use super::Outcome;
use super::stage::{SOON, Stage, api, start, whole};

const STEPS: &str = "  - id: act
    http.request: {endpoint: ear, at: $to, method: POST, path: /, idempotent: true}
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_leads_a_restored_etcd_under_an_epoch_of_the_past() -> Outcome {
    let mut stage = Stage::set(&[], STEPS).await?;
    let mut member = stage.member("w", stage.etcd.endpoint(0)).await?;
    member.until_ready().await?;
    let saved = stage.file("saved.db");
    stage.etcd.save(&saved).await?;
    let mut api = api(&[&member])?;
    let first = api.until_leader(SOON).await?;
    member.restart().await?;
    let second = api.until_leader(SOON).await?;
    assert!(second.epoch > first.epoch);
    let lost = start(&mut api).await?;
    api.until_run_is(&lost, SOON, "ended", |run| run.ended_at.is_some()).await?;

    stage.etcd.restore(&saved).await?;
    let stored = |value: Option<Vec<u8>>| value.and_then(|value| String::from_utf8(value).ok());
    assert_eq!(stored(stage.value(EPOCH).await?), Some(first.epoch.to_string()), "it tells of the past");
    let status = api
        .until(SOON, "the member says why it does not lead", async |api| {
            let status = api.status().await.map_err(|e| e.to_string())?;
            let problem = status.store.as_ref().map(|store| store.problem.clone()).unwrap_or_default();
            let told = status.leader.is_none() && problem.contains("standfast member bump-epoch");
            if told { Ok(status) } else { Err(format!("{:?}: {problem}", status.leader)) }
        })
        .await?;
    let problem = status.store.as_ref().map(|store| store.problem.clone()).unwrap_or_default();
    for epoch in [first.epoch, second.epoch] {
        assert!(problem.contains(&epoch.to_string()), "{problem}");
    }
    assert!(status.next_commands.iter().any(|line| line.contains("member bump-epoch")), "{status:?}");
    let ready = async || member.get("readyz").await.map_err(|error| error.to_string());
    let told =
        poll(SOON, || async { ready().await?.contains("bump-epoch").then_some(()).ok_or_else(String::new) });
    told.await?;
    // However long it lasts: for three times the time of a lease nobody has led.
    tokio::time::sleep(3 * std::time::Duration::from_secs(4)).await;
    assert_eq!(stored(stage.value(EPOCH).await?), Some(first.epoch.to_string()));
    assert_eq!(api.status().await?.leader, None);

    let bump = BumpEpochRequest { reason: "restored from a backup".into() };
    let send = async |channel, request| ClusterClient::new(channel).bump_epoch(request).await;
    let bumped = api.call(bump, send).await.map_err(|failure| failure.to_string())?;
    assert_eq!(bumped.epoch, second.epoch);
    let third = api.until_leader(SOON).await?;
    assert_eq!((third.member.as_str(), third.epoch), ("w1", second.epoch + 1));
    let run = start(&mut api).await?;
    let ended = api.until_run_is(&run, SOON, "ended", |run| run.ended_at.is_some()).await?;
    assert_eq!(ended.state(), RunState::Succeeded, "{}", ended.state_reason);
    whole(&stage.journal(&run).await?);
    assert_eq!(
        stage.acts(),
        [second.epoch, third.epoch],
        "targets never see an epoch twice from two leaders"
    );
    Ok(())
}
