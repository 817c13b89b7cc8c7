//! The site lease and the sentries, as a small model: a site that cannot renew fences itself.
//!
//! Members renew their site's lease. Sentries close the site's gate when no renewal was confirmed
//! for a while, on their own clocks, before the lease can have run out. The gate opens again with
//! the next renewal, which the key `fenced` forbids: what was fenced for a failover stays so until
//! people have protected the site anew.

use super::member::Wake;
use super::service::Trouble;
use super::store::{Compare, Key, Op, Reply, Request, Txn, Value};
use super::{Cluster, Happening, Mutant, Then};
use crate::world::Site;
use standfast_core::leadership::Lease;
use std::sync::Arc;
use std::time::Duration;

/// Of the site lease.
const TTL: Duration = Duration::from_secs(15);
/// From one renewal to the next.
const RENEW: Duration = Duration::from_secs(2);
/// After a confirmed renewal was sent, until the sentries begin to close the gate.
const HOLD: Duration = Duration::from_secs(9);
/// How long closing it may take.
const CLOSING: Duration = Duration::from_secs(5);
/// After the lease was seen gone, until that counts as a fence.
pub(super) const MARGIN: Duration = Duration::from_secs(5);
/// How often sentries look at their clocks.
pub(super) const LOOK: Duration = Duration::from_secs(1);

/// What a site's sentries know and have done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Gate {
    /// When the last renewal was sent that was confirmed.
    renewed: Duration,
    /// The gate is being closed, until then.
    closing: Option<Duration>,
    /// Nothing behind it takes writes.
    pub(super) closed: bool,
    /// A person has closed it.
    pub(super) by_hand: bool,
}

impl Cluster<'_> {
    /// A member renews its site's lease, or takes it.
    pub(super) fn renew_site(&mut self, member: usize) {
        self.wake_after(member, RENEW, Wake::SiteLease);
        let sent = self.clock.elapsed();
        match self.members[member].site_lease {
            None => self.call(member, None, Request::Grant(TTL), Then::SiteGranted),
            Some(lease) => {
                let request = Request::Kept(lease, self.renewal(member, lease));
                self.call(member, None, request, Then::SiteRenewed { sent, lease });
            }
        }
    }

    fn renewal(&self, member: usize, lease: Lease) -> Arc<Txn> {
        let site = self.members[member].site;
        Arc::new(Txn {
            when: match self.breaks(Mutant::NoFencedKey) {
                true => Vec::new(),
                false => vec![Compare::Absent(Key::Fenced(site))],
            },
            then: vec![Op::PutLeased(Key::SiteLease(site), Value::Mark, lease)],
            ..Txn::default()
        })
    }

    pub(super) fn site_granted(&mut self, member: usize, come: Result<Reply, Trouble>) {
        if let Ok(Reply::Granted(lease)) = come {
            let sent = self.clock.elapsed();
            let request = Request::Kept(lease, self.renewal(member, lease));
            self.call(member, None, request, Then::SiteRenewed { sent, lease });
        }
    }

    pub(super) fn site_renewed(
        &mut self,
        member: usize,
        (sent, lease): (Duration, Lease),
        come: Result<Reply, Trouble>,
    ) {
        let site = self.members[member].site;
        match come {
            Ok(Reply::Done(done)) if done.held => {
                self.members[member].site_lease = Some(lease);
                let gate = &mut self.gates[site];
                gate.renewed = gate.renewed.max(sent);
                gate.closing = None;
                if gate.closed && !gate.by_hand && self.clock.elapsed() < gate.renewed + HOLD {
                    gate.closed = false;
                    self.tell(|cluster| format!("{} opens its gate", cluster.case.site(site)));
                    self.stands(site);
                }
            }
            // Somebody has fenced this site for good: what it serves must end now.
            Ok(Reply::Done(_)) => {
                self.members[member].site_lease = Some(lease);
                self.close(site);
            }
            Ok(_) | Err(Trouble::NoLease) => self.members[member].site_lease = None,
            Err(_) => {}
        }
    }

    /// The sentries of a site look at their clocks.
    pub(super) fn sentry(&mut self, site: usize) {
        self.clock.after(LOOK, Happening::Sentry(site));
        self.note_reach();
        if !self.net.has_power(site) || self.breaks(Mutant::NoSentry) {
            return;
        }
        let now = self.clock.elapsed();
        let gate = self.gates[site];
        match gate.closing {
            _ if gate.closed => {}
            Some(until) if now >= until => self.close(site),
            None if now >= gate.renewed + HOLD => {
                let takes = self.dice.between(Duration::ZERO, CLOSING - LOOK);
                self.gates[site].closing = Some(now + takes);
            }
            _ => {}
        }
    }

    pub(super) fn close(&mut self, site: usize) {
        if !std::mem::replace(&mut self.gates[site].closed, true) {
            self.gates[site].closing = None;
            self.tell(|cluster| format!("{} closes its gate", cluster.case.site(site)));
            self.stands(site);
        }
    }

    /// The world hears how a site stands; a site without power begins behind a closed gate.
    pub(super) fn stands(&mut self, site: usize) {
        let dead = !self.net.has_power(site);
        if dead {
            self.gates[site].closed = true;
        }
        self.world.set_site(site, Site { dark: false, dead, fenced: self.gates[site].closed });
        self.judge.world(&self.case.targets, &mut self.world, self.clock.elapsed());
    }

    /// People rebuild what stands in a site from where it runs now, and let the site serve again. Not
    /// while a run holds it.
    pub(super) fn protect(&mut self, site: usize) {
        let free = self.store.get(&Key::Lock(format!("site/{}", self.case.site(site)))).is_none();
        let fenced = self.gates[site].by_hand || self.store.get(&Key::Fenced(site)).is_some();
        if !free || !fenced || self.service.leader.is_none() || !self.net.has_power(site) {
            return;
        }
        self.tell(|cluster| format!("people protect {} anew", cluster.case.site(site)));
        self.world.rebuild(&self.case.targets, site);
        self.gates[site].by_hand = false;
        let txn = Txn { then: vec![Op::Delete(Key::Fenced(site))], ..Txn::default() };
        self.store.txn(&txn);
    }
}
