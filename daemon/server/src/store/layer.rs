//! A store over another one, which answers some questions itself.

use std::time::Duration;

use async_trait::async_trait;

use super::{Health, LeaseId, Range, RangeReply, Result, Revision, Store, Txn, TxnReply, WatchStream};

/// A [`Store`] by what it does otherwise than the one below it: whatever is not said is as there.
#[async_trait]
pub trait Layer: Send + Sync + 'static {
    /// The store that it is over.
    fn below(&self) -> &dyn Store;

    /// As [`Store::range`].
    async fn range(&self, range: Range) -> Result<RangeReply> {
        self.below().range(range).await
    }
    /// As [`Store::txn`].
    async fn txn(&self, txn: Txn) -> Result<TxnReply> {
        self.below().txn(txn).await
    }
    /// As [`Store::lease_grant`].
    async fn lease_grant(&self, ttl: Duration) -> Result<LeaseId> {
        self.below().lease_grant(ttl).await
    }
    /// As [`Store::lease_revoke`].
    async fn lease_revoke(&self, lease: LeaseId) -> Result<()> {
        self.below().lease_revoke(lease).await
    }
    /// As [`Store::compact`].
    async fn compact(&self, revision: Revision) -> Result<()> {
        self.below().compact(revision).await
    }
}

#[async_trait]
impl<T: Layer> Store for T {
    async fn range(&self, range: Range) -> Result<RangeReply> {
        Layer::range(self, range).await
    }
    async fn txn(&self, txn: Txn) -> Result<TxnReply> {
        Layer::txn(self, txn).await
    }
    async fn watch(&self, prefix: &str, from: Revision) -> WatchStream {
        self.below().watch(prefix, from).await
    }
    async fn lease_grant(&self, ttl: Duration) -> Result<LeaseId> {
        Layer::lease_grant(self, ttl).await
    }
    async fn lease_keep(&self, lease: LeaseId) -> Result<Duration> {
        self.below().lease_keep(lease).await
    }
    async fn lease_revoke(&self, lease: LeaseId) -> Result<()> {
        Layer::lease_revoke(self, lease).await
    }
    async fn compact(&self, revision: Revision) -> Result<()> {
        Layer::compact(self, revision).await
    }
    async fn health(&self) -> Health {
        self.below().health().await
    }
}
