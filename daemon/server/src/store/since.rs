//! A store as it is read by who must not be told of the past.
//!
//! A plain read is linearizable, but some etcd releases answer one from the past after a pause. Whoever has
//! just committed a transaction knows a revision that every true answer has reached; one that has not is
//! no answer.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Layer, Range, RangeReply, Result, Revision, Store, StoreError};

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
impl Layer for Since {
    fn below(&self) -> &dyn Store {
        &*self.store
    }
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
}
