//! Bundles in the store: which one is current, what is in it, and how another one becomes so.
//!
//! The files lie under their digest and never change. The record at `bundle` says which digest
//! is current; replacing it is one guarded write, so a bundle is current as a whole or not at
//! all. The answers of the last requests stand in the same record: whoever repeats one gets
//! what it got the first time, also when the first answer was lost.

pub mod cache;
mod files;
mod follow;

use crate::ledger::{End, Writer};
use crate::records::{self, BUNDLE, Member, Unreadable};
use crate::store::{self, Compare, Op, Range, Revision, Store, StoreError, Txn, chunked};
use serde::{Deserialize, Serialize};
use standfast_core::audit::Fact;
use standfast_core::bundle::Bundle;
use standfast_core::ids::{Digest, Identity, PlaybookId};
use standfast_core::rules::Automation;
use standfast_core::source::SourceFile;
use std::collections::VecDeque;
use std::sync::Arc;

pub use files::{ReadError, load_dir, read_paths};
pub use follow::follow;

/// Prefix of the records of all bundles that are kept.
pub const APPLIED: &str = "applied/";
/// How many bundles are kept; runs do not need theirs, their plans are frozen.
const KEPT: usize = 50;
/// How many requests are remembered.
const REMEMBERED: usize = 32;
/// How often a write that another one overtook, or nobody answered, is tried.
const TRIES: usize = 20;

/// A bundle in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// Its name.
    pub digest: Digest,
    /// The fleet's name.
    pub fleet: String,
    /// The playbooks, sorted.
    pub playbooks: Vec<PlaybookId>,
    /// What the fleet lets the cluster do by itself.
    pub automation: Automation,
    /// Unix time in milliseconds at which it was applied last.
    pub wall_ms: i64,
    /// Who applied it.
    pub by: Identity,
    /// Why; may be empty.
    pub reason: String,
}

/// What stands at the key `bundle`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Current {
    applied: Applied,
    requests: VecDeque<Remembered>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Remembered {
    request: String,
    digest: Digest,
    previous: Option<Digest>,
}

/// A wish to make a bundle the current one.
#[derive(Clone, Debug)]
pub struct Wish<'a> {
    /// The name in the certificate.
    pub by: &'a Identity,
    /// Why; may be empty.
    pub reason: &'a str,
    /// Repeating a wish of the same name does nothing; not looked at when empty.
    pub request: &'a str,
    /// What has to be current before: anything, or exactly this (nothing, or a digest).
    pub expected: Option<Option<Digest>>,
    /// Members that must still stand in a site of the fleet, whose name must stay; none when it is
    /// meant that both may change.
    pub keep: Option<&'a [Member]>,
    /// Unix time in milliseconds.
    pub wall_ms: i64,
}

/// What went wrong with a bundle.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The store could not be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A record is not understood.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// The files are there, and are not a bundle to this version.
    #[error(
        "bundle {digest} cannot be used by this version ({why}); apply files that it lints without an error"
    )]
    Unusable {
        /// Its digest.
        digest: Digest,
        /// The first finding, or what else is wrong.
        why: String,
    },
    /// Another bundle is current than the caller believes.
    #[error("the current bundle is {}, not the one you have seen", name(.0.as_ref()))]
    Stale(Option<Digest>),
    /// Another fleet is current.
    #[error("the cluster works by the fleet {current}, and these files are of {wanted}: another fleet")]
    OtherFleet {
        /// The name of the one that is current.
        current: String,
        /// The name of the one that was to replace it.
        wanted: String,
    },
    /// Members would be left without a site.
    #[error("members live in sites that this fleet does not have, and would count no more: {0}")]
    NoSite(String),
    /// The request came before, with other files.
    #[error("the request id {0} was used before, for other files; take a new one")]
    Reused(String),
}

fn name(digest: Option<&Digest>) -> &str {
    digest.map_or("none", Digest::short)
}

type Result<T> = std::result::Result<T, BundleError>;

/// The current bundle; none before the first is applied.
///
/// # Errors
/// As [`Store::range`], and [`BundleError::Unusable`] when this version cannot read it.
pub async fn current(store: &dyn Store) -> Result<Option<Arc<Bundle>>> {
    match read(store).await? {
        Some((_, current)) => load(store, &current.applied.digest).await,
        None => Ok(None),
    }
}

/// The current bundle in short.
///
/// # Errors
/// As [`Store::range`].
pub async fn applied(store: &dyn Store) -> Result<Option<Applied>> {
    Ok(read(store).await?.map(|(_, current)| current.applied))
}

