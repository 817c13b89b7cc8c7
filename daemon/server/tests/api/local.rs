//! A run without quorum: begun by a person, kept on a disk, and brought home.

use standfast::cli::exit::Exit;
use standfast::records::{self, EPOCH, Leader};
use standfast::store::{Op, Range, Store, Txn};
use standfast_core::ids::Epoch;
use standfast_proto::v1::cluster_client::ClusterClient;
use standfast_proto::v1::*;
use std::sync::Arc;

use super::fixture::*;
use super::full::Disk;
use crate::console::{standfast, standfast_words};

async fn status(member: &Daemon) -> ClusterStatus {
    let mut client = ClusterClient::new(member.channel().await);
    client.get_status(GetStatusRequest {}).await.unwrap().into_inner()
}

async fn leader(store: &Arc<dyn Store>) -> Option<Leader> {
    let reply = store.range(Range::key(records::LEADER)).await.unwrap();
    reply.kvs.first().map(|kv| records::decode(kv).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_without_quorum_comes_home() {
    // Situation: the store takes no writes, a site burns, and a person breaks the glass. Danger: the
    // cluster wakes up meanwhile and does something else, or never learns of it. Expectation: it begins
    // only when nobody can lead and only as typed; members that were told lead no more; merged, it stands
    // in the store with its journal and in the audit, and whoever leads then has a higher epoch.
    let disk = Disk::new().await;
    let store: Arc<dyn Store> = disk.clone();
    let tool = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut member = Daemon::answers("w1", "w", &store).await.observing().leading();
    let files = files(tool.local_addr().unwrap().port());
    member.apply(&files).await;
    let folder = tempfile::tempdir().unwrap();
    let (bundle, journal) = (folder.path().join("bundle"), folder.path().join("journal"));
    std::fs::create_dir(&bundle).unwrap();
    for (name, text) in &files {
        std::fs::write(bundle.join(name), text).unwrap();
    }
    let line = format!(
        "local run waits --from a --to b --mode emergency --reason fire --site b --bundle {} --journal {} --confirm",
        bundle.display(),
        journal.display()
    );
    let local_run = async |confirm: &str| {
        let mut words: Vec<&str> = line.split(' ').collect();
        words.push(confirm);
        standfast_words(&[member.address], &words).await
    };
    const TYPED: &str = "run waits from a without quorum";
    let seen = local_run(TYPED).await;
    assert_eq!(seen.exit(), Exit::Found, "the store takes writes: {seen:?}");
    assert!(seen.failure().to_string().contains("standfast run start"), "{seen:?}");

    disk.fill();
    soon("it says so", async || !status(&member).await.store.unwrap().writable).await;
    let seen = local_run("yes").await;
    assert_eq!(seen.exit(), Exit::Usage, "{seen:?}");
    assert_eq!(member.watermark.seen(), Epoch(1), "nobody was told of what was not begun");
    let seen = local_run(TYPED).await;
    assert_eq!(seen.exit(), Exit::Done, "{seen:?}");
    assert!(seen.out.contains("Succeeded"), "{seen:?}");
    let taken = member.watermark.seen();
    assert!(taken > Epoch(1_000), "{taken}");
    let again = local_run(TYPED).await;
    assert_eq!(again.exit(), Exit::Found, "a run that has ended is not run again: {again:?}");

    disk.empty().await;
    soon("this member says why it does not lead", async || {
        let status = status(&member).await;
        let says = status.store.unwrap().problem.contains("standfast member bump-epoch");
        says && status.next_commands[0].contains("bump-epoch")
    })
    .await;
    assert_eq!(leader(&store).await, None);

    let merge = format!("local merge --journal {} --reason fire", journal.display());
    let seen = standfast(&[member.address], &merge).await;
    assert_eq!(seen.exit(), Exit::Done, "{seen:?}");
    soon("it leads again", async || leader(&store).await.is_some_and(|leader| leader.epoch > taken)).await;
    let list = standfast(&[member.address], "run list").await;
    assert!(list.out.contains("Succeeded") && list.out.contains("fire"), "{list:?}");
    let id = list.out.split_whitespace().find(|word| word.starts_with("r1")).unwrap().to_owned();
    let report = standfast(&[member.address], &format!("run report {id}")).await;
    assert!(report.out.contains("local"), "who executed it is told: {report:?}");
    let seen = standfast(&[member.address], &merge).await;
    assert_eq!(seen.exit(), Exit::Done, "{seen:?}");
    let audit = standfast(&[member.address], &format!("audit list --run {id}")).await;
    assert_eq!(audit.out.matches("which was run without the store").count(), 1, "{audit:?}");
    let verified = standfast(&[member.address], "audit verify").await;
    assert_eq!(verified.exit(), Exit::Done, "{verified:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_store_is_led_by_nobody_until_a_person_says_so() {
    // Situation: etcd is restored from a backup under running members. Danger: the epoch goes back, and
    // targets that keep it refuse the new leader, or take the old one's late orders. Expectation: who
    // knows of a higher epoch does not lead, says so, and leads again above it once a person has bumped it.
    let (store, member, _tool) = led().await;
    soon("it leads", async || leader(&store).await.is_some()).await;
    member.watermark.raise(Epoch(40)).unwrap();
    let restored = Txn::new().then(Op::put(EPOCH, "3")).then(Op::delete(records::LEADER));
    store.txn(restored).await.unwrap();
    soon("it says so", async || status(&member).await.store.unwrap().problem.contains("and 40 was seen"))
        .await;
    assert_eq!(leader(&store).await, None);
    let seen = standfast(&[member.address], "member bump-epoch --reason restored").await;
    assert_eq!(seen.exit(), Exit::Done, "{seen:?}");
    soon("it leads", async || leader(&store).await.is_some_and(|leader| leader.epoch == Epoch(41))).await;
    let again = standfast(&[member.address], "member bump-epoch --reason restored").await;
    assert!(again.failure().to_string().contains("no higher one"), "{again:?}");
    let audit = standfast(&[member.address], "audit list").await;
    assert!(audit.out.contains("raised the epoch from 3 to 40: restored"), "{audit:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_local_run_stays_there_while_it_waits_for_people() {
    let tool = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (bundle, journal) = (folder.path().join("bundle"), folder.path().join("journal"));
    std::fs::create_dir(&bundle).unwrap();
    for (name, text) in files(tool.local_addr().unwrap().port()) {
        std::fs::write(bundle.join(name), text).unwrap();
    }
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let line = format!(
        "local run shop --from a --to b --mode drill --reason fire --site b --bundle {} --journal {} --listen {free}",
        bundle.display(),
        journal.display()
    );
    let nobody = "127.0.0.1:1".parse().unwrap();
    let run = async {
        let words: Vec<&str> =
            line.split(' ').chain(["--confirm", "run shop from a without quorum"]).collect();
        standfast_words(&[nobody], &words).await
    };
    let people = async {
        soon("it waits for an approval", async || {
            standfast(&[free], "run list").await.out.contains("r1001-1") && {
                let status = standfast(&[free], "status").await;
                status.out.contains("approve")
            }
        })
        .await;
        let approved = standfast(&[free], "run approve r1001-1 --step word --reason go").await;
        assert_eq!(approved.exit(), Exit::Done, "{approved:?}");
    };
    let (seen, ()) = tokio::join!(run, people);
    assert_eq!(seen.exit(), Exit::Done, "{seen:?}");
    assert!(seen.err.contains("it waits for you"), "{seen:?}");
    let report = std::fs::read_to_string(journal.join("r1001-1.md")).unwrap();
    assert!(report.contains("go"), "{report}");
}
