//! The one writer: it takes what waits in the queue, and makes one commit of it.
//!
//! A commit costs a flush of the disk; sharing it is what makes a busy run cheap. If a
//! commit fails the file is opened anew and asked whether the commit is in it, so a full
//! disk leaves nobody in doubt.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use redb::{Database, ReadableDatabase, WriteTransaction};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use super::apply::Writing;
use super::tables::{META, META_COMMITS, number};
use super::{Fault, Shared};
use crate::store::{LeaseId, Result, Revision, StoreError, Txn, TxnReply};

/// How many requests may wait; more wait for room.
pub(super) const QUEUE: usize = 1_024;
/// How many requests share a commit.
const BATCH: usize = 256;
/// How long an idle writer waits before it goes on forgetting.
const SWEEP_PAUSE: Duration = Duration::from_millis(5);

/// A request with the way back to who asked.
pub(super) enum Job {
    Txn(Txn, Reply<TxnReply>),
    Grant(Duration, Reply<LeaseId>),
    Keep(LeaseId, Reply<Duration>),
    Revoke(LeaseId, Reply<()>),
    Compact(Revision, Reply<()>),
    Close(Reply<()>),
}

pub(super) type Reply<T> = oneshot::Sender<Result<T>>;

/// An answer that waits for the commit: given the error if there was none.
type Answer = Box<dyn FnOnce(Option<&StoreError>) + Send>;

/// Leases and when they end, counted from when this process opened the file or renewed
/// them: a restart never shortens a lease.
pub(super) type Deadlines = BTreeMap<LeaseId, Instant>;

/// What one batch came to.
#[derive(Default)]
struct Outcome {
    answers: Vec<Answer>,
    renewed: Vec<(LeaseId, Duration)>,
    dropped: Vec<LeaseId>,
    revision: Revision,
    commit: Option<u64>,
    must_sweep: bool,
}

/// Runs until the store is closed or dropped.
pub(super) async fn run(shared: Arc<Shared>, mut queue: mpsc::Receiver<Job>, mut deadlines: Deadlines) {
    let mut must_sweep = true;
    loop {
        let wake = match must_sweep {
            true => Some(Instant::now() + SWEEP_PAUSE),
            false => deadlines.values().min().copied(),
        };
        let mut jobs = Vec::new();
        tokio::select! {
            count = queue.recv_many(&mut jobs, BATCH) => if count == 0 { break },
            () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
        }
        let closed = take_close(&mut jobs);

        let now = Instant::now();
        let due = deadlines.iter().filter(|(_, end)| **end <= now);
        let due: Vec<LeaseId> = due.map(|(lease, _)| *lease).collect();
        let worker = Arc::clone(&shared);
        let done = tokio::task::spawn_blocking(move || execute(&worker, jobs, due)).await;
        match done {
            Ok(Some(outcome)) => {
                must_sweep = outcome.must_sweep;
                for lease in &outcome.dropped {
                    deadlines.remove(lease);
                }
                for (lease, ttl) in outcome.renewed {
                    deadlines.insert(lease, now + ttl);
                }
            }
            // Nothing was applied: expired leases are tried again, a little later.
            Ok(None) => {
                must_sweep = false;
                for end in deadlines.values_mut().filter(|end| **end <= now) {
                    *end = now + Duration::from_secs(1);
                }
            }
            // A panic: those who asked see their answer vanish, and the file is let go.
            Err(_) => break,
        }
        if let Some(closed) = closed {
            let worker = Arc::clone(&shared);
            // Closing flushes, which blocks; it cannot fail in a way that loses data.
            let _ = tokio::task::spawn_blocking(move || worker.finish()).await;
            let _ = closed.send(Ok(()));
            return;
        }
    }
    let _ = tokio::task::spawn_blocking(move || shared.finish()).await;
}

/// Takes the request to close out of a batch; what comes after it is not executed.
fn take_close(jobs: &mut Vec<Job>) -> Option<Reply<()>> {
    let at = jobs.iter().position(|job| matches!(job, Job::Close(_)))?;
    let mut rest = jobs.drain(at..);
    match rest.next() {
        Some(Job::Close(reply)) => Some(reply),
        _ => None,
    }
}

/// Executes a batch and answers it. `None` if it was not applied.
fn execute(shared: &Shared, jobs: Vec<Job>, due: Vec<LeaseId>) -> Option<Outcome> {
    if let Err(error) = shared.reopen() {
        refuse(jobs, &error);
        *shared.failing() = Some(error);
        return None;
    }
    let mut outcome = Outcome::default();
    let failure = match apply(shared, jobs, due, &mut outcome) {
        Ok(()) => None,
        Err(fault) => {
            let error = shared.place.explain(fault);
            settle(shared, outcome.commit, error)
        }
    };
    if failure.is_some() || outcome.commit.is_some() {
        shared.failing().clone_from(&failure);
    }
    for answer in std::mem::take(&mut outcome.answers) {
        answer(failure.as_ref());
    }
    if failure.is_some() {
        return None;
    }
    shared.revision.send_if_modified(|known| {
        let grown = outcome.revision > *known;
        *known = outcome.revision.max(*known);
        grown
    });
    Some(outcome)
}

