//! The store on one machine: one process, one file, durable.
//!
//! Same semantics as etcd's, limits included, so that a playbook rehearsed on a laptop
//! behaves the same in three sites. What it cannot give is a second vantage point: it is
//! for one member, and for breaking glass.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use async_trait::async_trait;
use redb::{Database, ReadableDatabase, ReadableTable};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use self::file::Place;
use self::tables::{LEASES, Snapshot};
use self::writer::{Deadlines, Job, QUEUE, Reply};
use super::{
    EndpointHealth, EndpointStatus, Health, LeaseId, Range, RangeReply, Result, Revision, Store, StoreError,
    Txn, TxnReply, WatchStream, limits,
};

mod apply;
#[cfg(test)]
mod faults;
mod feed;
mod file;
mod tables;
#[cfg(test)]
mod tests;
mod writer;

/// How much the store may hold before it refuses puts, as etcd does by default: 2 GiB.
pub const DEFAULT_MAX_BYTES: u64 = 2 * 1024 * 1024 * 1024;

/// The embedded store. Dropping it lets go of the file, soon; [`EmbeddedStore::close`]
/// waits for it.
#[derive(Debug)]
pub struct EmbeddedStore {
    shared: Arc<Shared>,
    queue: mpsc::Sender<Job>,
}

/// What readers, watches and the writer have in common.
#[derive(Debug)]
struct Shared {
    place: Place,
    /// The place, as text for messages.
    at: String,
    max_bytes: u64,
    /// `None` while closed, or after a fault of the disk until it is opened again.
    db: RwLock<Option<Database>>,
    finished: AtomicBool,
    /// Why the last commit failed; none when it did not.
    failing: Mutex<Option<StoreError>>,
    /// The last committed revision; wakes the watches.
    revision: watch::Sender<Revision>,
}

/// Why something was not done inside.
#[derive(Debug)]
enum Fault {
    /// It may not be done; the storage is fine.
    Refused(StoreError),
    /// The storage is not.
    Storage(redb::Error),
}

impl EmbeddedStore {
    /// Opens the file at `path`, or makes it (and its folder, for this user alone). Leases
    /// that it holds live on for their full time from now.
    ///
    /// # Errors
    /// `Unavailable` when another process has it open (named, if it can be seen),
    /// `Corrupt`, `Denied`, `NoSpace`.
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self> {
        Self::open_place(Place::File(path.into()), DEFAULT_MAX_BYTES).await
    }

    /// Opens the file with another bound on what it may hold, in bytes.
    ///
    /// # Errors
    /// As [`EmbeddedStore::open`].
    pub async fn open_with_quota(path: impl Into<PathBuf>, max_bytes: u64) -> Result<Self> {
        Self::open_place(Place::File(path.into()), max_bytes).await
    }

    /// A store that is gone with the process: for tests and rehearsals.
    ///
    /// # Errors
    /// None that are known.
    pub async fn in_memory() -> Result<Self> {
        Self::open_place(Place::Memory, DEFAULT_MAX_BYTES).await
    }

    async fn open_place(place: Place, max_bytes: u64) -> Result<Self> {
        let shared = Arc::new(Shared {
            at: place.to_string(),
            place,
            max_bytes,
            db: RwLock::new(None),
            finished: AtomicBool::new(false),
            failing: Mutex::new(None),
            revision: watch::Sender::new(0),
        });
        let opening = Arc::clone(&shared);
        let (revision, leases) = blocking(&shared, move || opening.start()).await?;
        shared.revision.send_replace(revision);
        let opened = Instant::now();
        let deadlines: Deadlines = leases.into_iter().map(|(lease, ttl)| (lease, opened + ttl)).collect();
        let (queue, jobs) = mpsc::channel(QUEUE);
        tokio::spawn(writer::run(Arc::clone(&shared), jobs, deadlines));
        Ok(Self { shared, queue })
    }

    /// Executes what is queued, and lets go of the file. Later calls end with
    /// `Unavailable`, and so do watches.
    pub async fn close(&self) {
        // Closed already is closed.
        let _ = self.ask(Job::Close).await;
    }

    async fn ask<T>(&self, job: impl FnOnce(Reply<T>) -> Job) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        self.queue.send(job(reply)).await.map_err(|_| self.shared.closed())?;
        answer.await.unwrap_or_else(|_| {
            Err(StoreError::Ambiguous {
                at: self.shared.at.clone(),
                why: "the writer ended before it answered; the log says why".into(),
            })
        })
    }
}

#[async_trait]
impl Store for EmbeddedStore {
    async fn range(&self, range: Range) -> Result<RangeReply> {
        limits::check_range(&range)?;
        let shared = Arc::clone(&self.shared);
        blocking(&self.shared, move || shared.read(|db| Snapshot::open(db)?.range(&range))).await
    }

    async fn txn(&self, txn: Txn) -> Result<TxnReply> {
        limits::check_txn(&txn)?;
        self.ask(|reply| Job::Txn(txn, reply)).await
    }

