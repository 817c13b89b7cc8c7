//! Wishes that cross: of several callers, of one caller twice, with what happens meanwhile.

use prost::Message;
use standfast_proto::reason;
use standfast_proto::v1::*;
use tokio::net::TcpListener;
use tonic::Code;

use super::fixture::*;
use crate::console::standfast;
use standfast::cli::exit::Exit;

#[tokio::test(flavor = "multi_thread")]
async fn of_those_who_race_for_a_run_one_has_begun_it() {
    // Situation: nobody leads, and two people start the same; then somebody leads. Danger: both
    // are told that they began it, or both that another one did. Expectation: exactly one did,
    // and whoever repeats their request gets the first answer byte for byte, however far the run
    // has come since.
    let tool = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let store = store().await;
    let mut kim = Daemon::answers("w1", "w", &store).await;
    kim.apply(&files(tool.local_addr().unwrap().port())).await;
    let lee = Daemon::answers("b1", "b", &store).await;
    let create = async |member: &Daemon, request: &str| {
        member.runs().await.create_run(drill("shop", request)).await.unwrap().into_inner()
    };
    let (first, second) = tokio::join!(create(&kim, "r1"), create(&lee, "r2"));
    assert!(first.run.is_none() && second.run.is_none(), "nobody leads");

    let leader = Daemon::answers("a1", "a", &store).await.leading();
    let answered = async |member: &Daemon, request: &str| {
        let asking = async {
            loop {
                let answer = create(member, request).await;
                if answer.run.is_some() {
                    return answer;
                }
            }
        };
        tokio::time::timeout(PATIENCE, asking).await.expect("the leader takes it up")
    };
    let (first, second) = tokio::join!(answered(&kim, "r1"), answered(&lee, "r2"));
    let run = first.run.clone().unwrap();
    assert_eq!(second.run.as_ref().map(|run| &run.id), Some(&run.id));
    assert_eq!([first.existed, second.existed].iter().filter(|existed| !**existed).count(), 1);

    until(&kim, &run.id, |run| run.steps[0].waits_for_approval).await;
    let approve = ApproveRunRequest {
        id: run.id.clone(),
        step: "word".into(),
        request_id: "a1".into(),
        ..ApproveRunRequest::default()
    };
    let approved = kim.runs().await.approve_run(approve.clone()).await.unwrap().into_inner();
    until(&leader, &run.id, |run| run.ended_at.is_some()).await;
    for (member, request, before) in [(&lee, "r1", &first), (&kim, "r2", &second)] {
        assert_eq!(create(member, request).await.encode_to_vec(), before.encode_to_vec(), "{request}");
    }
    let again = lee.runs().await.approve_run(approve).await.unwrap().into_inner();
    assert_eq!(again.encode_to_vec(), approved.encode_to_vec());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_changed_before_the_leader_takes_it_up_is_stale() {
    // Situation: a person pauses a run as they have read it; that is written while nobody leads,
    // and the next leader writes to the run before it reads what people want. Danger: a decision
    // is carried out on another state than the one it was made on. Expectation: it is refused as
    // stale, the run goes on, and the same request says the same again.
    let (store, leader, _tool) = led().await;
    let mut other = Daemon::answers("b1", "b", &store).await;
    let digest = get_digest(&leader).await;
    other.knows(&digest).await;
    let id = start(&leader, drill("shop", "r1")).await.id;
    let read = until(&leader, &id, |run| run.steps[0].waits_for_approval).await;
    drop(leader);
    gone(&store).await;
    let pause = PauseRunRequest {
        id: id.clone(),
        request_id: "p1".into(),
        reason: "wait".into(),
        etag: read.etag.clone(),
    };
    let unanswered = why(other.runs().await.pause_run(pause.clone()).await);
    assert_eq!(unanswered, (Code::Unknown, reason::UNCERTAIN.into()));

    let other = other.leading();
    until(&other, &id, |run| run.member == "b1").await;
    let refused = why(other.runs().await.pause_run(pause.clone()).await);
    assert_eq!(refused, (Code::Aborted, reason::STALE_ETAG.into()));
    let run = get(&other, &id).await;
    assert_eq!(run.state(), RunState::Running);
    assert_ne!(run.etag, read.etag);
    let words = format!("run pause {id} --reason wait --request-id p1 --etag {}", read.etag);
    assert_eq!(standfast(&[other.address], &words).await.exit(), Exit::Stale);
    // Who has read it since decides on what is there.
    let words = format!("run pause {id} --reason wait --etag {}", run.etag);
    assert_eq!(standfast(&[other.address], &words).await.exit(), Exit::Done);
    assert_eq!(get(&other, &id).await.state(), RunState::Paused);
    let words = format!("run resume {id} --etag nonsense");
    assert_eq!(standfast(&[other.address], &words).await.exit(), Exit::Usage);
}
