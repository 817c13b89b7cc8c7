//! What is particular to the store on one disk: restarts, a full disk, a broken one, a
//! damaged file, a second process. (What it shares with etcd is the contract.)

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use super::faults::Disk;
use super::file::{Place, holders};
use super::{DEFAULT_MAX_BYTES, EmbeddedStore};
use crate::store::{Compare, Op, Range, Store, StoreError, Txn, WatchEnd, WatchEvent, range_all};

async fn put(store: &EmbeddedStore, key: &str, value: &[u8]) -> Result<u64, StoreError> {
    Ok(store.txn(Txn::new().then(Op::put(key, value))).await?.revision)
}

async fn on(disk: &Disk) -> Result<EmbeddedStore, StoreError> {
    EmbeddedStore::open_place(Place::Disk(disk.clone()), DEFAULT_MAX_BYTES).await
}

/// Has a write in the branch that is not taken: what etcd answers only while it takes writes.
fn probe() -> Txn {
    Txn::new().when(Compare::created("none", u64::MAX)).then(Op::put("never", "written"))
}

async fn contents(store: &EmbeddedStore) -> BTreeMap<String, Vec<u8>> {
    let all = range_all(store, "").await.expect("a read");
    all.kvs.into_iter().map(|kv| (kv.key, kv.value)).collect()
}

#[tokio::test]
async fn a_restart_keeps_everything() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("state").join("store.redb");
    let store = EmbeddedStore::open(&path).await.expect("a store");
    let first = put(&store, "a", b"1").await.expect("a put");
    put(&store, "a", b"2").await.expect("a put");
    put(&store, "b", b"3").await.expect("a put");
    store.compact(first + 1).await.expect("a compaction");
    let before = range_all(&store, "").await.expect("a read");
    store.close().await;
    let closed = put(&store, "a", b"").await;
    assert!(matches!(closed, Err(StoreError::Unavailable { .. })), "{closed:?}");
    assert!(store.range(Range::key("a")).await.is_err());

    let store = EmbeddedStore::open(&path).await.expect("the store again");
    assert_eq!(range_all(&store, "").await.expect("a read"), before);
    let past = store.range(Range::key("a").at(first)).await;
    assert_eq!(past, Err(StoreError::Compacted { at: first + 1 }));
    let mut watch = store.watch("", first + 2).await;
    assert_eq!(watch.next().await.expect("a batch").revision, first + 2);
    assert_eq!(put(&store, "c", b"").await.expect("a put"), before.revision + 1);
    let mode = |path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode(path.as_path()), mode(path.parent().expect("a folder"))), (0o600, 0o700));
}

/// A lease counts anew from the start of the process: nobody could renew it before.
#[tokio::test]
async fn a_lease_survives_a_restart_for_its_whole_time() {
    let disk = Disk::default();
    let store = on(&disk).await.expect("a store");
    let ttl = Duration::from_secs(1);
    let lease = store.lease_grant(ttl).await.expect("a lease");
    store.txn(Txn::new().then(Op::put_leased("k", "", lease))).await.expect("a put");
    tokio::time::sleep(ttl / 2).await;
    store.close().await;
    tokio::time::sleep(ttl).await;

    let store = on(&disk).await.expect("the store again");
    let kv = store.range(Range::key("k")).await.expect("a read").kvs.remove(0);
    let mut watch = store.watch("", kv.mod_revision + 1).await;
    let start = tokio::time::Instant::now();
    let batch = watch.next().await.expect("the expiry");
    assert!(matches!(&batch.events[..], [WatchEvent::Delete { key, .. }] if key == "k"), "{batch:?}");
    assert!(start.elapsed() > ttl / 2, "after {:?}", start.elapsed());
    let other = store.lease_grant(ttl).await.expect("a lease");
    assert_ne!(other, lease, "ids are not used twice");
}

#[tokio::test]
async fn a_closed_store_ends_its_watches() {
    let store = EmbeddedStore::in_memory().await.expect("a store");
    let mut watch = store.watch("", 1).await;
    let mut dropped = store.watch("", 1).await;
    store.close().await;
    assert!(matches!(watch.next().await, Err(WatchEnd::Lost(_))));
    drop(store);
    assert!(matches!(dropped.next().await, Err(WatchEnd::Lost(_))));
}

#[tokio::test]
async fn two_stores_cannot_share_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("store.redb");
    let store = EmbeddedStore::open(&path).await.expect("a store");
    let error = EmbeddedStore::open(&path).await.expect_err("it is taken");
    let StoreError::Unavailable { at, why } = &error else { panic!("{error:?}") };
    assert!(at.ends_with("store.redb") && why.contains("this very process"), "{error}");
    assert!(why.contains("stop it"), "{error}");
    store.close().await;
    EmbeddedStore::open(&path).await.expect("now it is free");
}

