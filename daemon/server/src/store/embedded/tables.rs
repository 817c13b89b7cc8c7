//! How history lies on disk, and how it is read.
//!
//! `LIVE` says which keys exist now; `VERSIONS` holds every retained value of every key;
//! `LOG` says what each retained revision changed. A range is a walk over `LIVE` (or, in
//! the past, over `VERSIONS`), a watch is a walk over `LOG`.

use std::ops::Bound;

use redb::{ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition};

use super::Fault;
use crate::store::limits::{MAX_REPLY_BYTES, at_most};
use crate::store::{
    KeyValue, Keys, LeaseId, Range, RangeReply, Revision, StoreError, WatchBatch, WatchEvent,
};

/// Numbers that belong to the store as a whole; the names are below.
pub(super) const META: TableDefinition<&str, u64> = TableDefinition::new("meta");
/// Key -> the revision that created it, the revision that wrote it last.
pub(super) const LIVE: TableDefinition<&str, (u64, u64)> = TableDefinition::new("live");
/// Key and revision -> what that revision made of the key.
pub(super) const VERSIONS: TableDefinition<(&str, u64), Version> = TableDefinition::new("versions");
/// Revision and position in it -> the key that it changed.
pub(super) const LOG: TableDefinition<(u64, u32), &str> = TableDefinition::new("log");
/// Lease -> its time to live in milliseconds.
pub(super) const LEASES: TableDefinition<u64, u64> = TableDefinition::new("leases");
/// Lease and key -> nothing: the keys that end with it.
pub(super) const LEASE_KEYS: TableDefinition<(u64, &str), ()> = TableDefinition::new("lease_keys");

/// Create revision, lease (0: none), whether the key exists, value.
pub(super) type Version = (u64, u64, bool, &'static [u8]);

/// The layout of this file; a file with another one is not opened.
pub(super) const FORMAT: u64 = 1;
/// As in etcd, an empty store stands at revision 1.
pub(super) const FIRST_REVISION: Revision = 1;

pub(super) const META_FORMAT: &str = "format";
pub(super) const META_REVISION: &str = "revision";
pub(super) const META_COMPACTED: &str = "compacted";
pub(super) const META_NEXT_LEASE: &str = "next_lease";
pub(super) const META_BYTES: &str = "bytes";
pub(super) const META_COMMITS: &str = "commits";

/// How many log entries a watch reads at a time.
const FEED_ENTRIES: usize = 512;

/// Everything as it was after some commit.
pub(super) struct Snapshot {
    txn: ReadTransaction,
    pub(super) revision: Revision,
    pub(super) compacted: Revision,
}

/// What a watch reads in one go.
pub(super) struct Feed {
    pub(super) batches: Vec<WatchBatch>,
    /// Where to read on.
    pub(super) next: Revision,
}

impl Snapshot {
    pub(super) fn open(db: &redb::Database) -> Result<Self, Fault> {
        let txn = db.begin_read()?;
        let meta = txn.open_table(META)?;
        let revision = number(&meta, META_REVISION)?;
        let compacted = number(&meta, META_COMPACTED)?;
        Ok(Self { txn, revision, compacted })
    }

    pub(super) fn range(&self, range: &Range) -> Result<RangeReply, Fault> {
        let reading = Reading {
            live: &self.txn.open_table(LIVE)?,
            versions: &self.txn.open_table(VERSIONS)?,
            revision: self.revision,
            compacted: self.compacted,
        };
        reading.range(range, MAX_REPLY_BYTES)
    }

    /// How much the retained history holds, in bytes.
    pub(super) fn bytes(&self) -> Result<u64, Fault> {
        number(&self.txn.open_table(META)?, META_BYTES)
    }

    /// What changed under `prefix` from revision `from` on, some revisions at a time.
    pub(super) fn feed(&self, prefix: &str, from: Revision) -> Result<Feed, Fault> {
        let log = self.txn.open_table(LOG)?;
        let versions = self.txn.open_table(VERSIONS)?;
        let mut batches: Vec<WatchBatch> = Vec::new();
        let mut bytes = 0;
        for (count, entry) in log.range((from, 0)..)?.enumerate() {
            let (at, key) = entry?;
            let ((revision, position), key) = (at.value(), key.value());
            if position == 0 && (count >= FEED_ENTRIES || bytes > MAX_REPLY_BYTES) {
                return Ok(Feed { batches, next: revision });
            }
            if !key.starts_with(prefix) {
                continue;
            }
            let version = versions.get((key, revision))?.ok_or_else(|| dangling(key))?;
            let event = match version_to_kv(key, revision, version.value()) {
                Some(kv) => WatchEvent::Put(kv),
                None => WatchEvent::Delete { key: key.to_owned(), mod_revision: revision },
            };
            bytes += key.len() + version.value().3.len();
            match batches.last_mut() {
                Some(batch) if batch.revision == revision => batch.events.push(event),
                _ => batches.push(WatchBatch { revision, events: vec![event] }),
            }
        }
        Ok(Feed { batches, next: from.max(self.revision + 1) })
    }
}

/// The read side, over committed tables or over those of a transaction that writes.
pub(super) struct Reading<'a, L, V> {
    pub(super) live: &'a L,
    pub(super) versions: &'a V,
    pub(super) revision: Revision,
    pub(super) compacted: Revision,
}

