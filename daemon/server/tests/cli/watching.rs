//! `run watch` and `run start --watch`: streams that end, break, and go on elsewhere.

use std::sync::Mutex;

use serde_json::{Value, json};
use standfast::cli::exit::Exit;
use standfast_proto::reason;
use standfast_proto::v1::watch_run_response::Item;
use standfast_proto::v1::*;
use tonic::{Code, Status};

use super::console::{at_terminal, standfast};
use super::member::{Answers, Member, Script};
use crate::{refused, run};

fn snapshot(state: RunState) -> Result<WatchRunResponse, Status> {
    Ok(WatchRunResponse { item: Some(Item::Snapshot(run(state))) })
}

fn sync(revision: u64) -> Result<WatchRunResponse, Status> {
    Ok(WatchRunResponse { item: Some(Item::Sync(Sync { revision })) })
}

fn step(sequence: u64, step: &str, state: StepState, message: &str) -> Result<WatchRunResponse, Status> {
    let event = JournalEvent {
        sequence,
        revision: 40 + sequence,
        run_state: RunState::Running.into(),
        step: step.into(),
        step_state: state.into(),
        message: message.into(),
        ..JournalEvent::default()
    };
    Ok(WatchRunResponse { item: Some(Item::Event(event)) })
}

fn end(sequence: u64, state: RunState, message: &str) -> Result<WatchRunResponse, Status> {
    let event = JournalEvent {
        sequence,
        revision: 40 + sequence,
        run_state: state.into(),
        message: message.into(),
        ..JournalEvent::default()
    };
    Ok(WatchRunResponse { item: Some(Item::Event(event)) })
}

async fn watched(watches: impl IntoIterator<Item = Script>) -> Member {
    Member::start(Answers { watches: Mutex::new(watches.into_iter().collect()), ..Answers::default() }).await
}

#[tokio::test]
async fn a_watch_goes_on_at_another_member() {
    let started = || step(3, "tools", StepState::Started, "it begins");
    let lost = watched([vec![
        snapshot(RunState::Running),
        sync(42),
        started(),
        Err(Status::unavailable("the store is lost")),
    ]])
    .await;
    let rest = vec![
        started(),
        step(4, "tools", StepState::Succeeded, "verified"),
        sync(44),
        end(5, RunState::Succeeded, "all done"),
    ];
    // One that says it does not serve is asked last, so the other one is the one that is lost.
    let other = Member::start(Answers {
        watches: Mutex::new([rest].into()),
        not_serving: true,
        ..Answers::default()
    })
    .await;
    let seen = standfast(&[other.address, lost.address], "run watch shop-1").await;
    assert_eq!(seen.exit(), Exit::Done, "{seen:?}");
    assert_eq!(seen.out.matches("it begins").count(), 1, "{}", seen.out);
    assert_eq!(seen.out.matches("verified").count(), 1, "{}", seen.out);
    assert!(seen.out.trim_end().ends_with("all done"), "{}", seen.out);
    assert_eq!(seen.err.matches("going on with another member").count(), 1, "{}", seen.err);
    assert!(seen.err.ends_with("next: standfast run report shop-1\n"), "{}", seen.err);
    assert_eq!(other.asked()[0].1["fromRevision"], "42");
}

#[tokio::test]
async fn a_watch_whose_revision_is_gone_begins_again() {
    let gone = Status::out_of_range("compacted");
    let member = watched([
        vec![snapshot(RunState::Running), sync(42), Err(Status::unavailable("a restart"))],
        vec![Err(gone)],
        vec![snapshot(RunState::Succeeded), sync(90)],
    ])
    .await;
    let seen = standfast(&[member.address], "run watch shop-1").await;
    assert_eq!(seen.exit(), Exit::Done, "{seen:?}");
    let from: Vec<Value> =
        member.asked().into_iter().map(|(_, asked)| asked["fromRevision"].clone()).collect();
    assert_eq!(from, [Value::Null, json!("41"), Value::Null]);
}

