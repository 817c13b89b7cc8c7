//! A watch on the embedded store: it reads the log on disk, then waits for the next commit.
//!
//! Nothing is handed from writer to watcher, so a slow watcher costs no memory, and one
//! that starts in the past is not a special case.

use std::sync::Arc;

use super::tables::Snapshot;
use super::{Shared, blocking};
use crate::store::watch::WatchSink;
use crate::store::{Revision, StoreError, WatchEnd};

/// Feeds `sink` until its reader goes, the history is compacted, or the store closes.
pub(super) async fn run(shared: Arc<Shared>, prefix: String, from: Revision, sink: WatchSink) {
    let end = tokio::select! {
        end = feed(&shared, &prefix, from.max(1), &sink) => end,
        () = sink.closed() => return,
    };
    // Who watched may have gone at this very moment.
    let _ = sink.send(Err(end)).await;
}

async fn feed(shared: &Arc<Shared>, prefix: &str, mut cursor: Revision, sink: &WatchSink) -> WatchEnd {
    let mut revision = shared.revision.subscribe();
    loop {
        revision.mark_unchanged();
        let (reader, prefix) = (Arc::clone(shared), prefix.to_owned());
        let read = blocking(shared, move || {
            reader.read(|db| {
                let snapshot = Snapshot::open(db)?;
                if cursor <= snapshot.compacted {
                    let at = snapshot.compacted;
                    return Err(StoreError::Compacted { at }.into());
                }
                Ok((snapshot.feed(&prefix, cursor)?, snapshot.revision))
            })
        });
        let (feed, now) = match read.await {
            Ok(read) => read,
            Err(StoreError::Compacted { at }) => return WatchEnd::Compacted { at },
            Err(error) => return WatchEnd::Lost(error),
        };
        for batch in feed.batches {
            if sink.send(Ok(batch)).await.is_err() {
                // Its reader is gone, and `run` has seen that too.
                return WatchEnd::Lost(shared.closed());
            }
        }
        cursor = feed.next;
        if cursor > now && revision.changed().await.is_err() {
            return WatchEnd::Lost(shared.closed());
        }
    }
}
