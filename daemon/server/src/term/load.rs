//! Reads what earlier terms left: runs that have not ended, hold-downs, a freeze.

use super::write::get;
use crate::guarded::{Guarded, Lost};
use crate::records::{self, FLAPS, FREEZE, HOLDS, Head, LOCKS, MAINTENANCE, MOVES, READINESS, SWITCHES};
use crate::store::{KeyValue, Revision, pages};
use standfast_core::audit::Fact;
use standfast_core::controller::{Kept, Order};
use standfast_core::ids::{RunId, SiteId};
use standfast_core::journal::Event;
use standfast_core::readiness::Readiness;
use standfast_core::run::Run;
use standfast_core::time::Span;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::write::Stored;

/// What was found.
pub(super) struct Loaded {
    /// Runs that have not ended, with the revisions of their heads.
    pub runs: Vec<(Run, Revision)>,
    /// What is left of hold-downs.
    pub holds: BTreeMap<SiteId, Span>,
    /// What else was kept.
    pub kept: Kept,
    /// What is known of the playbooks of `on_loss`.
    pub readiness: BTreeMap<SiteId, Readiness>,
}

/// Reads it all, for a leader in `site`. The begin of the term is written first, under the guard. From
/// there on no guarded write of an earlier term commits, so whatever is read as of that revision or a later
/// one has all that they wrote; plain reads suffice, page by page, as long as they are not older. That they
/// come later does not say so (some etcd releases answer from the past after a pause), but their own
/// revision does: one that is older is asked again.
pub(super) async fn load(guarded: &Guarded, site: SiteId) -> Result<Loaded, Lost> {
    let begun = guarded.tell(Vec::new(), vec![Fact::Led { site }]).await?;
    let guarded = &guarded.since(begun);
    let locks = guarded.persist(|| pages::range_all(&**guarded.store(), LOCKS)).await?;
    // Whoever has not ended holds both of its sites; those that have ended may be very many.
    let live: BTreeSet<RunId> =
        locks.kvs.iter().map(|kv| RunId::new(String::from_utf8_lossy(&kv.value))).collect();
    let mut runs = Vec::new();
    for id in live {
        match run(guarded, &id).await? {
            Some(stored) => runs.push((stored.run, stored.revision)),
            None => tracing::error!(run = %id, "it holds a lock and cannot be read; it is left alone"),
        }
    }
    let holds = get(guarded, HOLDS).await?.and_then(|kv| records::decode(&kv).ok()).unwrap_or_default();
    let readiness =
        get(guarded, READINESS).await?.and_then(|kv| records::decode(&kv).ok()).unwrap_or_default();
    let kept = kept(guarded).await?;
    Ok(Loaded { runs, holds, kept, readiness })
}

/// What else was kept. A freeze that cannot be read is one all the same, and so is a maintenance of
/// nobody knows which sites.
async fn kept(guarded: &Guarded) -> Result<Kept, Lost> {
    let (mut kept, mut unreadable) = (Kept::default(), None);
    if let Some(kv) = get(guarded, FREEZE).await? {
        kept.freeze = read(&kv, &mut unreadable);
    }
    if let Some(kv) = get(guarded, MAINTENANCE).await? {
        kept.maintenance = read(&kv, &mut unreadable).unwrap_or_default();
    }
    if let Some(reason) = unreadable {
        tracing::error!(reason, "the cluster is frozen until somebody thaws it");
        kept.freeze = Some(Order { by: "nobody known".into(), reason, since_wall_ms: 0, left: None });
    }
    // What is not known to be on is off; sites of which nobody knows how often they went down have to
    // be seen going down anew.
    let mut unread = None;
    if let Some(kv) = get(guarded, SWITCHES).await? {
        kept.switches = read(&kv, &mut unread).unwrap_or_default();
    }
    if let Some(kv) = get(guarded, FLAPS).await? {
        kept.flaps = read(&kv, &mut unread).unwrap_or_default();
    }
    if let Some(kv) = get(guarded, MOVES).await? {
        kept.moves = read(&kv, &mut unread).unwrap_or_default();
    }
    if let Some(reason) = unread {
        tracing::error!(reason, "what was kept cannot be read");
    }
    Ok(kept)
}

/// What stands there, or why it cannot be read.
fn read<T: serde::de::DeserializeOwned>(kv: &KeyValue, unreadable: &mut Option<String>) -> Option<T> {
    records::decode(kv).map_err(|error| *unreadable = Some(error.to_string())).ok()
}

/// Reads and folds one run; none if it is not there or not readable.
pub(super) async fn run(guarded: &Guarded, id: &RunId) -> Result<Option<Stored>, Lost> {
    let Some(kv) = get(guarded, &records::run(id)).await? else { return Ok(None) };
    let head = match records::decode::<Head>(&kv) {
        Ok(head) => head,
        Err(error) => {
            tracing::error!(%error, "a head cannot be read");
            return Ok(None);
        }
    };
    let plan = match guarded.persist(|| super::plan(&**guarded.store(), &head.plan)).await {
        Ok(Some(plan)) => plan,
        Ok(None) => return Ok(None),
        // One damaged plan must not keep everybody from leading.
        Err(Lost::Refused(error)) => {
            tracing::error!(run = %id, %error, "the plan cannot be read");
            return Ok(None);
        }
        Err(lost) => return Err(lost),
    };
    let journal = journal(guarded, id).await?;
    match Run::fold(id.clone(), Arc::new(plan), &journal) {
        Ok(run) => Ok(Some(Stored { run, revision: kv.mod_revision })),
        Err(illegal) => {
            tracing::error!(run = %id, %illegal, "the journal cannot be folded");
            Ok(None)
        }
    }
}

async fn journal(guarded: &Guarded, id: &RunId) -> Result<Vec<Event>, Lost> {
    let prefix = records::journal(id);
    let reply = guarded.persist(|| pages::range_all(&**guarded.store(), &prefix)).await?;
    let entries = reply.kvs.iter().map(records::decode::<Event>);
    Ok(entries
        .filter_map(|entry| entry.inspect_err(|error| tracing::error!(%error, "unreadable")).ok())
        .collect())
}