impl<L, V> Reading<'_, L, V>
where
    L: ReadableTable<&'static str, (u64, u64)>,
    V: ReadableTable<(&'static str, u64), Version>,
{
    pub(super) fn range(&self, range: &Range, max_bytes: usize) -> Result<RangeReply, Fault> {
        let mut page = Page {
            kvs: Vec::new(),
            more: false,
            bytes: 0,
            limit: range.limit.unwrap_or(usize::MAX),
            max_bytes,
        };
        match range.revision {
            Some(past) if past != self.revision => self.walk_past(range, past, &mut page)?,
            _ => self.walk_now(range, &mut page)?,
        }
        Ok(RangeReply { kvs: page.kvs, revision: self.revision, more: page.more })
    }

    fn walk_now(&self, range: &Range, page: &mut Page) -> Result<(), Fault> {
        let bounds: (Bound<&str>, Bound<&str>) = (start(range), Bound::Unbounded);
        for entry in self.live.range::<&str>(bounds)? {
            let (key, at) = entry?;
            let (key, modified) = (key.value(), at.value().1);
            if !range.keys.contains(key) {
                break;
            }
            let version = self.versions.get((key, modified))?;
            let version = version.ok_or_else(|| dangling(key))?;
            let kv = version_to_kv(key, modified, version.value()).ok_or_else(|| dangling(key))?;
            if !page.take(kv)? {
                break;
            }
        }
        Ok(())
    }

    fn walk_past(&self, range: &Range, past: Revision, page: &mut Page) -> Result<(), Fault> {
        if past > self.revision {
            return Err(Fault::Refused(StoreError::Invalid(format!(
                "revision {past} does not exist yet (now: {})",
                self.revision
            ))));
        }
        if past < self.compacted {
            return Err(Fault::Refused(StoreError::Compacted { at: self.compacted }));
        }
        let mut from: (String, u64) = match start(range) {
            Bound::Excluded(key) => (key.to_owned(), u64::MAX),
            Bound::Included(key) => (key.to_owned(), 0),
            Bound::Unbounded => (String::new(), 0),
        };
        // Each key has many versions: hop from key to key.
        loop {
            let key = match self.versions.range((from.0.as_str(), from.1)..)?.next() {
                Some(entry) => entry?.0.value().0.to_owned(),
                None => return Ok(()),
            };
            if !range.keys.contains(&key) {
                return Ok(());
            }
            let mut until = self.versions.range((key.as_str(), 0)..=(key.as_str(), past))?;
            if let Some(entry) = until.next_back() {
                let (at, version) = entry?;
                if let Some(kv) = version_to_kv(&key, at.value().1, version.value())
                    && !page.take(kv)?
                {
                    return Ok(());
                }
            }
            drop(until);
            from = (key, u64::MAX);
        }
    }
}

/// A reply in the making.
struct Page {
    kvs: Vec<KeyValue>,
    more: bool,
    bytes: usize,
    limit: usize,
    max_bytes: usize,
}

impl Page {
    /// Adds one; says whether to go on.
    fn take(&mut self, kv: KeyValue) -> Result<bool, Fault> {
        if self.kvs.len() == self.limit {
            self.more = true;
            return Ok(false);
        }
        self.bytes += kv.key.len() + kv.value.len();
        at_most("bytes of a reply", self.bytes, self.max_bytes)?;
        self.kvs.push(kv);
        Ok(true)
    }
}

/// A number of the store as a whole; zero before it was ever written.
pub(super) fn number(meta: &impl ReadableTable<&'static str, u64>, name: &str) -> Result<u64, Fault> {
    Ok(meta.get(name)?.map_or(0, |value| value.value()))
}

/// The key as it was, or `None` where it was deleted.
fn version_to_kv(
    key: &str,
    revision: Revision,
    (create_revision, lease, exists, value): (u64, u64, bool, &[u8]),
) -> Option<KeyValue> {
    exists.then(|| KeyValue {
        key: key.to_owned(),
        value: value.to_vec(),
        create_revision,
        mod_revision: revision,
        lease: (lease != 0).then_some(LeaseId(lease)),
    })
}

fn start(range: &Range) -> Bound<&str> {
    let first = range.keys.text();
    match range.after.as_deref() {
        Some(after) if after >= first => Bound::Excluded(after),
        _ if matches!(range.keys, Keys::Prefix(_)) && first.is_empty() => Bound::Unbounded,
        _ => Bound::Included(first),
    }
}

pub(super) fn dangling(key: &str) -> Fault {
    Fault::Storage(redb::Error::Corrupted(format!("the key {key:?} is listed and has no value")))
}
