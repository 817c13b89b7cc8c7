//! Nobody leads, the store is gone, answers get lost.

use std::sync::Arc;
use std::time::Duration;

use standfast::records;
use standfast::store::{EmbeddedStore, Range, Store};
use standfast_core::guard::Guard;
use standfast_proto::reason;
use standfast_proto::v1::cluster_client::ClusterClient;
use standfast_proto::v1::sites_client::SitesClient;
use standfast_proto::v1::*;
use tokio::net::TcpListener;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::fixture::*;
use crate::console::standfast;
use standfast::cli::exit::Exit;

#[tokio::test(flavor = "multi_thread")]
async fn without_a_leader_a_wish_waits_for_one() {
    // Situation: nobody leads, and a person starts a run. Danger: the wish is lost, or carried
    // out twice when it is repeated. Expectation: it is taken, with a bound; the next leader
    // carries it out once, and the same call finds its run.
    let tool = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let store = store().await;
    let mut member = Daemon::answers("w1", "w", &store).await;
    member.apply(&files(tool.local_addr().unwrap().port())).await;
    let waiting = member.runs().await.create_run(drill("waits", "r1")).await.unwrap().into_inner();
    assert!(waiting.run.is_none() && waiting.plan.is_some());
    // Lease of 4 s, three elections, and a second.
    assert_eq!(waiting.waits_for_leader.unwrap().seconds, 8);

    let site = GetSiteRequest { name: "a".into() };
    let site = SitesClient::new(member.channel().await).get_site(site).await.unwrap().into_inner();
    assert_eq!(site.verdict(), Verdict::Unknown);
    assert!(site.verdict_reason.contains("nobody leads"), "{}", site.verdict_reason);
    let why_not = WhyNotRequest { site: "a".into() };
    let why_not = SitesClient::new(member.channel().await).why_not(why_not).await.unwrap().into_inner();
    assert_eq!((why_not.refused_by.as_str(), why_not.guards.len()), ("G01", Guard::ALL.len()));
    let ack = AckSiteRequest {
        name: "a".into(),
        request_id: "k1".into(),
        reason: "seen".into(),
        ..AckSiteRequest::default()
    };
    let ack = why(SitesClient::new(member.channel().await).ack_site(ack).await);
    assert_eq!(ack, (Code::Unknown, reason::UNCERTAIN.into()));
    let down = StepDownRequest { request_id: "d1".into(), reason: "x".into(), ..StepDownRequest::default() };
    let down = why(ClusterClient::new(member.channel().await).step_down(down).await);
    assert_eq!(down, (Code::FailedPrecondition, reason::WRONG_STATE.into()));

    let leader = Daemon::answers("b1", "b", &store).await.leading();
    let found = async {
        loop {
            let again = member.runs().await.create_run(drill("waits", "r1")).await.unwrap().into_inner();
            if let Some(run) = again.run {
                return run;
            }
        }
    };
    let run = tokio::time::timeout(PATIENCE, found).await.expect("the next leader takes it up");
    until(&leader, &run.id, |run| run.state() == RunState::Succeeded).await;
    let runs = leader.runs().await.list_runs(ListRunsRequest::default()).await.unwrap().into_inner().runs;
    assert_eq!(runs.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_types_a_run_is_told_what_the_next_leader_says() {
    // Situation: a person starts a run while nobody leads, and it is one that the next leader
    // refuses. Danger: the command says that all is well and shows a run that is none.
    // Expectation: it waits for the leader, as long as that may take, and says what that one says.
    let tool = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let store = store().await;
    let mut member = Daemon::answers("w1", "w", &store).await;
    member.apply(&files(tool.local_addr().unwrap().port())).await;
    let words = format!(
        "run start waits --from a --to b --mode drill --reason test --request-id r1 --plan {}",
        "0".repeat(64)
    );
    let seen = standfast(&[member.address], &words).await;
    assert_eq!(seen.exit(), Exit::Unreachable, "{seen:?}");
    assert!(seen.failure().to_string().contains("--request-id r1") && seen.out.is_empty(), "{seen:?}");
    assert_eq!(seen.err.matches("nobody leads now").count(), 1, "{}", seen.err);

    let leader = async {
        // The command is waiting by then.
        until_placed(&store, "r2").await;
        Daemon::answers("b1", "b", &store).await.leading()
    };
    let words = words.replace("r1", "r2");
    let members = [member.address];
    let (seen, _leader) = tokio::join!(standfast(&members, &words), leader);
    assert_eq!(seen.exit(), Exit::Stale, "{seen:?}");
    assert!(seen.failure().to_string().contains("make the plan again"), "{}", seen.failure());
}

/// Waits until a wish is stored.
async fn until_placed(store: &Arc<dyn Store>, request: &str) {
    let placed = async {
        while store.range(Range::key(records::request(request))).await.unwrap().kvs.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, placed).await.expect("it is stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_store_reads_fail_by_name_and_the_status_still_answers() {
    let embedded = Arc::new(EmbeddedStore::in_memory().await.unwrap());
    let store: Arc<dyn Store> = embedded.clone();
    let mut member = Daemon::answers("w1", "w", &store).await;
    member.apply(&files(1)).await;
    let mut health = HealthClient::new(member.channel().await);
    let check = || HealthCheckRequest { service: "standfast.v1.Runs".into() };
    assert_eq!(health.check(check()).await.unwrap().into_inner().status(), ServingStatus::Serving);

    embedded.close().await;
    let gone = (Code::Unavailable, reason::NO_QUORUM.to_owned());
    assert_eq!(why(member.runs().await.create_run(drill("waits", "r1")).await), gone);
    assert_eq!(why(member.runs().await.list_runs(ListRunsRequest::default()).await), gone);
    let sites = SitesClient::new(member.channel().await).list_sites(ListSitesRequest {}).await;
    assert_eq!(why(sites), gone);
    let status = ClusterClient::new(member.channel().await).get_status(GetStatusRequest {}).await;
    let status = status.expect("it answers always").into_inner();
    let store = status.store.expect("it says how the store does");
    assert!(!store.writable && !store.problem.is_empty(), "{store:?}");
    assert_eq!((status.fleet.as_str(), status.leader), ("test", None));
    assert_eq!(status.next_commands, Vec::<String>::new(), "nothing that would fail is proposed");
    let seen = standfast(&[member.address], "status").await;
    assert_eq!(seen.exit(), Exit::Unreachable, "{seen:?}");
    assert!(seen.out.contains("NOT WRITABLE"), "what is known is shown: {}", seen.out);
    assert!(seen.failure().message.contains("takes no writes"), "{}", seen.failure());
    let ill = async {
        while health.check(check()).await.unwrap().into_inner().status() != ServingStatus::NotServing {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, ill).await.expect("clients are told to go elsewhere");
}
