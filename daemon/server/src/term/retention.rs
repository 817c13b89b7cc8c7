//! Forgets runs that ended long ago, with their journals and the plans that nobody names any more.
//!
//! A run goes in two steps, so that each transaction is small and none shows half a run: its head
//! is replaced by a note, and then its journal is deleted, and the note. Whoever leads next goes on
//! where a note was left. A live run is never touched: it has not ended.
//!
//! A plan may be shared, and may be taken up again at any moment. Whoever creates a run rewrites
//! the manifest of its plan in the same transaction. So a manifest that is older than the look at
//! all heads, and that none of them names, can be deleted.

use super::write::get;
use crate::guarded::{Committed, Guarded, Lost};
use crate::ledger::{self, End};
use crate::records::{self, AUDIT, FORGOTTEN, Forgotten, Head, PLANS, RUNS};
use crate::store::{Compare, KeyValue, Op, Range, Revision, chunked, pages};
use standfast_core::audit::{self, Fact};
use standfast_core::run::State;
use std::collections::BTreeSet;
use std::time::Duration;

/// Heads of one page.
const PAGE: usize = 200;
/// Runs that are let go in one transaction.
const BATCH: usize = 40;
/// Runs that are let go at once; the others have time.
const AT_ONCE: usize = 400;
/// Blocks of a hundred entries that are deleted in one transaction.
const BLOCKS: u64 = 20;

/// How long runs that have ended are kept: as long as one of both says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// So many, the newest.
    pub runs: usize,
    /// All that ended within this time, by the wall clock.
    pub age: Duration,
    /// Entries of the audit, the newest.
    pub audit: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Self { runs: 1_000, age: Duration::from_secs(90 * 86_400), audit: 200_000 }
    }
}

/// What was forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gone {
    /// Runs.
    pub runs: usize,
    /// Plans.
    pub plans: usize,
    /// Entries of the audit, by hundreds.
    pub audit: u64,
}

/// Forgets what `keep` does not keep at `wall_ms`, Unix time in milliseconds.
///
/// # Errors
/// When the term has ended or the store refuses; what was begun is left to the next time.
pub async fn forget(guarded: &Guarded, keep: Retention, wall_ms: i64) -> Result<Gone, Lost> {
    let store = &**guarded.store();
    let plans = guarded.persist(|| pages::range_all(store, PLANS)).await?.kvs;
    let seen = look(guarded, keep, wall_ms).await?;
    for batch in seen.old.chunks(BATCH) {
        let_go(guarded, batch).await?;
    }
    let notes = guarded.persist(|| pages::range_all(store, FORGOTTEN)).await?.kvs;
    let mut gone = Gone { audit: trim(guarded, keep.audit).await?, ..Gone::default() };
    for kv in &notes {
        match records::decode::<Forgotten>(kv) {
            Ok(note) => delete(guarded, &note).await?,
            Err(error) => {
                tracing::error!(%error, "a journal stays");
                continue;
            }
        }
        gone.runs += 1;
    }
    if seen.damaged {
        return Ok(gone);
    }
    for kv in plans.iter().filter(|kv| !seen.named.contains(&kv.key)) {
        gone.plans += usize::from(drop_plan(guarded, kv).await?);
    }
    Ok(gone)
}

/// What all heads say.
#[derive(Default)]
struct Seen {
    /// Runs to be let go, with the revisions of their heads.
    old: Vec<(Head, Revision)>,
    /// Keys of the plans that the others name.
    named: BTreeSet<String>,
    /// There is one that cannot be read: nobody knows which plan it names.
    damaged: bool,
}

