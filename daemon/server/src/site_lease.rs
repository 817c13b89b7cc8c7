//! Keeps the lease of this member's site, hears its sentries, and gives and asks for promises.
//!
//! Every member of a site that has sentries renews the one lease: whoever wrote last, the key
//! hangs on their lease of the store. A renewal and the answer to a sentry never wait for each
//! other.

pub mod fence;

use crate::clock;
use crate::lead::Me;
use crate::records::{self, MEMBERS};
use crate::store::{Compare, LeaseId, Op, OpResult, Range, Store, StoreError, Txn};
use crate::tls::Tls;
use futures::future::join_all;
use standfast_core::bundle::Bundle;
use standfast_core::ids::{Digest, MemberId, SentryId, SiteId};
use standfast_core::sentry::State;
use standfast_core::site_lease::keeper::{Keeper, Renewal};
use standfast_core::site_lease::promise::Promises;
use standfast_core::site_lease::{Report, Roster};
use standfast_core::time::{Mono, Now, Span};
use standfast_core::timing::Timing;
use standfast_proto::v1::PromiseRequest;
use standfast_proto::v1::sentries_client::SentriesClient;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};

/// The part of one member in the leases of sites, shared by all who have to do with it.
#[derive(Clone)]
pub struct SiteLeases(Arc<Mutex<Inner>>);

struct Inner {
    keeper: Keeper,
    promises: Promises,
    sentries: BTreeMap<SentryId, Heard>,
    /// Members of other sites that were ever read, and where they answer.
    others: BTreeMap<MemberId, String>,
    /// Who must promise.
    wanted: BTreeSet<MemberId>,
}

struct Heard {
    at: Mono,
    steps: Digest,
    state: State,
    failed: Option<String>,
}

/// What a sentry says of itself.
#[derive(Clone, Debug)]
pub struct Said {
    /// Its name.
    pub sentry: SentryId,
    /// Names its steps.
    pub steps: Digest,
    /// Where it stands.
    pub state: State,
    /// Why what it tried last did not work, if it did not.
    pub failed: Option<String>,
}

