//! What a leader forgets, and what it keeps: on every store in the same way.

use std::time::Duration;

use standfast::guarded::Guarded;
use standfast::records::{self, Forgotten, Head, LEADER, Leader};
use standfast::store::{Op, Range, Txn, chunked, range_all};
use standfast::term::retention::{Gone, Retention, forget};
use standfast_core::ids::{Digest, Epoch, RunId};
use standfast_core::journal::End;
use standfast_core::leadership::Term;
use standfast_core::plan::Mode;
use standfast_core::run::State;
use standfast_core::time::Span;
use tokio_util::sync::CancellationToken;

use super::Subject;

const DAY_MS: i64 = 86_400_000;
const NOW_MS: i64 = 1_000 * DAY_MS;
const KEEP: Retention = Retention { runs: 3, age: Duration::from_secs(90 * 86_400), audit: 1_000 };

async fn lead(store: &Subject) -> Guarded {
    let leader = Leader {
        member: "m1".into(),
        site: "a".into(),
        epoch: Epoch(1),
        nonce: "nonce".into(),
        address: "127.0.0.1:1".into(),
        since_ms: 0,
    };
    let put = Txn::new().then(Op::put(LEADER, records::encode(&leader)));
    let key_revision = store.txn(put).await.expect("a leader").revision;
    let term = Term { epoch: Epoch(1), key_revision, nonce: "nonce".into(), lease: 1 };
    Guarded::new(store.clone(), &term, &leader, CancellationToken::new())
}

fn digest(plan: &str) -> Digest {
    Digest::of([plan.as_bytes()])
}

/// A run of `plan` whose last entry was `days` ago, with a journal of so many entries.
async fn run(store: &Subject, number: u64, state: State, days: i64, plan: &str, entries: u64) -> RunId {
    let id = RunId::new(format!("r1-{number}"));
    let head = Head {
        id: id.clone(),
        state,
        playbook: "shop".into(),
        from: "a".into(),
        to: "b".into(),
        mode: Mode::Drill,
        services: vec![],
        plan: digest(plan),
        bundle: digest("bundle"),
        started_by: "kim".into(),
        reason: "a test".into(),
        sequence: entries,
        epoch: Epoch(1),
        nonce: "nonce".into(),
        created_wall_ms: 0,
        wall_ms: NOW_MS - days * DAY_MS,
        elapsed: Span::secs(1),
        crossed: false,
        waits_for: vec![],
        progress: (0, 0),
    };
    store.txn(Txn::new().then(Op::put(records::run(&id), records::encode(&head)))).await.expect("a head");
    journal(store, &id, entries).await;
    let key = records::plan(&digest(plan));
    chunked::put(&**store, &key, plan.as_bytes(), vec![]).await.expect("a plan");
    id
}

async fn journal(store: &Subject, id: &RunId, entries: u64) {
    let keys: Vec<String> = (1..=entries).map(|sequence| records::entry(id, sequence)).collect();
    for some in keys.chunks(100) {
        let txn = some.iter().fold(Txn::new(), |txn, key| txn.then(Op::put(key, "{}")));
        store.txn(txn).await.expect("entries");
    }
}

async fn count(store: &Subject, prefix: &str) -> usize {
    range_all(&**store, prefix).await.expect("a list").kvs.len()
}

pub(super) async fn ended_runs_go_and_what_others_need_stays(store: Subject) {
    let over = State::Ended(End::Succeeded);
    let live = run(&store, 1, State::Blocked, 900, "old", 3).await;
    let mut gone = Vec::new();
    for (number, entries) in [(2, 1), (3, 99), (4, 100), (5, 2_345)] {
        let plan = if number == 2 { "old" } else { "gone" };
        gone.push(run(&store, number, over, 91, plan, entries).await);
    }
    let mut kept = vec![live, run(&store, 6, over, 89, "young", 2).await];
    for number in 7..10 {
        kept.push(run(&store, number, over, 500, "newest", 250).await);
    }
    // Written for a run that was not created.
    let orphan = records::plan(&digest("orphan"));
    chunked::put(&*store, &orphan, b"orphan", vec![]).await.expect("a plan");

    let guarded = lead(&store).await;
    let forgotten = forget(&guarded, KEEP, NOW_MS).await.expect("it is forgotten");
    assert_eq!(forgotten, Gone { runs: 4, plans: 2, audit: 0 });
    for (ids, there) in [(&gone, false), (&kept, true)] {
        for id in ids {
            let head = store.range(Range::key(records::run(id))).await.expect("a read");
            assert_eq!(head.kvs.len() == 1, there, "{id}");
            assert_eq!(count(&store, &records::journal(id)).await > 0, there, "{id}");
        }
    }
    assert_eq!(count(&store, &records::journal(&kept[2])).await, 250);
    for (plan, there) in
        [("old", true), ("young", true), ("newest", true), ("gone", false), ("orphan", false)]
    {
        let value = chunked::get(&*store, &records::plan(&digest(plan))).await.expect("a read");
        assert_eq!(value.is_some(), there, "{plan}");
    }
    assert_eq!(count(&store, "chunks/").await, 3, "no chunk is left over");
    assert_eq!(count(&store, records::FORGOTTEN).await, 0);
    assert_eq!(forget(&guarded, KEEP, NOW_MS).await.expect("nothing is left"), Gone::default());
}

pub(super) async fn what_one_leader_began_to_forget_the_next_one_ends(store: Subject) {
    // Its head was gone, some of its journal too, when the leader was lost.
    let id = RunId::new("r1-1");
    journal(&store, &id, 2_345).await;
    let note = records::encode(&Forgotten { id: id.clone(), sequence: 2_345 });
    let begun = Txn::new()
        .then(Op::put(records::forgotten(&id), note))
        .then(Op::delete_prefix(records::entries(&id, 0)));
    store.txn(begun).await.expect("a note");
    let guarded = lead(&store).await;
    assert_eq!(forget(&guarded, KEEP, NOW_MS).await.expect("it ends"), Gone { runs: 1, plans: 0, audit: 0 });
    assert_eq!(count(&store, &records::journal(&id)).await, 0);
    assert_eq!(count(&store, records::FORGOTTEN).await, 0);
}

pub(super) async fn who_does_not_lead_forgets_nothing(store: Subject) {
    let id = run(&store, 1, State::Ended(End::Aborted), 900, "old", 3).await;
    let guarded = lead(&store).await;
    store.txn(Txn::new().then(Op::delete(LEADER))).await.expect("the leader is gone");
    let none = Retention { runs: 0, ..KEEP };
    assert!(forget(&guarded, none, NOW_MS).await.is_err());
    assert_eq!(count(&store, &records::journal(&id)).await, 3);
    assert_eq!(count(&store, records::RUNS).await, 1);
    assert_eq!(count(&store, records::PLANS).await, 1);
}