/// All bundles that are kept, newest first.
///
/// # Errors
/// As [`Store::range`].
pub async fn list(store: &dyn Store) -> Result<Vec<Applied>> {
    let reply = store::range_all(store, APPLIED).await?;
    let mut list = reply.kvs.iter().map(records::decode).collect::<std::result::Result<Vec<Applied>, _>>()?;
    list.sort_by(|a, b| b.wall_ms.cmp(&a.wall_ms).then_with(|| a.digest.cmp(&b.digest)));
    Ok(list)
}

/// Reads what stands at the key `bundle`, from a watch on it.
///
/// # Errors
/// When a newer version wrote it.
pub fn decode(kv: &store::KeyValue) -> std::result::Result<Applied, Unreadable> {
    records::decode::<Current>(kv).map(|current| current.applied)
}

/// The bundle of this digest; none when it is not kept.
///
/// # Errors
/// As [`current`].
pub async fn load(store: &dyn Store, digest: &Digest) -> Result<Option<Arc<Bundle>>> {
    let Some(json) = chunked::get(store, &records::bundle(digest)).await? else { return Ok(None) };
    let files = decode_files(&json)
        .map_err(|error| BundleError::Unusable { digest: digest.clone(), why: error.to_string() })?;
    make(digest, files).map(|bundle| Some(Arc::new(bundle)))
}

/// Makes the bundle again from its files.
fn make(digest: &Digest, files: Vec<SourceFile>) -> Result<Bundle> {
    let unusable = |why: String| BundleError::Unusable { digest: digest.clone(), why };
    match Bundle::load_applied(files) {
        (Some(bundle), _) if bundle.digest == *digest => Ok(bundle),
        (Some(bundle), _) => Err(unusable(format!("its files are those of {}", bundle.digest))),
        (None, findings) => {
            let first = findings.iter().find(|finding| finding.is_error());
            Err(unusable(first.map_or_else(
                || "it has more findings than are kept".into(),
                |first| format!("{} {}:{}: {}", first.code.id, first.file, first.line, first.message),
            )))
        }
    }
}

/// Makes `bundle` the current one and returns the digest that it replaced: the same one if
/// nothing changed, none if it is the first.
///
/// # Errors
/// [`BundleError::Stale`], [`BundleError::Reused`]; as [`Store::txn`]. When `Ambiguous`,
/// repeating it under the same request name is harmless.
pub async fn put(store: &dyn Store, bundle: &Bundle, wish: Wish<'_>) -> Result<Option<Digest>> {
    let mut error = None;
    let (key, files) = (records::bundle(&bundle.digest), encode_files(&bundle.files));
    for _ in 0..TRIES {
        let before = match read(store).await {
            Ok(before) => before,
            // What went wrong with the write says more.
            Err(reading) => return Err(error.unwrap_or(reading)),
        };
        let (revision, before) = before.map_or((0, None), |(revision, current)| (revision, Some(current)));
        if let Some(done) = before.as_ref().and_then(|current| current.remembered(wish.request)) {
            let reused = || BundleError::Reused(wish.request.to_owned());
            return (done.digest == bundle.digest).then(|| done.previous.clone()).ok_or_else(reused);
        }
        let previous = before.as_ref().map(|current| current.applied.digest.clone());
        if wish.expected.as_ref().is_some_and(|expected| *expected != previous) {
            return Err(BundleError::Stale(previous));
        }
        if let Some(members) = wish.keep {
            takes_nothing(before.as_ref().map(|current| &current.applied), members, bundle)?;
        }
        // There already if it was current before, or if only the answer to its write was lost.
        let stored = chunked::get(store, &key).await.is_ok_and(|kept| kept.as_deref() == Some(&*files));
        if !stored && let Err(failed) = chunked::put(store, &key, &files, Vec::new()).await {
            if failed.is_transient() {
                error = Some(failed.into());
                continue;
            }
            return Err(failed.into());
        }
        let end = match End::read(store).await {
            Ok(end) => end,
            Err(failed) => {
                error = Some(failed.into());
                continue;
            }
        };
        let fact = Fact::Applied {
            by: wish.by.clone(),
            bundle: bundle.digest.clone(),
            previous: previous.clone(),
            reason: wish.reason.to_owned(),
        };
        let next = Current::after(before, bundle, &wish, previous.clone());
        let txn = Txn::new()
            .when(Compare::modified(BUNDLE, revision))
            .then(Op::put(BUNDLE, records::encode(&next)))
            .then(Op::put(format!("{APPLIED}{}", bundle.digest), records::encode(&next.applied)));
        let txn = end.chain(txn, &end.next(&Writer::default(), vec![fact]));
        match store.txn(txn).await {
            Ok(reply) if reply.succeeded => {
                prune(store, &bundle.digest, reply.revision).await;
                return Ok(previous);
            }
            // Another one was quicker, at this or at the audit, or our own first write was: look again.
            Ok(_) => {}
            Err(failed) if failed.is_transient() => error = Some(failed.into()),
            Err(failed) => return Err(failed.into()),
        }
    }
    Err(error.unwrap_or(BundleError::Stale(None)))
}

