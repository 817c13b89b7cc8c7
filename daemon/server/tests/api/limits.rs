//! What binds people too, as they are told it: by number, before and when they start a run.

use standfast_proto::reason;
use standfast_proto::v1::*;
use tokio::net::TcpListener;
use tonic::Code;

use super::fixture::*;
use crate::console::standfast;
use standfast::cli::exit::Exit;

/// A leader whose fleet says this.
async fn leader(tool: &TcpListener, settings: &str) -> Daemon {
    let store = store().await;
    let mut member = Daemon::answers("w1", "w", &store).await.observing().leading();
    let mut files = files(tool.local_addr().unwrap().port());
    files[0].1.push_str(settings);
    member.apply(&files).await;
    member
}

fn waiving(rule: &str, request_id: &str) -> CreateRunRequest {
    let waiver = Override { name: rule.into(), reason: "the board has agreed".into(), ..Override::default() };
    let overrides = vec![waiver];
    CreateRunRequest { overrides, ..drill("waits", request_id) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_refuses_a_person_by_number_and_yields_to_its_name() {
    let tool = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let limits = "limits: {per_run: {services: 0}}\noverrides: {role: commander}\n";
    let member = leader(&tool, limits).await;
    let dry = CreateRunRequest { validate_only: true, ..drill("waits", "") };
    let plan = member.runs().await.create_run(dry).await.unwrap().into_inner().plan.unwrap();
    let guard = plan.guards.iter().find(|guard| guard.id == "G19").unwrap();
    assert_eq!((guard.name.as_str(), guard.outcome()), ("blast-radius", GuardOutcome::Refused), "{guard:?}");
    let refused = member.runs().await.create_run(drill("waits", "r1")).await;
    assert_eq!(about(&refused, "guards"), "G19");
    assert_eq!(why(refused), (Code::FailedPrecondition, reason::GUARD_REFUSED.to_owned()));
    assert_eq!(
        why(member.runs().await.create_run(waiving("serving", "r2")).await).0,
        Code::FailedPrecondition
    );
    let run = start(&member, waiving("G19", "r3")).await;
    until(&member, &run.id, |run| run.state() == RunState::Succeeded).await;
}

/// Situation: the fleet asks for a second person. Expectation: who has waived something waits for
/// somebody else, however they ask; what waives nothing begins.
#[tokio::test(flavor = "multi_thread")]
async fn what_one_waives_they_do_not_approve() {
    let tool = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = "limits: {per_run: {services: 0}}\noverrides: {role: commander, second_person: true}\n";
    let member = leader(&tool, settings).await;
    let run = start(&member, waiving("blast-radius", "r1")).await;
    assert_eq!(run.state(), RunState::Proposed);
    let approve = ApproveRunRequest {
        id: run.id.clone(),
        request_id: "a1".into(),
        reason: "I say so".into(),
        ..ApproveRunRequest::default()
    };
    let refused = member.runs().await.approve_run(approve).await;
    assert_eq!(about(&refused, "guards"), "G21");
    let said = standfast(&[member.address], &format!("run approve {} --reason again", run.id)).await;
    assert_ne!(said.exit(), Exit::Done);
    assert_eq!(get(&member, &run.id).await.state(), RunState::Proposed);
}
