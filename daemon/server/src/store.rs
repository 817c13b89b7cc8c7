//! The store behind everything: a small, revisioned, watchable map with leases.
//!
//! It is shaped like etcd and no larger, because etcd is what carries it in earnest
//! ([`etcd`]); one machine alone has the same shape on its own disk ([`embedded`]). What
//! both promise is written down once, as a contract suite that runs against both.
//!
//! Three things every caller must know:
//!
//! - **Decisions are made in transactions that write.** A plain read is linearizable, but
//!   some etcd releases can serve a stale one after a pause; a transaction with a `Put` in
//!   either branch cannot be stale.
//! - **A write has three outcomes**: it happened, it did not, or nobody knows
//!   ([`StoreError::Ambiguous`]). The third is settled by reading back with a transaction
//!   that rewrites the key on which the lost write was guarded, never by assuming failure.
//! - **Watches are hints.** They resume by themselves on another endpoint, and when they
//!   cannot they say so ([`WatchEnd`]); they are never silently dead.

use std::time::Duration;

use async_trait::async_trait;

pub mod chunked;
pub mod embedded;
pub mod error;
pub mod etcd;
pub mod layer;
pub mod limits;
pub mod open;
pub mod pages;
pub mod since;
pub mod watch;

pub use embedded::EmbeddedStore;
pub use error::StoreError;
pub use etcd::{EtcdOptions, EtcdStore, EtcdTls};
pub use layer::Layer;
pub use open::open;
pub use pages::range_all;
pub use watch::{WatchBatch, WatchEnd, WatchEvent, WatchStream};

/// A point in the history of the store. Grows by one with every transaction that changes
/// something, and never goes back (except when an etcd is restored from a backup).
/// Zero is before everything: a key that is absent has `create_revision` 0.
pub type Revision = u64;

/// What a store call returns.
pub type Result<T> = std::result::Result<T, StoreError>;

/// A permission to keep keys alive for a time. Keys attached to it vanish, as one
/// revision, when it expires or is revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(pub u64);

impl std::fmt::Display for LeaseId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

/// A key with its value and its place in history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyValue {
    /// The key, without the prefix that the store may add inside.
    pub key: String,
    /// The value, opaque to the store.
    pub value: Vec<u8>,
    /// The revision that created the key (since it was last absent).
    pub create_revision: Revision,
    /// The revision that wrote this value.
    pub mod_revision: Revision,
    /// The lease that keeps the key alive, if any.
    pub lease: Option<LeaseId>,
}

/// Which keys: one, or all with a common beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keys {
    /// Exactly this key.
    One(String),
    /// Every key that begins with this text; the empty text means every key.
    Prefix(String),
}

/// A read of one key or of a prefix, in the order of the keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// Which keys.
    pub keys: Keys,
    /// Only keys greater than this one: where the page before ended.
    pub after: Option<String>,
    /// At most this many keys; `None` means all, as long as the reply stays below
    /// [`limits::MAX_REPLY_BYTES`]. Use [`range_all`] for what may be large.
    pub limit: Option<usize>,
    /// The state at this revision; `None` means now (linearizable).
    pub revision: Option<Revision>,
}

impl Range {
    /// Reads one key.
    pub fn key(key: impl Into<String>) -> Self {
        Self::new(Keys::One(key.into()))
    }

    /// Reads all keys that begin with `prefix`.
    pub fn prefix(prefix: impl Into<String>) -> Self {
        Self::new(Keys::Prefix(prefix.into()))
    }

    fn new(keys: Keys) -> Self {
        Self { keys, after: None, limit: None, revision: None }
    }

    /// Continues behind this key.
    pub fn after(mut self, key: impl Into<String>) -> Self {
        self.after = Some(key.into());
        self
    }

    /// Returns at most this many keys.
    pub fn limit(mut self, keys: usize) -> Self {
        self.limit = Some(keys);
        self
    }

    /// Reads the state at this revision.
    pub fn at(mut self, revision: Revision) -> Self {
        self.revision = Some(revision);
        self
    }
}

