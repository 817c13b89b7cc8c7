//! A site that came and went too often, and one that was left, as people see them and unlock them.

use standfast::records::FLAPS;
use standfast::store::{Op, Txn};
use standfast_proto::reason;
use standfast_proto::v1::cluster_client::ClusterClient;
use standfast_proto::v1::sites_client::SitesClient;
use standfast_proto::v1::*;
use tokio::net::TcpListener;
use tonic::Code;

use super::fixture::*;
use crate::console::standfast;
use standfast::cli::exit::Exit;

/// What `why-not` says of a, by the number of the guard.
async fn ruling(member: &Daemon, id: &str) -> GuardDecision {
    let mut sites = SitesClient::new(member.channel().await);
    let answer = sites.why_not(WhyNotRequest { site: "a".into() }).await.unwrap().into_inner();
    answer.guards.into_iter().find(|guard| guard.id == id).unwrap()
}

/// Situation: the leader before has locked a, and has left b. Expectation: whoever leads then shows it,
/// refuses by it, and lets a person end it; it has ended for whoever leads next too.
#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_flaps_is_shown_and_acknowledged() {
    let tool = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let store = store().await;
    let kept = r#"{"down": ["b"], "ages": {"a": [60000]}, "locked": ["a"], "left": {"b": "r1-1"}}"#;
    store.txn(Txn { then: vec![Op::put(FLAPS, kept)], ..Txn::default() }).await.unwrap();
    let mut member = Daemon::answers("w1", "w", &store).await.observing().leading();
    member.apply(&files(tool.local_addr().unwrap().port())).await;
    soon("it refuses", async || {
        let flaps = ruling(&member, "G14").await;
        flaps.outcome() == GuardOutcome::Refused && flaps.reason.starts_with("a went down 3 times within 30m")
    })
    .await;
    let mut sites = SitesClient::new(member.channel().await);
    let get = |name: &str| GetSiteRequest { name: name.into() };
    let a = sites.get_site(get("a")).await.unwrap().into_inner();
    assert_eq!((a.flap_locked, a.etag.as_str(), a.left_by.as_str()), (true, "locked", ""));
    let b = sites.get_site(get("b")).await.unwrap().into_inner();
    assert_eq!((b.flap_locked, b.etag.as_str(), b.left_by.as_str()), (false, "held", "r1-1"));
    let seen = standfast(&[member.address], "site list").await.out;
    assert!(seen.contains("locked: it went down too often"), "{seen}");
    assert!(seen.contains("left by run r1-1, and not healthy since"), "{seen}");
    let mut cluster = ClusterClient::new(member.channel().await);
    let status = cluster.get_status(GetStatusRequest {}).await.unwrap().into_inner();
    assert!(status.waiting.iter().any(|item| item.kind() == WaitingKind::AckSite && item.site == "a"));

    let ack = |request: &str, etag: &str| AckSiteRequest {
        name: "a".into(),
        request_id: request.into(),
        reason: "rewired".into(),
        etag: etag.into(),
    };
    assert_eq!(why(sites.ack_site(ack("k1", "free")).await).1, reason::STALE_ETAG);
    let free = sites.ack_site(ack("k2", "locked")).await.unwrap().into_inner();
    assert_eq!((free.flap_locked, free.etag.as_str()), (false, "free"), "as soon as it is answered");
    let wrong = (Code::FailedPrecondition, reason::WRONG_STATE.to_owned());
    assert_eq!(why(sites.ack_site(ack("k3", "")).await), wrong);
    assert_eq!(standfast(&[member.address], "site ack b --reason seen").await.exit(), Exit::Done);

    drop(member);
    let mut next = Daemon::answers("b1", "b", &store).await.observing().leading();
    next.apply(&files(tool.local_addr().unwrap().port())).await;
    soon("the next leader lets it pass", async || {
        ruling(&next, "G14").await.outcome() == GuardOutcome::Passed
    })
    .await;
}

/// Situation: a has gone down twice under the leader before, and goes down again. Expectation: whoever leads
/// locks it, and the audit says so, as of every decision: how often it went down within which time.
#[tokio::test(flavor = "multi_thread")]
async fn a_lock_stands_in_the_audit() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let port = well().await;
    let store = store().await;
    let kept = r#"{"down": [], "ages": {"a": [60000, 30000]}, "locked": [], "left": {}}"#;
    store.txn(Txn { then: vec![Op::put(FLAPS, kept)], ..Txn::default() }).await.unwrap();
    let mut member = Daemon::answers("w1", "w", &store).await.observing().leading();
    let mut files = files(port);
    let (well, dead) = (format!("a: \"http://127.0.0.1:{port}"), format!("a: \"http://127.0.0.1:{gone}"));
    files[0].1 = files[0].1.replace(&well, &dead) + "single_observer: act\n";
    member.apply(&files).await;
    let told = "a went down 3 times within 30m, and is locked";
    soon("the audit tells the lock", async || {
        standfast(&[member.address], "audit list").await.out.contains(told)
    })
    .await;
    let listed = standfast(&[member.address], "audit list").await.out;
    assert_eq!(listed.matches(told).count(), 1, "once: {listed}");
    assert_eq!(standfast(&[member.address], "audit verify").await.exit(), Exit::Done);
}
