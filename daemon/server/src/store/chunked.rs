//! Values larger than a request: bundles and plans.
//!
//! A value becomes chunks, each written by itself, and a manifest at its key that is
//! written last: whoever sees the manifest can read all of it. Chunks lie under
//! `chunks/KEY@DIGEST/`, so a new value never mixes with the one before, and a value that
//! was written halfway is invisible.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Compare, KeyValue, Op, Range, Result, Revision, Store, StoreError, Txn, TxnReply};

/// The bytes of one chunk; the last may be smaller.
pub const CHUNK_BYTES: usize = 512 * 1024;
/// The most a chunked value may have: 64 MiB.
pub const MAX_VALUE_BYTES: usize = 64 * 1024 * 1024;
/// Chunks read at a time, so that the reply stays below the limit.
const PAGE_CHUNKS: usize = 4;
/// How often something that is safe to repeat is tried.
const TRIES: usize = 3;

/// What stands at the key.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    bytes: usize,
    chunks: usize,
    sha256: String,
}

impl Manifest {
    fn of(value: &[u8]) -> Self {
        Self {
            bytes: value.len(),
            chunks: value.len().div_ceil(CHUNK_BYTES),
            sha256: hex(&Sha256::digest(value)),
        }
    }

    /// Where the chunks of the value at `key` lie.
    fn folder(&self, key: &str) -> String {
        format!("{}{}/", folder(key), self.sha256)
    }

    fn parse(kv: &KeyValue) -> Result<Self> {
        serde_json::from_slice(&kv.value)
            .map_err(|error| damaged(&kv.key, format!("no manifest of chunks: {error}")))
    }
}

/// Writes a large value, provided that `guards` hold when its manifest is written. The
/// reply is that of the manifest: if it did not succeed the value is as it was before.
/// A value that was there before is replaced, and its chunks are deleted.
///
/// # Errors
/// As [`Store::txn`]; when `Ambiguous`, repeating it is harmless if the guards are still
/// right.
pub async fn put(store: &dyn Store, key: &str, value: &[u8], guards: Vec<Compare>) -> Result<TxnReply> {
    super::limits::at_most("bytes of a value", value.len(), MAX_VALUE_BYTES)?;
    let manifest = Manifest::of(value);
    let folder = manifest.folder(key);
    // Looked at before the chunks are written: whoever deletes chunks changes the manifest
    // too, so if it is still the same at the end all chunks are there.
    let before = store.range(Range::key(key)).await?.kvs.pop();
    let modified = before.as_ref().map_or(0, |kv| kv.mod_revision);
    for (index, chunk) in value.chunks(CHUNK_BYTES).enumerate() {
        put_chunk(store, &format!("{folder}{index:06}"), chunk).await?;
    }
    let text = serde_json::to_vec(&manifest).map_err(|e| StoreError::Invalid(e.to_string()))?;
    let mut txn = Txn::new().when(Compare::modified(key, modified)).then(Op::put(key, text));
    txn.compare.extend(guards);
    // A manifest that cannot be read is replaced too; its chunks are then left over.
    if let Some(old) = before.as_ref().and_then(|kv| Manifest::parse(kv).ok())
        && old != manifest
    {
        txn = txn.then(Op::delete_prefix(old.folder(key)));
    }
    store.txn(txn).await
}

/// A chunk has only one possible value, so writing it again is harmless.
async fn put_chunk(store: &dyn Store, key: &str, chunk: &[u8]) -> Result<()> {
    let mut tries = 1;
    loop {
        match store.txn(Txn::new().then(Op::put(key, chunk))).await {
            Ok(_) => return Ok(()),
            Err(error) if error.is_transient() && tries < TRIES => tries += 1,
            Err(error) => return Err(error),
        }
    }
}

/// Reads a large value and checks its digest; `None` if there is none.
///
/// # Errors
/// As [`Store::range`]; `Corrupt` if chunks are missing or not what was written.
pub async fn get(store: &dyn Store, key: &str) -> Result<Option<Vec<u8>>> {
    let mut tries = 1;
    loop {
        let reply = store.range(Range::key(key)).await?;
        let Some(kv) = reply.kvs.first() else {
            return Ok(None);
        };
        match assemble(store, kv, reply.revision).await {
            // Compacted between the manifest and a chunk: read the newer manifest.
            Err(StoreError::Compacted { .. }) if tries < TRIES => tries += 1,
            value => return value.map(Some),
        }
    }
}

/// Deletes a large value, provided that `guards` hold; says whether it did.
///
/// # Errors
/// As [`Store::txn`].
pub async fn delete(store: &dyn Store, key: &str, guards: Vec<Compare>) -> Result<bool> {
    let Some(kv) = store.range(Range::key(key)).await?.kvs.pop() else {
        return Ok(false);
    };
    let mut txn = Txn::new().when(Compare::modified(key, kv.mod_revision));
    txn.compare.extend(guards);
    txn.then = deletion(key);
    Ok(store.txn(txn).await?.succeeded)
}

/// What deletes a large value in a transaction, which compares its manifest.
pub fn deletion(key: &str) -> Vec<Op> {
    vec![Op::delete(key), Op::delete_prefix(folder(key))]
}

/// Reads all chunks as they were when the manifest was read.
async fn assemble(store: &dyn Store, kv: &KeyValue, at: Revision) -> Result<Vec<u8>> {
    let manifest = Manifest::parse(kv)?;
    let folder = manifest.folder(&kv.key);
    let mut value = Vec::with_capacity(manifest.bytes.min(MAX_VALUE_BYTES));
    let mut page = Range::prefix(&folder).at(at).limit(PAGE_CHUNKS);
    loop {
        let reply = store.range(page.clone()).await?;
        for chunk in &reply.kvs {
            value.extend_from_slice(&chunk.value);
        }
        let last = reply.kvs.last().map(|chunk| chunk.key.clone());
        match last {
            Some(last) if reply.more && value.len() <= MAX_VALUE_BYTES => page = page.after(last),
            _ => break,
        }
    }
    let found = Manifest::of(&value);
    if found != manifest {
        let why = format!("{} of {} bytes are there, or others", found.bytes, manifest.bytes);
        return Err(damaged(&kv.key, why));
    }
    Ok(value)
}

fn folder(key: &str) -> String {
    format!("chunks/{key}@")
}

fn damaged(key: &str, why: String) -> StoreError {
    StoreError::Corrupt { at: format!("key {key:?}"), why }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
