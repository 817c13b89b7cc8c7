//! What only the leader does now and then: forget history that nobody reads any more.
//!
//! Beats and observations alone make some 300,000 revisions a day; without compaction the store
//! would fill up. Answers are kept for a day, so that a repeated request still gets the first; runs
//! that have ended as long as [`retention`] says.

use super::retention::{self, Gone, Retention};
use crate::clock;
use crate::guarded::Guarded;
use crate::records::{self, ANSWERS, Answered, REQUESTS, Requested};
use crate::store::{KeyValue, Op, Range, Revision, pages};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_secs(300);
/// All heads of runs are looked at in one round of so many.
const RUNS_EVERY: u64 = 12;
const KEEP_ANSWERS_MS: i64 = 24 * 3_600 * 1_000;
/// Deletions of one transaction.
const BATCH: usize = 64;

/// Keeps house until the term ends. A new leader has better things to do at first.
pub(super) async fn keep(guarded: Guarded, kept: Retention, stop: CancellationToken) {
    let revision =
        async || guarded.store().range(Range::key(records::EPOCH)).await.ok().map(|reply| reply.revision);
    let mut before: Option<Revision> = revision().await;
    let mut ticks = tokio::time::interval_at(Instant::now() + EVERY, EVERY);
    for round in 0_u64.. {
        if stop.run_until_cancelled(ticks.tick()).await.is_none() {
            return;
        }
        // What was current one round ago: watches that lag less than that go on undisturbed.
        if let Some(revision) = before
            && let Err(error) = guarded.store().compact(revision).await
        {
            tracing::warn!(%error, "history is not compacted");
        }
        before = revision().await;
        forget(&guarded, ANSWERS, |kv| records::decode(kv).ok().map(|kept: Answered| kept.wall_ms)).await;
        forget(&guarded, REQUESTS, |kv| records::decode(kv).ok().map(|kept: Requested| kept.wall_ms)).await;
        if round % RUNS_EVERY == 0 {
            match retention::forget(&guarded, kept, clock::wall_ms()).await {
                Ok(gone) if gone == Gone::default() => {}
                Ok(Gone { runs, plans, audit }) => {
                    tracing::info!(runs, plans, audit, "old runs and entries of the audit are forgotten");
                }
                Err(lost) => tracing::debug!(%lost, "old runs stay"),
            }
        }
    }
}

async fn forget(guarded: &Guarded, prefix: &str, wall_ms: impl Fn(&KeyValue) -> Option<i64>) {
    let Ok(reply) = pages::range_all(&**guarded.store(), prefix).await else { return };
    let oldest = clock::wall_ms() - KEEP_ANSWERS_MS;
    let old: Vec<Op> = reply
        .kvs
        .iter()
        .filter(|kv| wall_ms(kv).is_some_and(|at| at < oldest))
        .map(|kv| Op::delete(&kv.key))
        .collect();
    for batch in old.chunks(BATCH) {
        if let Err(lost) = guarded.put(batch.to_vec()).await {
            tracing::debug!(%lost, "old answers stay");
            return;
        }
    }
}
