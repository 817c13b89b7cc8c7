//! What binds people too, as they are told it: by number, before and when they start a run.

use std::sync::atomic::{AtomicU32, Ordering};

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

/// What a dry run says of a guard.
async fn dry(member: &Daemon, playbook: &str, id: &str) -> GuardDecision {
    let request = CreateRunRequest { validate_only: true, ..drill(playbook, "") };
    let plan = member.runs().await.create_run(request).await.unwrap().into_inner().plan.unwrap();
    plan.guards.into_iter().find(|guard| guard.id == id).unwrap()
}

/// Situation: the fleet wants one site to be well beside the one that is left, and nobody in b says that b
/// is. Danger: a person empties a while b serves nobody. Expectation: they are refused by number, before and
/// when they start the run; and not once b is well.
#[tokio::test(flavor = "multi_thread")]
async fn a_person_leaves_no_site_while_too_few_others_are_well() {
    let port = well().await;
    let store = store().await;
    let mut member = Daemon::answers("w1", "w", &store).await.observing().leading();
    let mut files = files(port);
    files[0].1.push_str("limits: {min_serving: 1}\noverrides: {role: commander}\n");
    let digest = member.apply(&files).await;
    let said = dry(&member, "waits", "G18").await;
    assert_eq!((said.name.as_str(), said.outcome()), ("serving", GuardOutcome::Refused), "{said:?}");
    let refused = member.runs().await.create_run(drill("waits", "r1")).await;
    assert_eq!(about(&refused, "guards"), "G18");
    assert!(
        refused.as_ref().unwrap_err().message().contains("the fleet wants 1 (min_serving)"),
        "{refused:?}"
    );
    assert_eq!(why(refused), (Code::FailedPrecondition, reason::GUARD_REFUSED.to_owned()));
    let runs = member.runs().await.list_runs(ListRunsRequest::default()).await.unwrap().into_inner();
    assert_eq!(runs.runs, [], "nothing was begun");

    let mut other = Daemon::answers("b1", "b", &store).await.observing();
    other.knows(&digest).await;
    let asked = AtomicU32::new(1);
    soon("b is well", async || {
        let request = format!("r{}", asked.fetch_add(1, Ordering::Relaxed) + 1);
        member.runs().await.create_run(drill("waits", &request)).await.is_ok()
    })
    .await;
    let runs = member.runs().await.list_runs(ListRunsRequest::default()).await.unwrap().into_inner();
    until(&member, &runs.runs[0].id, |run| run.state() == RunState::Succeeded).await;
}

/// Situation: the mail must not serve in b, and a person moves it there. Expectation: as with the other
/// limits; who may waive that by name gets the run.
#[tokio::test(flavor = "multi_thread")]
async fn no_person_ends_where_the_fleet_forbids_it() {
    let tool = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let store = store().await;
    let mut member = Daemon::answers("w1", "w", &store).await.observing().leading();
    let mut files = files(tool.local_addr().unwrap().port());
    let mail = "services:\n  mail: {tier: 2, owner: team, objectives: {rto: 1h, rpo: 1m}, runs_in: {a: active, b: standby}}\n";
    files[0].1 = files[0].1.replace("services:\n", mail);
    files[0].1.push_str("forbid: [{active: {service: mail, in: b}}]\noverrides: {role: commander}\n");
    let mailer = files[2].1.replace("playbook: waits", "playbook: mailer").replace("[shop]", "[mail]");
    files.push(("mailer.yaml", mailer));
    member.apply(&files).await;
    let said = dry(&member, "mailer", "G20").await;
    assert_eq!((said.name.as_str(), said.outcome()), ("final-state", GuardOutcome::Refused), "{said:?}");
    assert_eq!(dry(&member, "waits", "G20").await.outcome(), GuardOutcome::Passed, "the shop may go there");
    let refused = member.runs().await.create_run(drill("mailer", "r1")).await;
    assert_eq!(about(&refused, "guards"), "G20");
    assert!(refused.as_ref().unwrap_err().message().contains("mail serves in b"), "{refused:?}");
    assert_eq!(why(refused), (Code::FailedPrecondition, reason::GUARD_REFUSED.to_owned()));
    let waived = CreateRunRequest { playbook: "mailer".into(), ..waiving("final-state", "r2") };
    let run = start(&member, waived).await;
    until(&member, &run.id, |run| run.state() == RunState::Succeeded).await;
}
