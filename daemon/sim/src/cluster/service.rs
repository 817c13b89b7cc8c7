//! How the store is reached, and what goes wrong on the way.
//!
//! Three endpoints, one in each site. Writes go through one that leads and sees a majority. When it
//! is lost nobody answers until another is elected, and every lease begins anew then. A write whose
//! answer is lost may have been committed; one that waits for an election may be committed long
//! after its sender has given up.

use super::member::Wake;
use super::net::SITES;
use super::store::{Key, Op, Reply, Request, Store, Txn, Value};
use super::{Cluster, Happening};
use crate::dice::Share;
use standfast_core::leadership::Lease;
use std::time::Duration;

/// The daemon's own limits on a request and on connecting.
const REQUEST: Duration = Duration::from_secs(2);
const CONNECT: Duration = Duration::from_secs(1);
/// How long an election takes.
const ELECTION: (Duration, Duration) = (Duration::from_millis(1_000), Duration::from_millis(3_000));
/// How much too late a lease may end.
const LATE: Duration = Duration::from_millis(1_500);
/// What was not committed by then is forgotten.
const FORGET: Duration = Duration::from_secs(6);

/// How the endpoints stand.
#[derive(Clone, Debug, Default)]
pub(super) struct Service {
    /// The endpoint that leads.
    pub(super) leader: Option<usize>,
    electing: bool,
    /// Since when nobody leads that was led before.
    pub(super) lost: Option<Duration>,
    pub(super) down: [u8; SITES],
    pub(super) stopped: [u8; SITES],
    /// Its disks are slow.
    pub(super) slow: u8,
    /// It has no room left.
    pub(super) full: u8,
    /// Answers get lost.
    pub(super) lossy: u8,
    /// Watches tell late, or not at all.
    pub(super) mute: u8,
    /// How often it was restored: what was sent before is lost.
    pub(super) history: u32,
    /// Reads are answered as things stood then.
    pub(super) past: Option<Box<Store>>,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Nothing was done.
    Unavailable,
    /// It may have been done, or be done yet.
    Ambiguous,
    /// No room left: nothing was done.
    NoSpace,
    /// The lease that it wants to hang something on is gone.
    NoLease,
}

/// A request under way.
#[derive(Debug)]
pub(super) struct Sent {
    member: usize,
    life: u32,
    endpoint: usize,
    request: Request,
    then: super::Then,
    began: Duration,
    deadline: Duration,
    /// The disk has taken its time.
    slowed: bool,
    /// The sender has given up.
    told: bool,
    /// Of which store it was asked.
    history: u32,
}

