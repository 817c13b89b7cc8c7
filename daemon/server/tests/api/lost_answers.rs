//! A store that commits and does not say so.

use std::sync::Arc;

use standfast::store::Store;
use standfast_proto::v1::*;
use tokio::net::TcpListener;

use super::fixture::*;
use crate::forgetful::Forgetful;

#[tokio::test(flavor = "multi_thread")]
async fn a_wish_whose_answer_was_lost_is_carried_out_once() {
    // Situation: the store takes a wish, and its answer is lost. Danger: the wish is written
    // again and carried out twice, or given up though it was taken. Expectation: the wish is
    // recognized when it is sent again, and one run comes of each.
    let tool = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let real = store().await;
    let forgetful: Arc<dyn Store> = Arc::new(Forgetful::new(real.clone(), 2));
    let mut member = Daemon::answers("w1", "w", &forgetful).await;
    let digest = member.apply(&files(tool.local_addr().unwrap().port())).await;
    let mut leader = Daemon::answers("b1", "b", &real).await.leading();
    leader.knows(&digest).await;
    for request in ["r1", "r2", "r3"] {
        let id = start(&member, drill("waits", request)).await.id;
        until(&member, &id, |run| run.state() == RunState::Succeeded).await;
    }
    let runs = member.runs().await.list_runs(ListRunsRequest::default()).await.unwrap().into_inner().runs;
    assert_eq!(runs.len(), 3);
}
