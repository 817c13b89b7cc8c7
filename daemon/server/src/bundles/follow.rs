//! Keeps the daemon's view of the current bundle current.

use super::{BundleError, Result, cache, decode, load};
use crate::records::BUNDLE;
use crate::store::{KeyValue, Range, Store, WatchEvent};
use crate::trouble::Trouble;
use standfast_core::bundle::Bundle;
use standfast_core::ids::Digest;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Pause before the store is listed again after something went wrong.
const AGAIN: Duration = Duration::from_millis(500);

/// Sends every bundle that becomes current, until `cancel`; keeps the last one in `cache_dir`.
/// As long as the store does not answer, the one that was kept is sent instead. A bundle that
/// this version cannot read is logged, and the one before stays.
pub async fn follow(
    store: Arc<dyn Store>,
    cache_dir: PathBuf,
    sender: watch::Sender<Option<Arc<Bundle>>>,
    cancel: CancellationToken,
) {
    let follower = Follower {
        store,
        cache_dir,
        sender,
        away: Trouble::new("the current bundle cannot be followed"),
        unkept: Trouble::new("the bundle on disk cannot be used"),
    };
    let following = async {
        loop {
            let ended = follower.until_broken().await;
            follower.away.met(ended);
            follower.fall_back().await;
            tokio::time::sleep(AGAIN).await;
        }
    };
    cancel.run_until_cancelled(following).await;
}

struct Follower {
    store: Arc<dyn Store>,
    cache_dir: PathBuf,
    sender: watch::Sender<Option<Arc<Bundle>>>,
    away: Trouble,
    unkept: Trouble,
}

impl Follower {
    /// Lists, then watches. Returns why that ended.
    async fn until_broken(&self) -> String {
        let reply = match self.store.range(Range::key(BUNDLE)).await {
            Ok(reply) => reply,
            Err(error) => return error.to_string(),
        };
        if let Some(kv) = reply.kvs.first()
            && let Err(error) = self.take(kv).await
        {
            return error.to_string();
        }
        self.away.over();
        // The prefix has other keys, under `bundles/`: those are passed over.
        let mut changes = self.store.watch(BUNDLE, reply.revision + 1).await;
        loop {
            let batch = match changes.next().await {
                Ok(batch) => batch,
                Err(end) => return end.to_string(),
            };
            for event in batch.events.iter().filter(|event| event.key() == BUNDLE) {
                if let WatchEvent::Put(kv) = event
                    && let Err(error) = self.take(kv).await
                {
                    return error.to_string();
                }
            }
        }
    }

    async fn take(&self, kv: &KeyValue) -> Result<()> {
        let taken = match decode(kv) {
            Ok(applied) => self.load(&applied.digest).await,
            Err(error) => Err(error.into()),
        };
        match taken {
            Err(BundleError::Store(error)) => Err(error.into()),
            Err(error) => {
                tracing::error!(%error, "the bundle before stays in use on this member");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    async fn load(&self, digest: &Digest) -> Result<()> {
        if self.sender.borrow().as_ref().is_some_and(|bundle| bundle.digest == *digest) {
            return Ok(());
        }
        // None: replaced and forgotten meanwhile; the watch has the next one.
        let Some(bundle) = load(&*self.store, digest).await? else { return Ok(()) };
        tracing::info!(digest = digest.short(), fleet = bundle.fleet.name.value, "the current bundle");
        let (folder, kept) = (self.cache_dir.clone(), Arc::clone(&bundle));
        self.sender.send_replace(Some(bundle));
        self.on_disk(move || cache::write(&folder, &kept)).await;
        Ok(())
    }

    /// What was kept is better than nothing.
    async fn fall_back(&self) {
        if self.sender.borrow().is_some() {
            return;
        }
        let folder = self.cache_dir.clone();
        let kept = self.on_disk(move || cache::read(&folder)).await;
        if let Some(bundle) = kept.flatten() {
            tracing::warn!(digest = bundle.digest.short(), "no store: going on with the bundle on disk");
            self.sender.send_replace(Some(Arc::new(bundle)));
        }
    }

    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
    ) -> Option<T> {
        let done = tokio::task::spawn_blocking(work).await.map_err(std::io::Error::other).flatten();
        match &done {
            Ok(_) => self.unkept.over(),
            Err(error) => self.unkept.met(format!("{}: {error}", self.cache_dir.display())),
        }
        done.ok()
    }
}
