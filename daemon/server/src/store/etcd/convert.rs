//! Between our words and etcd's, with the prefix that all our keys have there.

use etcd_client::{
    Compare as EtcdCompare, CompareOp, DeleteOptions, Event, EventType, GetOptions, GetResponse, PutOptions,
    Txn as EtcdTxn, TxnOp, TxnOpResponse, TxnResponse,
};

use crate::store::{
    Compare, KeyValue, Keys, LeaseId, Op, OpResult, Range, RangeReply, Result, Revision, StoreError, Txn,
    TxnReply, WatchEvent,
};

/// The prefix of all our keys.
#[derive(Debug, Clone)]
pub(super) struct Keyspace(String);

impl Keyspace {
    pub(super) fn new(prefix: String) -> Self {
        Self(prefix)
    }

    /// The key as etcd knows it.
    pub(super) fn full(&self, key: &str) -> String {
        format!("{}{key}", self.0)
    }

    fn short(&self, key: Vec<u8>) -> Result<String> {
        let key = String::from_utf8(key).map_err(|error| StoreError::Corrupt {
            at: "etcd".into(),
            why: format!(
                "the key {:?} is not text; something else writes under the prefix {:?}",
                String::from_utf8_lossy(error.as_bytes()),
                self.0
            ),
        })?;
        Ok(key.strip_prefix(&self.0).unwrap_or(&key).to_owned())
    }

    pub(super) fn range(&self, range: &Range) -> (String, GetOptions) {
        let mut options = GetOptions::new();
        if let Some(limit) = range.limit {
            options = options.with_limit(i64::try_from(limit).unwrap_or(i64::MAX));
        }
        if let Some(revision) = range.revision {
            options = options.with_revision(revision.cast_signed());
        }
        let first = self.full(range.keys.text());
        // The key right behind `after`, unless that lies before the range.
        let behind = range.after.as_ref().map(|key| self.full(key) + "\0");
        match &range.keys {
            Keys::One(_) => match behind {
                // An empty range: it ends where it begins.
                Some(behind) if behind > first => (behind.clone(), options.with_range(behind)),
                _ => (first, options),
            },
            Keys::Prefix(_) => {
                let end = end_of(first.as_bytes());
                match behind {
                    Some(behind) if behind > first => (behind, options.with_range(end)),
                    _ if first.is_empty() => (first, options.with_all_keys()),
                    _ => (first, options.with_range(end)),
                }
            }
        }
    }

    pub(super) fn range_reply(&self, mut reply: GetResponse) -> Result<RangeReply> {
        let kvs = reply.take_kvs().into_iter().map(|kv| self.kv(kv));
        Ok(RangeReply {
            kvs: kvs.collect::<Result<_>>()?,
            revision: revision(reply.header()),
            more: reply.more(),
        })
    }

    pub(super) fn txn(&self, txn: &Txn) -> EtcdTxn {
        let compares = txn.compare.iter().map(|compare| self.compare(compare));
        let branch = |ops: &[Op]| ops.iter().map(|op| self.op(op)).collect::<Vec<_>>();
        EtcdTxn::new()
            .when(compares.collect::<Vec<_>>())
            .and_then(branch(&txn.then))
            .or_else(branch(&txn.or_else))
    }

    pub(super) fn txn_reply(&self, reply: &TxnResponse) -> Result<TxnReply> {
        let revision = revision(reply.header());
        let result = |response| {
            Ok(match response {
                TxnOpResponse::Delete(reply) => OpResult::Delete { deleted: reply.deleted().cast_unsigned() },
                TxnOpResponse::Get(reply) => {
                    OpResult::Range(RangeReply { revision, ..self.range_reply(reply)? })
                }
                TxnOpResponse::Put(_) | TxnOpResponse::Txn(_) => OpResult::Put,
            })
        };
        Ok(TxnReply {
            succeeded: reply.succeeded(),
            revision,
            results: reply.op_responses().into_iter().map(result).collect::<Result<_>>()?,
        })
    }

    /// A change and the revision that made it.
    pub(super) fn event(&self, event: &Event) -> Result<(Revision, WatchEvent)> {
        let Some(kv) = event.kv() else {
            return Err(StoreError::Corrupt {
                at: "etcd".into(),
                why: "a watch reported a change of no key".into(),
            });
        };
        let at = kv.mod_revision().cast_unsigned();
        let event = match event.event_type() {
            EventType::Put => WatchEvent::Put(self.kv(kv.clone())?),
            EventType::Delete => WatchEvent::Delete { key: self.short(kv.key().to_vec())?, mod_revision: at },
        };
        Ok((at, event))
    }

    fn kv(&self, kv: etcd_client::KeyValue) -> Result<KeyValue> {
        let (create, modified, lease) = (kv.create_revision(), kv.mod_revision(), kv.lease());
        let (key, value) = kv.into_key_value();
        Ok(KeyValue {
            key: self.short(key)?,
            value,
            create_revision: create.cast_unsigned(),
            mod_revision: modified.cast_unsigned(),
            lease: (lease != 0).then(|| LeaseId(lease.cast_unsigned())),
        })
    }

    fn compare(&self, compare: &Compare) -> EtcdCompare {
        let key = self.full(compare.key());
        let equal = CompareOp::Equal;
        match compare {
            Compare::CreateRevision(_, is) => EtcdCompare::create_revision(key, equal, is.cast_signed()),
            Compare::ModRevision(_, is) => EtcdCompare::mod_revision(key, equal, is.cast_signed()),
            Compare::Value(_, is) => EtcdCompare::value(key, equal, is.clone()),
        }
    }

    fn op(&self, op: &Op) -> TxnOp {
        match op {
            Op::Put { key, value, lease } => {
                let lease = lease.map_or(0, |lease| lease.0.cast_signed());
                let options = PutOptions::new().with_lease(lease);
                TxnOp::put(self.full(key), value.clone(), Some(options))
            }
            Op::Delete(Keys::One(key)) => TxnOp::delete(self.full(key), None),
            Op::Delete(Keys::Prefix(prefix)) => {
                let options = DeleteOptions::new().with_prefix();
                TxnOp::delete(self.full(prefix), Some(options))
            }
            Op::Range(range) => {
                let (key, options) = self.range(range);
                TxnOp::get(key, Some(options))
            }
        }
    }
}

/// The first lease that a transaction attaches keys to: the likely one if etcd says that
/// one is gone.
pub(super) fn first_lease(txn: &Txn) -> Option<LeaseId> {
    txn.then.iter().chain(&txn.or_else).find_map(|op| match op {
        Op::Put { lease, .. } => *lease,
        _ => None,
    })
}

fn revision(header: Option<&etcd_client::ResponseHeader>) -> Revision {
    header.map_or(0, |header| header.revision().cast_unsigned())
}

/// The first key behind all that begin with `prefix`; etcd's `\0` means "no end".
fn end_of(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return end;
        }
    }
    vec![0]
}
