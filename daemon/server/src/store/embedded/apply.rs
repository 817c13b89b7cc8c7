//! How a transaction changes history.
//!
//! Several transactions share one commit to disk, so each is checked in full before it
//! changes anything: what is refused leaves no trace.

use std::time::Duration;

use redb::{ReadableTable, Table, WriteTransaction};

use super::Fault;
use super::tables::{
    FIRST_REVISION, LEASE_KEYS, LEASES, LIVE, LOG, META, META_BYTES, META_COMMITS, META_COMPACTED,
    META_NEXT_LEASE, META_REVISION, Reading, VERSIONS, Version, number,
};
use crate::store::{Compare, Keys, LeaseId, Op, OpResult, Range, Revision, StoreError, Txn, TxnReply};

/// How much history one commit forgets; the rest waits for the next.
const SWEEP_ENTRIES: usize = 500;

type Live<'t> = Table<'t, &'static str, (u64, u64)>;
type Versions<'t> = Table<'t, (&'static str, u64), Version>;

/// The tables in the hands of the one writer.
pub(super) struct Writing<'t> {
    meta: Table<'t, &'static str, u64>,
    live: Live<'t>,
    versions: Versions<'t>,
    log: Table<'t, (u64, u32), &'static str>,
    leases: Table<'t, u64, u64>,
    lease_keys: Table<'t, (u64, &'static str), ()>,
    /// Where this is, for messages.
    at: &'t str,
    max_bytes: u64,
    /// The last commit failed: a transaction that could write is committed even if it changes
    /// nothing, so that whoever asks whether writes work is told what the disk says.
    pub(super) prove: bool,
    pub(super) revision: Revision,
    compacted: Revision,
    next_lease: u64,
    bytes: u64,
    commits: u64,
    dirty: bool,
    /// The position of the next change within the revision in the making.
    position: u32,
}

impl<'t> Writing<'t> {
    pub(super) fn open(txn: &'t WriteTransaction, at: &'t str, max_bytes: u64) -> Result<Self, Fault> {
        let meta = txn.open_table(META)?;
        let mut writing = Self {
            live: txn.open_table(LIVE)?,
            versions: txn.open_table(VERSIONS)?,
            log: txn.open_table(LOG)?,
            leases: txn.open_table(LEASES)?,
            lease_keys: txn.open_table(LEASE_KEYS)?,
            at,
            max_bytes,
            prove: false,
            revision: number(&meta, META_REVISION)?.max(FIRST_REVISION),
            compacted: number(&meta, META_COMPACTED)?,
            next_lease: number(&meta, META_NEXT_LEASE)?,
            bytes: number(&meta, META_BYTES)?,
            commits: number(&meta, META_COMMITS)?,
            dirty: false,
            position: 0,
            meta,
        };
        writing.sweep()?;
        Ok(writing)
    }

    /// Writes the numbers back; the number of this commit if there is anything to commit.
    pub(super) fn finish(mut self) -> Result<Option<u64>, Fault> {
        if !self.dirty {
            return Ok(None);
        }
        let commit = self.commits + 1;
        for (name, value) in [
            (META_REVISION, self.revision),
            (META_COMPACTED, self.compacted),
            (META_NEXT_LEASE, self.next_lease),
            (META_BYTES, self.bytes),
            (META_COMMITS, commit),
        ] {
            self.meta.insert(name, value)?;
        }
        Ok(Some(commit))
    }

    /// Executes a transaction that `limits` has already checked.
    pub(super) fn txn(&mut self, txn: &Txn) -> Result<TxnReply, Fault> {
        let mut succeeded = true;
        for compare in &txn.compare {
            succeeded &= self.holds(compare)?;
        }
        let ops = if succeeded { &txn.then } else { &txn.or_else };
        self.check_branch(ops)?;
        let puts = txn.then.iter().chain(&txn.or_else).any(|op| matches!(op, Op::Put { .. }));
        if puts {
            self.check_room()?;
        }
        self.dirty |= self.prove && puts;

        self.position = 0;
        let mut results = Vec::with_capacity(ops.len());
        for op in ops {
            results.push(match op {
                Op::Put { key, value, lease } => {
                    self.put(key, value, lease.map_or(0, |lease| lease.0))?;
                    OpResult::Put
                }
                Op::Delete(keys) => OpResult::Delete { deleted: self.delete(keys)? },
                Op::Range(range) => OpResult::Range(self.reading(self.making()).range(range, usize::MAX)?),
            });
        }
        self.close_revision();
        for result in &mut results {
            if let OpResult::Range(reply) = result {
                reply.revision = self.revision;
            }
        }
        Ok(TxnReply { succeeded, revision: self.revision, results })
    }

