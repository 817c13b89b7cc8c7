//! etcd is full: it raises the alarm NOSPACE and takes no more writes.
//!
//! Situation: a run of many steps is under way, and something else fills etcd up to its quota.
//!
//! Danger: the leader acts on what it could not write down; what was acknowledged is lost; or the daemon
//! says no more than that something is wrong, in the night in which it is needed.
//!
//! Expectation: the write of the journal is refused with an error that says what is to be done; the leader
//! gives the lead up, and nothing more happens. Who asks is told the same. What was written stays. After
//! compaction, defragmentation and the end of the alarm the run goes on where it stood, by itself.

use std::fmt::Write as _;
use std::time::Duration;

use etcd_client::{AlarmAction, AlarmType};
use standfast_core::journal::Body;
use standfast_proto::v1::RunState;

use super::Outcome;
use super::stage::{SOON, Stage, api, start, whole, wish};

/// Small enough to be filled quickly, and large enough for the run.
const QUOTA: &str = "--quota-backend-bytes=67108864";
/// So many that the run is still under way when etcd is full.
const STEPS: usize = 1_500;
/// Below the largest request that etcd takes.
const CHUNK: usize = 1 << 20;
/// What an operator has to do, and in what words.
const ADVICE: [&str; 4] = ["out of space", "compact", "defrag", "alarm disarm"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_etcd_stops_a_run_aloud_and_loses_nothing_of_it() -> Outcome {
    let mut steps = String::new();
    for step in 0..STEPS {
        writeln!(
            steps,
            "  - id: s{step:04}\n    wait.until: {{all: [{{tcp.connect: {{endpoint: ear, at: $to}}}}]}}"
        )?;
    }
    steps.push_str(
        "  - id: act\n    http.request: {endpoint: ear, at: $to, method: POST, path: /, idempotent: true}\n",
    );
    let mut stage = Stage::set(&[QUOTA], &steps).await?;
    let mut member = stage.member("w", stage.etcd.endpoint(0)).await?;
    member.until_ready().await?;
    let mut api = api(&[&member])?;
    let run = start(&mut api).await?;
    api.until_run_is(&run, SOON, "has begun", |run| run.steps_done >= 20).await?;

    let mut etcd = stage.etcd.client(0).await?;
    let filler = vec![b'x'; CHUNK];
    let mut chunks = 0;
    let full = loop {
        match etcd.put(format!("filler/{chunks}"), filler.clone(), None).await {
            Ok(_) => chunks += 1,
            Err(error) => break error,
        }
        assert!(chunks < 256, "the quota does not hold");
    };
    assert!(full.to_string().contains("database space exceeded"), "{full}");

    let log = member.part_ref().log().to_path_buf();
    let said = api.until(SOON, "the leader says why it leads no more", async |_| {
        let text = std::fs::read_to_string(&log).map_err(|e| e.to_string())?;
        let line = text.lines().find(|line| line.contains("a write of the leader cannot be made"));
        line.map(str::to_owned).ok_or_else(|| "not yet".into())
    });
    let said = said.await?;
    let status = api
        .until(SOON, "nobody leads", async |api| {
            let status = api.status().await.map_err(|e| e.to_string())?;
            if status.leader.is_none() { Ok(status) } else { Err(format!("{:?}", status.leader)) }
        })
        .await?;
    let store = status.store.ok_or("a status has a store")?;
    let refused = api.create_run(wish()).await.map(|_| ()).expect_err("nothing is taken").to_string();
    for told in [&said, &store.problem, &refused] {
        ADVICE.iter().for_each(|word| assert!(told.contains(word), "no `{word}`: {told}"));
    }
    assert!(!store.writable);

    // Nothing more happens, however long it lasts.
    let before = stage.journal(&run).await?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(stage.journal(&run).await?, before);
    assert!(stage.acts().is_empty());
    let shown = api.run(&run).await?;
    assert_eq!((shown.state(), shown.etag), (RunState::Running, before.len().to_string()));

    etcd.delete("filler/", Some(etcd_client::DeleteOptions::new().with_prefix())).await?;
    let revision = etcd.status().await?.header().map_or(0, |header| header.revision());
    let revision = revision.max(etcd.get("none", None).await?.header().map_or(0, |header| header.revision()));
    etcd.compact(revision, Some(etcd_client::CompactionOptions::new().with_physical())).await?;
    etcd.defragment().await?;
    let cluster = etcd.status().await?.header().map_or(0, |header| header.member_id());
    let mut alarm = etcd_client::AlarmOptions::new();
    alarm.with_member(cluster);
    etcd.alarm(AlarmAction::Deactivate, AlarmType::Nospace, Some(alarm)).await?;

    let end = Duration::from_secs(120);
    let ended = api.until_run_is(&run, end, "ended", |run| run.ended_at.is_some()).await?;
    assert_eq!(ended.state(), RunState::Succeeded, "{}", ended.state_reason);
    let journal = stage.journal(&run).await?;
    whole(&journal);
    assert_eq!(journal[..before.len()], before, "what was written stays");
    assert_eq!(journal[before.len()].body, Body::TookOver, "and is taken up by a new term");
    assert_eq!(stage.acts().len(), 1);
    assert_eq!(api.runs().await?.len(), 1, "what was refused was not done");
    Ok(())
}
