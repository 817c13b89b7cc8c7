//! Watches: everything in order, nothing twice, and never silently dead.

use std::time::Duration;

use standfast::store::{Op, Txn, WatchBatch, WatchEnd, WatchEvent, WatchStream, range_all};

use super::Subject;
use super::transactions::put;

const PROMPT: Duration = Duration::from_secs(10);

/// The next batch, soon.
pub(super) async fn next(watch: &mut WatchStream) -> Result<WatchBatch, WatchEnd> {
    tokio::time::timeout(PROMPT, watch.next()).await.expect("the watch says something")
}

fn values(batch: &WatchBatch) -> Vec<String> {
    let value = |event: &WatchEvent| match event {
        WatchEvent::Put(kv) => format!("{}={}", kv.key, String::from_utf8_lossy(&kv.value)),
        WatchEvent::Delete { key, .. } => format!("{key} gone"),
    };
    batch.events.iter().map(value).collect()
}

pub(super) async fn the_past_and_the_present_in_order(store: Subject) {
    let one = put(&store, "k", "one").await;
    put(&store, "k", "two").await;
    let gone = store.txn(Txn::new().then(Op::delete("k"))).await.expect("a delete").revision;
    let mut watch = store.watch("k", one).await;
    let past = [(one, "k=one"), (one + 1, "k=two"), (gone, "k gone")];
    for (revision, expected) in past {
        let batch = next(&mut watch).await.expect("a batch");
        assert_eq!((batch.revision, values(&batch)), (revision, vec![expected.to_owned()]));
    }
    for n in 0..50 {
        let revision = put(&store, "k", &n.to_string()).await;
        let batch = next(&mut watch).await.expect("a batch");
        assert_eq!((batch.revision, values(&batch)), (revision, vec![format!("k={n}")]));
        let WatchEvent::Put(kv) = &batch.events[0] else { panic!("{batch:?}") };
        assert_eq!((kv.mod_revision, kv.create_revision), (revision, gone + 1));
    }
    // From a revision in the middle, and from one that is yet to come.
    let mut middle = store.watch("k", gone).await;
    assert_eq!(next(&mut middle).await.expect("a batch").revision, gone);
    let mut later = store.watch("k", gone + 52).await;
    put(&store, "k", "missed").await;
    let seen = put(&store, "k", "seen").await;
    assert_eq!(next(&mut later).await.expect("a batch").revision, seen);
}

pub(super) async fn a_transaction_is_one_batch(store: Subject) {
    let before = put(&store, "k/old", "").await;
    let mut watch = store.watch("k/", before + 1).await;
    let mut txn = Txn::new().then(Op::delete("k/old")).then(Op::put("elsewhere", ""));
    txn.then.extend((0..100).map(|n| Op::put(format!("k/{n:03}"), "")));
    let revision = store.txn(txn).await.expect("a transaction").revision;
    let batch = next(&mut watch).await.expect("a batch");
    assert_eq!((batch.revision, batch.events.len()), (revision, 101));
    let last = put(&store, "k/last", "").await;
    assert_eq!(next(&mut watch).await.expect("a batch").revision, last);
}

pub(super) async fn only_what_is_watched(store: Subject) {
    let before = put(&store, "a", "").await;
    let mut watch = store.watch("run/", before + 1).await;
    for key in ["run", "run0", "rum/1"] {
        put(&store, key, "").await;
    }
    let seen = put(&store, "run/1", "").await;
    assert_eq!(next(&mut watch).await.expect("a batch").revision, seen);
}

/// The situation of a member that comes back late: what it missed is compacted. It is told,
/// lists again, and goes on from there.
pub(super) async fn compaction_ends_a_watch_aloud(store: Subject) {
    let one = put(&store, "k/1", "one").await;
    put(&store, "k/2", "").await;
    let last = put(&store, "k/1", "three").await;
    store.compact(last).await.expect("a compaction");

    let mut watch = store.watch("k/", one).await;
    let end = next(&mut watch).await.expect_err("what it wants is gone");
    assert!(matches!(end, WatchEnd::Compacted { at } if at > one && at <= last), "{end:?}");
    assert_eq!(next(&mut watch).await, Err(end), "and it stays at its end");

    let listed = range_all(&*store, "k/").await.expect("a list");
    assert_eq!(listed.kvs.len(), 2);
    let mut watch = store.watch("k/", listed.revision + 1).await;
    let revision = put(&store, "k/3", "").await;
    assert_eq!(next(&mut watch).await.expect("a batch").revision, revision);

    // A watch that has kept up does not notice a compaction behind it.
    store.compact(revision).await.expect("a compaction");
    let revision = put(&store, "k/4", "").await;
    assert_eq!(next(&mut watch).await.expect("a batch").revision, revision);
}

pub(super) async fn two_watches_do_not_disturb_each_other(store: Subject) {
    let before = put(&store, "k", "").await;
    let mut slow = store.watch("k", before + 1).await;
    let dropped = store.watch("k", before + 1).await;
    let mut fast = store.watch("k", before + 1).await;
    drop(dropped);
    let count = 300; // more than the backlog of a watch
    for n in 0..count {
        put(&store, "k", &n.to_string()).await;
        assert_eq!(next(&mut fast).await.expect("a batch").revision, before + 1 + n);
    }
    for n in 0..count {
        assert_eq!(next(&mut slow).await.expect("a batch").revision, before + 1 + n);
    }
}