    pub(super) fn grant(&mut self, ttl: Duration) -> Result<LeaseId, Fault> {
        self.dirty = true;
        self.next_lease += 1;
        let millis = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
        self.leases.insert(self.next_lease, millis)?;
        Ok(LeaseId(self.next_lease))
    }

    /// The time to live of a lease that exists.
    pub(super) fn ttl(&self, lease: LeaseId) -> Result<Duration, Fault> {
        match self.leases.get(lease.0)? {
            Some(millis) => Ok(Duration::from_millis(millis.value())),
            None => Err(Fault::Refused(StoreError::LeaseExpired(lease))),
        }
    }

    /// Ends a lease, and its keys in one revision. One that is gone is left alone.
    pub(super) fn drop_lease(&mut self, lease: LeaseId) -> Result<(), Fault> {
        if self.leases.remove(lease.0)?.is_none() {
            return Ok(());
        }
        self.dirty = true;
        let keys = self
            .lease_keys
            .range((lease.0, "")..)?
            .map(|entry| entry.map(|(at, _)| (at.value().0, at.value().1.to_owned())))
            .take_while(|entry| !matches!(entry, Ok((id, _)) if *id != lease.0))
            .map(|entry| entry.map(|(_, key)| key))
            .collect::<Result<Vec<_>, _>>()?;
        self.position = 0;
        for key in &keys {
            self.delete_one(key)?;
        }
        self.close_revision();
        Ok(())
    }

    pub(super) fn compact(&mut self, revision: Revision) -> Result<(), Fault> {
        if revision > self.revision {
            return Err(Fault::Refused(StoreError::Invalid(format!(
                "cannot compact at revision {revision}: the store stands at {}",
                self.revision
            ))));
        }
        if revision > self.compacted {
            self.compacted = revision;
            self.dirty = true;
        }
        Ok(())
    }

    /// Forgets some of what is compacted. Readers refuse it already, so it can take its
    /// time, over restarts too.
    fn sweep(&mut self) -> Result<(), Fault> {
        let done = self
            .log
            .range(..=(self.compacted, u32::MAX))?
            .take(SWEEP_ENTRIES)
            .map(|entry| entry.map(|(at, key)| (at.value(), key.value().to_owned())))
            .collect::<Result<Vec<_>, _>>()?;
        for (at, key) in &done {
            self.log.remove(*at)?;
            let (revision, key) = (at.0, key.as_str());
            let older = self
                .versions
                .range((key, 0)..=(key, revision))?
                .map(|entry| entry.map(|(at, version)| (at.value().1, version.value().2)))
                .collect::<Result<Vec<_>, _>>()?;
            for (old, exists) in older {
                if old < revision || !exists {
                    self.forget(key, old)?;
                }
            }
        }
        self.dirty |= !done.is_empty();
        Ok(())
    }

    /// Whether compacted history still waits to be forgotten.
    pub(super) fn must_sweep(&self) -> Result<bool, Fault> {
        let first = self.log.range(..=(self.compacted, u32::MAX))?.next();
        Ok(first.transpose()?.is_some())
    }

    fn holds(&self, compare: &Compare) -> Result<bool, Fault> {
        let live = self.live.get(compare.key())?.map(|at| at.value());
        Ok(match (compare, live) {
            (Compare::CreateRevision(_, is), live) => live.map_or(0, |at| at.0) == *is,
            (Compare::ModRevision(_, is), live) => live.map_or(0, |at| at.1) == *is,
            (Compare::Value(..), None) => false,
            (Compare::Value(key, is), Some((_, modified))) => {
                self.versions.get((key.as_str(), modified))?.is_some_and(|version| version.value().3 == is)
            }
        })
    }

