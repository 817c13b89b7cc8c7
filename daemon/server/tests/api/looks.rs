//! A plan is looked at from every live member, and who sees it otherwise is named.

use std::sync::Arc;

use standfast::cli::exit::Exit;
use standfast::condition::Env;
use standfast::secrets::Secrets;
use standfast::store::{Range, Store};
use standfast_proto::v1::plans_client::PlansClient;
use standfast_proto::v1::*;
use tokio::net::TcpListener;

use super::fixture::*;
use crate::console::standfast;

const STEPS: &str = "steps:
  - id: there
    wait.until: {all: [{tcp.connect: {endpoint: tool, at: $to}}]}
  - id: call
    http.request: {endpoint: tool, at: $to, method: POST, path: /start, headers: {x-key: {secret: token}}}
    undo: none
";

fn hour_ahead() -> i64 {
    standfast::clock::wall_ms() + 3_600_000
}

async fn member(name: &str, site: &str, store: &Arc<dyn Store>, env: &Env) -> Daemon {
    Daemon::with(name, site, store, None, env.clone()).await.observing()
}

async fn look(member: &Daemon) -> Plan {
    let request = CreatePlanRequest {
        playbook: "shop".into(),
        from: "a".into(),
        mode: Mode::Emergency.into(),
        inspect: true,
        ..CreatePlanRequest::default()
    };
    PlansClient::new(member.channel().await).create_plan(request).await.unwrap().into_inner()
}

fn trouble<'a>(plan: &'a Plan, kind: &str) -> &'a Trouble {
    let found = plan.troubles.iter().find(|trouble| trouble.kind == kind);
    found.unwrap_or_else(|| panic!("no {kind} in {:#?}", plan.troubles))
}

/// Situation: three members of one bundle. One lacks a secret, the clock of another is wrong.
/// Danger: the plan looks well from where one happens to ask.
#[tokio::test(flavor = "multi_thread")]
async fn who_sees_it_otherwise_is_named() {
    let tool = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), "t0ken").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(folder.path().join("token"), mode).unwrap();
    let store = store().await;
    let well = Env::new(Secrets::new(folder.path()), None).unwrap();
    let keyless = Env::new(Secrets::new("."), None).unwrap();
    let late = Env { wall_ms: hour_ahead, ..well.clone() };
    let mut w1 = member("w1", "w", &store, &well).await.leading();
    let mut b1 = member("b1", "b", &store, &keyless).await;
    let mut b2 = member("b2", "b", &store, &late).await;
    let mut a1 = member("a1", "a", &store, &well).await;
    let files =
        [("fleet.yaml", fleet(tool.local_addr().unwrap().port())), ("shop.yaml", playbook("shop", STEPS))];
    let digest = w1.apply(&files).await;
    for member in [&mut b1, &mut b2, &mut a1] {
        member.knows(&digest).await;
    }
    led_by(&w1, 4).await;

    let plan = look(&a1).await;
    let points: Vec<_> = plan.vantage_points.iter().map(|p| (p.member.as_str(), p.part())).collect();
    assert_eq!(
        points,
        [
            ("w1", VantagePart::Acts),
            ("b1", VantagePart::Might),
            ("b2", VantagePart::Might),
            ("a1", VantagePart::Leaves)
        ]
    );
    assert!(plan.vantage_points.iter().all(|p| p.silent.is_empty()), "{:?}", plan.vantage_points);
    // The leader has the secret, so it would go on; the member that has none is named.
    let call = &plan.steps[1];
    assert_eq!(call.preview(), Preview::CannotTell, "{call:?}");
    let seen: Vec<_> = call.seen.iter().map(|s| (s.member.as_str(), s.preview())).collect();
    let tells = Preview::CannotTell;
    assert_eq!(seen, [("w1", tells), ("b1", Preview::Refuses), ("b2", tells), ("a1", tells)]);
    let missing = trouble(&plan, "credentials");
    assert_eq!((missing.severity(), &missing.members), (Severity::Warning, &vec!["b1".to_owned()]));
    assert!(missing.message.contains("token"), "{missing:?}");
    let clock = trouble(&plan, "clock");
    assert_eq!((clock.severity(), clock.about.as_str()), (Severity::Warning, "b2"));
    let ahead = plan.vantage_points[2].clock_ahead.as_ref().unwrap().seconds;
    assert!((3_590..=3_600).contains(&ahead), "{ahead} s");
    assert!(!plan.would_be_refused, "{:#?}", plan.troubles);

    // Where the one that would act lacks it, it is an error.
    let before = store.range(Range::prefix("leader")).await.unwrap();
    drop(w1);
    let b1 = b1.leading();
    led_by(&b1, 3).await;
    assert_ne!(before.kvs, store.range(Range::prefix("leader")).await.unwrap().kvs);
    let plan = look(&a1).await;
    assert_eq!(trouble(&plan, "credentials").severity(), Severity::Error);
    assert!(plan.would_be_refused);
    // Nothing of any look is left.
    for prefix in ["looks/", "views/"] {
        gone(&store, prefix).await;
    }
}