#[tokio::test]
async fn the_holder_of_a_file_is_found() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let stdin = Stdio::from(file.reopen().expect("the file again"));
    let mut other = Command::new("sleep").arg("60").stdin(stdin).spawn().expect("a process");
    let path = file.path().canonicalize().expect("its path");
    let found = holders(&path).any(|pid| pid == other.id());
    other.kill().expect("it ends");
    other.wait().expect("it ended");
    assert!(found);
}

#[tokio::test]
async fn a_file_that_is_no_store_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("store.redb");
    for text in [&b"# a note of a person\n"[..], &[0; 8192], &[0xff; 100_000]] {
        std::fs::write(&path, text).expect("a file");
        let error = EmbeddedStore::open(&path).await.expect_err("no store");
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
        let says = error.to_string();
        assert!(says.contains("store.redb") && says.contains("restore"), "{says}");
        assert_eq!(std::fs::read(&path).expect("the file"), text, "it is as it was");
    }
    let error = EmbeddedStore::open(folder.path()).await.expect_err("a folder");
    assert!(error.to_string().contains("directory"), "{error}");
}

/// Damage anywhere is an error: not a panic of the daemon, and not other data.
#[tokio::test]
async fn damage_is_an_error() {
    for from in [64, 512, 4096, 8192, 65_536] {
        let disk = Disk::default();
        let store = on(&disk).await.expect("a store");
        for n in 0..50 {
            put(&store, &format!("k/{n}"), &[n; 2_000]).await.expect("a put");
        }
        let before = contents(&store).await;
        store.close().await;
        disk.scribble(from);
        let read = match on(&disk).await {
            Ok(store) => range_all(&store, "").await,
            Err(error) => Err(error),
        };
        match read {
            Err(StoreError::Corrupt { .. }) => {}
            Ok(all) => {
                let found: BTreeMap<_, _> = all.kvs.into_iter().map(|kv| (kv.key, kv.value)).collect();
                assert_eq!(found, before, "from byte {from}");
            }
            other => panic!("from byte {from}: {other:?}"),
        }
    }
}

/// Situation: the disk is full. Expectation: what was acknowledged is there, what was
/// refused is not, reads go on, and with room again so do writes, without a restart.
#[tokio::test]
async fn a_full_disk_loses_nothing() {
    let disk = Disk::default();
    let store = on(&disk).await.expect("a store");
    put(&store, "k/000", &[0; 1_000]).await.expect("a put");
    disk.room_for(Some(disk.used() + 40));
    let mut kept = contents(&store).await;
    let mut refused = None;
    for n in 1..1_000 {
        let (key, value) = (format!("k/{n:03}"), vec![7; 5_000]);
        match put(&store, &key, &value).await {
            Ok(_) => drop(kept.insert(key, value)),
            Err(error) => {
                refused = Some(error);
                break;
            }
        }
    }
    let error = refused.expect("it fills up");
    assert!(matches!(error, StoreError::NoSpace { .. }), "{error:?}");
    assert!(error.to_string().contains("free space"), "{error}");
    assert!(kept.len() > 5, "{}", kept.len());
    assert_eq!(contents(&store).await, kept);

    disk.room_for(None);
    put(&store, "again", b"").await.expect("there is room again");
    kept.insert("again".into(), Vec::new());
    store.close().await;
    assert_eq!(contents(&on(&disk).await.expect("the store again")).await, kept);
}

/// Situation: the disk is full, and nothing can be written. Danger: what only asks whether writes
/// work is answered from what can be read, so the store is called well. Expectation: it is told
/// what the disk says, until the disk has room.
#[tokio::test]
async fn a_full_disk_is_told_to_who_only_asks() {
    let disk = Disk::default();
    let store = on(&disk).await.expect("a store");
    let leads = async || store.health().await.has_leader();
    let before = store.txn(probe()).await.expect("an answer");
    assert!(!before.succeeded && leads().await);
    disk.room_for(Some(0));
    let refused = put(&store, "k", b"").await;
    assert!(matches!(refused, Err(StoreError::NoSpace { .. })), "{refused:?}");
    for _ in 0..3 {
        let probed = store.txn(probe()).await;
        assert!(matches!(probed, Err(StoreError::NoSpace { .. })), "{probed:?}");
        assert!(!leads().await, "clients are told to go elsewhere");
    }
    assert_eq!(store.health().await.endpoints.remove(0).status.expect("it reads").alarms, ["NOSPACE"]);
    assert_eq!(contents(&store).await, BTreeMap::new(), "reads go on");

    disk.room_for(None);
    let after = store.txn(probe()).await.expect("there is room again");
    assert_eq!((after.succeeded, after.revision), (false, before.revision));
    assert!(leads().await);
    assert!(store.health().await.endpoints.remove(0).status.expect("a status").alarms.is_empty());
}

