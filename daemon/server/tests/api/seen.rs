//! What a person sees first: status, members, sites, and who they are to the cluster.

use standfast::settings::TlsFiles;
use standfast::tls::Tls;
use standfast_core::guard::Guard;
use standfast_proto::reason;
use standfast_proto::v1::cluster_client::ClusterClient;
use standfast_proto::v1::sites_client::SitesClient;
use standfast_proto::v1::*;
use tonic::Code;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServiceResponse};

use super::fixture::*;
use crate::console::standfast;
use standfast::cli::exit::Exit;

async fn status(member: &Daemon) -> ClusterStatus {
    let mut client = ClusterClient::new(member.channel().await);
    client.get_status(GetStatusRequest {}).await.unwrap().into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_says_who_leads_what_waits_and_what_to_type() {
    let (store, member, _tool) = led().await;
    let id = start(&member, drill("shop", "r1")).await.id;
    until(&member, &id, |run| run.steps[0].waits_for_approval).await;
    let status = status(&member).await;
    let leader = status.leader.clone().expect("somebody leads");
    assert_eq!((leader.member.as_str(), leader.site.as_str(), leader.epoch), ("w1", "w", 1));
    let health = status.store.clone().unwrap();
    assert!(health.writable && health.write_latency.is_some() && health.problem.is_empty());
    assert_eq!(health.kind, "embedded");
    assert_eq!(status.members.len(), 1);
    assert!(status.members[0].live && status.members[0].leader);
    assert_eq!((status.identity.as_str(), status.active_runs.len()), ("local", 1));
    assert_eq!(status.automation(), AutomationLevel::Advise);
    assert!(status.automation_note.contains("no canaries"), "{}", status.automation_note);
    let item = &status.waiting[0];
    assert_eq!(
        (item.kind(), item.step.as_str(), item.role.as_str()),
        (WaitingKind::ApproveStep, "word", "commander")
    );
    assert!(item.for_me, "`local` has the role");
    assert_eq!(status.next_commands[0], format!("standfast run approve {id} --step word --reason ..."));

    let seen = standfast(&[member.address], "status").await;
    assert_eq!(seen.exit(), Exit::Done);
    assert!(seen.out.contains("is a really gone?"), "{}", seen.out);
    // A second member, without an observer, has no lease and is not in the list.
    let other = Daemon::answers("b1", "b", &store).await;
    let members = ClusterClient::new(other.channel().await).list_members(ListMembersRequest {}).await;
    let names: Vec<String> = members.unwrap().into_inner().members.into_iter().map(|m| m.name).collect();
    assert_eq!(names, ["w1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_is_shown_with_its_votes_and_acknowledged() {
    let (_store, member, _tool) = led().await;
    let mut sites = SitesClient::new(member.channel().await);
    // A run that has ended holds both of its sites down.
    let id = start(&member, drill("waits", "r1")).await.id;
    until(&member, &id, |run| run.ended_at.is_some()).await;
    let held = async {
        loop {
            let site = sites.get_site(GetSiteRequest { name: "a".into() }).await.unwrap().into_inner();
            if site.hold_down_remaining.is_some() && site.run_id.is_empty() {
                return site;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    let site = tokio::time::timeout(PATIENCE, held).await.expect("it is held down");
    assert_eq!((site.role(), site.etag.as_str()), (SiteRole::Active, "held"));
    let voters: Vec<&str> = site.votes.iter().map(|vote| vote.voter.as_str()).collect();
    assert_eq!(voters, ["b", "w"]);
    let judged = async {
        loop {
            let answer = sites.why_not(WhyNotRequest { site: "a".into() }).await.unwrap().into_inner();
            let says =
                |id: &str| answer.guards.iter().find(|guard| guard.id == id).map(GuardDecision::outcome);
            let (quorum, hold) = (says("G01"), says("G07"));
            if (quorum, hold) == (Some(GuardOutcome::Passed), Some(GuardOutcome::Refused)) {
                return answer;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    let why_not = tokio::time::timeout(PATIENCE, judged).await.expect("quorum passes, hold-down refuses");
    assert_eq!(
        (why_not.playbook.as_str(), why_not.to.as_str(), why_not.guards.len()),
        ("shop", "b", Guard::ALL.len())
    );
    let says = |id: &str| why_not.guards.iter().find(|guard| guard.id == id).map(GuardDecision::outcome);
    assert_eq!(says("G11"), Some(GuardOutcome::NotAsked));
    assert!(status(&member).await.waiting.iter().any(|item| item.kind() == WaitingKind::AckSite));

    let ack = |request: &str, etag: &str, reason: &str| AckSiteRequest {
        name: "a".into(),
        request_id: request.into(),
        reason: reason.into(),
        etag: etag.into(),
    };
    assert_eq!(why(sites.ack_site(ack("k0", "", " ")).await).1, reason::BAD_FIELD);
    assert_eq!(why(sites.ack_site(ack("k1", "free", "seen")).await).1, reason::STALE_ETAG);
    let free = sites.ack_site(ack("k2", &site.etag, "seen")).await.unwrap().into_inner();
    assert_eq!((free.hold_down_remaining, free.etag.as_str()), (None, "free"), "as it is now");
    let witness = sites.get_site(GetSiteRequest { name: "w".into() }).await.unwrap().into_inner();
    assert!(witness.verdict_reason.contains("no probes"), "{}", witness.verdict_reason);
    let twice = why(sites.ack_site(ack("k3", "", "seen")).await);
    assert_eq!(twice, (Code::FailedPrecondition, reason::WRONG_STATE.into()));
    let missing = why(sites.get_site(GetSiteRequest { name: "nope".into() }).await);
    assert_eq!(missing, (Code::NotFound, reason::NO_SUCH_THING.into()));
    assert_eq!(standfast(&[member.address], "why-not a").await.exit(), Exit::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_hands_over_when_another_can_take_it() {
    let (store, member, _tool) = led().await;
    start(&member, drill("waits", "r1")).await;
    let mut client = ClusterClient::new(member.channel().await);
    let down = |request: &str| StepDownRequest {
        request_id: request.into(),
        reason: "maintenance".into(),
        ..StepDownRequest::default()
    };
    let alone = why(client.step_down(down("d1")).await);
    assert_eq!(alone, (Code::FailedPrecondition, reason::WRONG_STATE.into()));

    let mut other = Daemon::answers("b1", "b", &store).await.observing().leading();
    let digest = status(&member).await.bundle_digest;
    other.knows(&digest).await;
    let both = async {
        while status(&member).await.members.len() < 2 {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, both).await.expect("the other has a lease");
    let wrong = StepDownRequest { member: "b1".into(), ..down("d2") };
    assert_eq!(why(client.step_down(wrong).await).1, reason::WRONG_STATE);
    let epoch = StepDownRequest { epoch: 99, ..down("d3") };
    assert_eq!(why(client.step_down(epoch).await), (Code::Aborted, reason::STALE_ETAG.into()));
    let answer = client.step_down(down("d4")).await.unwrap().into_inner();
    assert!(answer.leader.is_none_or(|leader| leader.epoch > 1));
    // The same request again does not end the next term as well.
    let again = client.step_down(down("d4")).await.unwrap().into_inner();
    assert!(again.leader.is_none_or(|leader| leader.epoch <= 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_name_of_the_certificate_is_who_acts() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("pki");
    let words = format!("pki init --dir {} --member w1=w,127.0.0.1 --client kim", dir.display());
    assert_eq!(standfast(&[], &words).await.exit(), Exit::Done);
    let file = |name: &str| dir.join(name);
    let files = TlsFiles { ca: file("ca.pem"), cert: file("w1.pem"), key: file("w1.key") };
    let store = store().await;
    let member = Daemon::with_tls("w1", "w", &store, Some(Tls::load(&files).unwrap())).await;
    let named = |name: &str| format!("--tls-{name} {}/", dir.display());
    let words =
        format!("status -o json {}ca.pem {}kim.pem {}kim.key", named("ca"), named("cert"), named("key"));
    let seen = standfast(&[member.address], &words).await;
    assert_eq!(seen.exit(), Exit::Done, "{seen:?}");
    let status: serde_json::Value = serde_json::from_str(&seen.out).unwrap();
    assert_eq!(status["identity"], "kim");
}

#[tokio::test(flavor = "multi_thread")]
async fn reflection_tells_what_can_be_called() {
    let store = store().await;
    let member = Daemon::answers("w1", "w", &store).await;
    let mut client = ServerReflectionClient::new(member.channel().await);
    let ask = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut answers = client.server_reflection_info(futures::stream::iter([ask])).await.unwrap().into_inner();
    let answer = answers.message().await.unwrap().unwrap().message_response;
    let Some(MessageResponse::ListServicesResponse(list)) = answer else { panic!("{answer:?}") };
    let names: Vec<String> = list.service.into_iter().map(|ServiceResponse { name }| name).collect();
    for service in ["Bundles", "Cluster", "Events", "Plans", "Runs", "Sites"] {
        assert!(names.contains(&format!("standfast.v1.{service}")), "{names:?}");
    }
    assert!(names.contains(&"grpc.health.v1.Health".to_owned()), "{names:?}");
}
