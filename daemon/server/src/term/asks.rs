//! Follows what people ask, beside the term's loop: the store may be slow to answer, and the loop
//! must judge on time.

use super::Input;
use crate::lead::TICK;
use crate::records::ASKS;
use crate::store::{KeyValue, Store, WatchEvent, pages};
use crate::trouble::Trouble;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Passes on all waiting requests and then more as they come, until the term ends. One may be
/// passed on twice.
pub(super) async fn follow(
    store: Arc<dyn Store>,
    inputs: mpsc::UnboundedSender<Input>,
    stop: CancellationToken,
) {
    let unread = Trouble::new("the requests cannot be read");
    let follow = async {
        loop {
            match pages::range_all(&*store, ASKS).await {
                Ok(reply) => {
                    unread.over();
                    let _ = inputs.send(Input::Asks(reply.kvs));
                    let mut asks = store.watch(ASKS, reply.revision + 1).await;
                    loop {
                        match asks.next().await {
                            Ok(batch) => {
                                let put = |event| match event {
                                    WatchEvent::Put(kv) => Some(kv),
                                    _ => None,
                                };
                                let asks: Vec<KeyValue> = batch.events.into_iter().filter_map(put).collect();
                                let _ = inputs.send(Input::Asks(asks));
                            }
                            Err(end) => {
                                tracing::debug!(?end, "reading the requests again");
                                break;
                            }
                        }
                    }
                }
                Err(error) => {
                    unread.met(error);
                    tokio::time::sleep(TICK).await;
                }
            }
        }
    };
    stop.run_until_cancelled(follow).await;
}
