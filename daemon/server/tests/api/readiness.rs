//! The leader looks by itself, and what it found counts until something changes.

use std::time::Duration;

use standfast_proto::v1::bundles_client::BundlesClient;
use standfast_proto::v1::cluster_client::ClusterClient;
use standfast_proto::v1::plans_client::PlansClient;
use standfast_proto::v1::*;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

use super::fixture::*;
use crate::console::standfast;
use standfast::cli::exit::Exit;

const STEPS: &str = "steps:
  - id: tool
    http.request: {endpoint: desk, at: $to, method: PUT, path: /start}
    undo: none
";

/// Something that answers every request with 200, until it is aborted.
async fn tool() -> (u16, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut asked = [0; 1024];
                let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut asked).await;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
            });
        }
    });
    (port, serving)
}

/// The probes ask the tool, which lives; the playbook needs the desk.
fn files(tool: u16, desk: u16, title: &str) -> Vec<(&'static str, String)> {
    let endpoints = format!(
        "resources:\n  desk: {{endpoint: {{a: \"http://127.0.0.1:{desk}\", b: \"http://127.0.0.1:{desk}\"}}}}\n"
    );
    let fleet = fleet(tool).replace("resources:\n", &endpoints) + "readiness: {every: 10s, max_age: 2m}\n";
    vec![("fleet.yaml", fleet), ("shop.yaml", playbook("shop", STEPS).replace("Move the shop", title))]
}

async fn until(member: &Daemon, words: &str, wanted: impl Fn(&Readiness) -> bool) -> Readiness {
    let mut client = PlansClient::new(member.channel().await);
    let mut last = Readiness::default();
    let looking = async {
        loop {
            let answer = client.list_readiness(ListReadinessRequest {}).await.unwrap().into_inner();
            last = answer.readiness[0].clone();
            if wanted(&last) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let found = tokio::time::timeout(PATIENCE * 2, looking).await;
    assert!(found.is_ok(), "{words}: {last:?}");
    last
}

/// Situation: two members, a fleet that names a playbook, and a quiet day. What the
/// playbook needs dies; the bundle is edited.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_found_counts_until_it_is_found_otherwise_or_edited() {
    let ((port, _tool), (desk, serving)) = (tool().await, tool().await);
    let store = store().await;
    let mut w1 = Daemon::answers("w1", "w", &store).await.observing().leading();
    let mut b1 = Daemon::answers("b1", "b", &store).await.observing();
    let digest = w1.apply(&files(port, desk, "Move the shop")).await;
    b1.knows(&digest).await;
    let first = until(&b1, "ready", |one| one.verdict() == ReadinessVerdict::Ready).await;
    assert_eq!((first.site.as_str(), first.playbook.as_str(), first.to.as_str()), ("a", "shop", "b"));
    assert!(first.looked_at.is_some() && first.troubles.is_empty() && !first.required, "{first:?}");
    let metric = |labels: &str| format!("standfast_ready{{site=\"a\",playbook=\"shop\"}} {labels}\n");
    let ready = async {
        while !w1.metrics.encode().contains(&metric("1")) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, ready).await.expect("the judgement shows it");
    assert_eq!(standfast(&[b1.address], "readiness").await.exit(), Exit::Done);

    // Drift: the next look finds otherwise, while all sites are well.
    serving.abort();
    let drifted = until(&b1, "not ready", |one| one.verdict() == ReadinessVerdict::NotReady).await;
    let found = &drifted.troubles[0];
    assert_eq!((found.kind.as_str(), found.severity()), ("reachability", Severity::Error));
    assert_eq!(found.members.len(), 2, "both saw it: {found:?}");
    let line =
        "standfast_readiness_findings{playbook=\"shop\",finding=\"reachability\",severity=\"error\"} 1\n";
    assert!(w1.metrics.encode().contains(line), "{}", w1.metrics.encode());
    let told = async {
        while !w1.metrics.encode().contains(&metric("0")) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, told).await.expect("the next judgement shows it");
    let seen = standfast(&[b1.address], "readiness").await;
    assert_eq!(seen.exit(), Exit::Found, "{seen:?}");
    let status = ClusterClient::new(b1.channel().await).get_status(GetStatusRequest {}).await;
    let status = status.unwrap().into_inner();
    assert_eq!(status.readiness[0].verdict(), ReadinessVerdict::NotReady);
    let mut sites = sites_client::SitesClient::new(b1.channel().await);
    let ruled = async {
        loop {
            let why = sites.why_not(WhyNotRequest { site: "a".into() }).await.unwrap().into_inner();
            let ruling = why.guards.iter().find(|guard| guard.id == "G12").expect("it is asked");
            if ruling.reason.contains("not required; not ready") {
                return ruling.outcome();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let ruled = tokio::time::timeout(PATIENCE, ruled).await.expect("the next judgement says so");
    assert_eq!(ruled, GuardOutcome::Passed, "the fleet does not require it");

    // An edit: what was found of the bundle before counts no more, until the next look.
    let request = ApplyBundleRequest {
        files: bundle_files(&files(port, desk, "Move it all")),
        request_id: "apply-2".into(),
        ..ApplyBundleRequest::default()
    };
    BundlesClient::new(w1.channel().await).apply_bundle(request).await.unwrap();
    let expired = until(&b1, "expired", |one| one.verdict() == ReadinessVerdict::Expired).await;
    assert!(expired.reason.contains("bundle was changed"), "{expired:?}");
    until(&b1, "looked at anew", |one| one.verdict() == ReadinessVerdict::NotReady).await;
}
