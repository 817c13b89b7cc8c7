//! Writes that only the leader of this very term can commit.
//!
//! Every one compares the leader key's create revision *and* its value, which holds the
//! campaign's nonce: a restored store may repeat a revision, never a nonce. An unclear answer is
//! settled by sending the same transaction again: if the first one was committed, the compare on
//! what it wrote is lost, and what is found there bears our nonce.

use crate::ledger::{End, Overtaken, Writer};
use crate::records::{self, LEADER, Leader};
use crate::store::since::Since;
use crate::store::{Compare, Op, OpResult, RangeReply, Revision, Store, StoreError, Txn, TxnReply};
use crate::trouble::Trouble;
use standfast_core::audit::Fact;
use standfast_core::leadership::Term;
use standfast_core::run::Illegal;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

/// Pause before a write that did not go through is sent again.
const AGAIN: Duration = Duration::from_millis(50);

/// The right to write of one term.
#[derive(Clone)]
pub struct Guarded {
    store: Arc<dyn Store>,
    key_revision: Revision,
    leader: Vec<u8>,
    nonce: String,
    stopped: CancellationToken,
    silent: Arc<Trouble>,
    writer: Writer,
    /// Where the audit ends; none until it was read, or when that must be done again.
    audited: Arc<Mutex<Option<End>>>,
}

