//! A freeze, as whoever asks and whoever acts sees it, and whoever leads keeps it.

use standfast_core::time::Span;
use standfast_proto::reason;
use standfast_proto::v1::cluster_client::ClusterClient;
use standfast_proto::v1::sites_client::SitesClient;
use standfast_proto::v1::*;
use tonic::Code;
use tonic::transport::Channel;

use super::fixture::*;
use crate::console::standfast;
use standfast::cli::exit::Exit;

fn freeze(request_id: &str, reason: &str, seconds: Option<i64>) -> FreezeRequest {
    FreezeRequest {
        request_id: request_id.into(),
        reason: reason.into(),
        lasting: seconds.map(|seconds| pbjson_types::Duration { seconds, nanos: 0 }),
        until: None,
    }
}

fn thaw(request_id: &str) -> ThawRequest {
    ThawRequest { request_id: request_id.into(), reason: "it is".into() }
}

async fn shown(client: &mut ClusterClient<Channel>) -> ClusterStatus {
    client.get_status(GetStatusRequest {}).await.unwrap().into_inner()
}

/// Waits until `why-not` says it, and the metric too.
async fn refuses(member: &Daemon, refuses: bool) -> String {
    let mut sites = SitesClient::new(member.channel().await);
    let metric = format!("standfast_would_act{{site=\"a\",guard=\"G13\"}} {}\n", u8::from(refuses));
    let asked = async {
        loop {
            let why = sites.why_not(WhyNotRequest { site: "a".into() }).await.unwrap().into_inner();
            let ruling = why.guards.into_iter().find(|guard| guard.id == "G13").unwrap();
            let is = ruling.outcome() == GuardOutcome::Refused;
            if is == refuses && member.metrics.encode().contains(&metric) {
                return ruling.reason;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asked).await.expect("the next judgement says so")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_freeze_is_shown_kept_by_the_next_leader_and_thawed() {
    let (store, member, tool) = led().await;
    let mut client = ClusterClient::new(member.channel().await);
    assert_eq!(shown(&mut client).await.freeze, None);
    assert_eq!(why(client.freeze(freeze("f0", " ", None)).await).1, reason::BAD_FIELD);
    assert_eq!(why(client.freeze(freeze("f0", "no", Some(0))).await).1, reason::BAD_FIELD);
    let past = pbjson_types::Timestamp { seconds: 1, nanos: 0 };
    let past = FreezeRequest { until: Some(past), ..freeze("f0", "no", None) };
    assert_eq!(why(client.freeze(past).await).1, reason::BAD_FIELD);
    let wrong = (Code::FailedPrecondition, reason::WRONG_STATE.to_owned());
    assert_eq!(why(client.thaw(thaw("t0")).await), wrong, "it is not frozen");

    let wanted = freeze("f1", "the network is rebuilt", Some(3_600));
    let frozen = client.freeze(wanted.clone()).await.unwrap().into_inner().freeze.unwrap();
    assert_eq!((frozen.by.as_str(), frozen.reason.as_str()), ("local", "the network is rebuilt"));
    assert_eq!(shown(&mut client).await.freeze, Some(frozen.clone()), "seen as soon as it is answered");
    assert_eq!(client.freeze(wanted).await.unwrap().into_inner().freeze.as_ref(), Some(&frozen), "once");
    assert_eq!(why(client.freeze(freeze("f2", "shorter", Some(60))).await), wrong);
    let said = refuses(&member, true).await;
    assert!(said.starts_with("frozen by local for another "), "{said}");

    // A person starts a run all the same, and is told.
    let dry = CreateRunRequest { validate_only: true, ..drill("waits", "") };
    let plan = member.runs().await.create_run(dry).await.unwrap().into_inner().plan.unwrap();
    let guard = plan.guards.iter().find(|guard| guard.id == "G13").unwrap();
    assert!(guard.reason.contains("frozen by local"), "{guard:?}");
    assert_eq!(guard.outcome(), GuardOutcome::NotAsked);
    let begun = member.runs().await.create_run(drill("waits", "r1")).await.unwrap().into_inner();
    assert_eq!(begun.freeze.map(|freeze| freeze.by), Some("local".into()));
    until(&member, &begun.run.unwrap().id, |run| run.state() == RunState::Succeeded).await;

    // The next leader goes on with what is left.
    drop(member);
    let mut next = Daemon::answers("b1", "b", &store).await.observing().leading();
    next.apply(&files(tool.local_addr().unwrap().port())).await;
    let said = refuses(&next, true).await;
    assert!(said.starts_with("frozen by local for another 59m"), "{said}");
    let mut client = ClusterClient::new(next.channel().await);
    let kept = shown(&mut client).await.freeze.unwrap();
    let left = Span::from(std::time::Duration::try_from(kept.remaining.unwrap()).unwrap());
    assert_eq!((kept.since, left <= Span::secs(3_600)), (frozen.since, true), "{left}");
    let seen = standfast(&[next.address], "status").await;
    assert!(seen.out.contains("frozen by local since "), "{}", seen.out);
    assert!(seen.out.contains("standfast thaw --reason ..."), "{}", seen.out);

    assert_eq!(standfast(&[next.address], "thaw --reason rebuilt").await.exit(), Exit::Done);
    assert_eq!(shown(&mut client).await.freeze, None, "as soon as it is answered");
    refuses(&next, false).await;
    assert_eq!(standfast(&[next.address], "thaw --reason rebuilt").await.exit(), Exit::Failed);
}
