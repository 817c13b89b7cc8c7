//! Writes the audit: each entry in the transaction of what it tells.
//!
//! The chain has one end, so every audited transaction compares and rewrites it. Whoever leads writes
//! nearly all of them and knows the end without asking; whoever does not lead reads it first.

use crate::clock;
use crate::records::{self, AUDIT, AUDITED};
use crate::store::{Compare, Op, OpResult, Range, Revision, Store, StoreError, Txn, pages};
use standfast_core::audit::{Entry, Fact, Head, VERSION};
use standfast_core::ids::{Epoch, MemberId};

/// The end of the chain as the store has it.
#[derive(Clone, Debug, Default)]
pub struct End {
    head: Head,
    /// Modification revision of its record; 0 before the first entry.
    revision: Revision,
}

/// An entry that is to follow an [`End`].
pub struct Next {
    key: String,
    line: Vec<u8>,
    head: Head,
}

/// Who writes entries.
#[derive(Clone, Debug, Default)]
pub struct Writer {
    /// The fencing token; none when it does not lead.
    pub epoch: Option<Epoch>,
    /// Its name.
    pub member: Option<MemberId>,
}

/// What became of a transaction with an entry in it, whose compares did not hold.
pub enum Overtaken {
    /// It was made all the same, at this revision: an earlier answer to it was lost.
    Ours(Revision),
    /// Somebody else wrote an entry, or the end was damaged: read it, and try again.
    Moved,
    /// The end is where it was: another compare was lost.
    Other,
}

impl End {
    /// Asks where the chain ends.
    ///
    /// # Errors
    /// As [`Store::range`].
    pub async fn read(store: &dyn Store) -> Result<Self, StoreError> {
        let kv = store.range(Range::key(AUDITED)).await?.kvs.into_iter().next();
        let revision = kv.as_ref().map_or(0, |kv| kv.mod_revision);
        let head = kv.map(|kv| records::decode(&kv)).transpose().unwrap_or_else(|error| {
            tracing::error!(%error, "where the audit ends is read from its entries");
            None
        });
        let head = match head {
            Some(head) => head,
            // Nobody has written yet, or the record is gone or damaged: nothing may be written over.
            None => match pages::range_all(store, AUDIT).await?.kvs.last() {
                Some(last) => Head::of(number(&last.key), &last.value),
                None => Head::default(),
            },
        };
        Ok(Self { head, revision })
    }

    /// The last entry.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Modification revision of its record.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The entry that tells `facts`.
    pub fn next(&self, writer: &Writer, facts: Vec<Fact>) -> Next {
        let Writer { epoch, member } = writer.clone();
        let (sequence, previous) = (self.head.sequence + 1, self.head.digest.clone());
        let wall_ms = clock::wall_ms();
        let entry = Entry { version: VERSION, sequence, previous, wall_ms, epoch, member, facts };
        let line = records::encode(&entry);
        Next { key: records::audit(sequence), head: Head::of(sequence, &line), line }
    }

    /// `txn`, if the chain still ends here, with the entry in it.
    pub fn chain(&self, txn: Txn, next: &Next) -> Txn {
        txn.when(Compare::modified(AUDITED, self.revision))
            .then(Op::put(&next.key, next.line.clone()))
            .then(Op::put(AUDITED, records::encode(&next.head)))
    }

    /// Where the chain ends when the entry is written, at `revision`.
    pub fn after(next: Next, revision: Revision) -> Self {
        Self { head: next.head, revision }
    }

    /// What to read along when a compare is lost, for [`End::overtaken`].
    pub fn look(next: &Next) -> [Op; 2] {
        [Op::get(AUDITED), Op::get(&next.key)]
    }

    /// What the answers to [`End::look`] mean.
    pub fn overtaken(&self, next: &Next, seen: &[OpResult]) -> Overtaken {
        let found = |place: usize| match seen.get(place) {
            Some(OpResult::Range(range)) => range.kvs.first(),
            _ => None,
        };
        match found(1) {
            Some(kv) if kv.value == next.line => Overtaken::Ours(kv.mod_revision),
            _ if found(0).map_or(0, |kv| kv.mod_revision) == self.revision => Overtaken::Other,
            _ => Overtaken::Moved,
        }
    }
}

/// The number of the entry under this key.
pub fn number(key: &str) -> u64 {
    key.trim_start_matches(AUDIT).parse().unwrap_or_default()
}