/// Situation: the disk breaks at any point of a commit. Expectation: as above; an outcome
/// that nobody can know is called ambiguous, and nothing else is.
#[tokio::test]
async fn a_broken_disk_loses_nothing() {
    for operations in 0..40 {
        let disk = Disk::default();
        let store = on(&disk).await.expect("a store");
        put(&store, "first", b"1").await.expect("a put");
        disk.fail_after(Some(operations));
        let mut acknowledged = 0;
        let error = loop {
            match put(&store, "k", &[acknowledged; 3_000]).await {
                Ok(_) => acknowledged += 1,
                Err(error) => break error,
            }
        };
        disk.fail_after(None);
        let found = contents(&store).await;
        let last = found.get("k").map(|value| value[0]);
        let before = acknowledged.checked_sub(1);
        let unclear = matches!(error, StoreError::Ambiguous { .. });
        assert!(
            last == before || (unclear && last == Some(acknowledged)),
            "after {operations} operations: {acknowledged} acknowledged, {last:?} found, {error}"
        );
        assert_eq!(found["first"], b"1");
        put(&store, "k", b"healed").await.expect("it goes on");
    }
}

/// Situation: the store holds as much as it may. Expectation: deleting and compacting is
/// the way out.
#[tokio::test]
async fn the_quota_is_kept_and_compaction_helps() {
    let store = EmbeddedStore::open_place(Place::Memory, 100_000).await.expect("a store");
    let error = loop {
        if let Err(error) = put(&store, "beat", &[1; 5_000]).await {
            break error;
        }
    };
    assert!(matches!(error, StoreError::NoSpace { .. }), "{error:?}");
    let status = store.health().await.endpoints.remove(0).status.expect("a status");
    assert_eq!(status.alarms, ["NOSPACE"]);
    let probed = store.txn(probe()).await;
    assert!(matches!(probed, Err(StoreError::NoSpace { .. })), "{probed:?}");
    let guarded = Txn::new().when(Compare::absent("none")).then(Op::delete("none"));
    store.txn(guarded).await.expect("what writes nothing goes on");
    store.compact(status.revision).await.expect("a compaction");
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while put(&store, "beat", &[2; 5_000]).await.is_err() {
        assert!(tokio::time::Instant::now() < deadline, "compaction made no room");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(store.health().await.endpoints.remove(0).status.expect("a status").alarms.is_empty());
}

/// Compaction forgets in slices and in the end everything it may, over restarts too.
#[tokio::test]
async fn compaction_forgets_all_it_may() {
    let disk = Disk::default();
    let store = on(&disk).await.expect("a store");
    for n in 0..30 {
        let puts = (0..100).map(|key| Op::put(format!("k/{key}"), [n; 10]));
        store.txn(Txn { then: puts.collect(), ..Txn::new() }).await.expect("puts");
    }
    let all = Txn::new().then(Op::delete_prefix("k/")).then(Op::put("kept", "1"));
    let last = store.txn(all).await.expect("a transaction").revision;
    store.compact(last).await.expect("a compaction");
    store.close().await;

    let store = on(&disk).await.expect("the store again");
    let held = || async {
        let shared = Arc::clone(&store.shared);
        shared.read(|db| super::Snapshot::open(db)?.bytes()).expect("a number")
    };
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while held().await > 100 {
        assert!(tokio::time::Instant::now() < deadline, "{} bytes are left", held().await);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(contents(&store).await, BTreeMap::from([("kept".into(), b"1".to_vec())]));
}

/// Those who wait together share a commit.
#[tokio::test]
async fn concurrent_transactions_share_a_commit() {
    let store = Arc::new(EmbeddedStore::in_memory().await.expect("a store"));
    let commits = |store: &EmbeddedStore| {
        let shared = Arc::clone(&store.shared);
        let read = |db: &redb::Database| {
            use redb::ReadableDatabase;
            super::tables::number(&db.begin_read()?.open_table(super::tables::META)?, "commits")
        };
        shared.read(read).expect("a number")
    };
    let before = commits(&store);
    let puts = (0..200).map(|n| {
        let store = Arc::clone(&store);
        async move { put(&store, &format!("k/{n}"), b"").await }
    });
    let revisions = futures::future::join_all(puts).await;
    let mut revisions: Vec<u64> = revisions.into_iter().map(|put| put.expect("a put")).collect();
    revisions.sort_unstable();
    assert!(revisions.windows(2).all(|pair| pair[1] == pair[0] + 1), "each has its own revision");
    let commits = commits(&store) - before;
    assert!(commits <= 20, "{commits} commits for 200 transactions");
}