/// Waits until this member knows a leader, and so many live members.
async fn led_by(member: &Daemon, members: usize) {
    let led = async {
        loop {
            let mut client = cluster_client::ClusterClient::new(member.channel().await);
            let status = client.get_status(GetStatusRequest {}).await.unwrap().into_inner();
            let live = status.members.iter().filter(|member| member.live).count();
            if status.leader.is_some_and(|leader| leader.member == status.member) && live == members {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, led).await.expect("it leads, and all are there");
}

async fn gone(store: &Arc<dyn Store>, prefix: &str) {
    let gone = async {
        while !store.range(Range::prefix(prefix)).await.unwrap().kvs.is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("it hangs on a lease that was given back");
}

/// Situation: a run of the playbook has ended well; then a plan is made, drawn, insisted upon, and
/// the bundle changes under it.
#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_predicted_drawn_and_refused_once_it_is_stale() {
    let (_store, mut member, tool) = led().await;
    let servers = [member.address];
    let words = "plan waits --from a --to b --mode drill";
    let before = standfast(&servers, &format!("{words} -o json")).await;
    let before: Plan = serde_json::from_str(&before.out).unwrap();
    let predicted = before.prediction.unwrap();
    assert_eq!(
        (predicted.runs, predicted.p50, predicted.unseen.as_slice()),
        (0, None, &["tool".to_owned()][..])
    );
    assert_eq!(predicted.bound.unwrap().seconds, 20, "a drill does not wait for a loss to be seen");

    let run = start(&member, drill("waits", "r1")).await;
    until(&member, &run.id, |run| run.state() == RunState::Succeeded).await;
    let plan = standfast(&servers, &format!("{words} -o json --exit-code")).await;
    assert_eq!(plan.exit(), Exit::Done, "there is nothing to do: {plan:?}");
    let plan: Plan = serde_json::from_str(&plan.out).unwrap();
    assert_eq!(plan.digest, before.digest);
    let predicted = plan.prediction.as_ref().unwrap();
    // It was so already: then it is not seen how long it takes.
    assert_eq!((predicted.runs, predicted.p50.is_none()), (1, true), "{predicted:?}");

    let dry = "run start waits --from a --to b --mode drill --dry-run";
    let dry_run: Plan =
        serde_json::from_str(&standfast(&servers, &format!("{dry} -o json")).await.out).unwrap();
    let same = |plan: &Plan| {
        (plan.steps.clone(), plan.troubles.clone(), plan.guards.clone(), plan.prediction.clone())
    };
    let shape = |plan: &Plan| {
        let (steps, troubles, guards, prediction) = same(plan);
        let sights: Vec<_> =
            steps.iter().map(|step| (step.id.clone(), step.preview(), step.seen.len())).collect();
        let guards: Vec<_> = guards.iter().map(|guard| (guard.id.clone(), guard.outcome())).collect();
        (sights, troubles, guards, prediction)
    };
    assert_eq!(shape(&dry_run), shape(&plan), "a dry run is the same look");
    for words in [words, dry] {
        let drawn = standfast(&servers, &format!("{words} -o mermaid")).await;
        assert_eq!(drawn.exit(), Exit::Done, "{drawn:?}");
        assert!(drawn.out.contains("flowchart TD\n    s0[\"1 tool<br/>wait.until"), "{}", drawn.out);
        assert!(drawn.out.contains("class s0 done"), "{}", drawn.out);
    }
    assert_eq!(standfast(&servers, "status -o mermaid").await.exit(), Exit::Usage);

    // Held down after the run, a person may still start another; but not of an older plan.
    let insist =
        format!("run start waits --from a --to b --mode drill --reason again --plan {}", plan.digest);
    let port = tool.local_addr().unwrap().port();
    let mut files = files(port);
    files[2].1 = files[2].1.replace("timeout: 20s", "timeout: 21s");
    let request = ApplyBundleRequest {
        files: bundle_files(&files),
        request_id: "apply-2".into(),
        ..ApplyBundleRequest::default()
    };
    let mut client = bundles_client::BundlesClient::new(member.channel().await);
    let digest = client.apply_bundle(request).await.unwrap().into_inner().digest;
    member.knows(&digest).await;
    let refused = standfast(&servers, &insist).await;
    assert_eq!(refused.exit(), Exit::Stale, "{refused:?}");
}
