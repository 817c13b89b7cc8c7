//! Leases: what lives by them dies with them, and is seen to.

use std::time::{Duration, Instant};

use standfast::store::{LeaseId, Op, Range, StoreError, Txn, WatchEvent};

use super::Subject;
use super::transactions::{get, put};
use crate::parts::poll;

const TTL: Duration = Duration::from_secs(2);
/// How late an expiry may come: an etcd election restarts the time to live.
const SLACK: Duration = Duration::from_secs(20);

async fn grant(store: &Subject) -> LeaseId {
    store.lease_grant(TTL).await.expect("a lease")
}

async fn put_leased(store: &Subject, key: &str, lease: LeaseId) -> u64 {
    let txn = Txn::new().then(Op::put_leased(key, "", lease));
    store.txn(txn).await.expect("a put").revision
}

async fn until_gone(store: &Subject, key: &str) {
    let gone = poll(TTL + SLACK, || async {
        match get(store, key).await {
            None => Ok(()),
            Some(kv) => Err(format!("{kv:?}")),
        }
    });
    gone.await.expect("the key is deleted");
}

pub(super) async fn expiry_deletes_keys_and_is_watched(store: Subject) {
    let lease = grant(&store).await;
    let start = Instant::now();
    put_leased(&store, "live/a", lease).await;
    let put_at = put_leased(&store, "live/b", lease).await;
    put(&store, "live/c", "").await;
    assert_eq!(get(&store, "live/a").await.expect("the key").lease, Some(lease));

    let mut watch = store.watch("live/", put_at + 2).await;
    let batch = tokio::time::timeout(TTL + SLACK, watch.next()).await;
    let batch = batch.expect("the expiry is seen").expect("the watch lives");
    assert!(start.elapsed() >= TTL - Duration::from_millis(200), "after {:?}", start.elapsed());
    let mut deleted: Vec<&str> = batch.events.iter().map(WatchEvent::key).collect();
    deleted.sort_unstable();
    assert_eq!(deleted, ["live/a", "live/b"], "both in one revision");
    assert!(batch.events.iter().all(|event| matches!(event, WatchEvent::Delete { .. })));
    let left = store.range(Range::prefix("live/")).await.expect("a read").kvs;
    assert_eq!(left.len(), 1, "{left:?}");
    let dead = store.lease_keep(lease).await;
    assert_eq!(dead, Err(StoreError::LeaseExpired(lease)));
}

pub(super) async fn keeping_prolongs(store: Subject) {
    let lease = grant(&store).await;
    put_leased(&store, "k", lease).await;
    let start = Instant::now();
    while start.elapsed() < 2 * TTL {
        let left = store.lease_keep(lease).await.expect("the lease lives");
        assert!(left > Duration::ZERO && left <= TTL, "{left:?}");
        assert!(get(&store, "k").await.is_some(), "gone after {:?}", start.elapsed());
        tokio::time::sleep(TTL / 8).await;
    }
    until_gone(&store, "k").await;
}

pub(super) async fn a_revoked_lease_is_expired(store: Subject) {
    let lease = grant(&store).await;
    put_leased(&store, "k", lease).await;
    store.lease_revoke(lease).await.expect("a revocation");
    assert_eq!(get(&store, "k").await, None, "its key goes at once");
    for _ in 0..3 {
        assert_eq!(store.lease_keep(lease).await, Err(StoreError::LeaseExpired(lease)));
    }
    store.lease_revoke(lease).await.expect("revoking it again is no error");
    let unknown = LeaseId(4_711);
    assert_eq!(store.lease_keep(unknown).await, Err(StoreError::LeaseExpired(unknown)));
}

pub(super) async fn a_put_on_a_dead_lease_changes_nothing(store: Subject) {
    let lease = grant(&store).await;
    store.lease_revoke(lease).await.expect("a revocation");
    let before = put(&store, "k", "before").await;
    let txn = Txn::new().then(Op::put("k", "after")).then(Op::put_leased("l", "", lease));
    assert_eq!(store.txn(txn).await, Err(StoreError::LeaseExpired(lease)));
    let kv = get(&store, "k").await.expect("the key");
    assert_eq!((kv.value, kv.mod_revision), (b"before".to_vec(), before));
    // In the branch that is not executed a dead lease does no harm.
    let txn = Txn::new().then(Op::put("k", "after")).or_else(Op::put_leased("l", "", lease));
    store.txn(txn).await.expect("the other branch");
}

pub(super) async fn a_put_without_lease_detaches_the_key(store: Subject) {
    let (first, second) = (grant(&store).await, grant(&store).await);
    put_leased(&store, "free", first).await;
    put_leased(&store, "moved", first).await;
    put(&store, "free", "").await;
    put_leased(&store, "moved", second).await;
    store.lease_revoke(first).await.expect("a revocation");
    assert_eq!(get(&store, "free").await.expect("it stays").lease, None);
    assert_eq!(get(&store, "moved").await.expect("it stays").lease, Some(second));
    store.lease_revoke(second).await.expect("a revocation");
    assert_eq!(get(&store, "moved").await, None);
}
