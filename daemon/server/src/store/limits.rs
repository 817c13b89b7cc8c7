//! What a request may weigh, checked before anything is sent.
//!
//! These are etcd's limits. The embedded store has them too, so that what works on one
//! machine works in three sites.

use std::time::Duration;

use super::{Keys, Op, Range, Result, StoreError, Txn};

/// Comparisons, or operations of one branch, in a transaction.
pub const MAX_TXN_OPS: usize = 128;

/// Bytes of one request, keys and framing included: 1.5 MiB.
pub const MAX_REQUEST_BYTES: usize = 1_572_864;

/// Bytes of the reply to one range: 4 MiB, what a gRPC client takes by default.
pub const MAX_REPLY_BYTES: usize = 4 * 1024 * 1024;

/// What a comparison or an operation weighs beside its key and value: framing, and the
/// prefix that etcd adds to every key.
const OVERHEAD_BYTES: usize = 128;

/// Checks a transaction: size, number of operations, and that no branch writes a key twice.
///
/// # Errors
/// `TooLarge` or `Invalid`.
pub fn check_txn(txn: &Txn) -> Result<()> {
    for (what, count) in [
        ("comparisons in a transaction", txn.compare.len()),
        ("operations in a transaction", txn.then.len()),
        ("operations in the other branch of a transaction", txn.or_else.len()),
    ] {
        at_most(what, count, MAX_TXN_OPS)?;
    }
    at_most("bytes of a request", weight(txn), MAX_REQUEST_BYTES)?;
    for compare in &txn.compare {
        check_key(compare.key())?;
    }
    check_branch(&txn.then)?;
    check_branch(&txn.or_else)
}

/// Checks a range.
///
/// # Errors
/// `Invalid`.
pub fn check_range(range: &Range) -> Result<()> {
    check_keys(&range.keys)?;
    if range.limit == Some(0) {
        return Err(StoreError::Invalid("a range of at most 0 keys".into()));
    }
    if range.revision == Some(0) {
        return Err(StoreError::Invalid("there is no revision 0 to read".into()));
    }
    Ok(())
}

/// Checks the time to live of a lease.
///
/// # Errors
/// `Invalid` when it is zero, or more than etcd takes (9,000,000,000 s).
pub fn check_ttl(ttl: Duration) -> Result<()> {
    if ttl.is_zero() || ttl > Duration::from_secs(9_000_000_000) {
        return Err(StoreError::Invalid(format!("a lease of {ttl:?}")));
    }
    Ok(())
}

pub(crate) fn at_most(what: &str, size: usize, limit: usize) -> Result<()> {
    if size <= limit {
        return Ok(());
    }
    Err(StoreError::TooLarge { what: what.into(), size, limit })
}

fn weight(txn: &Txn) -> usize {
    let compares = txn.compare.iter().map(|compare| match compare {
        super::Compare::Value(key, value) => key.len() + value.len(),
        other => other.key().len(),
    });
    let ops = txn.then.iter().chain(&txn.or_else).map(|op| match op {
        Op::Put { key, value, .. } => key.len() + value.len(),
        Op::Delete(keys) | Op::Range(Range { keys, .. }) => keys.text().len(),
    });
    compares.chain(ops).map(|bytes| bytes + OVERHEAD_BYTES).sum()
}

fn check_branch(ops: &[Op]) -> Result<()> {
    let mut written = std::collections::BTreeSet::new();
    for op in ops {
        match op {
            Op::Put { key, .. } => {
                check_key(key)?;
                if !written.insert(key.as_str()) {
                    return Err(StoreError::Invalid(format!("a transaction writes the key {key:?} twice")));
                }
            }
            Op::Delete(keys) => check_keys(keys)?,
            Op::Range(range) => check_range(range)?,
        }
    }
    for op in ops {
        let Op::Delete(keys) = op else { continue };
        if let Some(key) = written.iter().find(|key| keys.contains(key)) {
            return Err(StoreError::Invalid(format!(
                "a transaction both writes and deletes the key {key:?}"
            )));
        }
    }
    Ok(())
}

fn check_keys(keys: &Keys) -> Result<()> {
    match keys {
        Keys::One(key) => check_key(key),
        Keys::Prefix(_) => Ok(()),
    }
}

fn check_key(key: &str) -> Result<()> {
    if key.is_empty() {
        return Err(StoreError::Invalid("the empty key".into()));
    }
    Ok(())
}

impl Keys {
    /// The key or the prefix.
    pub fn text(&self) -> &str {
        match self {
            Self::One(text) | Self::Prefix(text) => text,
        }
    }

    /// Whether `key` is meant.
    pub fn contains(&self, key: &str) -> bool {
        match self {
            Self::One(one) => one == key,
            Self::Prefix(prefix) => key.starts_with(prefix.as_str()),
        }
    }
}
