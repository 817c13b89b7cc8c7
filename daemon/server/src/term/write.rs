//! Makes runs and their entries durable.
//!
//! A run's head is rewritten with every entry, and every write compares the head's revision, so
//! entries of one run have one order. An unclear write is settled by its head: it names the
//! campaign and the sequence number that wrote it.

use super::compared;
use crate::clock;
use crate::guarded::{Guarded, Lost};
use crate::records::{self, Answered, HOLDS, Head};
use crate::store::{Compare, KeyValue, Op, OpResult, Range, Revision, chunked, limits};
use standfast_core::audit::Fact;
use standfast_core::controller::{Creation, Ending, Subject};
use standfast_core::ids::RunId;
use standfast_core::journal::Event;
use standfast_core::plan::Plan;
use standfast_core::run::Run;

/// Entries of one transaction; what else is written with them fits beside.
const BATCH: usize = 64;

/// Locks of one run: each is compared and written in the transaction that creates it.
const MAX_LOCKS: usize = 100;

/// A run as the store has it.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Its fold.
    pub run: Run,
    /// Modification revision of its head.
    pub revision: Revision,
}

/// Creates a run; the inner error is a lock that is taken, with its holder if it is known.
pub(super) async fn create(
    guarded: &Guarded,
    creation: &Creation,
) -> Result<Result<Stored, Option<RunId>>, Lost> {
    let Creation { run: id, plan, created, locks, request } = creation;
    limits::at_most("sites and services of a run", locks.len(), MAX_LOCKS)?;
    let run = Run::new(id.clone(), plan.clone(), created).expect("the controller made its first entry");
    let (head, record) = (records::run(id), records::encode(created));
    let mut txn = guarded
        .txn()
        .when(Compare::absent(&head))
        .then(Op::put(&head, records::encode(&Head::of(&run, guarded.nonce()))))
        .then(Op::put(records::entry(id, 1), record.clone()));
    for lock in locks {
        let key = records::lock(lock);
        txn = txn.when(Compare::absent(&key)).then(Op::put(key, id.as_str()));
    }
    if let Some(request) = request {
        let subject = Subject { run: id.clone(), sequence: 1, existed: false };
        let answered = Answered::new(Ok(Some(subject)), clock::wall_ms());
        txn = txn
            .then(Op::put(records::answer(request), records::encode(&answered)))
            .then(Op::delete(records::ask(request)));
    }
    let mut look = vec![Op::get(&head)];
    look.extend(locks.iter().map(|lock| Op::get(records::lock(lock))));
    loop {
        // Rewritten as it is, so that nobody takes the plan for one that no run names.
        let manifest = frozen(guarded, plan).await?;
        let with_plan = txn
            .clone()
            .when(Compare::modified(&manifest.key, manifest.mod_revision))
            .then(Op::put(&manifest.key, manifest.value));
        let facts = vec![Fact::of(id, created, &record)];
        let seen = match compared(guarded.record(with_plan, facts, look.clone()).await?) {
            Ok(reply) => return Ok(Ok(Stored { run, revision: reply.revision })),
            Err(seen) => seen,
        };
        if let Some(revision) = ours(guarded, seen.first(), 1) {
            return Ok(Ok(Stored { run, revision }));
        }
        if seen.iter().any(|seen| !is_empty(seen)) {
            return Ok(Err(seen.iter().skip(1).find_map(holder)));
        }
        // Only the plan is not what it was.
    }
}

/// Makes a plan durable, if it is not; its manifest.
async fn frozen(guarded: &Guarded, plan: &Plan) -> Result<KeyValue, Lost> {
    let key = records::plan(&plan.digest());
    let (store, bytes) = (&**guarded.store(), records::encode(plan));
    loop {
        // Named by its digest, so that writing it twice is writing it once.
        if guarded.persist(|| chunked::get(store, &key)).await?.is_none() {
            guarded.persist(|| chunked::put(store, &key, &bytes, Vec::new())).await?;
        }
        if let Some(manifest) = get(guarded, &key).await? {
            return Ok(manifest);
        }
    }
}

/// Appends entries; with the last one go locks and hold-downs, if the run ends.
pub(super) async fn append(
    guarded: &Guarded,
    id: &RunId,
    stored: Option<Stored>,
    events: &[Event],
    answers: &[String],
    ending: Option<Ending>,
) -> Result<Stored, Lost> {
    let mut stored = match stored {
        Some(stored) => stored,
        None => super::load::run(guarded, id).await?.ok_or(Lost::Guard)?,
    };
    let mut batches = events.chunks(BATCH).peekable();
    while let Some(batch) = batches.next() {
        for event in batch {
            stored.run.apply(event)?;
        }
        let head = records::run(id);
        let mut txn = guarded
            .txn()
            .when(Compare::modified(&head, stored.revision))
            .then(Op::put(&head, records::encode(&Head::of(&stored.run, guarded.nonce()))));
        let mut facts = Vec::with_capacity(batch.len());
        for event in batch {
            let record = records::encode(event);
            facts.push(Fact::of(id, event, &record));
            txn = txn.then(Op::put(records::entry(id, event.sequence), record));
        }
        if batches.peek().is_none() {
            for request in answers {
                let sequence = stored.run.sequence;
                let subject = Subject { run: id.clone(), sequence, existed: false };
                let answered = Answered::new(Ok(Some(subject)), clock::wall_ms());
                txn = txn
                    .then(Op::put(records::answer(request), records::encode(&answered)))
                    .then(Op::delete(records::ask(request)));
            }
            if let Some(Ending { locks, holds }) = &ending {
                for lock in locks {
                    txn = txn.then(Op::delete(records::lock(lock)));
                }
                if !holds.is_empty() {
                    txn = txn.then(Op::put(HOLDS, records::encode(holds)));
                }
            }
        }
        stored.revision = match compared(guarded.record(txn, facts, vec![Op::get(&head)]).await?) {
            Ok(reply) => reply.revision,
            // Only this term writes under its guard: the head is of our own unclear write.
            Err(seen) => ours(guarded, seen.first(), stored.run.sequence).ok_or(Lost::Guard)?,
        };
    }
    Ok(stored)
}

/// The revision of a head that this campaign wrote with entry `sequence`.
fn ours(guarded: &Guarded, seen: Option<&OpResult>, sequence: u64) -> Option<Revision> {
    let Some(OpResult::Range(range)) = seen else { return None };
    let kv = range.kvs.first()?;
    let head: Head = records::decode(kv).ok()?;
    (head.nonce == guarded.nonce() && head.sequence == sequence).then_some(kv.mod_revision)
}

fn is_empty(seen: &OpResult) -> bool {
    matches!(seen, OpResult::Range(range) if range.kvs.is_empty())
}

fn holder(seen: &OpResult) -> Option<RunId> {
    let OpResult::Range(range) = seen else { return None };
    let value = std::str::from_utf8(&range.kvs.first()?.value).ok()?;
    Some(RunId::new(value))
}

/// Reads one key.
pub(super) async fn get(guarded: &Guarded, key: &str) -> Result<Option<KeyValue>, Lost> {
    let reply = guarded.persist(|| guarded.store().range(Range::key(key))).await?;
    Ok(reply.kvs.into_iter().next())
}
