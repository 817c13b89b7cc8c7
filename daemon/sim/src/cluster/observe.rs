//! Watches every site from a member: probes in rounds, canaries, and what is published of them.

use super::member::Wake;
use super::net::{OUTSIDE, SITES};
use super::service::Trouble;
use super::store::{Compare, Key, Kv, Op, Reply, Request, Txn, Value};
use super::{Cluster, Then};
use standfast_core::check::Answer;
use standfast_core::controller::Input as Ctl;
use standfast_core::leadership::Lease;
use standfast_core::time::{Mono, Span};
use standfast_core::vote::{Observation, Probed, Views, Vote};
use std::sync::Arc;
use std::time::Duration;

/// The site that carries nothing.
const WITNESS: usize = 2;

impl Cluster<'_> {
    /// Whether a member gets answers out of a place; what stands nowhere is outside.
    pub(super) fn reaches(&self, member: usize, place: Option<usize>) -> bool {
        let member = &self.members[member];
        let place = place.unwrap_or(OUTSIDE);
        (member.site == place && self.net.has_power(place))
            || (member.cut.nic == 0 && self.net.connects(member.site, place))
    }

    /// Begins a round of probes of a site: all are asked at once.
    pub(super) fn round(&mut self, member: usize, site: usize) {
        let timing = *self.timing(member);
        let slow = self.net.delay(self.members[member].site, site);
        let deaf = self.deaf[site] > 0 && self.members[member].site != site;
        let reached = !deaf && self.reaches(member, Some(site)) && 2 * slow < timing.timeout.0;
        // The first probe is of the web; it may be broken while everything else is well.
        let web = reached && self.webs[site] == 0;
        let seen: Vec<bool> =
            (0..self.case.probes[site].len()).map(|probe| if probe == 0 { web } else { reached }).collect();
        let takes = match reached {
            true => 2 * slow + self.dice.between(Duration::from_millis(2), Duration::from_millis(40)),
            false => timing.timeout.0,
        };
        self.wake_after(member, takes, Wake::RoundOver(site, seen));
        self.wake_after(member, timing.interval.0, Wake::Round(site));
        if site == 0 {
            let canaries = self.reaches(member, None);
            self.members[member].canaries = if canaries { 3 } else { 0 };
        }
    }

    pub(super) fn round_over(&mut self, member: usize, site: usize, seen: &[bool]) {
        let (now, timing) = (self.now(member), *self.timing(member));
        let probes = self.case.probes[site].iter().zip(seen);
        let round: Vec<Probed> = probes
            .map(|((name, kind), seen)| Probed {
                name: name.clone(),
                kind: *kind,
                answer: if *seen { Answer::Holds("ok".into()) } else { Answer::Fails("no answer".into()) },
            })
            .collect();
        self.members[member].views.on_round(self.case.site(site), &round, &timing, now);
    }

    /// Publishes what is seen, under the member's own lease; first gets one, if there is none.
    pub(super) fn publish(&mut self, member: usize) {
        let timing = *self.timing(member);
        self.wake_after(member, timing.publish.0, Wake::Publish);
        let now = self.now(member);
        let place = &mut self.members[member];
        if std::mem::replace(&mut place.publishing, true) {
            return;
        }
        let Some((lease, revision)) = place.membership else {
            return self.call(member, Some(timing.renew.0), Request::Grant(timing.ttl.0), Then::JoinGranted);
        };
        place.sequence += 1;
        let opinions = place.views.opinions(now);
        let up = |site: &usize| {
            opinions.get(self.case.site(*site)).is_some_and(|opinion| opinion.vote == Vote::Up)
        };
        place.reaches = [0, 1].iter().all(up);
        let observation = Observation {
            member: place.name.clone(),
            site: place.site_id.clone(),
            boot_id: format!("{member}.{}", place.life),
            sequence: place.sequence,
            store_age: place.confirmed.map_or(Span::secs(3_600), |at| now.mono.since(at).into()),
            canaries: place.canaries,
            loop_lag: place.lag.0.into(),
            sites: opinions,
        };
        let txn = Txn {
            when: vec![Compare::Modified(Key::Member(member), revision)],
            then: vec![Op::PutLeased(Key::Seen(member), Value::Seen(Arc::new(observation)), lease)],
            held: true,
            ..Txn::default()
        };
        let then = Then::Published { sent: now.mono };
        self.call(member, Some(timing.renew.0), Request::Kept(lease, Arc::new(txn)), then);
    }

    pub(super) fn join(&mut self, member: usize, come: Result<Reply, Trouble>) {
        let Ok(Reply::Granted(lease)) = come else {
            self.members[member].publishing = false;
            return;
        };
        let place = &self.members[member];
        let record = Value::Member(place.name.clone(), place.site_id.clone());
        let txn = Txn { then: vec![Op::PutLeased(Key::Member(member), record, lease)], ..Txn::default() };
        self.call(member, None, Request::Txn(Arc::new(txn)), Then::Joined(lease));
    }

    pub(super) fn joined(&mut self, member: usize, lease: Lease, come: Result<Reply, Trouble>) {
        self.members[member].publishing = false;
        if let Ok(Reply::Done(done)) = come {
            self.members[member].membership = Some((lease, done.revision));
        }
    }

    pub(super) fn published(&mut self, member: usize, sent: Mono, come: Result<Reply, Trouble>) {
        let place = &mut self.members[member];
        place.publishing = false;
        match come {
            Ok(Reply::Done(done)) if done.held => {
                place.views.on_leases(done.sites);
                place.confirmed = Some(sent);
            }
            Ok(_) | Err(Trouble::NoLease) => place.membership = None,
            Err(_) => {}
        }
    }

    /// Another bundle was applied: whoever follows hears of it, late when watches are mute.
    pub(super) fn hint_bundle(&mut self) {
        let most = if self.service.mute > 0 { Duration::from_secs(6) } else { Duration::from_millis(50) };
        for member in 0..self.members.len() {
            let late = self.dice.between(Duration::from_millis(2), most);
            self.wake_after(member, late, Wake::Bundle);
        }
    }

    pub(super) fn read_bundle(&mut self, member: usize) {
        self.call(member, None, Request::Read(vec![Key::Bundle..=Key::Bundle]), Then::BundleRead);
    }

    /// A member goes by another bundle: it observes anew, under a new lease.
    pub(super) fn bundle_read(&mut self, member: usize, come: Result<Reply, Trouble>) {
        let Ok(Reply::Found(found)) = come else {
            return self.wake_after(member, Duration::from_millis(500), Wake::Bundle);
        };
        let Some(&(_, Kv { value: Value::Bundle(case), .. })) = found.first() else { return };
        // The watch goes on from the revision of that read, however old it was.
        if self.store.get(&Key::Bundle).is_some_and(|kv| kv.value != Value::Bundle(case)) {
            self.wake_after(member, Duration::from_secs(1), Wake::Bundle);
        }
        let place = &mut self.members[member];
        if std::mem::replace(&mut place.case, case) == case {
            return;
        }
        place.views = Views::default();
        if let Some((lease, _)) = place.membership.take() {
            self.call(member, None, Request::Revoke(lease), Then::Nothing);
        }
        self.retime(member);
        self.control(member, Ctl::Bundle(self.cases[case].bundle.clone()));
    }

    /// How sites stand, and since when one has not been reached from another, for the judge.
    pub(super) fn note_reach(&mut self) {
        let now = self.clock.elapsed();
        for site in 0..SITES {
            let ill = self.webs[site] > 0 || self.deaf[site] > 0 || !self.net.connects(WITNESS, site);
            let blind = !self.net.connects(site, OUTSIDE);
            self.judge.told.stands(site, (ill, blind), now);
        }
        for from in 0..SITES {
            for to in 0..SITES {
                let slow = self.net.delay(from, to) > Duration::ZERO;
                if from != to && (slow || self.deaf[to] > 0 || !self.net.connects(from, to)) {
                    self.judge.unreached(from, to, now);
                }
            }
        }
    }
}
