//! The maintenance of a site, and switches, as whoever asks sees them, and whoever leads keeps them.

use standfast_proto::reason;
use standfast_proto::v1::cluster_client::ClusterClient;
use standfast_proto::v1::sites_client::SitesClient;
use standfast_proto::v1::*;
use tokio::net::TcpListener;
use tonic::Code;

use super::fixture::*;
use crate::console::standfast;
use standfast::cli::exit::Exit;

async fn ruling(member: &Daemon, id: &str) -> GuardDecision {
    let mut sites = SitesClient::new(member.channel().await);
    let answer = sites.why_not(WhyNotRequest { site: "a".into() }).await.unwrap().into_inner();
    answer.guards.into_iter().find(|guard| guard.id == id).unwrap()
}

async fn refuses(member: &Daemon, id: &str, words: &str) {
    soon(words, async || {
        let said = ruling(member, id).await;
        said.outcome() == GuardOutcome::Refused && said.reason.contains(words)
    })
    .await;
}

fn with_switch(tool: &TcpListener) -> Vec<(&'static str, String)> {
    let mut files = files(tool.local_addr().unwrap().port());
    files[0].1.push_str("switches: {armed: {means: the month is closed}}\n");
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn a_maintenance_is_shown_kept_by_the_next_leader_and_ended() {
    let tool = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let store = store().await;
    let mut member = Daemon::answers("w1", "w", &store).await.observing().leading();
    member.apply(&with_switch(&tool)).await;
    let mut sites = SitesClient::new(member.channel().await);
    let maintain = |id: &str, name: &str, seconds: i64| MaintainSiteRequest {
        name: name.into(),
        request_id: id.into(),
        reason: "new racks".into(),
        lasting: Some(pbjson_types::Duration { seconds, nanos: 0 }),
        until: None,
    };
    let missing = (Code::NotFound, reason::NO_SUCH_THING.to_owned());
    assert_eq!(why(sites.maintain_site(maintain("m0", "z", 60)).await), missing);
    assert_eq!(why(sites.maintain_site(maintain("m0", "b", 0)).await).1, reason::BAD_FIELD);
    let site = sites.maintain_site(maintain("m1", "b", 3_600)).await.unwrap().into_inner();
    let order = site.maintenance.unwrap();
    assert_eq!((order.by.as_str(), order.reason.as_str()), ("local", "new racks"));
    let wrong = (Code::FailedPrecondition, reason::WRONG_STATE.to_owned());
    assert_eq!(why(sites.maintain_site(maintain("m2", "b", 60)).await), wrong, "the present one is longer");
    refuses(&member, "G15", "b is in maintenance by local for another ").await;
    let dry = CreateRunRequest { validate_only: true, ..drill("waits", "") };
    let plan = member.runs().await.create_run(dry).await.unwrap().into_inner().plan.unwrap();
    let guard = plan.guards.iter().find(|guard| guard.id == "G15").unwrap();
    assert!(guard.reason.contains("b is in maintenance by local"), "{guard:?}");

    drop(member);
    let mut next = Daemon::answers("b1", "b", &store).await.observing().leading();
    next.apply(&with_switch(&tool)).await;
    refuses(&next, "G15", "b is in maintenance by local for another 59m").await;
    let seen = standfast(&[next.address], "site list").await.out;
    assert!(seen.contains("in maintenance by local since "), "{seen}");
    assert_eq!(standfast(&[next.address], "site release b --reason done").await.exit(), Exit::Done);
    let mut sites = SitesClient::new(next.channel().await);
    let site = sites.get_site(GetSiteRequest { name: "b".into() }).await.unwrap().into_inner();
    assert_eq!(site.maintenance, None, "as soon as it is answered");
    assert_eq!(standfast(&[next.address], "site release b --reason done").await.exit(), Exit::Failed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_of_the_calendar_is_said() {
    let tool = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let store = store().await;
    let mut member = Daemon::answers("w1", "w", &store).await.observing().leading();
    let mut files = files(tool.local_addr().unwrap().port());
    files[0].1.push_str("freeze_windows: {ever: {from: 00:00, until: 24:00, zone: Asia/Seoul}}\n");
    member.apply(&files).await;
    refuses(&member, "G17", "it is ever, until ").await;
    let begun = member.runs().await.create_run(drill("waits", "r1")).await.unwrap().into_inner();
    until(&member, &begun.run.unwrap().id, |run| run.state() == RunState::Succeeded).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_is_off_until_somebody_turns_it_on() {
    let tool = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let store = store().await;
    let mut member = Daemon::answers("w1", "w", &store).await.observing().leading();
    member.apply(&with_switch(&tool)).await;
    refuses(&member, "G16", "armed is off").await;
    let mut cluster = ClusterClient::new(member.channel().await);
    let set = |id: &str, name: &str, on: bool| SetSwitchRequest {
        request_id: id.into(),
        name: name.into(),
        on,
        reason: "closed".into(),
    };
    assert_eq!(why(cluster.set_switch(set("s0", "other", true)).await).0, Code::InvalidArgument);
    let wrong = (Code::FailedPrecondition, reason::WRONG_STATE.to_owned());
    assert_eq!(why(cluster.set_switch(set("s1", "armed", false)).await), wrong);
    assert_eq!(standfast(&[member.address], "switch on armed --reason closed").await.exit(), Exit::Done);
    let on = cluster.get_status(GetStatusRequest {}).await.unwrap().into_inner().switches;
    let [on] = on.as_slice() else { panic!("{on:?}") };
    assert_eq!(
        (on.name.as_str(), on.on, on.by.as_str(), on.reason.as_str()),
        ("armed", true, "local", "closed")
    );

    drop(member);
    let mut next = Daemon::answers("b1", "b", &store).await.observing().leading();
    next.apply(&with_switch(&tool)).await;
    soon("it is on for the next leader", async || {
        ruling(&next, "G16").await.outcome() == GuardOutcome::Passed
    })
    .await;
    let seen = standfast(&[next.address], "switch off armed --reason open").await;
    assert!(seen.out.contains("OFF"), "{}", seen.out);
    refuses(&next, "G16", "armed is off").await;
}

/// Situation: somebody misspells the zone of a window. Danger: the window holds at other hours than they
/// mean, or never, and nobody notices before that night. Expectation: the bundle is not taken; what is said
/// has the line, the zone, and what it may have been meant to be.
#[tokio::test(flavor = "multi_thread")]
async fn a_window_in_a_zone_that_is_none_is_not_applied() {
    let tool = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let store = store().await;
    let member = Daemon::answers("w1", "w", &store).await.observing().leading();
    let mut files = files(tool.local_addr().unwrap().port());
    let line = files[0].1.lines().count() + 1;
    files[0].1.push_str("freeze_windows: {nights: {from: 22:00, until: 06:00, zone: Asia/Soul}}\n");
    let request = |validate_only: bool| ApplyBundleRequest {
        files: bundle_files(&files),
        request_id: "apply".into(),
        validate_only,
        ..ApplyBundleRequest::default()
    };
    let mut client = bundles_client::BundlesClient::new(member.channel().await);
    let dry = client.apply_bundle(request(true)).await.unwrap().into_inner();
    let wrong = dry.findings.iter().find(|finding| finding.id == "SF008").expect("a finding");
    assert_eq!((wrong.severity(), wrong.file.as_str()), (Severity::Error, "fleet.yaml"), "{wrong:?}");
    assert!(wrong.message.contains("Asia/Soul") && wrong.help.contains("Asia/Seoul"), "{wrong:?}");
    let refused = client.apply_bundle(request(false)).await;
    assert_eq!(why(refused), (Code::InvalidArgument, reason::FINDINGS.to_owned()));

    let folder = tempfile::tempdir().unwrap();
    for (name, text) in &files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let said = standfast(&[member.address], &format!("apply {}", folder.path().display())).await;
    assert_eq!(said.exit(), Exit::Found, "{said:?}");
    let said = format!("{}{}{:?}", said.out, said.err, said.result);
    for part in [&format!("fleet.yaml:{line}:"), "Asia/Soul", "Asia/Seoul"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let none = client.get_bundle(GetBundleRequest::default()).await;
    assert_eq!(why(none).0, Code::NotFound, "nothing was applied");
}
