//! Runs: started once, told what people want, reported.

use standfast_proto::reason;
use standfast_proto::v1::*;
use tonic::Code;
use tonic_types::StatusExt;

use super::fixture::*;

fn ended(run: &Run) -> bool {
    run.ended_at.is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_wish_is_one_run_wherever_it_is_repeated() {
    let (store, member, _tool) = led().await;
    let other = Daemon::answers("b1", "b", &store).await;
    let first = member.runs().await.create_run(drill("shop", "r1")).await.unwrap().into_inner();
    let run = first.run.clone().expect("somebody leads");
    assert!(!first.existed);
    assert_eq!(first.plan.as_ref().unwrap().digest, run.plan_digest);
    assert_eq!((run.from.as_str(), run.to.as_str(), run.reason.as_str()), ("a", "b", "a test"));

    let again = other.runs().await.create_run(drill("shop", "r1")).await.unwrap().into_inner();
    assert_eq!(again.run.unwrap().id, run.id);
    assert!(!again.existed);
    // Another request for the very same: it exists.
    let known =
        other.runs().await.create_run(CreateRunRequest { to: "b".into(), ..drill("shop", "r2") }).await;
    let known = known.unwrap().into_inner();
    assert_eq!((known.run.unwrap().id, known.existed), (run.id.clone(), true));

    let content = CreateRunRequest { reason: "for another reason".into(), ..drill("shop", "r1") };
    let reused = why(member.runs().await.create_run(content).await);
    assert_eq!(reused, (Code::InvalidArgument, reason::REQUEST_ID_REUSED.into()));
    let locked = member.runs().await.create_run(drill("waits", "r3")).await;
    assert_eq!(about(&locked, "run"), run.id);
    assert_eq!(why(locked), (Code::FailedPrecondition, reason::LOCKED.into()));
    let stale = CreateRunRequest { plan_digest: "0".repeat(64), ..drill("waits", "r4") };
    assert_eq!(why(member.runs().await.create_run(stale).await), (Code::Aborted, reason::STALE_PLAN.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn people_say_what_becomes_of_a_run() {
    let (_store, member, _tool) = led().await;
    let mut client = member.runs().await;
    let id = start(&member, drill("shop", "r1")).await.id;
    let run = until(&member, &id, |run| run.steps[0].waits_for_approval).await;
    assert_eq!((run.state(), run.steps[0].state()), (RunState::Running, StepState::Started));

    let pause = |request: &str, etag: &str| PauseRunRequest {
        id: id.clone(),
        request_id: request.into(),
        reason: "wait".into(),
        etag: etag.into(),
    };
    let stale = why(client.pause_run(pause("p1", "1")).await);
    assert_eq!(stale, (Code::Aborted, reason::STALE_ETAG.into()));
    let paused = client.pause_run(pause("p2", &run.etag)).await.unwrap().into_inner();
    assert_eq!((paused.state(), paused.state_reason.as_str()), (RunState::Paused, "paused by local: wait"));
    // Repeated after its etag has become stale, it is still the same request.
    let again = client.pause_run(pause("p2", &run.etag)).await.unwrap().into_inner();
    assert_eq!(again.etag, paused.etag);
    let twice = why(client.pause_run(pause("p3", "")).await);
    assert_eq!(twice, (Code::FailedPrecondition, reason::WRONG_STATE.into()));
    let resume = ResumeRunRequest { id: id.clone(), request_id: "q1".into(), ..Default::default() };
    assert_eq!(client.resume_run(resume).await.unwrap().into_inner().state(), RunState::Running);

    let retry = RetryStepRequest { id: id.clone(), request_id: "t1".into(), ..Default::default() };
    assert_eq!(why(client.retry_step(retry).await).1, reason::WRONG_STATE);
    let missing = SkipStepRequest {
        id: id.clone(),
        step: "nope".into(),
        request_id: "s1".into(),
        reason: "why not".into(),
        ..Default::default()
    };
    assert_eq!(why(client.skip_step(missing).await), (Code::NotFound, reason::NO_SUCH_THING.into()));

    let approve = ApproveRunRequest {
        id: id.clone(),
        step: "word".into(),
        request_id: "a1".into(),
        ..ApproveRunRequest::default()
    };
    client.approve_run(approve.clone()).await.unwrap();
    let run = until(&member, &id, ended).await;
    assert_eq!((run.state(), run.steps_done, run.steps_total), (RunState::Succeeded, 2, 2));
    assert_eq!(run.steps[1].state(), StepState::AlreadyDone);
    assert!(!run.steps[1].evidence.is_empty() && run.steps[1].ended_at.is_some());
    // Answered before it ended, so answered still; anything new comes too late.
    client.approve_run(approve).await.unwrap();
    let abort = AbortRunRequest { id, request_id: "x1".into(), reason: "late".into(), ..Default::default() };
    assert_eq!(why(client.abort_run(abort).await).1, reason::WRONG_STATE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_asks_another_role_is_not_approved_by_us() {
    let (store, mut member, tool) = led().await;
    let steps = ASKS.replace("role: commander", "role: chief");
    let files =
        [("fleet.yaml", fleet(tool.local_addr().unwrap().port())), ("shop.yaml", playbook("shop", &steps))];
    let request = ApplyBundleRequest {
        files: bundle_files(&files),
        request_id: "second".into(),
        ..ApplyBundleRequest::default()
    };
    let mut client = bundles_client::BundlesClient::new(member.channel().await);
    let digest = client.apply_bundle(request).await.unwrap().into_inner().digest;
    member.knows(&digest).await;
    let _ = store;
    let id = start(&member, drill("shop", "r1")).await.id;
    until(&member, &id, |run| run.steps[0].waits_for_approval).await;
    let approve = ApproveRunRequest {
        id: id.clone(),
        step: "word".into(),
        request_id: "a1".into(),
        ..ApproveRunRequest::default()
    };
    let denied = member.runs().await.approve_run(approve).await;
    assert_eq!(about(&denied, "role"), "chief");
    assert_eq!(why(denied), (Code::PermissionDenied, reason::NOT_ALLOWED.into()));
    let reject = RejectRunRequest {
        id: id.clone(),
        request_id: "n1".into(),
        reason: "no".into(),
        ..Default::default()
    };
    member.runs().await.reject_run(reject).await.unwrap();
    assert_eq!(until(&member, &id, ended).await.state(), RunState::Aborted);
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_are_listed_page_by_page_and_reported() {
    let (_store, member, _tool) = led().await;
    let mut client = member.runs().await;
    let mut made = Vec::new();
    for request in ["r1", "r2", "r3"] {
        let id = start(&member, drill("waits", request)).await.id;
        until(&member, &id, ended).await;
        made.insert(0, id);
    }
    let mut seen = Vec::new();
    let mut token = String::new();
    loop {
        let request = ListRunsRequest { page_size: 2, page_token: token, ..ListRunsRequest::default() };
        let page = client.list_runs(request).await.unwrap().into_inner();
        seen.extend(page.runs.into_iter().map(|run| run.id));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, made);
    let active = ListRunsRequest { states: vec![RunState::Running.into()], ..ListRunsRequest::default() };
    assert!(client.list_runs(active).await.unwrap().into_inner().runs.is_empty());
    let token = ListRunsRequest { page_token: "x".into(), ..ListRunsRequest::default() };
    assert_eq!(why(client.list_runs(token).await).1, reason::BAD_FIELD);

    let report = client.get_report(GetReportRequest { id: made[0].clone() }).await.unwrap().into_inner();
    assert!(report.r#final && report.markdown.starts_with(&format!("# Run {}", made[0])));
    let times = report.rto.unwrap();
    assert!(times.total.is_some() && times.detection.is_none() && times.traffic.is_none());
    assert_eq!(report.objectives[0].service, "shop");
    assert_eq!(report.objectives[0].rto_outcome(), ObjectiveOutcome::Met);
    assert_eq!(report.objectives[0].rpo_outcome(), ObjectiveOutcome::Unknown);
    assert_eq!(report.timeline[0].message, "started by local: a test");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_make_no_sense_name_what_is_wrong() {
    let (_store, member, _tool) = led().await;
    let mut client = member.runs().await;
    let base = || drill("shop", "r1");
    let inputs = |value: &str| std::collections::BTreeMap::from([("x".to_owned(), value.to_owned())]);
    let waiver = |name: &str, reason: &str| {
        vec![Override { name: name.into(), reason: reason.into(), identity: String::new() }]
    };
    for (request, field) in [
        (CreateRunRequest { reason: " \n".into(), ..base() }, "reason"),
        (CreateRunRequest { request_id: String::new(), ..base() }, "request_id"),
        (CreateRunRequest { to: "a".into(), ..base() }, "to"),
        (CreateRunRequest { to: "w".into(), ..base() }, "to"),
        (CreateRunRequest { playbook: "waits".into(), to: String::new(), ..base() }, "to"),
        (CreateRunRequest { mode: 0, ..base() }, "mode"),
        (CreateRunRequest { mode: Mode::Planned.into(), ..base() }, "mode"),
        (CreateRunRequest { mode: 77, ..base() }, "mode"),
        (CreateRunRequest { inputs: inputs("1"), ..base() }, "inputs"),
        (CreateRunRequest { inputs: inputs(&"x".repeat(9_000)), ..base() }, "inputs"),
        (CreateRunRequest { overrides: waiver("lag", ""), ..base() }, "overrides"),
        (CreateRunRequest { overrides: vec![Override::default(); 99], ..base() }, "overrides"),
    ] {
        let status = client.create_run(request).await.expect_err(field);
        let details = status.get_error_details();
        let named = details.bad_request().map(|bad| bad.field_violations[0].field.clone());
        assert_eq!(named.as_deref(), Some(field), "{status:?}");
        assert_eq!(why::<()>(Err(status)), (Code::InvalidArgument, reason::BAD_FIELD.into()));
    }
    for (request, kind) in [
        (CreateRunRequest { playbook: "nope".into(), ..base() }, "playbook"),
        (CreateRunRequest { from: "nope".into(), ..base() }, "site"),
        (CreateRunRequest { to: "\u{1b}[2J".into(), ..base() }, "site"),
    ] {
        let status = client.create_run(request).await.expect_err(kind);
        assert_eq!(status.get_error_details().resource_info().unwrap().resource_type, kind);
        assert_eq!(why::<()>(Err(status)), (Code::NotFound, reason::NO_SUCH_THING.into()));
    }
    // Nothing that may be waived, or not by this person.
    let lag = CreateRunRequest { overrides: waiver("G10", "late is better"), ..base() };
    assert_eq!(why(client.create_run(lag).await).0, Code::InvalidArgument);
    for id in ["nope", "", "../leader", "a b"] {
        let missing = why(client.get_run(GetRunRequest { id: id.into() }).await);
        assert_eq!(missing, (Code::NotFound, reason::NO_SUCH_THING.into()), "{id:?}");
        let abort = AbortRunRequest {
            id: id.into(),
            request_id: "x".into(),
            reason: "y".into(),
            ..Default::default()
        };
        assert_eq!(why(client.abort_run(abort).await).0, Code::NotFound, "{id:?}");
    }
    let runs = client.list_runs(ListRunsRequest::default()).await.unwrap().into_inner().runs;
    assert_eq!(runs, [], "nothing of this began");
}
