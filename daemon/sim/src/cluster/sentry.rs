//! Sites that fence themselves: the keeper of the lease in each member, the sentries on the hosts, and
//! the promises between sites, all of them of the core.
//!
//! Members renew their site's lease. A sentry asks them how long ago that was confirmed, on its own
//! clock, and stops what writes when it is too long; it lets go again with the next renewal, which the
//! key `fenced` forbids: what was fenced for a failover stays so until people have protected it anew.
//! Stopping is taken to work at its end, letting go at its begin.

use super::member::Wake;
use super::service::Trouble;
use super::store::{Compare, Key, Op, Reply, Request, Txn, Value};
use super::{Cluster, Happening, Mutant, Then};
use crate::world::Site;
use standfast_core::controller::Ask;
use standfast_core::ids::{Digest, MemberId, SentryId};
use standfast_core::leadership::Lease;
use standfast_core::sentry::{Effect, Input, Sentry, State};
use standfast_core::site_lease::keeper::Renewal;
use standfast_core::site_lease::{Report, Roster};
use standfast_core::time::{Mono, Now, Span};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Sites with a sentry come first; the witness has none.
const GUARDED: usize = 2;
/// How often a sentry asks and looks at its clock.
pub(super) const LOOK: Duration = Duration::from_millis(250);
/// How long stopping and letting go may take: the fleet says so.
const STEPS: Duration = Duration::from_millis(2_000);
/// Until a sentry is given the file of another bundle.
const GIVEN: Duration = Duration::from_secs(20);

/// The sentry of a site, and what it has done.
#[derive(Clone, Debug)]
pub(super) struct Gate {
    sentry: Sentry,
    /// The bundle whose file it was given, and since when another one is current.
    case: usize,
    old_since: Option<Duration>,
    /// What writes is stopped.
    shut: bool,
    /// A person has stopped it.
    pub(super) by_hand: bool,
    /// The steps that run.
    running: u32,
    /// It hears nobody: counted.
    pub(super) alone: u8,
}

impl Gate {
    pub(super) fn new(isolate: Span, case: usize) -> Self {
        let sentry = Sentry::new(isolate, Some(State::Open));
        Self { sentry, case, old_since: None, shut: false, by_hand: false, running: 0, alone: 0 }
    }

    /// Nothing behind it takes writes.
    pub(super) fn closed(&self) -> bool {
        self.shut || self.by_hand
    }
}

