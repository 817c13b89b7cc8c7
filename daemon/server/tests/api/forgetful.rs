//! A store that commits and does not say so.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use standfast::store::{
    Health, LeaseId, Range, RangeReply, Result, Revision, Store, StoreError, Txn, TxnReply, WatchStream,
};
use standfast_proto::v1::*;
use tokio::net::TcpListener;

use super::fixture::*;

/// Loses the answer of every second transaction.
struct Forgetful {
    store: Arc<dyn Store>,
    count: AtomicU64,
}

#[async_trait]
impl Store for Forgetful {
    async fn range(&self, range: Range) -> Result<RangeReply> {
        self.store.range(range).await
    }
    async fn txn(&self, txn: Txn) -> Result<TxnReply> {
        let reply = self.store.txn(txn).await?;
        if self.count.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) {
            return Err(StoreError::Ambiguous { at: "test".into(), why: "the answer was lost".into() });
        }
        Ok(reply)
    }
    async fn watch(&self, prefix: &str, from: Revision) -> WatchStream {
        self.store.watch(prefix, from).await
    }
    async fn lease_grant(&self, ttl: Duration) -> Result<LeaseId> {
        self.store.lease_grant(ttl).await
    }
    async fn lease_keep(&self, lease: LeaseId) -> Result<Duration> {
        self.store.lease_keep(lease).await
    }
    async fn lease_revoke(&self, lease: LeaseId) -> Result<()> {
        self.store.lease_revoke(lease).await
    }
    async fn compact(&self, revision: Revision) -> Result<()> {
        self.store.compact(revision).await
    }
    async fn health(&self) -> Health {
        self.store.health().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wish_whose_answer_was_lost_is_carried_out_once() {
    // Situation: the store takes a wish, and its answer is lost. Danger: the wish is written
    // again and carried out twice, or given up though it was taken. Expectation: the wish is
    // recognized when it is sent again, and one run comes of each.
    let tool = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let real = store().await;
    let forgetful: Arc<dyn Store> = Arc::new(Forgetful { store: real.clone(), count: AtomicU64::new(0) });
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
