//! Asks all live members for their view, and waits for those who live.

use super::{Looker, WITHIN};
use crate::records::{self, LEADER, MEMBERS};
use crate::store::{LeaseId, Op, Range, Store, StoreError, Txn, pages};
use standfast_core::bundle::Bundle;
use standfast_core::ids::{MemberId, SiteId};
use standfast_core::look::{self, Looked, Skew, View};
use standfast_core::plan::Plan;
use standfast_core::time::Span;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// For hearing of the request and for the answer's way back, beyond the looking itself.
const WAY: Duration = Duration::from_secs(5);
/// For the store, before the look goes on without it.
const STORE: Duration = Duration::from_secs(3);
/// At the latest after this it is looked who has answered, and who lives.
const AGAIN: Duration = Duration::from_millis(500);

impl Looker {
    /// What every live member sees of `plan`, made of `bundle`. A store that does not answer is
    /// no failure: then it is what this member sees, and a word about the others.
    pub async fn look(&self, bundle: &Bundle, plan: &Plan) -> Looked {
        let (own, others) = tokio::join!(self.see(bundle, plan, WITHIN), self.others(plan));
        let mut looked = others.unwrap_or_else(|error| {
            let why = format!("the store does not answer, so the others cannot be asked: {error}");
            let me = (MemberId::new("others"), SiteId::new("?"), why);
            Looked { silent: vec![me], ..Looked::default() }
        });
        looked.views.insert(0, (own, None));
        looked
    }

    async fn others(&self, plan: &Plan) -> Result<Looked, StoreError> {
        let live = in_time(self.live()).await?;
        let leader = in_time(self.leader()).await?;
        if live.is_empty() {
            return Ok(Looked { leader, ..Looked::default() });
        }
        let store = self.store.clone();
        let ttl = WITHIN + WAY + STORE;
        let lease = Lease { lease: in_time(store.lease_grant(ttl)).await?, store };
        let id = format!("{:016x}", rand::random::<u64>());
        let look = records::Look {
            lease: lease.lease.0,
            request: look::Request {
                by: self.me.id.clone(),
                bundle: plan.bundle.clone(),
                request: plan.request.clone(),
                plan: plan.digest(),
                within: Span(WITHIN),
            },
        };
        let asked_ms = (self.env.wall_ms)();
        let put = Op::put_leased(records::look(&id), records::encode(&look), lease.lease);
        in_time(self.store.txn(Txn::new().then(put))).await?;
        let (views, live) = self.await_views(&id, live, asked_ms).await;
        let silent = live
            .into_iter()
            .filter(|(member, _)| views.iter().all(|(view, _)| view.member != *member))
            .map(|(member, (site, lives))| {
                let within = Span(WITHIN + WAY);
                let why = if lives {
                    format!("nothing came within {within}")
                } else {
                    "its lease has ended".into()
                };
                (member, site, why)
            })
            .collect();
        Ok(Looked { views, silent, leader })
    }

    /// Views as they come, until every member has answered or is gone, or time is over. Beside
    /// them the members that were asked, and whether they still live.
    async fn await_views(
        &self,
        id: &str,
        live: BTreeMap<MemberId, SiteId>,
        asked_ms: i64,
    ) -> (Vec<(View, Option<Skew>)>, BTreeMap<MemberId, (SiteId, bool)>) {
        let until = Instant::now() + WITHIN + WAY;
        let prefix = records::views(id);
        let mut live: BTreeMap<MemberId, (SiteId, bool)> =
            live.into_iter().map(|(member, site)| (member, (site, true))).collect();
        let mut views: BTreeMap<MemberId, (View, Option<Skew>)> = BTreeMap::new();
        let mut news = self.store.watch(&prefix, 0).await;
        loop {
            // What cannot be read now is read in the next round.
            if let Ok(reply) = in_time(pages::range_all(&*self.store, &prefix)).await {
                let arrived_ms = (self.env.wall_ms)();
                for view in reply.kvs.iter().filter_map(|kv| records::decode::<View>(kv).ok()) {
                    let skew = Skew::of(asked_ms, view.heard_ms, view.answered_ms, arrived_ms);
                    views.entry(view.member.clone()).or_insert((view, Some(skew)));
                }
            }
            if let Ok(now) = in_time(self.live()).await {
                live.iter_mut().for_each(|(member, (_, lives))| *lives = now.contains_key(member));
            }
            let waiting = live.iter().any(|(member, (_, lives))| *lives && !views.contains_key(member));
            if !waiting || Instant::now() >= until {
                return (views.into_values().collect(), live);
            }
            let pause = tokio::time::sleep(AGAIN);
            tokio::select! {
                () = pause => {}
                news = news.next() => if news.is_err() { tokio::time::sleep(AGAIN).await },
            }
        }
    }

    /// The live members but this one.
    async fn live(&self) -> Result<BTreeMap<MemberId, SiteId>, StoreError> {
        let reply = pages::range_all(&*self.store, MEMBERS).await?;
        let members = reply.kvs.iter().filter_map(|kv| records::decode::<records::Member>(kv).ok());
        Ok(members.filter(|member| member.id != self.me.id).map(|member| (member.id, member.site)).collect())
    }

    async fn leader(&self) -> Result<Option<MemberId>, StoreError> {
        let reply = self.store.range(Range::key(LEADER)).await?;
        let leader = reply.kvs.first().and_then(|kv| records::decode::<records::Leader>(kv).ok());
        Ok(leader.map(|leader| leader.member))
    }
}

async fn in_time<T>(asking: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    tokio::time::timeout(STORE, asking).await.unwrap_or_else(|_| {
        Err(StoreError::Unavailable {
            at: "any endpoint".into(),
            why: format!("no answer within {}", Span(STORE)),
        })
    })
}

/// Everything of a look hangs on it; dropped, it is given back, also by a caller that went away.
struct Lease {
    lease: LeaseId,
    store: Arc<dyn Store>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        let (store, lease) = (self.store.clone(), self.lease);
        // Should this not reach the store, it runs out by itself.
        tokio::spawn(async move { store.lease_revoke(lease).await });
    }
}
