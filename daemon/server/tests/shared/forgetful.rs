//! A store that commits and does not always say so.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use standfast::store::{
    Health, LeaseId, Range, RangeReply, Result, Revision, Store, StoreError, Txn, TxnReply, WatchStream,
};

/// Loses answers of transactions.
pub(crate) struct Forgetful {
    store: Arc<dyn Store>,
    every: u64,
    count: AtomicU64,
}

impl Forgetful {
    /// Loses one answer in `every`, the first one first.
    pub(crate) fn new(store: Arc<dyn Store>, every: u64) -> Self {
        Self { store, every, count: AtomicU64::new(0) }
    }
}

#[async_trait]
impl Store for Forgetful {
    async fn range(&self, range: Range) -> Result<RangeReply> {
        self.store.range(range).await
    }
    async fn txn(&self, txn: Txn) -> Result<TxnReply> {
        let reply = self.store.txn(txn).await?;
        if self.count.fetch_add(1, Ordering::Relaxed).is_multiple_of(self.every) {
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