/// Why a guarded write was not made.
#[derive(Debug, thiserror::Error)]
pub enum Lost {
    /// Somebody else leads. Final.
    #[error("the leader key is not ours any more")]
    Guard,
    /// The term was ended meanwhile; whether it was made is for the next leader to read.
    #[error("the term has ended")]
    Stopped,
    /// The store will never take it.
    #[error(transparent)]
    Refused(#[from] StoreError),
    /// An entry cannot follow what is stored.
    #[error(transparent)]
    Illegal(#[from] Illegal),
}

/// A guarded transaction whose guard held.
pub enum Committed {
    /// All compares held.
    Written(TxnReply),
    /// The leader key is ours, but another compare was lost; what the caller asked to see.
    Compared(Vec<OpResult>),
}

impl Guarded {
    /// For `term`, whose leader record is `leader`.
    pub fn new(store: Arc<dyn Store>, term: &Term, leader: &Leader, stopped: CancellationToken) -> Self {
        Self {
            store,
            key_revision: term.key_revision,
            leader: records::encode(leader),
            nonce: term.nonce.clone(),
            stopped,
            silent: Arc::new(Trouble::new("the store is asked again, for the leader")),
            writer: Writer { epoch: Some(leader.epoch), member: Some(leader.member.clone()) },
            audited: Arc::default(),
        }
    }

    /// The campaign's nonce.
    pub fn nonce(&self) -> &str {
        &self.nonce
    }

    /// The store itself, for reads.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The same right to write, with reads that are not older than `revision`.
    pub fn since(&self, revision: Revision) -> Self {
        Self { store: Arc::new(Since::new(self.store.clone(), revision)), ..self.clone() }
    }

    /// A transaction with the guard in it.
    pub fn txn(&self) -> Txn {
        Txn::new()
            .when(Compare::created(LEADER, self.key_revision))
            .when(Compare::value(LEADER, self.leader.clone()))
    }

    /// Commits `txn`, made by [`Guarded::txn`]. When a compare is lost, `look` is read along.
    /// Tries until it is settled or the term ends.
    pub async fn commit(&self, txn: Txn, look: Vec<Op>) -> Result<Committed, Lost> {
        let mut txn = txn.or_else(Op::get(LEADER));
        txn.or_else.extend(look);
        loop {
            let sent = tokio::select! {
                reply = self.store.txn(txn.clone()) => reply,
                () = self.stopped.cancelled() => return Err(Lost::Stopped),
            };
            if sent.is_ok() {
                self.silent.over();
            }
            match sent {
                Ok(reply) if reply.succeeded => return Ok(Committed::Written(reply)),
                Ok(reply) => {
                    let mut seen = reply.results.into_iter();
                    return match seen.next() {
                        Some(OpResult::Range(range)) if self.is_ours(&range) => {
                            Ok(Committed::Compared(seen.collect()))
                        }
                        _ => Err(Lost::Guard),
                    };
                }
                Err(error) if error.is_ambiguous() || error.is_transient() => {
                    self.silent.met(error);
                    tokio::select! {
                        () = tokio::time::sleep(AGAIN) => {}
                        () = self.stopped.cancelled() => return Err(Lost::Stopped),
                    }
                }
                Err(error) => return Err(Lost::Refused(error)),
            }
        }
    }

    /// As [`Guarded::commit`], and writes `facts` to the audit in the same transaction. One at a time:
    /// the audit has one end.
    pub async fn record(&self, txn: Txn, facts: Vec<Fact>, look: Vec<Op>) -> Result<Committed, Lost> {
        if facts.is_empty() {
            return self.commit(txn, look).await;
        }
        let mut audited = self.audited.lock().await;
        loop {
            let end = match audited.take() {
                Some(end) => end,
                None => self.persist(|| End::read(&*self.store)).await?,
            };
            let next = end.next(&self.writer, facts.clone());
            let mut asked = Vec::from(End::look(&next));
            asked.extend(look.clone());
            let seen = match self.commit(end.chain(txn.clone(), &next), asked).await? {
                Committed::Written(reply) => {
                    *audited = Some(End::after(next, reply.revision));
                    return Ok(Committed::Written(reply));
                }
                Committed::Compared(seen) => seen,
            };
            match end.overtaken(&next, &seen) {
                Overtaken::Ours(revision) => {
                    return Ok(Committed::Written(TxnReply {
                        succeeded: true,
                        revision,
                        results: Vec::new(),
                    }));
                }
                Overtaken::Moved => {}
                Overtaken::Other => {
                    *audited = Some(end);
                    return Ok(Committed::Compared(seen.into_iter().skip(End::look(&next).len()).collect()));
                }
            }
        }
    }

    /// What the store answers to something that is harmless to repeat: until it answers, or the
    /// term ends.
    pub async fn persist<T, F>(&self, mut ask: impl FnMut() -> F) -> Result<T, Lost>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let settled = async {
            loop {
                match ask().await {
                    Err(error) if error.is_transient() || matches!(error, StoreError::Compacted { .. }) => {
                        self.silent.met(error);
                        tokio::time::sleep(AGAIN).await;
                    }
                    settled => return settled,
                }
            }
        };
        match self.stopped.run_until_cancelled(settled).await {
            Some(settled) => Ok(settled?),
            None => Err(Lost::Stopped),
        }
    }

    fn is_ours(&self, range: &RangeReply) -> bool {
        range.kvs.first().is_some_and(|kv| kv.create_revision == self.key_revision && kv.value == self.leader)
    }

    /// Commits `ops` under the guard alone, and writes `facts` to the audit; the revision that makes.
    pub async fn tell(&self, ops: Vec<Op>, facts: Vec<Fact>) -> Result<Revision, Lost> {
        let mut txn = self.txn();
        txn.then = ops;
        match self.record(txn, facts, Vec::new()).await? {
            Committed::Written(reply) => Ok(reply.revision),
            Committed::Compared(_) => Err(Lost::Guard),
        }
    }

    /// Commits `ops` under the guard alone.
    pub async fn put(&self, ops: Vec<Op>) -> Result<(), Lost> {
        let mut txn = self.txn();
        txn.then = ops;
        match self.commit(txn, Vec::new()).await? {
            Committed::Written(_) => Ok(()),
            // Nothing but the guard was compared, and it is ours: the answer was of the past.
            Committed::Compared(_) => Err(Lost::Guard),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::store::Range;
    use crate::store::embedded::EmbeddedStore;
    use standfast_core::ids::Epoch;

    /// The right to write of a leader who has just campaigned.
    pub(crate) async fn lead(store: &Arc<dyn Store>, nonce: &str) -> Guarded {
        let leader = Leader {
            member: "m".into(),
            site: "a".into(),
            epoch: Epoch(1),
            nonce: nonce.into(),
            address: "127.0.0.1:1".into(),
            since_ms: 0,
        };
        let put = Txn::new().then(Op::delete(LEADER)).then(Op::put("other", "x"));
        store.txn(put).await.unwrap();
        let put = Txn::new().then(Op::put(LEADER, records::encode(&leader)));
        let key_revision = store.txn(put).await.unwrap().revision;
        let term = Term { epoch: Epoch(1), key_revision, nonce: nonce.into(), lease: 1 };
        Guarded::new(store.clone(), &term, &leader, CancellationToken::new())
    }

    /// Situation: a leader was paused, another leads. Danger: the first wakes up and writes.
    #[tokio::test]
    async fn who_is_followed_by_another_writes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> =
            Arc::new(EmbeddedStore::open(folder.path().join("store.redb")).await.unwrap());
        let first = lead(&store, "first").await;
        first.put(vec![Op::put("by", "first")]).await.unwrap();
        let second = lead(&store, "second").await;
        second.put(vec![Op::put("by", "second")]).await.unwrap();
        assert!(matches!(first.put(vec![Op::put("by", "first")]).await, Err(Lost::Guard)));
        // A restored store repeats a revision: the nonce still tells them apart.
        let restored = Guarded { key_revision: second.key_revision, ..first };
        assert!(matches!(restored.put(vec![Op::put("by", "first")]).await, Err(Lost::Guard)));
        let by = store.range(Range::key("by")).await.unwrap();
        assert_eq!(by.kvs[0].value, b"second");
    }
}
