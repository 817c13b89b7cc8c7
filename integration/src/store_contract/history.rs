//! Reading: now, in pages, and in the past.

use standfast::store::{Op, Range, StoreError, Txn, range_all};

use super::Subject;
use super::transactions::{get, put};

fn names(kvs: &[standfast::store::KeyValue]) -> Vec<&str> {
    kvs.iter().map(|kv| kv.key.as_str()).collect()
}

pub(super) async fn ranges_are_ordered_and_bounded(store: Subject) {
    for key in ["b", "a/2", "a", "a/1", "a0"] {
        put(&store, key, "").await;
    }
    let all = store.range(Range::prefix("")).await.expect("a read");
    assert_eq!((names(&all.kvs), all.more), (vec!["a", "a/1", "a/2", "a0", "b"], false));
    let some = store.range(Range::prefix("a/")).await.expect("a read");
    assert_eq!(names(&some.kvs), ["a/1", "a/2"]);
    let one = store.range(Range::key("a")).await.expect("a read");
    assert_eq!(names(&one.kvs), ["a"]);
    let page = store.range(Range::prefix("a").limit(2)).await.expect("a read");
    assert_eq!((names(&page.kvs), page.more), (vec!["a", "a/1"], true));
    let rest = store.range(Range::prefix("a").after("a/1").limit(2)).await.expect("a read");
    assert_eq!((names(&rest.kvs), rest.more), (vec!["a/2", "a0"], false));
    let before = store.range(Range::prefix("a/").after("Z")).await.expect("a read");
    assert_eq!(names(&before.kvs), ["a/1", "a/2"]);
    let behind = store.range(Range::key("a").after("a")).await.expect("a read");
    assert!(behind.kvs.is_empty(), "{behind:?}");
}

pub(super) async fn pages_show_one_revision(store: Subject) {
    let keys = 1_100; // three pages
    for start in (0..keys).step_by(100) {
        let puts = (start..start + 100).map(|n| Op::put(format!("k/{n:04}"), "old"));
        store.txn(Txn { then: puts.collect(), ..Txn::new() }).await.expect("puts");
    }
    let first = store.range(Range::prefix("k/").limit(10)).await.expect("a page");
    put(&store, "k/0500", "new").await;
    store.txn(Txn::new().then(Op::delete("k/0011"))).await.expect("a delete");

    let next = Range::prefix("k/").after("k/0009").limit(2).at(first.revision);
    let next = store.range(next).await.expect("a page");
    assert_eq!(names(&next.kvs), ["k/0010", "k/0011"]);
    let all = range_all(&*store, "k/").await.expect("all pages");
    assert_eq!((all.kvs.len(), all.more), (keys - 1, false));
    assert!(all.kvs.is_sorted_by(|a, b| a.key < b.key));
    assert_eq!(all.revision, first.revision + 2);
}

pub(super) async fn the_past_stays_readable(store: Subject) {
    let one = put(&store, "k", "one").await;
    let two = put(&store, "k", "two").await;
    let gone = store.txn(Txn::new().then(Op::delete("k"))).await.expect("a delete").revision;
    let back = put(&store, "k", "back").await;
    let expected = [
        (one, Some((one, one, "one"))),
        (two, Some((one, two, "two"))),
        (gone, None),
        (back, Some((back, back, "back"))),
    ];
    for (at, expected) in expected {
        for range in [Range::key("k"), Range::prefix("k")] {
            let reply = store.range(range.at(at)).await.expect("a read of the past");
            let found = reply.kvs.first().map(|kv| {
                (kv.create_revision, kv.mod_revision, String::from_utf8_lossy(&kv.value).into_owned())
            });
            let expected = expected.map(|(create, modified, value)| (create, modified, value.to_owned()));
            assert_eq!((found, reply.revision), (expected, back), "at revision {at}");
        }
    }
}

pub(super) async fn compacted_history_is_refused(store: Subject) {
    let one = put(&store, "k", "one").await;
    put(&store, "other", "").await;
    let two = put(&store, "k", "two").await;
    let three = put(&store, "k", "three").await;
    store.compact(two).await.expect("a compaction");
    store.compact(two).await.expect("the same again");
    store.compact(one).await.expect("an earlier one");

    for at in [one, two - 1] {
        let refused = store.range(Range::key("k").at(at)).await;
        assert!(matches!(refused, Err(StoreError::Compacted { .. })), "{refused:?}");
    }
    let kept = store.range(Range::key("k").at(two)).await.expect("a read");
    assert_eq!(kept.kvs[0].value, b"two");
    assert_eq!(get(&store, "k").await.expect("the key").mod_revision, three);
    assert_eq!(get(&store, "other").await.expect("untouched since").mod_revision, one + 1);
    let too_far = store.compact(three + 1_000).await;
    assert!(matches!(too_far, Err(StoreError::Invalid(_))), "{too_far:?}");
}

pub(super) async fn a_revision_to_come_is_refused(store: Subject) {
    let now = put(&store, "k", "").await;
    let refused = store.range(Range::key("k").at(now + 1_000)).await;
    assert!(matches!(refused, Err(StoreError::Invalid(_))), "{refused:?}");
}