impl SiteLeases {
    /// Of a process that begins now.
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(Inner {
            keeper: Keeper::default(),
            promises: Promises::new(clock::now().mono),
            sentries: BTreeMap::new(),
            others: BTreeMap::new(),
            wanted: BTreeSet::new(),
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().expect("nothing panics while it holds this lock")
    }

    /// A sentry is there: how long ago its site was last allowed to serve, and whether it is fenced.
    pub fn beat(&self, said: Said) -> (Option<Span>, bool) {
        let (mut inner, now) = (self.lock(), clock::now());
        let Said { sentry, steps, state, failed } = said;
        inner.sentries.insert(sentry, Heard { at: now.mono, steps, state, failed });
        let confirmed = inner.keeper.confirmed(&inner.wanted);
        (confirmed.map(|at| now.mono.since(at).into()), inner.keeper.is_fenced())
    }

    /// Promises `site` not to fence it; `confirmed` is when this member last had a quorum.
    ///
    /// # Errors
    /// Why not.
    pub fn promise(&self, site: &SiteId, confirmed: Option<Mono>, timing: &Timing) -> Result<(), String> {
        self.lock().promises.give(site, confirmed, timing, clock::now())
    }

    /// From when on this process may fence `site`.
    pub fn free_from(&self, site: &SiteId, timing: &Timing) -> Mono {
        self.lock().promises.free_from(site, timing)
    }
}

impl Default for SiteLeases {
    fn default() -> Self {
        Self::new()
    }
}

impl Inner {
    fn roster(&self, member: &MemberId, now: Now) -> Roster {
        let report = |heard: &Heard| Report {
            steps: heard.steps.clone(),
            heard: now.mono.since(heard.at).into(),
            state: heard.state,
            failed: heard.failed.clone(),
        };
        let sentries = self.sentries.iter().map(|(name, heard)| (name.clone(), report(heard))).collect();
        Roster { member: member.clone(), sentries }
    }
}

/// What keeping the lease needs.
#[derive(Clone)]
pub struct Deps {
    /// Who this member is.
    pub me: Me,
    /// The store.
    pub store: Arc<dyn Store>,
    /// The part of this member.
    pub leases: SiteLeases,
    /// For calls to members of other sites.
    pub tls: Option<Tls>,
}

/// Renews the lease of this member's site, if the fleet has sentries there, until `stop`. It is
/// not given back then: what enforces its end would be taken for a fence.
pub async fn keep(deps: Deps, mut bundle: watch::Receiver<Option<Arc<Bundle>>>, stop: CancellationToken) {
    let mut lease = None;
    loop {
        let current = bundle.borrow_and_update().clone();
        let renewing = async {
            match current.filter(|bundle| bundle.rules().sentries.contains_key(&deps.me.site)) {
                Some(bundle) => renew(&deps, &bundle, &mut lease).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = renewing => {}
            changed = bundle.changed() => if changed.is_err() { return },
            () = stop.cancelled() => return,
        }
    }
}

async fn renew(deps: &Deps, bundle: &Bundle, lease: &mut Option<LeaseId>) {
    let timing = bundle.fleet.timing;
    let declared = bundle.fleet.control.members.iter();
    let others = declared.filter(|(_, member)| member.site.value != deps.me.site);
    let declared: BTreeSet<MemberId> = others.map(|(name, _)| name.clone()).collect();
    let mut channels = BTreeMap::new();
    let mut due = interval(timing.renew.0);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        due.tick().await;
        let sent = clock::now();
        let tried = timeout(timing.renew.0, once(deps, &timing, sent, lease)).await;
        let renewal = match tried {
            Ok(Ok(renewal)) => renewal,
            Ok(Err(error)) => {
                tracing::debug!(%error, "the lease of this site was not renewed");
                Renewal::Unanswered
            }
            Err(_) => Renewal::Unanswered,
        };
        let asked = {
            let mut inner = deps.leases.lock();
            let was = inner.keeper.is_fenced();
            inner.keeper.on_renewal(sent.mono, renewal);
            if inner.keeper.is_fenced() && !was {
                tracing::error!(site = %deps.me.site, "this site is fenced: another one has taken over");
            }
            inner.wanted = match declared.is_empty() {
                true => inner.others.keys().cloned().collect(),
                false => declared.clone(),
            };
            inner.keeper.asks(&timing, clock::now()).then(|| {
                let address = |name: &MemberId| (name.clone(), inner.others.get(name).cloned());
                inner.wanted.iter().map(address).collect::<Vec<_>>()
            })
        };
        if let Some(asked) = asked {
            promises(deps, &timing, asked, &mut channels).await;
        }
    }
}

/// One renewal.
async fn once(
    deps: &Deps,
    timing: &Timing,
    sent: Now,
    lease: &mut Option<LeaseId>,
) -> Result<Renewal, StoreError> {
    let id = match *lease {
        Some(id) => id,
        None => *lease.insert(deps.store.lease_grant(timing.site_ttl.0).await?),
    };
    let site = &deps.me.site;
    let roster = deps.leases.lock().roster(&deps.me.id, sent);
    let txn = Txn::new()
        .when(Compare::absent(records::site_fenced(site)))
        .then(Op::put_leased(records::site_lease(site), deps.me.id.as_str(), id))
        .then(Op::put(records::site_roster(site), records::encode(&roster)))
        .then(Op::Range(Range::prefix(MEMBERS)));
    let (kept, written) = tokio::join!(deps.store.lease_keep(id), deps.store.txn(txn));
    if matches!(kept, Err(StoreError::LeaseExpired { .. })) {
        *lease = None;
        return Ok(Renewal::Unanswered);
    }
    kept?;
    let reply = written?;
    if !reply.succeeded {
        return Ok(Renewal::Fenced);
    }
    if let Some(OpResult::Range(members)) = reply.results.last() {
        let known = members.kvs.iter().filter_map(|kv| records::decode::<records::Member>(kv).ok());
        let others = known.filter(|member| member.site != *site);
        deps.leases.lock().others.extend(others.map(|member| (member.id, member.address)));
    }
    Ok(Renewal::Held)
}

/// Asks all members of all other sites for their promise, each for as long as a renewal takes.
async fn promises(
    deps: &Deps,
    timing: &Timing,
    asked: Vec<(MemberId, Option<String>)>,
    channels: &mut BTreeMap<String, Channel>,
) {
    for address in asked.iter().filter_map(|(_, address)| address.as_ref()) {
        if !channels.contains_key(address)
            && let Some(channel) = channel(address, deps.tls.as_ref(), timing.renew.0)
        {
            channels.insert(address.clone(), channel);
        }
    }
    let channels = &*channels;
    let answers = join_all(asked.into_iter().map(|(name, address)| async move {
        let sent = clock::now().mono;
        let channel = address.and_then(|address| channels.get(&address).cloned());
        let given = match channel {
            Some(channel) => ask(channel, deps, timing.renew.0).await,
            None => false,
        };
        (name, sent, given)
    }));
    let answers = answers.await;
    let mut inner = deps.leases.lock();
    let Inner { keeper, wanted, .. } = &mut *inner;
    for (name, sent, given) in answers {
        keeper.on_promise(name, sent, given, wanted, timing, clock::now());
    }
}

async fn ask(channel: Channel, deps: &Deps, within: Duration) -> bool {
    let request = PromiseRequest { site: deps.me.site.to_string(), member: deps.me.id.to_string() };
    let mut client = SentriesClient::new(channel);
    matches!(timeout(within, client.promise(request)).await, Ok(Ok(_)))
}

fn channel(address: &str, tls: Option<&Tls>, within: Duration) -> Option<Channel> {
    let scheme = if tls.is_some() { "https" } else { "http" };
    let endpoint = Endpoint::from_shared(format!("{scheme}://{address}")).ok()?.connect_timeout(within);
    let endpoint = match tls {
        Some(tls) => endpoint.tls_config(tls.client_config()).ok()?,
        None => endpoint,
    };
    Some(endpoint.connect_lazy())
}
