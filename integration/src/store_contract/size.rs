//! Limits, and what to do about them.

use standfast::store::{Compare, Op, Range, StoreError, Txn, chunked, limits, range_all};

use super::Subject;
use super::transactions::get;

/// Bytes that do not repeat.
fn noise(bytes: usize, seed: u32) -> Vec<u8> {
    let mut state = seed;
    let mut step = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..bytes).map(|_| step()).collect()
}

fn puts(count: usize) -> Vec<Op> {
    (0..count).map(|n| Op::put(format!("k/{n:04}"), "")).collect()
}

pub(super) async fn too_many_operations_are_refused(store: Subject) {
    let many = limits::MAX_TXN_OPS + 1;
    let compares = (0..many).map(|n| Compare::absent(n.to_string()));
    let txns = [
        Txn { then: puts(many), ..Txn::new() },
        Txn { or_else: puts(many), ..Txn::new() },
        Txn { compare: compares.collect(), ..Txn::new() },
    ];
    for txn in txns {
        let refused = store.txn(txn).await;
        let Err(StoreError::TooLarge { size, limit, .. }) = refused else { panic!("{refused:?}") };
        assert_eq!((size, limit), (many, limits::MAX_TXN_OPS));
    }
    assert!(store.range(Range::prefix("")).await.expect("a read").kvs.is_empty());
}

pub(super) async fn too_large_a_request_is_refused(store: Subject) {
    let one = Txn::new().then(Op::put("k", vec![0; limits::MAX_REQUEST_BYTES]));
    let half = vec![0; limits::MAX_REQUEST_BYTES / 2];
    let two = Txn::new().then(Op::put("a", half.clone())).then(Op::put("b", half));
    for txn in [one, two] {
        let refused = store.txn(txn).await;
        let Err(StoreError::TooLarge { size, limit, .. }) = refused else { panic!("{refused:?}") };
        assert!(size > limit && limit == limits::MAX_REQUEST_BYTES);
    }
    assert!(store.range(Range::prefix("")).await.expect("a read").kvs.is_empty());
}

/// What passes our own check must pass the store's.
pub(super) async fn the_largest_transaction_is_accepted(store: Subject) {
    let mut many = Txn { then: puts(limits::MAX_TXN_OPS), ..Txn::new() };
    many.compare = (0..limits::MAX_TXN_OPS).map(|n| Compare::absent(n.to_string())).collect();
    store.txn(many).await.expect("the most operations");
    let large = vec![7; limits::MAX_REQUEST_BYTES - 200];
    store.txn(Txn::new().then(Op::put("large", large.clone()))).await.expect("the most bytes");
    assert_eq!(get(&store, "large").await.expect("the key").value, large);
}

pub(super) async fn too_large_a_reply_is_refused_and_pages_help(store: Subject) {
    for n in 0..6 {
        let value = noise(1_000_000, n);
        store.txn(Txn::new().then(Op::put(format!("k/{n}"), value))).await.expect("a put");
    }
    let refused = store.range(Range::prefix("k/")).await;
    assert!(matches!(refused, Err(StoreError::TooLarge { .. })), "{:?}", refused.map(|r| r.kvs.len()));
    let all = range_all(&*store, "k/").await.expect("pages");
    assert_eq!(all.kvs.len(), 6);
    assert_eq!(all.kvs[5].value, noise(1_000_000, 5));
}

pub(super) async fn a_large_value_makes_the_round_trip(store: Subject) {
    assert_eq!(chunked::get(&*store, "bundle").await.expect("a read"), None);
    for (bytes, seed) in [(5 * 1024 * 1024, 1), (0, 2), (1, 3), (2 * chunked::CHUNK_BYTES, 4)] {
        let value = noise(bytes, seed);
        let put = chunked::put(&*store, "bundle", &value, Vec::new()).await.expect("a put");
        assert!(put.succeeded);
        assert_eq!(chunked::get(&*store, "bundle").await.expect("a read"), Some(value));
    }
}

pub(super) async fn a_replaced_large_value_leaves_no_chunks(store: Subject) {
    let (old, new) = (noise(1_200_000, 1), noise(700_000, 2));
    let guard = || vec![Compare::absent("bundle")];
    assert!(chunked::put(&*store, "bundle", &old, guard()).await.expect("a put").succeeded);
    assert!(chunked::put(&*store, "bundle/x", &old, vec![]).await.expect("a put").succeeded);
    assert!(!chunked::put(&*store, "bundle", &new, guard()).await.expect("a put").succeeded);
    assert_eq!(chunked::get(&*store, "bundle").await.expect("a read"), Some(old.clone()));
    assert!(chunked::put(&*store, "bundle", &new, vec![]).await.expect("a put").succeeded);
    assert_eq!(chunked::get(&*store, "bundle").await.expect("a read"), Some(new));
    let chunks = range_all(&*store, "chunks/bundle@").await.expect("a list").kvs;
    assert_eq!(chunks.len(), 2, "those of the old value are gone");
    assert!(chunked::delete(&*store, "bundle", vec![]).await.expect("a delete"));
    assert!(!chunked::delete(&*store, "bundle", vec![]).await.expect("nothing to delete"));
    assert_eq!(chunked::get(&*store, "bundle").await.expect("a read"), None);
    assert!(range_all(&*store, "chunks/bundle@").await.expect("a list").kvs.is_empty());
    assert_eq!(chunked::get(&*store, "bundle/x").await.expect("a read"), Some(old), "another key");
}

pub(super) async fn a_damaged_large_value_is_noticed(store: Subject) {
    chunked::put(&*store, "bundle", &noise(1_200_000, 1), vec![]).await.expect("a put");
    let chunks = range_all(&*store, "chunks/").await.expect("a list").kvs;
    let middle = chunks[1].key.clone();
    for damage in [Op::put(&middle, "other"), Op::delete(&middle), Op::put("bundle", "no manifest")] {
        store.txn(Txn::new().then(damage)).await.expect("the damage");
        let noticed = chunked::get(&*store, "bundle").await;
        let Err(StoreError::Corrupt { at, .. }) = noticed else { panic!("{noticed:?}") };
        assert!(at.contains("bundle"), "{at}");
    }
}
