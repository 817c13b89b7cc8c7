//! What etcd refuses, what is unclear, and who is let in.

use std::path::Path;
use std::time::Duration;

use clap::Parser;
use etcd_client::{AlarmAction, AlarmType};
use standfast::store::{Compare, EtcdTls, Op, Store, StoreError, Txn, limits};
use standfast_integration::parts::etcd::Tls;
use standfast_integration::parts::poll;

use crate::cluster::{Cluster, connect, get, put};

/// Situation: a guarded write is sent and the member stops before it answers. Danger: the
/// caller believes that it failed, and the write is executed later. Expectation: it is
/// ambiguous, and after a read-back that rewrites the guarded key, the late write loses.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_without_an_answer_is_ambiguous() {
    let mut cluster = Cluster::start().await;
    let members = cluster.followers_first().await;
    let store = cluster.store(&members).await;
    let revision = put(&store, "k", "before").await.expect("a put");
    let guarded = |value: &str| {
        Txn::new().when(Compare::modified("k", revision)).then(Op::put("k", value)).or_else(Op::get("k"))
    };
    cluster.etcd.part(members[0]).pause();
    let error = store.txn(guarded("late")).await.expect_err("nobody answers");
    let StoreError::Ambiguous { at, .. } = &error else { panic!("{error:?}") };
    assert_eq!(*at, cluster.etcd.endpoint(members[0]));

    // The read-back goes to another endpoint at once, and settles it.
    let settled = store.txn(guarded("settled")).await.expect("a read-back");
    assert!(settled.succeeded, "the lost write had not happened");
    cluster.etcd.part(members[0]).resume();
    let member = cluster.store(&members[..1]).await;
    let awake = poll(Duration::from_secs(20), || async {
        put(&member, "other", "").await.map_err(|error| error.to_string())
    });
    awake.await.expect("the member is back");
    let kv = get(&store, "k").await.expect("a read").expect("the key");
    assert_eq!((kv.value, kv.mod_revision), (b"settled".to_vec(), settled.revision));
}

/// Situation: a lease is revoked through another member. Danger: etcd answers a renewal
/// with a time to live of zero, and no error. Expectation: the holder is told.
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_another_revoked_is_expired() {
    let cluster = Cluster::start().await;
    let (ours, theirs) = (cluster.store(&[0]).await, cluster.store(&[1]).await);
    let lease = ours.lease_grant(Duration::from_secs(60)).await.expect("a lease");
    let left = ours.lease_keep(lease).await.expect("a renewal");
    assert_eq!(left, Duration::from_secs(60));
    theirs.lease_revoke(lease).await.expect("a revocation");
    for _ in 0..3 {
        assert_eq!(ours.lease_keep(lease).await, Err(StoreError::LeaseExpired(lease)));
    }
    let put = ours.txn(Txn::new().then(Op::put_leased("k", "", lease))).await;
    assert_eq!(put, Err(StoreError::LeaseExpired(lease)));
}

/// Our limits must not be wider than etcd's: what is over ours is never sent, and what is
/// under ours etcd takes (the contract tests that). This shows that etcd has the limit.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_too_large_is_not_sent() {
    let cluster = Cluster::start().await;
    let value = vec![0; limits::MAX_REQUEST_BYTES];
    let mut raw = cluster.etcd.client(0).await.expect("a client");
    let etcd = raw.put("/test/k", value.clone(), None).await.expect_err("etcd refuses");
    assert!(etcd.to_string().contains("request is too large"), "{etcd}");
    let store = cluster.store(&[0, 1, 2]).await;
    let error = store.txn(Txn::new().then(Op::put("k", value))).await.expect_err("so do we");
    assert!(matches!(error, StoreError::TooLarge { .. }), "{error:?}");
    assert!(error.to_string().contains("bytes of a request"), "{error}");
}

