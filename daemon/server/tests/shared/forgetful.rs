//! A store that commits and does not always say so.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use standfast::store::{Layer, Result, Store, StoreError, Txn, TxnReply};

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
impl Layer for Forgetful {
    fn below(&self) -> &dyn Store {
        &*self.store
    }
    async fn txn(&self, txn: Txn) -> Result<TxnReply> {
        let reply = self.store.txn(txn).await?;
        if self.count.fetch_add(1, Ordering::Relaxed).is_multiple_of(self.every) {
            return Err(StoreError::Ambiguous { at: "test".into(), why: "the answer was lost".into() });
        }
        Ok(reply)
    }
}
