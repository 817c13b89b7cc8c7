//! Who a member is: its name belongs to one process, its site to the fleet.

use standfast::health::Health;
use standfast::observer::Claim;
use standfast::readiness::{self, MEMBER};
use standfast::records;
use standfast::store::{Range, Store};
use standfast_proto::v1::cluster_client::ClusterClient;
use standfast_proto::v1::*;
use tokio_util::sync::CancellationToken;

use super::fixture::*;

/// The process that has the name, as the store says.
async fn holder(store: &dyn Store, name: &str) -> Option<String> {
    let reply = store.range(Range::key(records::member(&name.into()))).await.unwrap();
    reply.kvs.first().map(|kv| records::decode::<records::Member>(kv).unwrap().boot_id)
}

async fn until(member: &Daemon, wanted: impl Fn(&Claim) -> bool) -> Claim {
    let mut claim = member.claim();
    let found = tokio::time::timeout(PATIENCE, claim.wait_for(|claim| wanted(claim))).await;
    found.expect("in time").expect("it goes on").clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_was_killed_gets_its_name_back_by_itself() {
    // Situation: a member is killed and started again at once. Danger: it takes over a record of
    // which nobody knows whether its process lives; or it needs people to be let in. Expectation:
    // it says for what it waits, and registers once the lease of the killed process has run out.
    let (store, _leader, _tool) = led().await;
    let member = || Daemon::answers("a1", "a", &store);
    let first = member().await.booted("first").observing();
    until(&first, |claim| *claim == Claim::Mine).await;
    drop(first);
    assert_eq!(holder(&*store, "a1").await.as_deref(), Some("first"), "its lease has not run out");

    let second = member().await.booted("second").observing();
    let Claim::Held(why) = until(&second, |claim| *claim != Claim::Unknown).await else { panic!("it waits") };
    assert!(why.contains("an earlier process") && why.contains("at most"), "{why}");
    assert_eq!(holder(&*store, "a1").await.as_deref(), Some("first"));
    until(&second, |claim| *claim == Claim::Mine).await;
    assert_eq!(holder(&*store, "a1").await.as_deref(), Some("second"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_name_of_a_member_that_lives_is_not_taken_over() {
    // Situation: the settings of a1 are copied to another machine, with another site, and started
    // there. Danger: the copy takes a1's record over; a has no member any more, and nobody in it
    // says that it lives. Expectation: the copy is told which process has its name, and a1 stays.
    let (store, _leader, _tool) = led().await;
    let first = Daemon::answers("a1", "a", &store).await.booted("first").observing();
    until(&first, |claim| *claim == Claim::Mine).await;
    let copy = Daemon::answers("a1", "b", &store).await.booted("copy").observing();
    let claim = until(&copy, |claim| matches!(claim, Claim::Taken(_))).await;
    let Claim::Taken(why) = claim else { unreachable!("waited for") };
    let address = first.address.to_string();
    assert!(why.contains("in site a") && why.contains(&address) && why.contains("`member`"), "{why}");
    assert_eq!(*first.claim().borrow(), Claim::Mine);
    assert_eq!(holder(&*store, "a1").await.as_deref(), Some("first"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_in_a_site_that_the_fleet_does_not_know_is_not_ready_and_does_not_count() {
    let (store, leader, _tool) = led().await;
    let mut lost = Daemon::answers("q1", "q", &store).await.observing();
    let digest = standfast::bundles::applied(&*store).await.unwrap().unwrap().digest;
    lost.knows(digest.as_str()).await;
    let (health, stop) = (Health::new([MEMBER]), CancellationToken::new());
    let _stop = stop.clone().drop_guard();
    tokio::spawn(readiness::keep(lost.readiness(), health.clone(), stop));
    soon("it says why it is not ready", async || {
        let readiness = health.readiness();
        readiness[MEMBER].as_ref().is_err_and(|why| why.contains("no site q, it has a, b, w"))
    })
    .await;
    let client = ClusterClient::new(leader.channel().await);
    soon("it does not count, and others do", async || {
        let status = client.clone().get_status(GetStatusRequest {}).await.unwrap().into_inner();
        let counts = |name: &str| status.members.iter().any(|member| member.name == name && member.eligible);
        let found = status.members.iter().find(|member| member.name == "q1");
        let why = found.map(|member| member.not_eligible_because.as_str());
        counts("w1") && !counts("q1") && why == Some("the fleet has no site q")
    })
    .await;
}
