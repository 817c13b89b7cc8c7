//! Sees what others want looked at, looks, and writes what was seen where they find it.

use super::Looker;
use crate::records::{self, LOOKS};
use crate::store::{KeyValue, LeaseId, Op, Txn, pages};
use standfast_core::bind::bind;
use standfast_core::ids::Digest;
use standfast_core::look::{Request, View};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio_util::sync::{CancellationToken, DropGuard};

/// At the latest after this it is read what is wanted, whatever the watch says.
const AGAIN: Duration = Duration::from_secs(2);
/// Looks at the same time; others wait, and whoever asked gives up by itself.
const AT_ONCE: usize = 2;
/// For a bundle that was applied just now to arrive here too.
const BUNDLE: Duration = Duration::from_secs(3);
/// Longest texts, the first that fits is taken.
const TEXTS: [usize; 4] = [400, 120, 40, 0];
/// Bytes of one view, well below what a request may have.
const MAX_VIEW_BYTES: usize = 1024 * 1024;

/// Looks at whatever is asked, until `stop`.
pub async fn follow(looker: Looker, stop: CancellationToken) {
    let at_once = Arc::new(Semaphore::new(AT_ONCE));
    // Those under way. What nobody waits for any more is gone from the store, and ended.
    let mut seen: BTreeMap<String, DropGuard> = BTreeMap::new();
    let following = async {
        loop {
            let mut hints = looker.store.watch(LOOKS, 0).await;
            loop {
                if let Ok(reply) = pages::range_all(&*looker.store, LOOKS).await {
                    let mut known = std::mem::take(&mut seen);
                    for kv in &reply.kvs {
                        let Some(id) = kv.key.strip_prefix(LOOKS) else { continue };
                        let under_way = known.remove(id).unwrap_or_else(|| {
                            let stop = stop.child_token();
                            begin(&looker, &at_once, id, kv, &stop);
                            stop.drop_guard()
                        });
                        seen.insert(id.to_owned(), under_way);
                    }
                }
                tokio::select! {
                    () = tokio::time::sleep(AGAIN) => {}
                    hint = hints.next() => if hint.is_err() { break },
                }
            }
            tokio::time::sleep(AGAIN).await;
        }
    };
    stop.run_until_cancelled(following).await;
}

/// Looks, beside the loop that hears what is wanted.
fn begin(looker: &Looker, at_once: &Arc<Semaphore>, id: &str, kv: &KeyValue, stop: &CancellationToken) {
    let look = match records::decode::<records::Look>(kv) {
        Ok(look) => look,
        Err(error) => return tracing::warn!(%error, "a look is left out"),
    };
    if look.request.by == looker.me.id {
        return;
    }
    let (looker, at_once, id) = (looker.clone(), at_once.clone(), id.to_owned());
    tokio::spawn(stop.clone().run_until_cancelled_owned(async move {
        let heard_ms = (looker.env.wall_ms)();
        let within = look.request.within.0;
        let looking = async {
            let _permit = at_once.acquire().await.expect("the semaphore is never closed");
            looker.answer(&look.request).await
        };
        // Beyond this nobody waits for it.
        let Ok(mut view) = tokio::time::timeout(within * 2, looking).await else { return };
        view.heard_ms = heard_ms;
        let value = fitting(&mut view, || (looker.env.wall_ms)());
        let key = records::view(&id, &looker.me.id);
        let put = Txn::new().then(Op::put_leased(key, value, LeaseId(look.lease)));
        if let Err(error) = looker.store.txn(put).await {
            // Whoever asked has given up, or does so.
            tracing::debug!(%error, "what was looked at is not written");
        }
    }));
}

/// A view as it is written: no longer than one key holds.
fn fitting(view: &mut View, wall_ms: impl Fn() -> i64) -> Vec<u8> {
    let mut value = Vec::new();
    for characters in TEXTS {
        view.shorten(characters);
        view.answered_ms = wall_ms();
        value = records::encode(view);
        if value.len() <= MAX_VIEW_BYTES {
            return value;
        }
    }
    let why = format!("what was seen is {} bytes, at most {MAX_VIEW_BYTES} are kept", value.len());
    let View { member, site, bundle, heard_ms, .. } = view.clone();
    let declined = View::declined(member, site, bundle, why);
    records::encode(&View { heard_ms, answered_ms: wall_ms(), ..declined })
}

impl Looker {
    /// What this member sees of a request: of the same plan, made of its own copy of the bundle.
    async fn answer(&self, request: &Request) -> View {
        let mut bundles = self.bundle.clone();
        let meant = |digest: &Digest| *digest == request.bundle;
        let arrives = bundles.wait_for(|bundle| bundle.as_ref().is_some_and(|b| meant(&b.digest)));
        let _ = tokio::time::timeout(BUNDLE, arrives).await;
        let bundle = self.bundle.borrow().clone();
        let digest = bundle.as_ref().map(|bundle| bundle.digest.clone());
        let decline =
            |why: String| View::declined(self.me.id.clone(), self.me.site.clone(), digest.clone(), why);
        let Some(bundle) = bundle.filter(|bundle| meant(&bundle.digest)) else {
            return decline("it works by another bundle".into());
        };
        match bind(&bundle, &request.request) {
            Ok(plan) if plan.digest() == request.plan => self.see(&bundle, &plan, request.within.0).await,
            Ok(plan) => decline(format!(
                "of the same bundle it makes another plan, {} and not {}: is its version the same?",
                plan.digest().short(),
                request.plan.short()
            )),
            Err(_) => decline("it cannot bind the plan: is its version the same?".into()),
        }
    }
}