/// Situation: etcd is over its quota. Expectation: puts are refused as such, certainly not
/// done; reads and deletes go on, which is the way out; `status` shows the alarm.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_etcd_says_so() {
    let cluster = Cluster::start().await;
    let store = cluster.store(&[0, 1, 2]).await;
    put(&store, "k", "kept").await.expect("a put");
    let mut admin = cluster.etcd.client(0).await.expect("a client");
    let member = admin.status().await.expect("a status").header().map_or(0, |h| h.member_id());
    let mut alarm = etcd_client::AlarmOptions::new();
    alarm.with_member(member);
    let raised = admin.alarm(AlarmAction::Activate, AlarmType::Nospace, Some(alarm.clone())).await;
    raised.expect("an alarm");

    let error = put(&store, "k", "refused").await.expect_err("it is full");
    assert!(matches!(error, StoreError::NoSpace { .. }), "{error:?}");
    assert!(error.to_string().contains("quota"), "{error}");
    assert_eq!(get(&store, "k").await.expect("a read").expect("the key").value, b"kept");
    let alarms: Vec<String> =
        store.health().await.endpoints.into_iter().flat_map(|e| e.status.expect("alive").alarms).collect();
    assert!(alarms.iter().any(|alarm| alarm.contains("NOSPACE")), "{alarms:?}");
    store.txn(Txn::new().then(Op::delete("k"))).await.expect("deleting makes room");

    let cleared = admin.alarm(AlarmAction::Deactivate, AlarmType::Nospace, Some(alarm)).await;
    cleared.expect("the alarm is cleared");
    put(&store, "k", "again").await.expect("a put");
}

/// Situation: etcd demands certificates. Expectation: ours is good; without one, or with one
/// that another authority signed, nothing is sent and it is never called ambiguous.
#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_shown_and_demanded() {
    let cluster = Cluster::start_with(|scratch| {
        let folder = scratch.path().join("pki");
        pki(&folder);
        pki(&scratch.path().join("other"));
        Some(Tls { folder, client: "kim".into() })
    })
    .await;
    let tls = |dir: &str, identity: Option<&str>| {
        let read = |dir: &str, name: String| {
            std::fs::read(cluster.scratch.path().join(dir).join(name)).expect("a file")
        };
        let pem = |dir, name| String::from_utf8(read(dir, name)).expect("PEM");
        EtcdTls {
            ca: read("pki", "ca.pem".into()),
            identity: identity
                .map(|name| (read(dir, format!("{name}.pem")), pem(dir, format!("{name}.key")).into())),
        }
    };
    let mut options = cluster.options(&[0, 1, 2], "/test/");
    options.tls = Some(tls("pki", Some("kim")));
    let store = connect(options.clone()).await;
    let revision = put(&store, "k", "v").await.expect("a put over TLS");
    assert!(store.health().await.endpoints.iter().all(|endpoint| endpoint.status.is_ok()));
    let mut watch = store.watch("k", revision).await;
    assert_eq!(watch.next().await.expect("a batch over TLS").revision, revision);

    for stranger in [tls("pki", None), tls("other", Some("kim"))] {
        options.tls = Some(stranger);
        let store = connect(options.clone()).await;
        let error = put(&store, "k", "stranger").await.expect_err("a stranger");
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    }
    // We demand one as well: a server that our authority does not know is not talked to.
    options.tls = Some(EtcdTls {
        ca: std::fs::read(cluster.scratch.path().join("other/ca.pem")).expect("a file"),
        ..tls("pki", Some("kim"))
    });
    let error = put(&connect(options).await, "k", "").await.expect_err("an unknown server");
    assert!(error.to_string().contains("certificate"), "{error}");
    assert_eq!(get(&store, "k").await.expect("a read").expect("the key").value, b"v");
}

#[derive(Parser)]
struct Pki {
    #[command(flatten)]
    args: standfast::pki::PkiArgs,
}

fn pki(dir: &Path) {
    let dir = dir.to_str().expect("a plain path");
    let mut args: Vec<String> = ["pki", "init", "--client", "kim", "--dir", dir].map(str::to_owned).to_vec();
    for member in 1..=3 {
        args.extend(["--member".into(), format!("m{member}=s{member},127.77.9.{member}")]);
    }
    Pki::parse_from(args).args.run().expect("certificates");
}
