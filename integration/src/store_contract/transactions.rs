//! Transactions: what they compare, what they change, and as what revision.

use standfast::store::{Compare, KeyValue, Op, OpResult, Range, StoreError, Txn};

use super::Subject;

/// Writes one key; the revision that did it.
pub(super) async fn put(store: &Subject, key: &str, value: &str) -> u64 {
    store.txn(Txn::new().then(Op::put(key, value))).await.expect("a put").revision
}

/// Reads one key.
pub(super) async fn get(store: &Subject, key: &str) -> Option<KeyValue> {
    store.range(Range::key(key)).await.expect("a read").kvs.pop()
}

pub(super) async fn revisions_grow_by_one_for_each_change(store: Subject) {
    assert_eq!(get(&store, "k").await, None);
    let first = put(&store, "k", "one").await;
    let second = put(&store, "k", "two").await;
    assert_eq!(second, first + 1);

    let kv = get(&store, "k").await.expect("the key");
    let expected = (first, second, b"two".to_vec(), None);
    assert_eq!((kv.create_revision, kv.mod_revision, kv.value, kv.lease), expected);

    let gone = store.txn(Txn::new().then(Op::delete("k"))).await.expect("a delete");
    assert_eq!((gone.revision, gone.results), (second + 1, vec![OpResult::Delete { deleted: 1 }]));
    assert_eq!(get(&store, "k").await, None);

    let again = put(&store, "k", "three").await;
    let kv = get(&store, "k").await.expect("the key");
    assert_eq!(kv.create_revision, again, "a key that comes back is created anew");
    assert_eq!(store.range(Range::key("k")).await.expect("a read").revision, again);
}

pub(super) async fn a_transaction_is_one_revision(store: Subject) {
    let before = put(&store, "old", "").await;
    let txn = Txn::new().then(Op::put("a", "")).then(Op::put("b", "")).then(Op::delete("old"));
    let reply = store.txn(txn).await.expect("a transaction");
    assert_eq!(reply.revision, before + 1);
    for key in ["a", "b"] {
        let kv = get(&store, key).await.expect("the key");
        assert_eq!((kv.create_revision, kv.mod_revision), (before + 1, before + 1));
    }
    assert_eq!(get(&store, "old").await, None);
}

pub(super) async fn each_comparison_holds_and_fails(store: Subject) {
    let created = put(&store, "k", "one").await;
    let modified = put(&store, "k", "two").await;
    let holds = [
        Compare::created("k", created),
        Compare::modified("k", modified),
        Compare::value("k", "two"),
        Compare::absent("none"),
        Compare::modified("none", 0),
    ];
    let fails = [
        Compare::absent("k"),
        Compare::created("k", modified),
        Compare::modified("k", created),
        Compare::value("k", "one"),
        Compare::value("none", ""),
        Compare::created("none", created),
    ];
    for compare in holds.clone() {
        let reply = store.txn(Txn::new().when(compare.clone())).await.expect("a transaction");
        assert!(reply.succeeded, "{compare:?} should hold");
    }
    for compare in fails {
        let mut txn = Txn::new().when(compare.clone());
        assert!(!store.txn(txn.clone()).await.expect("a transaction").succeeded, "{compare:?}");
        txn.compare.extend(holds.clone());
        assert!(!store.txn(txn).await.expect("a transaction").succeeded, "{compare:?} among others");
    }
}

pub(super) async fn the_other_branch_is_executed(store: Subject) {
    let txn = |key: &str| {
        Txn::new()
            .when(Compare::absent("leader"))
            .then(Op::put("leader", key))
            .or_else(Op::get("leader"))
            .or_else(Op::put("loser", key))
    };
    let won = store.txn(txn("a")).await.expect("a transaction");
    assert_eq!((won.succeeded, won.results), (true, vec![OpResult::Put]));
    let lost = store.txn(txn("b")).await.expect("a transaction");
    assert!(!lost.succeeded);
    let OpResult::Range(leader) = &lost.results[0] else { panic!("{:?}", lost.results) };
    assert_eq!(leader.kvs[0].value, b"a");
    assert_eq!(get(&store, "loser").await.expect("the key").value, b"b");
}

pub(super) async fn a_read_inside_sees_what_was_written(store: Subject) {
    put(&store, "p/1", "").await;
    let range = || Op::Range(Range::prefix("p/"));
    let txn = Txn::new().then(range()).then(Op::put("p/2", "")).then(range());
    let reply = store.txn(txn).await.expect("a transaction");
    let counts: Vec<usize> = reply
        .results
        .iter()
        .filter_map(|result| match result {
            OpResult::Range(range) => Some(range.kvs.len()),
            _ => None,
        })
        .collect();
    assert_eq!(counts, [1, 2]);
    let OpResult::Range(last) = &reply.results[2] else { panic!("{:?}", reply.results) };
    assert_eq!((last.revision, last.kvs[1].mod_revision), (reply.revision, reply.revision));
}

pub(super) async fn deleting_a_prefix_spares_the_rest(store: Subject) {
    for key in ["run", "run/1", "run/2", "run0", "rum/1", "run/\u{10ffff}"] {
        put(&store, key, "").await;
    }
    let reply = store.txn(Txn::new().then(Op::delete_prefix("run/"))).await.expect("a delete");
    assert_eq!(reply.results, [OpResult::Delete { deleted: 3 }]);
    let left = store.range(Range::prefix("")).await.expect("a read").kvs;
    let left: Vec<&str> = left.iter().map(|kv| kv.key.as_str()).collect();
    assert_eq!(left, ["rum/1", "run", "run0"]);
}

pub(super) async fn deleting_nothing_is_no_revision(store: Subject) {
    let before = put(&store, "k", "").await;
    let txn = Txn::new().then(Op::delete("none")).then(Op::delete_prefix("none/"));
    let reply = store.txn(txn).await.expect("a delete");
    assert_eq!(reply.revision, before);
    assert_eq!(reply.results, [OpResult::Delete { deleted: 0 }, OpResult::Delete { deleted: 0 }]);
    assert_eq!(put(&store, "k", "").await, before + 1);
}

pub(super) async fn writing_a_key_twice_is_refused(store: Subject) {
    let twice = Txn::new().then(Op::put("k", "1")).then(Op::put("k", "2"));
    let both = Txn::new().then(Op::put("k/1", "")).then(Op::delete_prefix("k/"));
    for txn in [twice, both] {
        let refused = store.txn(txn).await;
        assert!(matches!(refused, Err(StoreError::Invalid(_))), "{refused:?}");
    }
    assert_eq!(get(&store, "k").await, None);
}

pub(super) async fn one_of_many_compare_and_sets_wins(store: Subject) {
    for round in 0..5 {
        let key = format!("lock/{round}");
        let racers = (0..20).map(|racer| {
            let (store, key) = (store.clone(), key.clone());
            tokio::spawn(async move {
                let txn = Txn::new().when(Compare::absent(&key)).then(Op::put(&key, racer.to_string()));
                store.txn(txn).await.expect("a transaction").succeeded.then_some(racer)
            })
        });
        let outcomes = futures::future::join_all(racers).await;
        let winners: Vec<i32> = outcomes.into_iter().filter_map(|won| won.expect("a racer")).collect();
        assert_eq!(winners.len(), 1, "{winners:?} all took {key}");
        let kept = get(&store, &key).await.expect("the key").value;
        assert_eq!(kept, winners[0].to_string().into_bytes());
    }
}