    async fn watch(&self, prefix: &str, from: Revision) -> WatchStream {
        let (sink, stream) = WatchStream::channel();
        let feed = feed::run(Arc::clone(&self.shared), prefix.to_owned(), from, sink);
        tokio::spawn(feed);
        stream
    }

    async fn lease_grant(&self, ttl: Duration) -> Result<LeaseId> {
        limits::check_ttl(ttl)?;
        self.ask(|reply| Job::Grant(ttl, reply)).await
    }

    async fn lease_keep(&self, lease: LeaseId) -> Result<Duration> {
        self.ask(|reply| Job::Keep(lease, reply)).await
    }

    async fn lease_revoke(&self, lease: LeaseId) -> Result<()> {
        self.ask(|reply| Job::Revoke(lease, reply)).await
    }

    async fn compact(&self, revision: Revision) -> Result<()> {
        self.ask(|reply| Job::Compact(revision, reply)).await
    }

    async fn health(&self) -> Health {
        let shared = Arc::clone(&self.shared);
        let status = blocking(&self.shared, move || shared.status()).await;
        Health {
            kind: "embedded",
            endpoints: vec![EndpointHealth {
                endpoint: self.shared.at.clone(),
                preferred: true,
                status: status.map_err(|error| error.to_string()),
            }],
        }
    }
}

impl Shared {
    /// Opens the file for the first time; the revision and the leases in it.
    fn start(&self) -> Result<(Revision, Vec<(LeaseId, Duration)>)> {
        self.read(|db| {
            let revision = Snapshot::open(db)?.revision;
            let leases = db.begin_read()?.open_table(LEASES)?;
            let leases = leases
                .iter()?
                .map(|entry| {
                    let (lease, millis) = entry?;
                    let ttl = Duration::from_millis(millis.value());
                    Ok((LeaseId(lease.value()), ttl))
                })
                .collect::<std::result::Result<Vec<_>, Fault>>()?;
            Ok((revision, leases))
        })
    }

    fn db(&self) -> RwLockReadGuard<'_, Option<Database>> {
        // The option is replaced as a whole: a panic elsewhere leaves it sound.
        self.db.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads; opens the file first if a fault of the disk has closed it.
    fn read<T>(&self, f: impl FnOnce(&Database) -> std::result::Result<T, Fault>) -> Result<T> {
        self.reopen()?;
        match self.db().as_ref() {
            Some(db) => f(db).map_err(|fault| self.place.explain(fault)),
            None => Err(self.closed()),
        }
    }

    /// Opens the file unless it is open.
    fn reopen(&self) -> Result<()> {
        if self.db().is_some() {
            return Ok(());
        }
        let mut db = self.db.write().unwrap_or_else(PoisonError::into_inner);
        if self.finished.load(Ordering::Acquire) {
            return Err(self.closed());
        }
        if db.is_none() {
            *db = Some(self.place.open()?);
        }
        Ok(())
    }

    /// Lets go of the file, to open it anew.
    fn release(&self) {
        *self.db.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Lets go of the file for good, and tells the watches.
    fn finish(&self) {
        self.finished.store(true, Ordering::Release);
        self.release();
        self.revision.send_modify(|_| ());
    }

    fn failing(&self) -> MutexGuard<'_, Option<StoreError>> {
        // Replaced as a whole, too.
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn closed(&self) -> StoreError {
        StoreError::Unavailable { at: self.at.clone(), why: "the store was closed".into() }
    }

    fn status(&self) -> Result<EndpointStatus> {
        let (revision, held) = self.read(|db| {
            let snapshot = Snapshot::open(db)?;
            Ok((snapshot.revision, snapshot.bytes()?))
        })?;
        // A store that only reads is what etcd is without a leader.
        let failing = self.failing().clone();
        let full = held >= self.max_bytes || matches!(failing, Some(StoreError::NoSpace { .. }));
        Ok(EndpointStatus {
            member: 1,
            leader: failing.is_none().then_some(1),
            revision,
            db_bytes: self.place.bytes().max(held),
            version: "embedded".into(),
            alarms: if full { vec!["NOSPACE".into()] } else { Vec::new() },
        })
    }
}

/// Runs what blocks on the disk. Damage that redb answers with a panic becomes an error.
async fn blocking<T: Send + 'static>(
    shared: &Shared,
    f: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(f).await.unwrap_or_else(|_| {
        Err(StoreError::Corrupt {
            at: shared.at.clone(),
            why: "reading it ended in a panic; the log says where".into(),
        })
    })
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Refused(error)
    }
}

/// redb has an error type for each kind of call; here they are all one.
macro_rules! faults_of_storage {
    ($($error:ty),+) => {
        $(impl From<$error> for Fault {
            fn from(error: $error) -> Self {
                Self::Storage(error.into())
            }
        })+
    };
}

faults_of_storage!(
    redb::CommitError,
    redb::DatabaseError,
    redb::StorageError,
    redb::TableError,
    redb::TransactionError
);