async fn look(guarded: &Guarded, keep: Retention, wall_ms: i64) -> Result<Seen, Lost> {
    let (store, mut seen, mut ended) = (&**guarded.store(), Seen::default(), 0);
    let oldest = wall_ms.saturating_sub(i64::try_from(keep.age.as_millis()).unwrap_or(i64::MAX));
    let mut range = Range::prefix(RUNS);
    loop {
        let page = async || pages::page(store, range.clone(), &mut PAGE.clone()).await;
        let page = guarded.persist(page).await?;
        range.after = page.kvs.last().map(|kv| kv.key.clone());
        for kv in &page.kvs {
            let head: Head = match records::decode(kv) {
                Ok(head) => head,
                Err(error) => {
                    tracing::error!(%error, "a run is left alone, and all plans");
                    seen.damaged = true;
                    continue;
                }
            };
            let over = matches!(head.state, State::Ended(_));
            ended += usize::from(over);
            if over && ended > keep.runs && head.wall_ms < oldest && seen.old.len() < AT_ONCE {
                seen.old.push((head, kv.mod_revision));
            } else {
                seen.named.insert(records::plan(&head.plan));
            }
        }
        if !page.more {
            return Ok(seen);
        }
    }
}

/// Replaces heads by notes.
async fn let_go(guarded: &Guarded, runs: &[(Head, Revision)]) -> Result<(), Lost> {
    let mut txn = guarded.txn();
    for (head, revision) in runs {
        let (key, note) =
            (records::run(&head.id), Forgotten { id: head.id.clone(), sequence: head.sequence });
        txn = txn
            .when(Compare::modified(&key, *revision))
            .then(Op::delete(key))
            .then(Op::put(records::forgotten(&head.id), records::encode(&note)));
    }
    let facts = runs.iter().map(|(head, _)| Fact::Forgotten { run: head.id.clone() }).collect();
    // A lost compare is our own unclear write, or a run that somebody touched: seen next time.
    guarded.record(txn, facts, Vec::new()).await.map(drop)
}

/// Lets the oldest entries of the audit go, in whole hundreds, and says so in it; how many.
async fn trim(guarded: &Guarded, keep: u64) -> Result<u64, Lost> {
    let store = &**guarded.store();
    let end = guarded.persist(|| End::read(store)).await?;
    let first = guarded.persist(|| store.range(Range::prefix(AUDIT).limit(1))).await?;
    let Some(first) = first.kvs.first().map(|kv| ledger::number(&kv.key)) else { return Ok(0) };
    let from = end.head().sequence.saturating_sub(keep) / 100;
    let blocks: Vec<u64> = (first / 100..from).take(BLOCKS as usize).collect();
    let Some(last) = blocks.last().map(|block| block * 100 + 99) else { return Ok(0) };
    let Some(kv) = get(guarded, &records::audit(last)).await? else { return Ok(0) };
    let fact = Fact::Trimmed { last: audit::Head::of(last, &kv.value) };
    let gone = blocks.iter().map(|block| Op::delete_prefix(records::audits(*block))).collect();
    guarded.tell(gone, vec![fact]).await?;
    Ok(100 * blocks.len() as u64)
}

/// Deletes a journal, then the note.
async fn delete(guarded: &Guarded, note: &Forgotten) -> Result<(), Lost> {
    let blocks = note.sequence / 100 + 1;
    for first in (0..blocks).step_by(usize::try_from(BLOCKS).expect("a small number")) {
        let some = first..blocks.min(first + BLOCKS);
        guarded.put(some.map(|block| Op::delete_prefix(records::entries(&note.id, block))).collect()).await?;
    }
    guarded.put(vec![Op::delete(records::forgotten(&note.id))]).await
}

/// Deletes a plan whose manifest is still `kv`.
async fn drop_plan(guarded: &Guarded, kv: &KeyValue) -> Result<bool, Lost> {
    let mut txn = guarded.txn().when(Compare::modified(&kv.key, kv.mod_revision));
    txn.then = chunked::deletion(&kv.key);
    match guarded.commit(txn, Vec::new()).await? {
        Committed::Written(_) => Ok(true),
        // Taken up again meanwhile, or gone by our own unclear write.
        Committed::Compared(_) => Ok(get(guarded, &kv.key).await?.is_none()),
    }
}

#[cfg(test)]
mod tests;
