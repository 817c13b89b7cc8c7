//! The way back, over the interface: what was done at a real target is taken back there.

use std::sync::{Arc, Mutex};

use standfast_proto::reason;
use standfast_proto::v1::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tonic::Code;

use super::fixture::*;

/// What was asked of a tool, in order: method, path, and under which key.
type Asked = Arc<Mutex<Vec<(String, String)>>>;

/// A tool that does whatever it is asked, but for `/refused`.
async fn tool() -> (u16, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, asked) = (listener.local_addr().unwrap().port(), Asked::default());
    let kept = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let kept = kept.clone();
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                    let mut chunk = [0; 1024];
                    match stream.read(&mut chunk).await {
                        Ok(read @ 1..) => head.extend_from_slice(&chunk[..read]),
                        _ => return,
                    }
                }
                let head = String::from_utf8_lossy(&head).into_owned();
                let what = head.split(" HTTP/").next().unwrap_or_default().to_owned();
                let key = head.lines().find_map(|line| {
                    let (name, value) = line.split_once(": ")?;
                    name.eq_ignore_ascii_case("idempotency-key").then(|| value.to_owned())
                });
                let status = if what.ends_with("/refused") { "422 No" } else { "204 Done" };
                if !what.starts_with("GET") {
                    kept.lock().unwrap().push((what, key.unwrap_or_default()));
                }
                let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    (port, asked)
}

/// Two effects, and a third that its target refuses.
fn steps(on_failure: &str) -> String {
    format!(
        "steps:
  - id: one
    http.request: {{endpoint: tool, at: $to, method: PUT, path: /one}}
    undo: {{http.request: {{endpoint: tool, at: $to, method: DELETE, path: /one}}}}
  - id: two
    http.request: {{endpoint: tool, at: $to, method: PUT, path: /two}}
    undo: {{http.request: {{endpoint: tool, at: $to, method: DELETE, path: /two}}}}
  - id: bad
    http.request: {{endpoint: tool, at: $to, method: PUT, path: /refused}}
    on_failure: {on_failure}
    attempts: 1
    undo: none
"
    )
}

async fn given(on_failure: &str) -> (Daemon, Asked) {
    let (port, asked) = tool().await;
    let store = store().await;
    let mut member = Daemon::answers("w1", "w", &store).await.observing().leading();
    let files =
        [("fleet.yaml", crate::files::fleet(port)), ("shop.yaml", playbook("shop", &steps(on_failure)))];
    member.apply(&files).await;
    (member, asked)
}

fn lines(asked: &Asked) -> Vec<String> {
    asked.lock().unwrap().iter().map(|(what, _)| what.clone()).collect()
}

const THERE_AND_BACK: [&str; 5] = ["PUT /one", "PUT /two", "PUT /refused", "DELETE /two", "DELETE /one"];

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_step_takes_back_what_was_done_at_its_targets() {
    let (member, asked) = given("rollback").await;
    let id = start(&member, drill("shop", "r1")).await.id;
    let run = until(&member, &id, |run| run.ended_at.is_some()).await;
    assert_eq!(run.state(), RunState::RolledBack, "{}", run.state_reason);
    let states: Vec<_> = run.steps.iter().map(Step::state).collect();
    assert_eq!(states, [StepState::Undone, StepState::Undone, StepState::Failed]);
    assert_eq!(lines(&asked), THERE_AND_BACK);
    let keys: Vec<String> = asked.lock().unwrap().iter().map(|(_, key)| key.clone()).collect();
    assert_ne!(keys[1], keys[3], "a target must not take an undo for a repetition");
    let report = member.runs().await.get_report(GetReportRequest { id }).await.unwrap().into_inner();
    let told: Vec<&str> = report.timeline.iter().map(|entry| entry.message.as_str()).collect();
    assert!(told.iter().any(|line| line.contains("taken back: one, two")), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_has_a_blocked_run_taken_back() {
    let (member, asked) = given("pause").await;
    let id = start(&member, drill("shop", "r1")).await.id;
    let run = until(&member, &id, |run| run.state() == RunState::Blocked).await;
    let rollback = |request: &str, reason: &str| RollbackRunRequest {
        id: id.clone(),
        request_id: request.into(),
        reason: reason.into(),
        etag: run.etag.clone(),
    };
    let mut client = member.runs().await;
    assert_eq!(why(client.rollback_run(rollback("b0", "")).await).0, Code::InvalidArgument);
    let back = client.rollback_run(rollback("b1", "not today")).await.unwrap().into_inner();
    assert_eq!(
        (back.state(), back.state_reason.as_str()),
        (RunState::RollingBack, "to be rolled back by local: not today")
    );
    let run = until(&member, &id, |run| run.ended_at.is_some()).await;
    assert_eq!(run.state(), RunState::RolledBack, "{}", run.state_reason);
    assert_eq!(lines(&asked), THERE_AND_BACK);
    let late = RollbackRunRequest { etag: String::new(), ..rollback("b2", "again") };
    let refused = why(client.rollback_run(late).await);
    assert_eq!(refused, (Code::FailedPrecondition, reason::WRONG_STATE.into()));
}
