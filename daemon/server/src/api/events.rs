//! Events: everything that happens, in the order in which the store has it.
//!
//! One watch over all keys carries it, so there is one order and nothing is lost between two
//! watches. What changes all the time without news, as the age of a judgement does, is compared
//! with what was said last and passed over.

mod teller;

use super::{Answers, Api, refuse};
use crate::store::{Revision, WatchEnd};
use standfast_proto::v1::events_server::Events;
use standfast_proto::v1::watch_response::Item;
use standfast_proto::v1::{EventKind, Sync, WatchRequest, WatchResponse};
use std::collections::BTreeSet;
use teller::Teller;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

/// How many messages may wait for a slow caller.
const BACKLOG: usize = 64;

type Sink = mpsc::Sender<Result<WatchResponse, Status>>;

#[tonic::async_trait]
impl Events for Api {
    type WatchStream = Answers<WatchResponse>;

    async fn watch(&self, request: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let request = request.into_inner();
        let unknown = request.kinds.iter().find(|kind| EventKind::try_from(**kind).is_err());
        if let Some(kind) = unknown {
            return Err(refuse::bad_field("kinds", format!("{kind} is no kind of event that is known here")));
        }
        let kinds: BTreeSet<i32> = request.kinds.into_iter().collect();
        let (sink, answers) = mpsc::channel(BACKLOG);
        // Begun before the answer, so that what is wrong from the start fails the call.
        let (teller, snapshot, now) = Teller::begin(self.clone(), request.from_revision).await?;
        let stop = self.deps.stop.clone();
        tokio::spawn(async move {
            let told = Told { kinds, sink: sink.clone() };
            let following = told.follow(teller, snapshot, request.from_revision, now);
            let end = tokio::select! {
                end = following => end,
                () = stop.cancelled() => Some(refuse::lost("this member stops")),
                () = sink.closed() => None,
            };
            if let Some(status) = end {
                // Whoever asked may have gone meanwhile.
                drop(sink.send(Err(status)).await);
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(answers))))
    }
}

struct Told {
    kinds: BTreeSet<i32>,
    sink: Sink,
}

impl Told {
    /// Sends what there is, then what happens. Returns how it ended; none when the caller went.
    async fn follow(
        &self,
        mut teller: Teller,
        snapshot: Vec<standfast_proto::v1::Event>,
        from: Revision,
        now: Revision,
    ) -> Option<Status> {
        let mut synced = from == 0;
        if synced {
            for event in snapshot {
                self.send(Item::Snapshot(event)).await?;
            }
            self.send(Item::Sync(Sync { revision: now })).await?;
        }
        let begin = if from == 0 { now } else { from };
        let mut changes = teller.store().watch("", begin + 1).await;
        loop {
            // Up to `now` it had happened when the watch began.
            if !synced && teller.revision() >= now {
                synced = true;
                self.send(Item::Sync(Sync { revision: now })).await?;
            }
            let batch = match changes.next().await {
                Ok(batch) => batch,
                Err(WatchEnd::Compacted { at }) => {
                    let message =
                        format!("the store keeps its history from revision {at} on; begin again with 0");
                    return Some(refuse::compacted(message));
                }
                Err(WatchEnd::Lost(error)) => return Some(refuse::lost(error)),
            };
            if !synced && batch.revision > now {
                synced = true;
                self.send(Item::Sync(Sync { revision: now })).await?;
            }
            match teller.tell(&batch).await {
                Ok(events) => {
                    for event in events {
                        self.send(Item::Change(event)).await?;
                    }
                }
                Err(status) => return Some(status),
            }
        }
    }

    async fn send(&self, item: Item) -> Option<()> {
        if let Item::Snapshot(event) | Item::Change(event) = &item
            && !self.kinds.is_empty()
            && !self.kinds.contains(&event.kind)
        {
            return Some(());
        }
        self.sink.send(Ok(WatchResponse { item: Some(item) })).await.ok()
    }
}
