//! A member's name in the store: who has it, and how a member gets it back.
//!
//! The record of a member hangs on a lease of its process, and no process takes the place of
//! another one. Whoever finds the name held waits until that lease is gone, which takes one TTL
//! when its process was killed. Who goes on publishing meanwhile is alive, and keeps the name.

use super::Deps;
use crate::records::{self, SITES};
use crate::store::{Compare, KeyValue, LeaseId, Op, OpResult, Range, Revision, StoreError, Txn};
use crate::trouble::Trouble;
use standfast_core::ids::{Digest, SiteId};
use standfast_core::timing::Timing;
use standfast_core::vote::Observation;
use std::collections::BTreeSet;
use tokio::time::timeout;

/// How often another process must be seen to publish until it is taken for alive: its last write
/// may have been under way when it was killed.
const ALIVE: u32 = 2;

/// Whether this member has its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Claim {
    /// The store has not said.
    #[default]
    Unknown,
    /// It hangs on the lease of another process; why this one waits.
    Held(String),
    /// This process has never had it, and another one has it and lives: which.
    Taken(String),
    /// It has it.
    Mine,
}

/// Claims the name, and remembers what was seen of whoever has it.
pub(super) struct Claimant<'a> {
    pub(super) deps: &'a Deps,
    /// Publishing fails.
    pub(super) unheard: Trouble,
    unregistered: Trouble,
    held: Trouble,
    rival: Option<Rival>,
    joined: bool,
}

/// Another process that has the name.
struct Rival {
    boot_id: String,
    /// Modification revision of what it published last.
    published: Revision,
    /// How often it has published since it was first seen.
    times: u32,
}

impl<'a> Claimant<'a> {
    pub(super) fn new(deps: &'a Deps) -> Self {
        Self {
            deps,
            unheard: Trouble::new("nothing that this member says is confirmed"),
            unregistered: Trouble::new("this member cannot register"),
            held: Trouble::new("another process has this member's name"),
            rival: None,
            joined: false,
        }
    }

    /// Registers this member; none when it has to be tried again.
    pub(super) async fn join(&mut self, timing: Timing, bundle: Option<Digest>) -> Option<Membership> {
        match timeout(timing.renew.0, self.claim(timing, bundle)).await {
            Ok(Ok(Some(membership))) => {
                self.unregistered.over();
                self.held.over();
                (self.rival, self.joined) = (None, true);
                self.deps.claim.send_replace(Claim::Mine);
                Some(membership)
            }
            Ok(Ok(None)) => None,
            Ok(Err(error)) => {
                self.unregistered.met(error);
                None
            }
            Err(_) => {
                self.unregistered.met(format!("no answer within {}", timing.renew));
                None
            }
        }
    }

    async fn claim(
        &mut self,
        timing: Timing,
        bundle: Option<Digest>,
    ) -> Result<Option<Membership>, StoreError> {
        let (me, store) = (&self.deps.me, &self.deps.store);
        let key = records::member(&me.id);
        let look = Txn::new().then(Op::get(&key)).then(Op::get(records::observation(&me.id)));
        let seen = store.txn(look).await?;
        let mut found = seen.results.iter().map(|result| match result {
            OpResult::Range(range) => range.kvs.first(),
            _ => None,
        });
        let (record, observation) = (found.next().flatten(), found.next().flatten());
        if let Some(record) = record
            && !self.ours(record)
        {
            self.met(record, observation, timing);
            return Ok(None);
        }
        let lease = store.lease_grant(timing.ttl.0).await?;
        let member = records::Member {
            id: me.id.clone(),
            site: me.site.clone(),
            boot_id: me.boot_id.clone(),
            address: me.address.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            bundle,
        };
        let put = Txn::new()
            .when(Compare::modified(&key, record.map_or(0, |kv| kv.mod_revision)))
            .then(Op::put_leased(&key, records::encode(&member), lease));
        let reply = store.txn(put).await?;
        if reply.succeeded {
            return Ok(Some(Membership { lease, revision: reply.revision }));
        }
        // Another process was quicker: it is met the next time.
        store.lease_revoke(lease).await?;
        Ok(None)
    }

    /// Whether this very process wrote the record, under a lease that it has lost.
    fn ours(&self, record: &KeyValue) -> bool {
        records::decode::<records::Member>(record).is_ok_and(|member| member.boot_id == self.deps.me.boot_id)
    }

    /// Another process has the name: is it one that lives?
    fn met(&mut self, record: &KeyValue, observation: Option<&KeyValue>, timing: Timing) {
        let member = records::decode::<records::Member>(record).ok();
        let boot_id = member.as_ref().map_or_else(String::new, |member| member.boot_id.clone());
        let published = observation.map_or(0, |kv| kv.mod_revision);
        let rival = match self.rival.take() {
            Some(rival) if rival.boot_id == boot_id => {
                Rival { times: rival.times + u32::from(rival.published != published), published, ..rival }
            }
            _ => Rival { boot_id, published, times: 0 },
        };
        let place = member.map_or_else(
            || "written by another version".to_owned(),
            |member| format!("in site {}, reached at {}", member.site, member.address),
        );
        let claim = if rival.times < ALIVE {
            Claim::Held(format!(
                "the name {} hangs on the lease of an earlier process ({place}); waiting until it is gone, at most {}",
                self.deps.me.id, timing.ttl
            ))
        } else {
            let text = format!(
                "another process lives under the name {} ({place}): give each member its own name, setting `member`",
                self.deps.me.id
            );
            // Who has had the name goes on and says so: it may lead, and somebody has to look.
            if self.joined { Claim::Held(text) } else { Claim::Taken(text) }
        };
        if let Claim::Held(why) | Claim::Taken(why) = &claim {
            self.held.met(why);
        }
        self.rival = Some(rival);
        self.deps.claim.send_replace(claim);
    }
}

/// This member's record, and the lease that it hangs on.
pub(super) struct Membership {
    pub(super) lease: LeaseId,
    revision: Revision,
}

impl Membership {
    /// The sites whose lease is held now; none when this member's own lease or its record is lost:
    /// it must join anew.
    pub(super) async fn publish(
        &self,
        deps: &Deps,
        observation: &Observation,
    ) -> Result<Option<BTreeSet<SiteId>>, StoreError> {
        let txn = Txn::new()
            .when(Compare::modified(records::member(&deps.me.id), self.revision))
            .then(Op::put_leased(records::observation(&deps.me.id), records::encode(observation), self.lease))
            .then(Op::Range(Range::prefix(SITES)));
        let (kept, written) = tokio::join!(deps.store.lease_keep(self.lease), deps.store.txn(txn));
        match kept {
            Err(StoreError::LeaseExpired { .. }) => return Ok(None),
            Err(error) => return Err(error),
            Ok(_) => {}
        }
        let reply = written?;
        let read = match reply.results.as_slice() {
            // A record that a newer version wrote: no lease is seen, and that proves nothing.
            [_, OpResult::Range(sites)] => records::leases(&sites.kvs).unwrap_or_default().held,
            _ => BTreeSet::new(),
        };
        Ok(reply.succeeded.then_some(read))
    }
}