    fn check_branch(&self, ops: &[Op]) -> Result<(), Fault> {
        for op in ops {
            match op {
                Op::Put { lease: Some(lease), .. } => drop(self.ttl(*lease)?),
                Op::Range(range) => self.check_past(range)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Asked of both branches, as etcd does.
    fn check_room(&self) -> Result<(), Fault> {
        if self.bytes >= self.max_bytes {
            return Err(Fault::Refused(StoreError::NoSpace {
                at: self.at.to_owned(),
                why: format!(
                    "it holds {} bytes, {} are allowed; forgetting old history makes room",
                    self.bytes, self.max_bytes
                ),
            }));
        }
        Ok(())
    }

    /// A range that cannot be answered must be refused before anything is written.
    fn check_past(&self, range: &Range) -> Result<(), Fault> {
        let empty = Range { limit: Some(1), ..range.clone() };
        self.reading(self.revision).range(&empty, usize::MAX).map(drop)
    }

    fn put(&mut self, key: &str, value: &[u8], lease: u64) -> Result<(), Fault> {
        let revision = self.making();
        let before = self.live.get(key)?.map(|at| at.value());
        let created = match before {
            Some((created, modified)) => {
                self.detach(key, modified)?;
                created
            }
            None => revision,
        };
        if lease != 0 {
            self.lease_keys.insert((lease, key), ())?;
        }
        self.live.insert(key, (created, revision))?;
        self.record(key, (created, lease, true, value))
    }

    fn delete(&mut self, keys: &Keys) -> Result<u64, Fault> {
        let doomed = match keys {
            Keys::One(key) => match self.live.get(key.as_str())? {
                Some(_) => vec![key.clone()],
                None => Vec::new(),
            },
            Keys::Prefix(prefix) => self
                .live
                .range(prefix.as_str()..)?
                .map(|entry| entry.map(|(key, _)| key.value().to_owned()))
                .take_while(|key| !matches!(key, Ok(key) if !keys.contains(key)))
                .collect::<Result<Vec<_>, _>>()?,
        };
        for key in &doomed {
            self.delete_one(key)?;
        }
        Ok(doomed.len() as u64)
    }

    fn delete_one(&mut self, key: &str) -> Result<(), Fault> {
        let gone = self.live.remove(key)?.map(|at| at.value());
        let Some((_, modified)) = gone else {
            return Ok(());
        };
        self.detach(key, modified)?;
        self.record(key, (0, 0, false, &[]))
    }

    /// Takes a key from the lease that its version at `modified` had.
    fn detach(&mut self, key: &str, modified: Revision) -> Result<(), Fault> {
        let lease = self.versions.get((key, modified))?.map(|v| v.value().1);
        if let Some(lease) = lease.filter(|lease| *lease != 0) {
            self.lease_keys.remove((lease, key))?;
        }
        Ok(())
    }

    fn record(&mut self, key: &str, version: (u64, u64, bool, &[u8])) -> Result<(), Fault> {
        let revision = self.making();
        self.bytes += weight(key, version.3);
        self.versions.insert((key, revision), version)?;
        self.log.insert((revision, self.position), key)?;
        self.position += 1;
        self.dirty = true;
        Ok(())
    }

    fn forget(&mut self, key: &str, revision: Revision) -> Result<(), Fault> {
        let gone = self.versions.remove((key, revision))?;
        if let Some(version) = gone {
            self.bytes = self.bytes.saturating_sub(weight(key, version.value().3));
        }
        Ok(())
    }

    /// The revision that the changes being made will have.
    fn making(&self) -> Revision {
        self.revision + 1
    }

    fn close_revision(&mut self) {
        if self.position > 0 {
            self.revision += 1;
            self.position = 0;
        }
    }

    fn reading(&self, revision: Revision) -> Reading<'_, Live<'t>, Versions<'t>> {
        Reading { live: &self.live, versions: &self.versions, revision, compacted: self.compacted }
    }
}

/// What a version counts against the quota: its bytes, and about what the tables add.
fn weight(key: &str, value: &[u8]) -> u64 {
    (2 * key.len() + value.len() + 64) as u64
}
