//! A watch that outlives the endpoint it began on.
//!
//! etcd's watch does not resume, is silent for ever on a member without a quorum (unless
//! a leader is required: then it breaks after about 5 s), and stays open and silent when
//! its history was compacted. Here each of these either goes on elsewhere, from the
//! revision after the last one delivered, or ends aloud.

use std::sync::Arc;
use std::time::Duration;

use etcd_client::{WatchOptions, WatchResponse};
use tokio::time::{Instant, sleep, timeout};

use super::convert::Keyspace;
use super::endpoint::Endpoint;
use super::failure::Failure;
use super::pool::Pool;
use crate::store::watch::WatchSink;
use crate::store::{Revision, StoreError, WatchBatch, WatchEnd};

/// Many revisions can arrive in one message when a watch catches up.
const MAX_MESSAGE_BYTES: usize = 256 * 1024 * 1024;
/// The pause after an endpoint would not carry the watch.
const PAUSE: Duration = Duration::from_millis(100);

/// One watch.
pub(super) struct Feed {
    pub(super) pool: Arc<Pool>,
    pub(super) keys: Keyspace,
    pub(super) prefix: String,
    /// The next revision to deliver.
    pub(super) cursor: Revision,
    /// How long to look for an endpoint.
    pub(super) patience: Duration,
}

/// Why one endpoint does not carry the watch any longer.
enum Break {
    /// No other endpoint would do better.
    End(WatchEnd),
    /// Another one may.
    Elsewhere(String),
    /// Nobody reads any longer.
    Unread,
}

impl Feed {
    /// Feeds `sink` until its reader goes, or no endpoint will carry the watch.
    pub(super) async fn run(mut self, sink: WatchSink) {
        let unread = sink.clone();
        let end = tokio::select! {
            end = self.carry(&sink) => end,
            () = unread.closed() => None,
        };
        if let Some(end) = end {
            // Who watched may have gone at this very moment.
            let _ = sink.send(Err(end)).await;
        }
    }

    async fn carry(&mut self, sink: &WatchSink) -> Option<WatchEnd> {
        let pool = Arc::clone(&self.pool);
        let mut index = pool.preferred();
        let mut carried_at = Instant::now();
        loop {
            let endpoint = &pool.endpoints()[index];
            let mut carried = false;
            let why = match self.carry_on(endpoint, sink, &mut carried).await {
                Break::End(end) => return Some(end),
                Break::Unread => return None,
                Break::Elsewhere(why) => why,
            };
            if carried {
                carried_at = Instant::now();
            }
            if carried_at.elapsed() > self.patience {
                return Some(WatchEnd::Lost(StoreError::Unavailable {
                    at: format!("etcd, {} endpoints", pool.endpoints().len()),
                    why: format!("no endpoint would carry it for {:?}: {why}", self.patience),
                }));
            }
            index = pool.next(index);
            sleep(PAUSE).await;
        }
    }

    /// Watches on one endpoint until that breaks. Sets `carried` once etcd has taken it on.
    async fn carry_on(&mut self, endpoint: &Endpoint, sink: &WatchSink, carried: &mut bool) -> Break {
        if let Err(failure) = endpoint.ready().await {
            return failure.into();
        }
        let options = WatchOptions::new().with_prefix().with_start_revision(self.cursor.cast_signed());
        let mut client = endpoint.client.watch_client().max_decoding_message_size(MAX_MESSAGE_BYTES);
        let begun = endpoint.call(client.watch(self.keys.full(&self.prefix), Some(options)));
        let mut stream = match begun.await {
            Ok(stream) => stream,
            Err(failure) => return failure.into(),
        };
        loop {
            let message = match *carried {
                true => stream.message().await,
                // Nothing came yet: not even that it was taken on.
                false => match timeout(endpoint.request_timeout(), stream.message()).await {
                    Ok(message) => message,
                    Err(_) => return Break::silent(endpoint),
                },
            };
            match message {
                Ok(Some(message)) => {
                    *carried |= message.created();
                    if let Err(end) = self.deliver(endpoint, &message, sink).await {
                        return end;
                    }
                }
                Ok(None) => return Break::Elsewhere(format!("{}: it hung up", endpoint.url)),
                Err(error) => return Failure::of(&endpoint.url, error).into(),
            }
        }
    }

    async fn deliver(
        &mut self,
        endpoint: &Endpoint,
        message: &WatchResponse,
        sink: &WatchSink,
    ) -> Result<(), Break> {
        if message.compact_revision() > 0 {
            let at = message.compact_revision().cast_unsigned();
            return Err(Break::End(WatchEnd::Compacted { at }));
        }
        if message.canceled() {
            let why = format!("{}: {}", endpoint.url, message.cancel_reason());
            return Err(Break::Elsewhere(why));
        }
        let mut batches: Vec<WatchBatch> = Vec::new();
        for event in message.events() {
            let event = self.keys.event(event);
            let (revision, event) = event.map_err(|error| Break::End(WatchEnd::Lost(error)))?;
            match batches.last_mut() {
                Some(batch) if batch.revision == revision => batch.events.push(event),
                _ => batches.push(WatchBatch { revision, events: vec![event] }),
            }
        }
        for batch in batches {
            let next = batch.revision + 1;
            sink.send(Ok(batch)).await.map_err(|_| Break::Unread)?;
            self.cursor = next;
        }
        Ok(())
    }
}

impl Break {
    fn silent(endpoint: &Endpoint) -> Self {
        Self::Elsewhere(format!("{}: it did not take the watch on", endpoint.url))
    }
}

impl From<Failure> for Break {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Final(StoreError::Compacted { at }) => Self::End(WatchEnd::Compacted { at }),
            Failure::Final(error) => Self::End(WatchEnd::Lost(error)),
            Failure::NotSent(why) | Failure::Unclear(why) => Self::Elsewhere(why),
        }
    }
}
