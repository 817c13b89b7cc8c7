//! Members that are dead or stalled, and what a call then costs.

use std::time::{Duration, Instant};

use standfast::store::{EtcdOptions, LeaseId, Store, StoreError, Txn};
use standfast_integration::parts::poll;

use crate::cluster::{Cluster, connect, get, put, put_at_last};

/// Situation: the preferred one of three members is killed. Danger: blind balancing fails
/// every fourth call. Expectation: no call fails, and none is slow after the first.
#[tokio::test(flavor = "multi_thread")]
async fn one_dead_endpoint_costs_no_call() {
    let mut cluster = Cluster::start().await;
    let members = cluster.followers_first().await;
    let store = cluster.store(&members).await;
    put(&store, "k", "before").await.expect("a put");
    cluster.etcd.part(members[0]).kill();

    // The first write finds out. The connection may break under it, which is ambiguous.
    let first = put(&store, "k", "first").await;
    assert!(matches!(first, Ok(_) | Err(StoreError::Ambiguous { .. })), "{first:?}");
    for n in 0..40 {
        put(&store, "k", &n.to_string()).await.expect("a put");
        get(&store, "k").await.expect("a read");
    }
    let lease = store.lease_grant(Duration::from_secs(5)).await.expect("a lease");
    store.lease_keep(lease).await.expect("a renewal");

    let health = store.health().await;
    assert!(health.has_leader());
    let dead = &health.endpoints[0];
    assert!(dead.status.is_err() && !dead.preferred, "{dead:?}");
    assert!(health.endpoints[1].preferred);

    cluster.etcd.restart(members[0]).await.expect("a restart");
    let back =
        poll(Duration::from_secs(10), || async { store.health().await.endpoints.swap_remove(0).status });
    assert!(back.await.expect("it is back").leader.is_some());
}

/// Situation: the same, and the store starts while that member is already dead.
#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_is_dead_from_the_start_is_passed_over() {
    let mut cluster = Cluster::start().await;
    let members = cluster.followers_first().await;
    cluster.etcd.part(members[0]).kill();
    let store = cluster.store(&members).await;
    for n in 0..20 {
        put(&store, "k", &n.to_string()).await.expect("never sent to the dead member");
    }
}

/// Situation: the preferred member is stopped: its connections stay open and nobody
/// answers. Danger: every call burns its whole timeout. Expectation: one call does, then
/// the others go elsewhere.
#[tokio::test(flavor = "multi_thread")]
async fn one_stopped_endpoint_costs_one_timeout() {
    let mut cluster = Cluster::start().await;
    let members = cluster.followers_first().await;
    let store = cluster.store(&members).await;
    put(&store, "k", "before").await.expect("a put");
    cluster.etcd.part(members[0]).pause();

    let start = Instant::now();
    get(&store, "k").await.expect("a read is asked again elsewhere");
    let first = start.elapsed();
    assert!(first < Duration::from_secs(4), "{first:?}");
    let start = Instant::now();
    for n in 0..40 {
        put(&store, "k", &n.to_string()).await.expect("a put");
        get(&store, "k").await.expect("a read");
    }
    // Eighty calls that each burnt a timeout would take minutes.
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    cluster.etcd.part(members[0]).resume();
}

/// Situation: the member that leads etcd dies. Expectation: after the election calls work
/// again, without anybody's help.
#[tokio::test(flavor = "multi_thread")]
async fn the_loss_of_etcds_leader_heals() {
    let mut cluster = Cluster::start().await;
    let leader = cluster.etcd.leader().await.expect("a leader");
    let store = cluster.store(&[leader, (leader + 1) % 3, (leader + 2) % 3]).await;
    put(&store, "k", "before").await.expect("a put");
    cluster.etcd.part(leader).kill();
    let revision = put_at_last(&store, "k", "after").await;
    let kv = get(&store, "k").await.expect("a read").expect("the key");
    assert_eq!((kv.value, kv.mod_revision), (b"after".to_vec(), revision));
}

/// Situation: two of three members are gone, or all. Expectation: every call ends, soon,
/// and says what each endpoint said.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_quorum_every_call_ends() {
    let mut cluster = Cluster::start().await;
    let members = cluster.followers_first().await;
    let store = cluster.store(&members).await;
    put(&store, "k", "before").await.expect("a put");
    cluster.etcd.part(members[1]).kill();
    cluster.etcd.part(members[2]).kill();

    let lost = poll(Duration::from_secs(10), || async {
        let error = put(&store, "k", "lost").await.expect_err("there is no quorum");
        assert!(error.is_transient(), "{error:?}");
        match error {
            StoreError::Unavailable { .. } => Ok(error.to_string()),
            ambiguous => Err(ambiguous.to_string()),
        }
    });
    let lost = lost.await.expect("once the member knows, it says so");
    for member in members {
        assert!(lost.contains(&cluster.etcd.endpoint(member)), "{lost}");
    }
    assert!(lost.contains("no leader") && lost.contains("quorum"), "{lost}");
    let start = Instant::now();
    let calls = [
        get(&store, "k").await.map(drop),
        store.lease_grant(Duration::from_secs(5)).await.map(drop),
        store.lease_keep(LeaseId(7)).await.map(drop),
        store.compact(1).await,
    ];
    for call in calls {
        assert!(matches!(call, Err(StoreError::Unavailable { .. })), "{call:?}");
    }
    assert!(!store.health().await.has_leader());
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

/// Situation: the endpoints in the settings are wrong.
#[tokio::test(flavor = "multi_thread")]
async fn endpoints_where_nobody_listens_are_named() {
    let address = standfast_integration::parts::ports::free([127, 77, 9, 9].into()).expect("a port");
    let url = format!("http://{address}");
    let store = connect(EtcdOptions::new([&url], "/test/")).await;
    let error = store.txn(Txn::new()).await.expect_err("nobody listens");
    assert!(matches!(&error, StoreError::Unavailable { .. }), "never ambiguous: {error:?}");
    let text = error.to_string();
    assert!(text.contains(&url) && text.contains("refused"), "{text}");

    for (endpoints, says) in [(vec![], "at least one"), (vec!["http://["], "http://[")] {
        let refused = standfast::store::EtcdStore::connect(EtcdOptions::new(endpoints, "/test/")).await;
        let Err(StoreError::Invalid(why)) = refused.map(drop) else { panic!("it was accepted") };
        assert!(why.contains(says), "{why}");
    }
}
