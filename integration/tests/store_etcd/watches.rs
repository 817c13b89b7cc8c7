//! Watches while members die, stall, compact, or lose the others.

use std::time::{Duration, Instant};

use standfast::store::{Store, StoreError, WatchBatch, WatchEnd, WatchStream, range_all};

use crate::cluster::{Cluster, connect, put, put_at_last};

/// Longer than the pings need to find a stalled connection, and shorter than patience.
const SOON: Duration = Duration::from_secs(30);

async fn next(watch: &mut WatchStream) -> Result<WatchBatch, WatchEnd> {
    tokio::time::timeout(SOON, watch.next()).await.expect("the watch is not silent")
}

/// Situation: the member that carries a watch is killed, or stopped. Danger: the client's
/// watch is over, or silent. Expectation: it goes on elsewhere; nothing is missed, nothing
/// comes twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_watch_goes_on_elsewhere() {
    let mut cluster = Cluster::start().await;
    let members = cluster.followers_first().await;
    let store = cluster.store(&members).await;
    let writer = cluster.store(&[members[2], members[1]]).await;
    let start = put(&writer, "k", "0").await.expect("a put");
    let mut watch = store.watch("k", start).await;
    assert_eq!(next(&mut watch).await.expect("a batch").revision, start);

    cluster.etcd.part(members[0]).pause();
    for n in 1..10 {
        put(&writer, "k", &n.to_string()).await.expect("a put");
    }
    for n in 1..10 {
        assert_eq!(next(&mut watch).await.expect("a batch").revision, start + n);
    }
    cluster.etcd.part(members[0]).resume();

    // Now wherever it went is killed: one of the others, or the first again.
    let carrier = store.health().await.endpoints.iter().position(|endpoint| endpoint.preferred);
    let carrier = members[carrier.expect("one is preferred")];
    let survivor = cluster.store(&[(carrier + 1) % 3, (carrier + 2) % 3]).await;
    cluster.etcd.part(carrier).kill();
    let revision = put_at_last(&survivor, "k", "last").await;
    loop {
        let batch = next(&mut watch).await.expect("a batch");
        if batch.revision == revision {
            break;
        }
        assert!(batch.revision < revision, "{batch:?}");
    }
}

/// Situation: a member is cut off with a minority. Danger: its watches stay silent for
/// ever. Expectation: they end, and say why.
#[tokio::test(flavor = "multi_thread")]
async fn a_watch_on_a_minority_ends_aloud() {
    let mut cluster = Cluster::start().await;
    let members = cluster.followers_first().await;
    let store = cluster.store(&members[..1]).await;
    let revision = put(&store, "k", "").await.expect("a put");
    let mut watch = store.watch("k", revision).await;
    next(&mut watch).await.expect("a batch");
    cluster.etcd.part(members[1]).pause();
    cluster.etcd.part(members[2]).pause();

    let start = Instant::now();
    let end = next(&mut watch).await.expect_err("nobody is left to watch");
    let WatchEnd::Lost(StoreError::Unavailable { why, .. }) = &end else { panic!("{end:?}") };
    assert!(why.contains("no leader"), "{why}");
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    assert_eq!(next(&mut watch).await, Err(end), "and it stays at its end");
    // A new one does not pretend either.
    let end = next(&mut store.watch("k", revision).await).await;
    assert!(matches!(end, Err(WatchEnd::Lost(_))), "{end:?}");
}

/// Situation: while the member that carries a watch is down, what the watch has not seen is
/// compacted. Danger: the watch stays open and silent. Expectation: it ends as compacted;
/// listing again and watching from there misses nothing.
#[tokio::test(flavor = "multi_thread")]
async fn compaction_under_a_watch_is_its_end() {
    let mut cluster = Cluster::start().await;
    let members = cluster.followers_first().await;
    let mut options = cluster.options(&members[..1], "/test/");
    options.watch_patience = Duration::from_secs(60); // it has nowhere else to go
    let store = connect(options).await;
    let writer = cluster.store(&members[1..]).await;
    let revision = put(&store, "k", "seen").await.expect("a put");
    let mut watch = store.watch("k", revision).await;
    assert_eq!(next(&mut watch).await.expect("a batch").revision, revision);

    cluster.etcd.part(members[0]).kill();
    put_at_last(&writer, "k", "missed").await;
    let last = put_at_last(&writer, "k", "last").await;
    writer.compact(last).await.expect("a compaction");
    cluster.etcd.restart(members[0]).await.expect("a restart");

    let end = next(&mut watch).await.expect_err("what it wants is gone");
    assert!(matches!(end, WatchEnd::Compacted { at } if at > revision), "{end:?}");
    let listed = range_all(&store, "k").await.expect("a list");
    assert_eq!(listed.kvs[0].value, b"last");
    let mut watch = store.watch("k", listed.revision + 1).await;
    let revision = put(&writer, "k", "new").await.expect("a put");
    assert_eq!(next(&mut watch).await.expect("a batch").revision, revision);
}
