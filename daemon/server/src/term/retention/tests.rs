//! Runs are created while others are forgotten.

use super::super::write::create;
use super::*;
use crate::guarded::tests::lead;
use crate::store::{EmbeddedStore, Store};
use standfast_core::controller::Creation;
use standfast_core::ids::{Epoch, RunId};
use standfast_core::journal::{Body, Event, Trigger, VERSION};
use standfast_core::plan::{Mode, Plan, Request};
use std::sync::Arc;

fn plan() -> Arc<Plan> {
    let request = Request {
        playbook: "shop".into(),
        from: "a".into(),
        to: "b".into(),
        mode: Mode::Drill,
        inputs: Default::default(),
    };
    Arc::new(Plan {
        bundle: standfast_core::ids::Digest::of([b"bundle".as_slice()]),
        request,
        title: String::new(),
        services: vec![],
        rto: None,
        rpo: None,
        require: vec![],
        steps: vec![],
    })
}

fn creation(number: u64) -> Creation {
    let plan = plan();
    let trigger = Trigger::Operator { identity: "kim".into(), reason: "a test".into(), overrides: vec![] };
    let created = Event {
        version: VERSION,
        sequence: 1,
        wall_ms: 0,
        elapsed_ms: 0,
        epoch: Epoch(1),
        member: "m".into(),
        body: Body::Created { trigger, plan: plan.digest(), proposed: false },
    };
    let run = RunId::new(format!("r1-{number}"));
    Creation { run, plan, created, locks: vec![], request: None }
}

async fn leader() -> (Arc<dyn Store>, Guarded) {
    let store: Arc<dyn Store> = Arc::new(EmbeddedStore::in_memory().await.unwrap());
    let guarded = lead(&store, "first").await;
    (store, guarded)
}

#[tokio::test]
async fn a_plan_that_is_taken_up_again_is_not_dropped() {
    // Situation: nobody names a plan, and it is about to be dropped; a run of it is created.
    // Danger: a live run without its plan. Expectation: it stays.
    let (store, guarded) = leader().await;
    let key = records::plan(&plan().digest());
    chunked::put(&*store, &key, &records::encode(&*plan()), vec![]).await.unwrap();
    let unnamed = get(&guarded, &key).await.unwrap().unwrap();
    create(&guarded, &creation(1)).await.unwrap().unwrap();
    assert!(!drop_plan(&guarded, &unnamed).await.unwrap());
    assert!(chunked::get(&*store, &key).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_forgotten_meanwhile_a_new_run_has_its_plan() {
    let (store, guarded) = leader().await;
    let forgetting = {
        let guarded = guarded.clone();
        tokio::spawn(async move {
            let mut gone = 0;
            loop {
                gone += forget(&guarded, Retention::default(), 0).await.unwrap().plans;
                if gone > 20 {
                    return;
                }
                tokio::task::yield_now().await;
            }
        })
    };
    let key = records::plan(&plan().digest());
    let mut number = 0;
    while !forgetting.is_finished() {
        number += 1;
        let creation = creation(number);
        create(&guarded, &creation).await.unwrap().unwrap();
        assert!(chunked::get(&*store, &key).await.unwrap().is_some(), "run {number} has no plan");
        // Nobody names the plan any more.
        guarded.put(vec![Op::delete(records::run(&creation.run))]).await.unwrap();
        tokio::task::yield_now().await;
    }
    forgetting.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_is_trimmed_and_stays_a_proof() {
    // Situation: the audit has more entries than are kept. Danger: whoever verifies it cannot tell that
    // from entries that somebody took away. Expectation: the audit says what was let go, and only that.
    let (store, guarded) = leader().await;
    let tell = async |site: String| {
        let fact = Fact::Led { site: site.into() };
        guarded.tell(Vec::new(), vec![fact]).await.unwrap();
    };
    for number in 1..=350 {
        tell(format!("a{number}")).await;
    }
    assert_eq!(trim(&guarded, 100).await.unwrap(), 200);
    assert_eq!(trim(&guarded, 100).await.unwrap(), 0);
    let verdict = async |guarded: &Guarded| {
        let end = End::read(&**guarded.store()).await.unwrap();
        let mut chain = audit::chain::Chain::knowing([end.head().clone()]);
        for kv in pages::range_all(&**guarded.store(), AUDIT).await.unwrap().kvs {
            chain.take(&kv.value);
        }
        chain.end(&Default::default())
    };
    let whole = verdict(&guarded).await;
    assert_eq!((whole.first, whole.head.sequence, whole.broken.len()), (Some(200), 351, 0), "{whole:?}");
    // The record of the end is gone: it is read from the entries, and nothing is written over.
    guarded.put(vec![Op::delete(records::AUDITED)]).await.unwrap();
    tell("b".into()).await;
    let whole = verdict(&guarded).await;
    assert_eq!((whole.head.sequence, whole.broken.len()), (352, 0), "{whole:?}");
    guarded.put(vec![Op::put(records::AUDITED, "damaged")]).await.unwrap();
    let next = lead(&store, "second").await;
    next.tell(Vec::new(), vec![Fact::Thawed]).await.unwrap();
    let whole = verdict(&next).await;
    assert_eq!((whole.head.sequence, whole.broken.len()), (353, 0), "{whole:?}");
    guarded.store().txn(crate::store::Txn::new().then(Op::delete_prefix(records::audits(2)))).await.unwrap();
    assert_eq!(verdict(&next).await.broken, [audit::chain::Broken::Missing { from: 1, to: 299 }]);
}
