//! A dry run says what would happen, and nothing does.

use standfast_proto::v1::plans_client::PlansClient;
use standfast_proto::v1::*;
use tokio::net::TcpListener;

use super::fixture::*;
use crate::console::standfast;
use standfast::cli::exit::Exit;

const STEPS: &str = "require:
  - http.get: {endpoint: tool, at: $to, status: 200}
    override: commander
steps:
  - id: there
    wait.until: {all: [{tcp.connect: {endpoint: tool, at: $to}}]}
  - id: call
    http.request: {endpoint: tool, at: $to, method: POST, path: /start}
    point_of_no_return: true
  - id: word
    approval.ask: {role: chief, message: \"go on?\"}
";

#[tokio::test(flavor = "multi_thread")]
async fn every_step_is_looked_at_and_nothing_is_begun() {
    let tool = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let store = store().await;
    let mut member = Daemon::answers("w1", "w", &store).await;
    let port = tool.local_addr().unwrap().port();
    member.apply(&[("fleet.yaml", fleet(port)), ("shop.yaml", playbook("shop", STEPS))]).await;
    let mut client = PlansClient::new(member.channel().await);
    let request = |inspect: bool| CreatePlanRequest {
        playbook: "shop".into(),
        from: "a".into(),
        mode: Mode::Emergency.into(),
        inspect,
        ..CreatePlanRequest::default()
    };
    let bound = client.create_plan(request(false)).await.unwrap().into_inner();
    assert_eq!((bound.to.as_str(), bound.member.as_str()), ("b", "w1"));
    assert_eq!(bound.steps[0].preview(), Preview::Unspecified);
    assert_eq!(bound.steps[1].needs, ["there"]);
    assert!(bound.steps[1].point_of_no_return && bound.steps[2].needs_approval);
    assert_eq!(bound.critical_path.as_ref().unwrap().steps, ["there", "call", "word"]);
    assert!(bound.inspected_at.is_none() && bound.guards.is_empty());

    let before = store.range(standfast::store::Range::prefix("")).await.unwrap();
    let plan = client.create_plan(request(true)).await.unwrap().into_inner();
    assert_eq!(plan.digest, bound.digest, "looking does not change the plan");
    let previews: Vec<Preview> = plan.steps.iter().map(PlanStep::preview).collect();
    assert_eq!(previews[0], Preview::AlreadySo, "{:?}", plan.steps[0]);
    assert_eq!(previews[1], Preview::CannotTell, "{:?}", plan.steps[1]);
    // The tool takes connections and says nothing.
    assert_eq!(plan.requires[0].outcome(), ConditionOutcome::DoesNotHold);
    assert_eq!(plan.requires[0].override_role, "commander");
    assert!(plan.would_be_refused);
    let says = |id: &str| plan.guards.iter().find(|guard| guard.id == id).map(GuardDecision::outcome);
    assert_eq!(says("G03"), Some(GuardOutcome::NotAsked));
    assert_eq!(says("G06"), Some(GuardOutcome::Passed));
    let after = store.range(standfast::store::Range::prefix("")).await.unwrap();
    assert_eq!((before.kvs, before.revision), (after.kvs, after.revision), "nothing was written");

    // Waived by somebody who may, it would begin.
    let waiver = Override {
        name: plan.requires[0].name.clone(),
        reason: "it is us who start it".into(),
        identity: String::new(),
    };
    let request = CreateRunRequest {
        playbook: "shop".into(),
        from: "a".into(),
        mode: Mode::Emergency.into(),
        validate_only: true,
        overrides: vec![waiver],
        ..CreateRunRequest::default()
    };
    let dry = member.runs().await.create_run(request).await.unwrap().into_inner();
    assert!(dry.run.is_none());
    assert!(!dry.plan.unwrap().would_be_refused);

    let seen = standfast(&[member.address], "plan shop --from a --mode emergency").await;
    assert_eq!(seen.exit(), Exit::Found, "{seen:?}");
    assert!(seen.out.contains("would be refused now: http.get"), "{}", seen.out);
    let path = bound.critical_path.unwrap();
    let seconds = |span: Option<pbjson_types::Duration>| span.unwrap().seconds;
    // The call is attempted three times at most.
    assert!(seconds(path.duration) > seconds(path.once), "{path:?}");
    assert!(seen.out.contains("with every attempt ("), "{}", seen.out);
    // Nobody has sent the tool a request.
    let asked = async {
        while let Ok((stream, _)) = tool.accept().await {
            let mut bytes = [0; 4];
            stream.readable().await.unwrap();
            let read = stream.try_read(&mut bytes).unwrap_or(0);
            assert_ne!(&bytes[..read], b"POST");
        }
    };
    let _ = tokio::time::timeout(std::time::Duration::from_millis(200), asked).await;
}