/// Whether `bundle` is of the fleet that is current, if there is one, and has the sites of all
/// `members`.
///
/// # Errors
/// [`BundleError::OtherFleet`], [`BundleError::NoSite`].
pub fn takes_nothing(current: Option<&Applied>, members: &[Member], bundle: &Bundle) -> Result<()> {
    let (wanted, sites) = (&bundle.fleet.name.value, &bundle.fleet.sites);
    if let Some(current) = current.filter(|current| current.fleet != *wanted) {
        return Err(BundleError::OtherFleet { current: current.fleet.clone(), wanted: wanted.clone() });
    }
    let left = members.iter().filter(|member| !sites.contains_key(&member.site));
    let left: Vec<String> = left.map(|member| format!("{} in {}", member.id, member.site)).collect();
    match left.is_empty() {
        true => Ok(()),
        false => Err(BundleError::NoSite(left.join(", "))),
    }
}

impl Current {
    fn remembered(&self, request: &str) -> Option<&Remembered> {
        self.requests.iter().find(|done| done.request == request && !request.is_empty())
    }

    fn after(before: Option<Self>, bundle: &Bundle, wish: &Wish<'_>, previous: Option<Digest>) -> Self {
        let mut requests = before.map_or_else(VecDeque::new, |current| current.requests);
        if !wish.request.is_empty() {
            let (request, digest) = (wish.request.to_owned(), bundle.digest.clone());
            requests.push_back(Remembered { request, digest, previous });
            requests.drain(..requests.len().saturating_sub(REMEMBERED));
        }
        let applied = Applied {
            digest: bundle.digest.clone(),
            fleet: bundle.fleet.name.value.clone(),
            playbooks: bundle.playbooks.keys().cloned().collect(),
            automation: bundle.fleet.automation.value,
            wall_ms: wish.wall_ms,
            by: wish.by.clone(),
            reason: wish.reason.to_owned(),
        };
        Self { applied, requests }
    }
}

/// Forgets the oldest bundles, as long as nobody applies another one. Best effort: the next
/// apply tries again.
async fn prune(store: &dyn Store, current: &Digest, revision: Revision) {
    let unchanged = Compare::modified(BUNDLE, revision);
    let pruned = async {
        for old in list(store).await?.iter().filter(|old| old.digest != *current).skip(KEPT - 1) {
            let forget = Txn::new().when(unchanged.clone());
            store.txn(forget.then(Op::delete(format!("{APPLIED}{}", old.digest)))).await?;
            chunked::delete(store, &records::bundle(&old.digest), vec![unchanged.clone()]).await?;
        }
        Ok::<(), BundleError>(())
    };
    if let Err(error) = pruned.await {
        tracing::debug!(%error, "old bundles stay for now");
    }
}

async fn read(store: &dyn Store) -> Result<Option<(Revision, Current)>> {
    let reply = store.range(Range::key(BUNDLE)).await?;
    let Some(kv) = reply.kvs.first() else { return Ok(None) };
    Ok(Some((kv.mod_revision, records::decode(kv)?)))
}

#[derive(Serialize, Deserialize)]
struct File {
    name: String,
    text: String,
}

fn encode_files(files: &[SourceFile]) -> Vec<u8> {
    let files: Vec<File> =
        files.iter().map(|file| File { name: file.name.clone(), text: file.text.clone() }).collect();
    records::encode(&files)
}

fn decode_files(json: &[u8]) -> serde_json::Result<Vec<SourceFile>> {
    let files: Vec<File> = serde_json::from_slice(json)?;
    Ok(files.into_iter().map(|file| SourceFile::new(file.name, file.text)).collect())
}

#[cfg(test)]
mod tests;
