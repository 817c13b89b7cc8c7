//! A list of more runs than anybody reads.

use standfast::records::{self, Head};
use standfast::store::{Op, Store, Txn};
use standfast_core::ids::{Digest, Epoch, RunId};
use standfast_core::journal::End;
use standfast_core::plan;
use standfast_core::run::State;
use standfast_core::time::Span;
use standfast_proto::v1::*;

use super::fixture::*;
use crate::console::standfast;

fn head(id: &str, state: State) -> Head {
    Head {
        id: RunId::new(id),
        state,
        playbook: "shop".into(),
        from: "a".into(),
        to: "b".into(),
        mode: plan::Mode::Drill,
        services: vec![],
        plan: Digest::of([b"plan".as_slice()]),
        bundle: Digest::of([b"bundle".as_slice()]),
        started_by: "kim".into(),
        reason: "a test".into(),
        sequence: 1,
        epoch: Epoch(1),
        nonce: "nonce".into(),
        created_wall_ms: 0,
        wall_ms: 0,
        elapsed: Span::secs(1),
        crossed: false,
        waits_for: vec![],
        progress: (0, 0),
    }
}

/// One blocked run that is older than 1,200 others of several terms, that ended.
async fn years(store: &dyn Store) -> Vec<String> {
    let ended = |id: &String| head(id, State::Ended(End::Succeeded));
    let mut ids: Vec<String> =
        (9..13).rev().flat_map(|epoch| (1..=300).rev().map(move |n| format!("r{epoch}-{n}"))).collect();
    let mut heads: Vec<Head> = ids.iter().map(ended).collect();
    heads.push(head("r8-1", State::Blocked));
    ids.push("r8-1".into());
    for some in heads.chunks(100) {
        let put = |txn: Txn, head: &Head| txn.then(Op::put(records::run(&head.id), records::encode(head)));
        store.txn(some.iter().fold(Txn::new(), put)).await.unwrap();
    }
    let locks = ["site/a", "site/b"].map(|lock| Op::put(records::lock(lock), "r8-1"));
    store.txn(locks.into_iter().fold(Txn::new(), Txn::then)).await.unwrap();
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_reads_no_more_than_its_share() {
    let store = store().await;
    let ids = years(&*store).await;
    let member = Daemon::answers("w1", "w", &store).await;
    let mut client = member.runs().await;
    let mut list = async |states: &[RunState], page_token: &str| {
        let states = states.iter().map(|state| (*state).into()).collect();
        let request = ListRunsRequest { states, page_size: 200, page_token: page_token.into() };
        client.list_runs(request).await.unwrap().into_inner()
    };
    let (mut seen, mut token) = (Vec::new(), String::new());
    loop {
        let page = list(&[], &token).await;
        seen.extend(page.runs.into_iter().map(|run| run.id));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, ids, "newest first, each once");

    // Nothing of what is wanted among the first 1,000: the page ends there, and another follows.
    let page = list(&[RunState::Blocked, RunState::Aborted], "").await;
    assert_eq!((page.runs.len(), page.next_page_token.as_str()), (0, ids[999].as_str()));
    let page = list(&[RunState::Blocked, RunState::Aborted], &page.next_page_token).await;
    assert_eq!((page.runs[0].id.as_str(), page.next_page_token.as_str()), ("r8-1", ""));
    // What has not ended is found at once, however old.
    let page = list(&[RunState::Blocked, RunState::Running], "").await;
    assert_eq!((page.runs.len(), page.runs[0].id.as_str(), page.next_page_token.as_str()), (1, "r8-1", ""));
    assert!(list(&[RunState::Running], "").await.runs.is_empty());

    let seen = standfast(&[member.address], "run list --active --limit 5").await;
    assert!(seen.out.contains("r8-1") && seen.err.is_empty(), "{seen:?}");
    let seen = standfast(&[member.address], "run list --limit 5").await;
    assert_eq!(seen.err, format!("more: standfast run list --page {}\n", ids[4]));
}