/// The answer to a [`Range`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangeReply {
    /// What was found, in the order of the keys.
    pub kvs: Vec<KeyValue>,
    /// The store's revision when it answered; watch from the next one to miss nothing.
    /// (For a read at an older revision this is still the *current* one.)
    pub revision: Revision,
    /// Whether the limit cut keys off.
    pub more: bool,
}

/// A condition of a transaction; all must hold for `then` to be executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compare {
    /// The key was created at this revision; 0 means that it is absent.
    CreateRevision(String, Revision),
    /// The key was last written at this revision; 0 means that it is absent.
    ModRevision(String, Revision),
    /// The key exists and has exactly this value.
    Value(String, Vec<u8>),
}

impl Compare {
    /// The key does not exist.
    pub fn absent(key: impl Into<String>) -> Self {
        Self::CreateRevision(key.into(), 0)
    }

    /// The key was created at this revision.
    pub fn created(key: impl Into<String>, revision: Revision) -> Self {
        Self::CreateRevision(key.into(), revision)
    }

    /// The key was last written at this revision.
    pub fn modified(key: impl Into<String>, revision: Revision) -> Self {
        Self::ModRevision(key.into(), revision)
    }

    /// The key exists and has this value.
    pub fn value(key: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        Self::Value(key.into(), value.into())
    }

    /// The key that is compared.
    pub fn key(&self) -> &str {
        match self {
            Self::CreateRevision(key, _) | Self::ModRevision(key, _) | Self::Value(key, _) => key,
        }
    }
}

/// One operation of a transaction. Within one branch no key may be written twice, and no
/// written key may lie in a deleted range: etcd refuses that, so both stores do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// Writes a key. A put without a lease detaches the key from the lease it had.
    Put {
        /// The key.
        key: String,
        /// Its new value.
        value: Vec<u8>,
        /// The lease that keeps it alive; [`StoreError::LeaseExpired`] if that is gone.
        lease: Option<LeaseId>,
    },
    /// Deletes keys; deleting nothing is no error and makes no revision.
    Delete(Keys),
    /// Reads in the midst of the transaction, and sees what it wrote so far. Keep it
    /// small: its reply comes after the fact and is not paged.
    Range(Range),
}

impl Op {
    /// Writes a key without a lease.
    pub fn put(key: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        Self::Put { key: key.into(), value: value.into(), lease: None }
    }

    /// Writes a key that lives as long as the lease.
    pub fn put_leased(key: impl Into<String>, value: impl Into<Vec<u8>>, lease: LeaseId) -> Self {
        Self::Put { key: key.into(), value: value.into(), lease: Some(lease) }
    }

    /// Deletes one key.
    pub fn delete(key: impl Into<String>) -> Self {
        Self::Delete(Keys::One(key.into()))
    }

    /// Deletes all keys that begin with `prefix`.
    pub fn delete_prefix(prefix: impl Into<String>) -> Self {
        Self::Delete(Keys::Prefix(prefix.into()))
    }

    /// Reads one key.
    pub fn get(key: impl Into<String>) -> Self {
        Self::Range(Range::key(key))
    }
}

/// A transaction: if every comparison holds, `then`, otherwise `or_else`; all of it or
/// nothing, as one revision. See [`limits`] for how large it may be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Txn {
    /// The conditions; none means `then`.
    pub compare: Vec<Compare>,
    /// Executed when all conditions hold.
    pub then: Vec<Op>,
    /// Executed otherwise.
    pub or_else: Vec<Op>,
}

impl Txn {
    /// A transaction without conditions and operations.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a condition.
    pub fn when(mut self, compare: Compare) -> Self {
        self.compare.push(compare);
        self
    }

    /// Adds an operation for the case that all conditions hold.
    pub fn then(mut self, op: Op) -> Self {
        self.then.push(op);
        self
    }

    /// Adds an operation for the other case.
    pub fn or_else(mut self, op: Op) -> Self {
        self.or_else.push(op);
        self
    }
}