/// What a failed batch is to those who asked: `None` if it is on disk all the same.
fn settle(shared: &Shared, commit: Option<u64>, error: StoreError) -> Option<StoreError> {
    shared.release();
    let on_disk = shared.read(|db| {
        let txn = db.begin_read()?;
        number(&txn.open_table(META)?, META_COMMITS)
    });
    let Some(commit) = commit else {
        return Some(error);
    };
    match on_disk {
        Ok(found) if found >= commit => None,
        Ok(_) => Some(error),
        Err(_) => Some(StoreError::Ambiguous { at: shared.place.to_string(), why: error.to_string() }),
    }
}

/// Applies a batch in one transaction of the file. Each answer is kept until the commit.
fn apply(
    shared: &Shared,
    jobs: Vec<Job>,
    due: Vec<LeaseId>,
    outcome: &mut Outcome,
) -> std::result::Result<(), Fault> {
    let guard = shared.db();
    let Some(db) = guard.as_ref() else {
        refuse(jobs, &shared.closed());
        return Ok(());
    };
    let mut jobs = jobs.into_iter();
    let prepared = prepare(shared, db, &mut jobs, due, outcome);
    // Those not reached share the fate of the batch.
    jobs.for_each(|job| outcome.answers.push(into_answer(job)));
    let (txn, commit) = prepared?;
    if commit.is_some() {
        outcome.commit = commit;
        txn.commit()?;
    } else {
        txn.abort()?;
    }
    Ok(())
}

/// All of a batch but the commit; the number the commit will have if it is needed.
fn prepare(
    shared: &Shared,
    db: &Database,
    jobs: &mut impl Iterator<Item = Job>,
    due: Vec<LeaseId>,
    outcome: &mut Outcome,
) -> std::result::Result<(WriteTransaction, Option<u64>), Fault> {
    let txn = db.begin_write()?;
    let mut writing = Writing::open(&txn, &shared.at, shared.max_bytes)?;
    writing.prove = shared.failing().is_some();
    for lease in due {
        writing.drop_lease(lease)?;
        outcome.dropped.push(lease);
    }
    for job in jobs {
        one(&mut writing, job, outcome)?;
    }
    outcome.must_sweep = writing.must_sweep()?;
    outcome.revision = writing.revision;
    let commit = writing.finish()?;
    Ok((txn, commit))
}

/// Applies one request. Only a fault of the storage is an error: it ends the batch.
fn one(writing: &mut Writing<'_>, job: Job, outcome: &mut Outcome) -> std::result::Result<(), Fault> {
    match job {
        Job::Txn(txn, reply) => {
            let result = writing.txn(&txn);
            keep(outcome, reply, result)
        }
        Job::Grant(ttl, reply) => {
            let result = writing.grant(ttl);
            if let Ok(lease) = &result {
                outcome.renewed.push((*lease, ttl));
            }
            keep(outcome, reply, result)
        }
        Job::Keep(lease, reply) => {
            let result = writing.ttl(lease);
            if let Ok(ttl) = &result {
                outcome.renewed.push((lease, *ttl));
            }
            keep(outcome, reply, result)
        }
        Job::Revoke(lease, reply) => {
            let result = writing.drop_lease(lease);
            outcome.renewed.retain(|(renewed, _)| *renewed != lease);
            outcome.dropped.push(lease);
            keep(outcome, reply, result)
        }
        Job::Compact(revision, reply) => {
            let result = writing.compact(revision);
            keep(outcome, reply, result)
        }
        Job::Close(reply) => keep(outcome, reply, Ok(())),
    }
}

/// Keeps an answer until the commit; passes a fault of the storage on.
fn keep<T: Send + 'static>(
    outcome: &mut Outcome,
    reply: Reply<T>,
    result: std::result::Result<T, Fault>,
) -> std::result::Result<(), Fault> {
    let (result, fault) = match result {
        Ok(value) => (Ok(value), None),
        Err(Fault::Refused(error)) => (Err(error), None),
        Err(fault) => (Err(pending()), Some(fault)),
    };
    outcome.answers.push(Box::new(move |failure| {
        // Who asked may have gone; nothing is lost with the answer.
        let _ = reply.send(match failure {
            Some(error) => Err(error.clone()),
            None => result,
        });
    }));
    fault.map_or(Ok(()), Err)
}

/// Stands in for the error of a batch that is about to fail.
fn pending() -> StoreError {
    StoreError::Unavailable { at: "the embedded store".into(), why: "the batch was not applied".into() }
}

fn into_answer(job: Job) -> Answer {
    fn answer<T: Send + 'static>(reply: Reply<T>) -> Answer {
        Box::new(move |failure| {
            let _ = reply.send(Err(failure.cloned().unwrap_or_else(pending)));
        })
    }
    match job {
        Job::Txn(_, reply) => answer(reply),
        Job::Grant(_, reply) => answer(reply),
        Job::Keep(_, reply) => answer(reply),
        Job::Revoke(_, reply) | Job::Compact(_, reply) | Job::Close(reply) => answer(reply),
    }
}

fn refuse(jobs: Vec<Job>, error: &StoreError) {
    for job in jobs {
        into_answer(job)(Some(error));
    }
}