#[tokio::test]
async fn a_watch_that_a_member_refuses_begins_at_another() {
    let minority = Member::start(refused(Code::Unavailable, reason::NO_QUORUM, &[])).await;
    let script = vec![snapshot(RunState::Succeeded), sync(9)];
    let watches = Mutex::new([script].into());
    let other = Member::start(Answers { watches, not_serving: true, ..Answers::default() }).await;
    let seen = standfast(&[minority.address, other.address], "run watch shop-1").await;
    assert_eq!(seen.exit(), Exit::Done, "{seen:?}");

    let unknown = Member::start(refused(Code::NotFound, reason::NO_SUCH_THING, &[])).await;
    assert_eq!(standfast(&[unknown.address], "run watch shop-2").await.exit(), Exit::Usage);
}

#[tokio::test]
async fn a_watch_ends_where_people_are_needed() {
    let script = vec![snapshot(RunState::Running), sync(40), end(1, RunState::Blocked, "orders lags 12 s")];
    let helps = "standfast run approve shop-1 --reason ...";
    let run = Run { next_commands: vec![helps.into()], ..run(RunState::Blocked) };
    let watches = Mutex::new([script].into());
    let member = Member::start(Answers { watches, run, ..Answers::default() }).await;
    let seen = standfast(&[member.address], "run watch shop-1").await;
    assert_eq!(seen.exit(), Exit::Waiting);
    assert!(seen.out.contains("Blocked"), "{}", seen.out);
    assert!(seen.err.contains(&format!("next: {helps}\n")), "{}", seen.err);
}

#[tokio::test]
async fn a_watch_as_json_is_one_message_a_line() {
    let script = vec![snapshot(RunState::Running), sync(40), end(1, RunState::Aborted, "kim said so")];
    let member = watched([script]).await;
    let seen = standfast(&[member.address], "run watch shop-1 -o json").await;
    assert_eq!(seen.exit(), Exit::Failed);
    let lines: Vec<Value> = seen.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines[0]["snapshot"]["id"], "shop-1");
    assert_eq!(lines[1]["sync"]["revision"], "40");
    assert_eq!(lines[2]["event"]["runState"], "RUN_STATE_ABORTED");
}

#[tokio::test]
async fn start_and_watch_keeps_progress_off_stdout() {
    let script = vec![snapshot(RunState::Running), sync(40), end(1, RunState::Succeeded, "all done")];
    let member = Member::start(Answers {
        created: CreateRunResponse { run: Some(run(RunState::Running)), ..CreateRunResponse::default() },
        run: run(RunState::Succeeded),
        watches: Mutex::new([script].into()),
        ..Answers::default()
    })
    .await;
    let seen = standfast(&[member.address], "run start shop --from a --reason fire --watch -o json").await;
    assert_eq!(seen.exit(), Exit::Done);
    assert!(seen.err.contains("all done"), "{}", seen.err);
    let data: Run = serde_json::from_str(&seen.out).expect("one message, the run as it ended");
    assert_eq!(data.state(), RunState::Succeeded);
}

#[tokio::test]
async fn a_live_table_is_drawn_in_its_place_and_fits() {
    let long = "a very long detail that would not fit into forty columns by any means";
    let script = vec![
        snapshot(RunState::Running),
        sync(40),
        step(1, "tools", StepState::Started, long),
        end(2, RunState::Succeeded, "all done"),
    ];
    let member = watched([script]).await;
    let seen = at_terminal(&[member.address], "run watch shop-1", 60, 24).await;
    assert_eq!(seen.exit(), Exit::Done);
    let frames: Vec<&str> = seen.out.split("\r\x1b[J").collect();
    assert!(frames.len() > 1, "drawn once only:\n{}", seen.out);
    for frame in &frames {
        let lines: Vec<&str> = frame.lines().filter(|line| !line.starts_with("\x1b[4A")).collect();
        assert_eq!(lines.len(), 4, "heading, names, two steps:\n{frame}");
        assert!(lines.iter().all(|line| visible(line) <= 60), "too wide:\n{frame}");
    }
}

/// Characters of a line that take room: all but `ESC [ ... m`.
fn visible(line: &str) -> usize {
    line.split('\x1b')
        .enumerate()
        .map(|(i, part)| if i == 0 { part } else { part.split_once('m').map_or("", |(_, text)| text) })
        .map(|text| text.chars().count())
        .sum()
}
