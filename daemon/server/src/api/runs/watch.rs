//! A run as it goes.
//!
//! A journal is kept as long as its run, so a watch needs no history of the store: whoever asks
//! from any revision on is answered from the entries themselves, and a watch that ends, for
//! compaction or for want of a store, goes on behind the last entry that was sent.

use super::super::{Answers, Deps, refuse};
use super::story::{Story, read};
use crate::records::{self, Head};
use crate::store::{Revision, WatchEnd, WatchEvent};
use standfast_core::journal::Event;
use standfast_core::run::State;
use standfast_proto::v1::watch_run_response::Item;
use standfast_proto::v1::{Run, Sync, WatchRunResponse};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

/// How many messages may wait for a slow caller.
const BACKLOG: usize = 64;

type Sink = mpsc::Sender<Result<WatchRunResponse, Status>>;

/// The caller is gone.
struct Gone;

/// Follows a run from behind `from` on; from its beginning with 0.
pub(super) async fn watch(
    deps: Arc<Deps>,
    head: Head,
    from: Revision,
) -> Result<Answers<WatchRunResponse>, Status> {
    let (story, events) = read(&*deps.store, &head.id, &head.plan).await?;
    if from > story.read_at {
        let message = format!("revision {from} is not there yet (now {}); begin again with 0", story.read_at);
        return Err(refuse::compacted(message));
    }
    let (sink, answers) = mpsc::channel(BACKLOG);
    let stop = deps.stop.clone();
    tokio::spawn(async move {
        let mut items: Vec<Item> = match from {
            // What helps would not be true any more with the first event.
            0 => vec![Item::Snapshot(Run { next_commands: Vec::new(), ..story.to_run(true) })],
            from => events.into_iter().filter(|event| event.revision > from).map(Item::Event).collect(),
        };
        items.push(Item::Sync(Sync { revision: story.read_at }));
        let following = async {
            for item in items {
                send(&sink, item).await?;
            }
            follow(&deps, head, story, &sink).await
        };
        tokio::select! {
            ended = following => match ended {
                Ok(Ok(())) | Err(Gone) => {}
                // Whoever asked may have gone meanwhile.
                Ok(Err(status)) => drop(sink.send(Err(status)).await),
            },
            () = stop.cancelled() => drop(sink.send(Err(refuse::lost("this member stops"))).await),
            () = sink.closed() => {}
        }
    });
    Ok(Box::pin(ReceiverStream::new(answers)))
}

async fn send(sink: &Sink, item: Item) -> Result<(), Gone> {
    sink.send(Ok(WatchRunResponse { item: Some(item) })).await.map_err(|_| Gone)
}

/// Sends entries as they come, until the one that ends the run.
async fn follow(deps: &Deps, head: Head, mut story: Story, sink: &Sink) -> Result<Result<(), Status>, Gone> {
    let prefix = records::journal(&head.id);
    let mut changes = deps.store.watch(&prefix, story.read_at + 1).await;
    while !matches!(story.run.state(), State::Ended(_)) {
        let batch = match changes.next().await {
            Ok(batch) => batch,
            Err(end) => {
                let lost = match end {
                    WatchEnd::Lost(error) => Some(error),
                    WatchEnd::Compacted { .. } => None,
                };
                let (newer, events) = match read(&*deps.store, &head.id, &head.plan).await {
                    Ok(read) => read,
                    Err(status) => return Ok(Err(lost.map_or(status, refuse::lost))),
                };
                for event in events.into_iter().filter(|event| event.sequence > story.run.sequence) {
                    send(sink, Item::Event(event)).await?;
                }
                story = newer;
                changes = deps.store.watch(&prefix, story.read_at + 1).await;
                continue;
            }
        };
        for change in &batch.events {
            let WatchEvent::Put(kv) = change else { continue };
            let told = records::decode::<Event>(kv)
                .map_err(refuse::internal)
                .and_then(|event| story.tell(&event, kv.mod_revision).map_err(refuse::internal));
            match told {
                Ok(event) => send(sink, Item::Event(event)).await?,
                Err(status) => return Ok(Err(status)),
            }
        }
    }
    Ok(Ok(()))
}
