//! A store as it is read by who must not be told of the past.
//!
//! A plain read is linearizable, but some etcd releases answer one from the past after a pause. Whoever has
//! just committed a transaction knows a revision that every true answer has reached; one that has not is
//! no answer.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::{
    Health, LeaseId, Range, RangeReply, Result, Revision, Store, StoreError, Txn, TxnReply, WatchStream,
};

/// A store whose reads are not older than a revision; all else is as ever.
pub struct Since {
    store: Arc<dyn Store>,
    revision: Revision,
}

impl Since {
    /// Reads of `store` that are not older than `revision`.
    pub fn new(store: Arc<dyn Store>, revision: Revision) -> Self {
        Self { store, revision }
    }
}

#[async_trait]
impl Store for Since {
    /// As that of the store; `Unavailable` when it answers from the past.
    async fn range(&self, range: Range) -> Result<RangeReply> {
        let reply = self.store.range(range).await?;
        if reply.revision < self.revision {
            let why = format!(
                "it answers from the past: as of revision {}, and {} was written before it was asked",
                reply.revision, self.revision
            );
            return Err(StoreError::Unavailable { at: "a read".into(), why });
        }
        Ok(reply)
    }

    async fn txn(&self, txn: Txn) -> Result<TxnReply> {
        self.store.txn(txn).await
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
