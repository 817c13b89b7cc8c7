//! A run as it goes, from member to member.

use standfast_proto::reason;
use standfast_proto::v1::watch_run_response::Item;
use standfast_proto::v1::*;
use tonic::{Code, Status, Streaming};

use super::fixture::*;
use crate::console::standfast;
use standfast::cli::exit::Exit;

async fn watch(member: &Daemon, id: &str, from_revision: u64) -> Streaming<WatchRunResponse> {
    let request = WatchRunRequest { id: id.into(), from_revision };
    member.runs().await.watch_run(request).await.unwrap().into_inner()
}

async fn next(stream: &mut Streaming<WatchRunResponse>) -> Result<Option<Item>, Status> {
    let message = tokio::time::timeout(PATIENCE, stream.message()).await.expect("a message in time")?;
    Ok(message.and_then(|message| message.item))
}

/// Everything up to the end.
async fn rest(stream: &mut Streaming<WatchRunResponse>) -> Vec<JournalEvent> {
    let mut events = Vec::new();
    while let Some(item) = next(stream).await.unwrap() {
        if let Item::Event(event) = item {
            events.push(event);
        }
    }
    events
}

async fn approve(member: &Daemon, id: &str) {
    let request = ApproveRunRequest {
        id: id.into(),
        step: "word".into(),
        request_id: "a1".into(),
        ..ApproveRunRequest::default()
    };
    member.runs().await.approve_run(request).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_goes_on_by_revision_on_another_member() {
    // Situation: a person follows a run, and the member that tells it stops. Danger: an entry is
    // lost, or told as if it were new. Expectation: the stream says that it ends, and another
    // member goes on from the revision, to the end of the run.
    let (store, leader, _tool) = led().await;
    let mut other = Daemon::answers("b1", "b", &store).await;
    let digest = get_digest(&leader).await;
    other.knows(&digest).await;
    let id = start(&leader, drill("shop", "r1")).await.id;
    let mut stream = watch(&other, &id, 0).await;
    let Some(Item::Snapshot(snapshot)) = next(&mut stream).await.unwrap() else { panic!("no snapshot") };
    assert_eq!(snapshot.id, id);
    let Some(Item::Sync(sync)) = next(&mut stream).await.unwrap() else { panic!("no SYNC") };
    until(&leader, &id, |run| run.steps[0].waits_for_approval).await;
    let mut last = sync.revision;
    if snapshot.steps[0].state() == StepState::Pending {
        loop {
            let Some(Item::Event(event)) = next(&mut stream).await.unwrap() else { panic!("no event") };
            last = event.revision;
            if event.kind() == JournalEventKind::ApprovalAsked {
                assert_eq!((event.step.as_str(), event.step_state()), ("word", StepState::Started));
                break;
            }
        }
    }
    other.stop.cancel();
    let lost = loop {
        match next(&mut stream).await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("it ended without a word"),
            Err(status) => break status,
        }
    };
    assert_eq!(lost.code(), Code::Unavailable);

    approve(&leader, &id).await;
    let mut stream = watch(&leader, &id, last).await;
    let events = rest(&mut stream).await;
    assert!(events.iter().all(|event| event.revision > last), "told twice");
    assert_eq!(events.first().map(|event| event.kind()), Some(JournalEventKind::Approved));
    assert_eq!(events.last().map(|event| event.run_state()), Some(RunState::Succeeded));
    let sequences: Vec<u64> = events.iter().map(|event| event.sequence).collect();
    assert!(sequences.windows(2).all(|pair| pair[1] == pair[0] + 1), "{sequences:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_ended_is_told_whole_also_after_compaction() {
    let (store, member, _tool) = led().await;
    let id = start(&member, drill("waits", "r1")).await.id;
    let run = until(&member, &id, |run| run.ended_at.is_some()).await;
    store.compact(run.revision).await.unwrap();
    let mut stream = watch(&member, &id, 0).await;
    let Some(Item::Snapshot(snapshot)) = next(&mut stream).await.unwrap() else { panic!("no snapshot") };
    assert_eq!(snapshot.state(), RunState::Succeeded);
    assert!(matches!(next(&mut stream).await.unwrap(), Some(Item::Sync(_))));
    assert_eq!(next(&mut stream).await.unwrap(), None);
    // From a revision that the store has forgotten, the journal still tells all.
    let events = rest(&mut watch(&member, &id, 1).await).await;
    assert_eq!(
        events.first().map(|event| (event.sequence, event.kind())),
        Some((1, JournalEventKind::RunCreated))
    );
    assert_eq!(events.last().map(|event| event.run_state()), Some(RunState::Succeeded));

    let ahead = WatchRunRequest { id: id.clone(), from_revision: u64::MAX - 1 };
    let ahead = why(member.runs().await.watch_run(ahead).await.map(|_| ()));
    assert_eq!(ahead, (Code::OutOfRange, reason::COMPACTED.into()));
    let nobody = WatchRunRequest { id: "nope".into(), from_revision: 0 };
    assert_eq!(why(member.runs().await.watch_run(nobody).await.map(|_| ())).0, Code::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_starts_watches_and_reports() {
    let (_store, member, _tool) = led().await;
    let words = "run start waits --from a --to b --mode drill --reason test --watch";
    let seen = standfast(&[member.address], words).await;
    assert_eq!(seen.exit(), Exit::Done, "{seen:?}");
    assert!(seen.err.contains("Succeeded"), "{}", seen.err);
    let list = standfast(&[member.address], "run list").await.out;
    assert!(list.contains("a -> b") && list.contains("1/1"), "{list}");
    let id = list.lines().nth(1).and_then(|line| line.split_whitespace().next()).expect("a run").to_owned();
    let watched = standfast(&[member.address], &format!("run watch {id}")).await;
    assert_eq!(watched.exit(), Exit::Done, "{watched:?}");
    let report = standfast(&[member.address], &format!("run report {id}")).await.out;
    assert!(report.contains("| shop    | 10m |"), "{report}");
}
