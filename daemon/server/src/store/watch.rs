//! A stream of changes that ends aloud.

use tokio::sync::mpsc;

use super::{KeyValue, Revision, StoreError};

/// How many batches may wait for a slow reader before the source is held back.
const BACKLOG: usize = 64;

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchEvent {
    /// The key was written.
    Put(KeyValue),
    /// The key was deleted, or its lease ended.
    Delete {
        /// The key.
        key: String,
        /// The revision that deleted it.
        mod_revision: Revision,
    },
}

impl WatchEvent {
    /// The key that changed.
    pub fn key(&self) -> &str {
        match self {
            Self::Put(kv) => &kv.key,
            Self::Delete { key, .. } => key,
        }
    }
}

/// All changes of one revision under the watched prefix, in the order they were made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchBatch {
    /// The revision.
    pub revision: Revision,
    /// What it changed; never empty.
    pub events: Vec<WatchEvent>,
}

/// Why a watch is over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WatchEnd {
    /// The history it stood on was compacted: list again at some revision, watch from the
    /// one after it.
    #[error("the watch fell behind the history that is kept (from revision {at} on)")]
    Compacted {
        /// The oldest revision that can still be read.
        at: Revision,
    },
    /// No endpoint would carry it any longer: list again when the store is back.
    #[error("the watch is lost: {0}")]
    Lost(StoreError),
}

/// The reading end of a watch. Dropping it ends the watch.
#[derive(Debug)]
pub struct WatchStream {
    receiver: mpsc::Receiver<Result<WatchBatch, WatchEnd>>,
    end: Option<WatchEnd>,
}

/// The writing end of a watch, held by the store.
pub(crate) type WatchSink = mpsc::Sender<Result<WatchBatch, WatchEnd>>;

impl WatchStream {
    /// A stream and the sink that feeds it.
    pub(crate) fn channel() -> (WatchSink, Self) {
        let (sender, receiver) = mpsc::channel(BACKLOG);
        let stream = Self { receiver, end: None };
        (sender, stream)
    }

    /// The next batch, or why there will be none; the end is returned again when asked
    /// again. Cancel-safe.
    pub async fn next(&mut self) -> Result<WatchBatch, WatchEnd> {
        if let Some(end) = &self.end {
            return Err(end.clone());
        }
        let end = match self.receiver.recv().await {
            Some(Ok(batch)) => return Ok(batch),
            Some(Err(end)) => end,
            None => WatchEnd::Lost(StoreError::Unavailable {
                at: "this process".into(),
                why: "the store was closed".into(),
            }),
        };
        self.end = Some(end.clone());
        Err(end)
    }
}
