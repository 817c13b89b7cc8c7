//! What runs of a playbook have shown, for the prediction of the next.

use super::super::runs::entries;
use crate::records::{self, Head, RUNS};
use crate::store::{Range, Store, pages};
use standfast_core::ids::PlaybookId;
use standfast_core::journal::{End, Event};
use standfast_core::predict::History;
use standfast_core::run::State;

/// The newest runs among which those of the playbook are looked for.
const HEADS: usize = 200;
/// Of so many journals the durations are taken.
const RUNS_READ: usize = 20;

/// The newest runs of `playbook` that came to their end. What cannot be read is left out: a
/// prediction is no decision.
pub(super) async fn history(store: &dyn Store, playbook: &PlaybookId) -> History {
    let mut history = History::default();
    let Ok(page) = pages::page(store, Range::prefix(RUNS), &mut HEADS.clone()).await else { return history };
    let heads = page.kvs.iter().filter_map(|kv| records::decode::<Head>(kv).ok());
    let ended = |head: &Head| matches!(head.state, State::Ended(End::Succeeded | End::Partial));
    for head in heads.filter(|head| head.playbook == *playbook && ended(head)).take(RUNS_READ) {
        if let Ok((_, journal)) = entries(store, &head.id, &head.plan).await {
            let events: Vec<Event> = journal.into_iter().map(|(event, _)| event).collect();
            history.add(&events);
        }
    }
    history
}