impl Cluster<'_> {
    /// Asks the store; the answer wakes the member, at the latest after `limit`.
    pub(super) fn call(
        &mut self,
        member: usize,
        limit: Option<Duration>,
        request: Request,
        then: super::Then,
    ) {
        let limit = limit.unwrap_or(REQUEST).min(REQUEST);
        let (began, life) = (self.clock.elapsed(), self.members[member].life);
        let Some(endpoint) = self.endpoint(member) else {
            let come = Wake::Answered(Box::new((then, Err(Trouble::Unavailable))));
            return self.wake_after(member, CONNECT.min(limit), come);
        };
        if self.service.stopped[endpoint] > 0 {
            let come = Wake::Answered(Box::new((then, Err(lost(&request)))));
            return self.wake_after(member, limit, come);
        }
        let way = self.way(member, endpoint);
        let deadline = began + limit;
        let (slowed, told, history) = (false, false, self.service.history);
        let sent = Sent { member, life, endpoint, request, then, began, deadline, slowed, told, history };
        self.clock.after(way, Happening::Arrive(Box::new(sent)));
    }

    /// The endpoint that a member asks: its own, or the next that lets itself be connected to. One
    /// that is stopped burns the whole time of some requests before it is left out.
    fn endpoint(&mut self, member: usize) -> Option<usize> {
        let (from, cut) = (self.members[member].site, self.members[member].cut);
        if cut.nic > 0 || cut.store > 0 {
            return None;
        }
        let order = (0..SITES).map(|step| (from + step) % SITES);
        for endpoint in order {
            let open = self.net.connects(from, endpoint) && self.service.down[endpoint] == 0;
            let left_out = self.service.stopped[endpoint] > 0 && self.dice.below(3) > 0;
            if open && !left_out {
                return Some(endpoint);
            }
        }
        None
    }

    fn way(&mut self, member: usize, endpoint: usize) -> Duration {
        let least = Duration::from_micros(if self.members[member].site == endpoint { 500 } else { 3_000 });
        self.net.delay(self.members[member].site, endpoint) + self.dice.between(least, 4 * least)
    }

    fn serves(&self, endpoint: usize) -> bool {
        self.service.down[endpoint] == 0
            && self.service.stopped[endpoint] == 0
            && self.net.has_power(endpoint)
    }

    fn has_majority(&self, endpoint: usize) -> bool {
        let sees = |other: &usize| self.serves(*other) && self.net.connects(endpoint, *other);
        self.serves(endpoint) && (0..SITES).filter(sees).count() > SITES / 2
    }

    /// Something between or in the endpoints has changed: maybe nobody leads any more.
    pub(super) fn rewired(&mut self) {
        if self.service.leader.is_none_or(|leader| !self.has_majority(leader)) {
            if self.service.leader.take().is_some() {
                self.service.lost = Some(self.clock.elapsed());
            }
            if !std::mem::replace(&mut self.service.electing, true) {
                let takes = self.dice.between(ELECTION.0, ELECTION.1);
                self.clock.after(takes, Happening::Elect);
            }
        }
    }

    pub(super) fn elect(&mut self) {
        self.service.electing = false;
        let able: Vec<usize> = (0..SITES).filter(|endpoint| self.has_majority(*endpoint)).collect();
        self.service.leader = self.dice.pick(&able).copied();
        match self.service.leader {
            Some(leader) => {
                self.service.lost = None;
                self.store.restart_leases(self.clock.elapsed());
                self.tell(|cluster| format!("the store's endpoint in {} leads", cluster.case.site(leader)));
            }
            None => self.rewired(),
        }
    }

    /// A request comes to its endpoint, or is looked at again there.
    pub(super) fn arrive(&mut self, mut sent: Box<Sent>) {
        let now = self.clock.elapsed();
        if sent.history != self.service.history {
            return self.give_up(&mut sent, Duration::MAX);
        }
        if !sent.request.writes()
            && let Some(past) = &self.service.past
        {
            let reply = match &sent.request {
                Request::Txn(txn) => Reply::Done(past.clone().txn(txn)),
                Request::Read(ranges) => past.read(ranges),
                _ => Reply::Revoked,
            };
            return self.answer(*sent, Ok(reply));
        }
        let endpoint = sent.endpoint;
        let passes = |leader: usize| leader == endpoint || self.net.connects(endpoint, leader);
        if !self.serves(endpoint) || !self.service.leader.is_some_and(passes) {
            let again = self.dice.between(Duration::from_millis(100), Duration::from_millis(600));
            self.give_up(&mut sent, now + again);
            let kept = self.serves(endpoint) && self.dice.happens(Share::percent(80));
            if kept && now < sent.began + FORGET {
                self.clock.after(again, Happening::Arrive(sent));
            } else {
                self.give_up(&mut sent, Duration::MAX);
            }
            return;
        }
        if self.service.slow > 0 && sent.request.writes() && !std::mem::replace(&mut sent.slowed, true) {
            let takes = self.dice.between(Duration::from_millis(100), Duration::from_millis(2_600));
            self.give_up(&mut sent, now + takes);
            self.clock.after(takes, Happening::Arrive(sent));
            return;
        }
        let come = self.commit(&sent.request);
        if !sent.told {
            self.answer(*sent, come);
        }
    }

    /// Tells the sender at its deadline that there is no answer, if the next look is later.
    fn give_up(&mut self, sent: &mut Sent, next: Duration) {
        if next <= sent.deadline || std::mem::replace(&mut sent.told, true) {
            return;
        }
        let then = std::mem::replace(&mut sent.then, super::Then::Nothing);
        let left = sent.deadline.saturating_sub(self.clock.elapsed());
        let come = Wake::Answered(Box::new((then, Err(lost(&sent.request)))));
        self.clock.after(left, Happening::At(sent.member, sent.life, come));
    }

    fn answer(&mut self, mut sent: Sent, come: Result<Reply, Trouble>) {
        let way = self.way(sent.member, sent.endpoint);
        let cut = self.members[sent.member].cut;
        let carried =
            cut.nic == 0 && cut.store == 0 && self.net.carries(sent.endpoint, self.members[sent.member].site);
        let lossy = self.service.lossy > 0 && self.dice.happens(Share::percent(25));
        if !carried || lossy || self.clock.elapsed() + way > sent.deadline {
            return self.give_up(&mut sent, Duration::MAX);
        }
        self.clock
            .after(way, Happening::At(sent.member, sent.life, Wake::Answered(Box::new((sent.then, come)))));
    }

    fn commit(&mut self, request: &Request) -> Result<Reply, Trouble> {
        let now = self.clock.elapsed();
        let puts = |txn: &Txn| txn.then.iter().any(|op| !matches!(op, Op::Delete(_)));
        let full = self.service.full > 0;
        match request {
            Request::Grant(_) if full => Err(Trouble::NoSpace),
            Request::Txn(txn) | Request::Kept(_, txn) if full && puts(txn) => Err(Trouble::NoSpace),
            Request::Grant(ttl) => {
                let lease = self.store.grant(*ttl, now);
                self.clock.after(*ttl, Happening::LeaseDue(lease));
                Ok(Reply::Granted(lease))
            }
            Request::Revoke(lease) => {
                self.revoke(*lease);
                Ok(Reply::Revoked)
            }
            Request::Read(ranges) => Ok(self.store.read(ranges)),
            Request::Kept(lease, _) if !self.store.keep(*lease, now) => Ok(Reply::NoLease),
            Request::Txn(txn) | Request::Kept(_, txn) => {
                if !self.store.has_leases(txn) {
                    return Err(Trouble::NoLease);
                }
                let done = self.store.txn(txn);
                if done.held {
                    self.committed(txn);
                }
                Ok(Reply::Done(done))
            }
        }
    }

    /// A transaction stands in the store: whoever watches may hear of it, the judge does.
    fn committed(&mut self, txn: &Txn) {
        for op in &txn.then {
            if let Op::Put(Key::Ask(request), Value::Ask(asked)) = op {
                self.hint(*request, asked);
            }
            if op.key() == &Key::Bundle {
                self.hint_bundle();
            }
        }
        let now = self.clock.elapsed();
        self.judge.committed(self.cases, &self.store, txn, now);
        self.after_entries();
    }

    /// Deletes a lease and what hangs on it.
    pub(super) fn revoke(&mut self, lease: Lease) {
        if self.store.revoke(lease).contains(&Key::Leader) && self.service.mute == 0 {
            for member in 0..self.members.len() {
                let way = self.dice.between(Duration::from_millis(2), Duration::from_millis(30));
                self.wake_after(member, way, Wake::LeaderGone);
            }
        }
    }

    /// A lease may have run out: never too early, and as late as the store likes.
    pub(super) fn lease_due(&mut self, lease: Lease) {
        let (now, Some(until)) = (self.clock.elapsed(), self.store.until(lease)) else { return };
        if until > now {
            let late = self.dice.between(Duration::ZERO, LATE);
            self.clock.after(until - now + late, Happening::LeaseDue(lease));
        } else if self.service.leader.is_none() {
            self.clock.after(Duration::from_millis(500), Happening::LeaseDue(lease));
        } else {
            self.revoke(lease);
        }
    }
}

fn lost(request: &Request) -> Trouble {
    if request.writes() { Trouble::Ambiguous } else { Trouble::Unavailable }
}