impl Cluster<'_> {
    /// A member renews its site's lease, or takes it.
    pub(super) fn renew_site(&mut self, member: usize) {
        let timing = *self.timing(member);
        self.wake_after(member, timing.renew.0, Wake::SiteLease);
        let site = self.members[member].site;
        if site >= GUARDED {
            return;
        }
        let sent = self.now(member).mono;
        match self.members[member].site_lease {
            None => {
                let grant = Request::Grant(timing.site_ttl.0);
                self.call(member, Some(timing.renew.0), grant, Then::SiteGranted { sent });
            }
            Some(lease) => self.renew(member, sent, lease),
        }
    }

    fn renew(&mut self, member: usize, sent: Mono, lease: Lease) {
        let place = &self.members[member];
        let (site, name) = (place.site, place.name.clone());
        let heard = place.heard.clone().map(|(at, steps, state, failed)| {
            (sentry(site), Report { steps, heard: sent.since(at).into(), state, failed })
        });
        let roster = Roster { member: name, sentries: heard.into_iter().collect() };
        let id = self.case.site(site).clone();
        let when = match self.breaks(Mutant::NoFencedKey) {
            true => Vec::new(),
            false => vec![Compare::Absent(Key::Fenced(site))],
        };
        let then = vec![
            Op::PutLeased(Key::SiteLease(site), Value::SiteLease(id.clone()), lease),
            Op::Put(Key::Roster(site), Value::Roster(id, Arc::new(roster))),
        ];
        let request = Request::Kept(lease, Arc::new(Txn { when, then, ..Txn::default() }));
        let limit = self.timing(member).renew.0;
        self.call(member, Some(limit), request, Then::SiteRenewed { sent });
    }

    pub(super) fn site_granted(&mut self, member: usize, sent: Mono, come: Result<Reply, Trouble>) {
        match come {
            Ok(Reply::Granted(lease)) => {
                self.members[member].site_lease = Some(lease);
                self.renew(member, sent, lease);
            }
            _ => self.on_renewal(member, sent, Renewal::Unanswered),
        }
    }

    pub(super) fn site_renewed(&mut self, member: usize, sent: Mono, come: Result<Reply, Trouble>) {
        let renewal = match come {
            Ok(Reply::Done(done)) if done.held => Renewal::Held,
            Ok(Reply::Done(_)) => Renewal::Fenced,
            Ok(_) | Err(Trouble::NoLease) => {
                self.members[member].site_lease = None;
                Renewal::Unanswered
            }
            Err(_) => Renewal::Unanswered,
        };
        self.on_renewal(member, sent, renewal);
    }

    /// Tells the keeper; asks the others for their promise, if a renewal is missing.
    fn on_renewal(&mut self, member: usize, sent: Mono, renewal: Renewal) {
        let (now, timing) = (self.now(member), *self.timing(member));
        self.members[member].keeper.on_renewal(sent, renewal);
        if !self.members[member].keeper.asks(&timing, now) {
            return;
        }
        for other in 0..self.members.len() {
            let (from, to) = (self.members[member].site, self.members[other].site);
            if from != to {
                let way = self.net.delay(from, to) + Duration::from_millis(5);
                let life = self.members[member].life;
                self.clock.after(way, Happening::Promise { member, life, other, sent: now.mono });
            }
        }
    }

    /// A member is asked to promise another one's site that it will not fence it.
    pub(super) fn promise(&mut self, member: usize, life: u32, other: usize, sent: Mono) {
        let site = self.members[member].site;
        let (now, timing) = (self.now(other), *self.timing(other));
        let reached =
            self.reaches(member, Some(self.members[other].site)) && self.members[other].cut.nic == 0;
        let silent = self.breaks(Mutant::NoFailsafe);
        let name = self.members[other].name.clone();
        let asked = &mut self.members[other];
        let given = reached
            && asked.runs()
            && !silent
            && asked.promises.give(self.case.site(site), asked.confirmed, &timing, now).is_ok();
        let back = self.net.carries(self.members[other].site, site);
        let takes = if reached { Duration::from_millis(5) } else { timing.renew.0 };
        let promised = Wake::Promised(name, sent, given && back);
        self.clock.after(takes, Happening::At(member, life, promised));
    }

    /// All members of all other sites.
    fn others(&self, site: usize) -> BTreeSet<MemberId> {
        let others = self.members.iter().filter(|other| other.site != site);
        others.map(|other| other.name.clone()).collect()
    }

    /// Another member has promised not to fence this one's site, or has not.
    pub(super) fn promised(&mut self, member: usize, from: MemberId, sent: Mono, given: bool) {
        let (now, timing) = (self.now(member), *self.timing(member));
        let others = self.others(self.members[member].site);
        self.members[member].keeper.on_promise(from, sent, given, &others, &timing, now);
    }

    /// The sentry of a site asks a member there, and looks at its clock.
    pub(super) fn sentry(&mut self, site: usize) {
        self.clock.after(LOOK, Happening::Sentry(site));
        self.note_reach();
        if site >= GUARDED || !self.net.has_power(site) {
            return;
        }
        self.give_file(site);
        let here: Vec<usize> = (0..self.members.len())
            .filter(|member| self.members[*member].site == site && self.members[*member].runs())
            .collect();
        let heard = self.dice.pick(&here).copied().filter(|_| self.gates[site].alone == 0);
        if let Some(member) = heard {
            self.judge.told.heard(site, self.clock.elapsed());
            let now = self.now(member);
            let others = self.others(site);
            let steps = self.steps(site);
            let gate = &self.gates[site];
            let said = (now.mono, steps, gate.sentry.state(), gate.sentry.failed().map(str::to_owned));
            let place = &mut self.members[member];
            place.heard = Some(said);
            let confirmed = place.keeper.confirmed(&others).map(|at| now.mono.since(at).into());
            let fenced = place.keeper.is_fenced();
            let late = self.dice.between(Duration::ZERO, Duration::from_millis(20));
            let sent = self.sentry_clock().mono - late;
            self.tell_sentry(site, Input::Answered { sent, confirmed, fenced });
        }
        self.tell_sentry(site, Input::Tick);
    }

    /// The clock of every sentry; members have others.
    fn sentry_clock(&self) -> Now {
        self.clock.now()
    }

    /// Names what the sentry of a site does, by the file that it was given.
    fn steps(&self, site: usize) -> Digest {
        let rules = self.cases[self.gates[site].case].bundle.rules();
        rules.sentries[self.case.site(site)][&sentry(site)].steps.clone()
    }

    /// A while after another bundle was applied, people give the sentry its file.
    fn give_file(&mut self, site: usize) {
        let (current, now) = (self.judge.bundle(), self.clock.elapsed());
        let gate = &mut self.gates[site];
        if gate.case == current {
            gate.old_since = None;
        } else if now >= *gate.old_since.get_or_insert(now) + GIVEN {
            gate.case = current;
            gate.old_since = None;
            let kept = Some(gate.sentry.state());
            gate.sentry = Sentry::new(self.cases[current].bundle.fleet.timing.isolate, kept);
        }
    }

    fn tell_sentry(&mut self, site: usize, input: Input) {
        let now = self.sentry_clock();
        for effect in self.gates[site].sentry.on(input, now) {
            let gate = &mut self.gates[site];
            match effect {
                // Its disk is as good as its memory as long as the machine runs.
                Effect::Keep(_) => {}
                Effect::Isolate => {
                    gate.running += 1;
                    let takes = self.dice.between(Duration::from_millis(50), STEPS);
                    self.clock.after(takes, Happening::Ran(site, self.gates[site].running, true));
                }
                Effect::Rejoin => {
                    gate.running += 1;
                    let (id, opens) = (gate.running, std::mem::take(&mut gate.shut));
                    let takes = self.dice.between(Duration::from_millis(50), STEPS);
                    self.clock.after(takes, Happening::Ran(site, id, false));
                    if opens {
                        self.tell(|cluster| format!("{} opens its gate", cluster.case.site(site)));
                        self.stands(site);
                    }
                }
            }
        }
    }

    /// The steps of a sentry have ended.
    pub(super) fn ran(&mut self, site: usize, id: u32, stops: bool) {
        if self.gates[site].running != id || !self.net.has_power(site) {
            return;
        }
        let works = stops && !self.breaks(Mutant::NoSentry);
        if works && !std::mem::replace(&mut self.gates[site].shut, true) {
            self.tell(|cluster| format!("{} closes its gate", cluster.case.site(site)));
            let fenced = self.store.get(&Key::Fenced(site)).is_some();
            let (lost, now) = (self.service.lost, self.clock.elapsed());
            self.judge.closes(self.case.site(site), fenced, lost, now);
            self.stands(site);
        }
        self.tell_sentry(site, Input::Ran(Ok(())));
    }

    /// The world hears how a site stands. A site without power begins behind a closed gate, with a
    /// sentry that remembers nothing.
    pub(super) fn stands(&mut self, site: usize) {
        let dead = !self.net.has_power(site);
        let stays = !self.breaks(Mutant::NoSentry);
        if dead && site < GUARDED {
            let gate = &mut self.gates[site];
            gate.shut = stays;
            gate.running += 1;
            gate.sentry = Sentry::new(self.cases[gate.case].bundle.fleet.timing.isolate, None);
        }
        self.world.set_site(site, Site { dark: false, dead, fenced: self.gates[site].closed() });
        self.judge.world(&self.case.targets, &mut self.world, self.clock.elapsed());
    }

    /// People rebuild what stands in a site from where it runs now, and ask that the site may serve
    /// again. Not while a run holds it.
    pub(super) fn protect(&mut self, site: usize) {
        let free = self.store.get(&Key::Lock(format!("site/{}", self.case.site(site)))).is_none();
        let fenced = self.store.get(&Key::Fenced(site)).is_some();
        let closed = self.gates[site].by_hand || fenced;
        if !free || !closed || self.service.leader.is_none() || !self.net.has_power(site) {
            return;
        }
        self.tell(|cluster| format!("people protect {} anew", cluster.case.site(site)));
        self.world.rebuild(&self.case.targets, site);
        self.gates[site].by_hand = false;
        self.stands(site);
        if fenced {
            let ask = Ask::Rejoin { site: self.case.site(site).clone(), reason: "rebuilt".into() };
            self.wish("kim".into(), ask);
        }
    }
}

fn sentry(site: usize) -> SentryId {
    SentryId::new(["data-a", "data-b"][site])
}
