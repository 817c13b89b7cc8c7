//! What runs of a playbook have shown, for the prediction of the next.

use crate::records::{self, Head, RUNS};
use crate::store::{Range, Store, pages};
use standfast_core::ids::PlaybookId;
use standfast_core::journal::{End, Event};
use standfast_core::predict::History;
use standfast_core::run::State;

/// The newest runs among which those of the playbook are looked for.
const HEADS: usize = 200;
/// Of so many journals the durations are taken.
const JOURNALS: usize = 20;

/// The newest runs of `playbook` that came to their end. What cannot be read is left out: a
/// prediction is no decision.
pub async fn history(store: &dyn Store, playbook: &PlaybookId) -> History {
    let mut history = History::default();
    let mut keys = HEADS;
    let Ok(page) = pages::page(store, Range::prefix(RUNS), &mut keys).await else { return history };
    let heads = page.kvs.iter().filter_map(|kv| records::decode::<Head>(kv).ok());
    let ended = |head: &Head| matches!(head.state, State::Ended(End::Succeeded | End::Partial));
    for head in heads.filter(|head| head.playbook == *playbook && ended(head)).take(JOURNALS) {
        if let Ok(journal) = pages::range_all(store, &records::journal(&head.id)).await {
            let events: Vec<Event> = journal.kvs.iter().filter_map(|kv| records::decode(kv).ok()).collect();
            history.add(&events);
        }
    }
    history
}
