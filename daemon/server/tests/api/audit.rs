//! The audit, as whoever must prove what was done reads it, and what it finds when somebody writes
//! to the store by hand.

use standfast::cli::exit::Exit;
use standfast::records::{self, AUDITED};
use standfast::store::{Op, Range, Store, Txn};
use standfast_proto::v1::cluster_client::ClusterClient;
use standfast_proto::v1::*;
use std::sync::Arc;

use super::fixture::*;
use crate::console::{Seen, standfast};

async fn value(store: &Arc<dyn Store>, key: &str) -> Vec<u8> {
    store.range(Range::key(key)).await.unwrap().kvs.remove(0).value
}

async fn put(store: &Arc<dyn Store>, op: Op) {
    store.txn(Txn::new().then(op)).await.unwrap();
}

/// What it says with `op` done to the store, which is as before afterwards.
async fn tampered(store: &Arc<dyn Store>, member: &Daemon, key: &str, op: Op) -> Seen {
    let before = value(store, key).await;
    put(store, op).await;
    let seen = standfast(&[member.address], "audit verify").await;
    put(store, Op::put(key, before)).await;
    assert_eq!(seen.exit(), Exit::Found, "{seen:?}");
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_is_told_and_cannot_be_changed_unseen() {
    let (store, member, _tool) = led().await;
    let run = start(&member, drill("shop", "r1")).await;
    until(&member, &run.id, |run| run.steps[0].waits_for_approval).await;
    let again = start(&member, drill("shop", "r2")).await;
    assert_eq!(again.id, run.id, "the same again is the same run");
    let abort = AbortRunRequest { id: run.id.clone(), reason: "enough".into(), ..AbortRunRequest::default() };
    member.runs().await.abort_run(AbortRunRequest { request_id: "x1".into(), ..abort }).await.unwrap();
    until(&member, &run.id, |run| run.ended_at.is_some()).await;
    let mut cluster = ClusterClient::new(member.channel().await);
    let thaw = ThawRequest { request_id: "t1".into(), reason: "too early".into() };
    cluster.thaw(thaw).await.unwrap_err();
    let freeze = FreezeRequest { request_id: "f1".into(), reason: "a move".into(), ..Default::default() };
    cluster.freeze(freeze).await.unwrap();

    let listed = standfast(&[member.address], "audit list").await;
    let said = [
        "applied".to_owned(),
        "leads, in".to_owned(),
        format!("{}/1 started by", run.id),
        format!("that is {} already", run.id),
        "enough".to_owned(),
        "and was refused: the cluster is not frozen".to_owned(),
        "a move".to_owned(),
    ];
    let mut rest = listed.out.as_str();
    for said in said {
        let place = rest.find(&said).unwrap_or_else(|| panic!("{said} in its place in {}", listed.out));
        rest = &rest[place..];
    }
    let mine = standfast(&[member.address], &format!("audit list --run {}", run.id)).await;
    assert!(mine.out.lines().all(|line| line.contains(&run.id)) && mine.out.contains("enough"), "{mine:?}");

    let whole = standfast(&[member.address], "audit verify").await;
    assert_eq!(whole.exit(), Exit::Done, "{whole:?}");
    let known = whole.out.split("--known ").nth(1).expect("what to keep").trim();
    let (last, _) = known.split_once(':').unwrap();
    let last: u64 = last.parse().unwrap();

    let entry = records::audit(last);
    let line = String::from_utf8(value(&store, &entry).await).unwrap().replace("a move", "a rest");
    let seen = tampered(&store, &member, &entry, Op::put(&entry, line)).await;
    assert!(seen.out.contains(&format!("entry {last} is not the one known as")), "{seen:?}");
    let seen = tampered(&store, &member, &records::audit(2), Op::delete(records::audit(2))).await;
    assert!(seen.out.contains("entry 2 is missing"), "{seen:?}");
    let record = records::entry(&standfast_core::ids::RunId::new(&run.id), 2);
    let seen = tampered(&store, &member, &record, Op::put(&record, "{}")).await;
    assert!(seen.out.contains(&format!("entry 2 of the journal of {} was changed", run.id)), "{seen:?}");
    let seen = tampered(&store, &member, &record, Op::delete(&record)).await;
    assert!(seen.out.contains(&format!("entry 2 of the journal of {} is missing", run.id)), "{seen:?}");

    // The export proves the same without any member, and is what the next export goes on from.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("audit.jsonl");
    let exported = standfast(&[member.address], "audit export").await.out;
    assert_eq!(exported.lines().count() as u64, last);
    std::fs::write(&file, &exported).unwrap();
    let verify = format!("audit verify {} --known {known}", file.display());
    assert_eq!(standfast(&[], &verify).await.exit(), Exit::Done);
    std::fs::write(&file, exported.replace("enough", "plenty")).unwrap();
    assert_eq!(standfast(&[], &verify).await.exit(), Exit::Found);
    assert_eq!(standfast(&[], "audit verify /nonexistent/audit.jsonl").await.exit(), Exit::Usage);

    // Whoever writes the end anew, with its head, is found by whoever has kept one digest.
    let head = String::from_utf8(value(&store, AUDITED).await).unwrap();
    let earlier = head.replace(&format!("\"sequence\":{last}"), &format!("\"sequence\":{}", last - 1));
    let cut = Txn::new().then(Op::delete(&entry)).then(Op::put(AUDITED, earlier));
    store.txn(cut).await.unwrap();
    let seen = standfast(&[member.address], &format!("audit verify --known {known}")).await;
    assert!(seen.out.contains(&format!("entry {last} is missing")), "{seen:?}");
}