/// The answer to a [`Txn`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TxnReply {
    /// Whether all conditions held.
    pub succeeded: bool,
    /// The store's revision after the transaction; when it changed something, the
    /// revision at which it did.
    pub revision: Revision,
    /// One result for each operation of the branch that was executed, in order.
    pub results: Vec<OpResult>,
}

/// The result of one operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpResult {
    /// Written.
    Put,
    /// Deleted this many keys.
    Delete {
        /// How many keys there were.
        deleted: u64,
    },
    /// What was read.
    Range(RangeReply),
}

/// How the store is, endpoint by endpoint, for `status` and the metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// `etcd` or `embedded`.
    pub kind: &'static str,
    /// One entry for each endpoint, in the order of the settings.
    pub endpoints: Vec<EndpointHealth>,
}

impl Health {
    /// Whether at least one endpoint answers and knows a leader.
    pub fn has_leader(&self) -> bool {
        self.endpoints.iter().any(|e| e.status.as_ref().is_ok_and(|s| s.leader.is_some()))
    }
}

/// How one endpoint is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointHealth {
    /// Its address (embedded: the path of the file).
    pub endpoint: String,
    /// Whether calls go there first.
    pub preferred: bool,
    /// What it said of itself, or why it did not.
    pub status: std::result::Result<EndpointStatus, String>,
}

/// What an endpoint says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointStatus {
    /// The id of this member.
    pub member: u64,
    /// The id of the member that leads the store; `None` without a quorum.
    pub leader: Option<u64>,
    /// The store's current revision as this endpoint knows it.
    pub revision: Revision,
    /// The size of its database in bytes.
    pub db_bytes: u64,
    /// The version of its software.
    pub version: String,
    /// Alarms, such as `NOSPACE`; empty when all is well.
    pub alarms: Vec<String>,
}

/// The store. Used as `Arc<dyn Store>`.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Reads keys; linearizable unless a revision is given.
    ///
    /// # Errors
    /// `Compacted` when the revision is no longer kept, `TooLarge` when the reply is (take
    /// pages), `Unavailable` when no endpoint answers.
    async fn range(&self, range: Range) -> Result<RangeReply>;

    /// Executes a transaction.
    ///
    /// # Errors
    /// `Ambiguous` when it may or may not have happened; with every other error it
    /// certainly did not.
    async fn txn(&self, txn: Txn) -> Result<TxnReply>;

    /// Watches all keys that begin with `prefix`, from the revision `from` on (inclusive;
    /// usually that of a range, plus one). Batches arrive in the order of revisions.
    ///
    /// It always begins; what is wrong, the stream itself says at its [end](WatchEnd).
    async fn watch(&self, prefix: &str, from: Revision) -> WatchStream;

    /// Grants a lease. etcd rounds the time up to whole seconds, and to at least two.
    ///
    /// # Errors
    /// `Unavailable`: a lease that nobody knows of expires by itself, so a repeated grant
    /// is harmless, and an unclear one is not reported as ambiguous.
    async fn lease_grant(&self, ttl: Duration) -> Result<LeaseId>;

    /// Renews a lease; returns the time it now has left, as the store sees it.
    ///
    /// # Errors
    /// `LeaseExpired` when it is gone: its keys are, too.
    async fn lease_keep(&self, lease: LeaseId) -> Result<Duration>;

    /// Ends a lease and deletes its keys. Ending one that is gone already is no error.
    ///
    /// # Errors
    /// `Unavailable` when no endpoint answers.
    async fn lease_revoke(&self, lease: LeaseId) -> Result<()>;

    /// Forgets history before `revision`; reads and watches there then end with
    /// `Compacted`. Asking again for what is compacted already is no error.
    ///
    /// # Errors
    /// `Invalid` for a revision that does not exist yet.
    async fn compact(&self, revision: Revision) -> Result<()>;

    /// Asks every endpoint how it is. Never fails: a dead endpoint is part of the answer.
    async fn health(&self) -> Health;
}
