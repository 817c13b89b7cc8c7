//! What goes wrong: faults, each with its begin and its end.
//!
//! Some begin at a time, and some are aimed: they begin right when the how manieth entry of a journal
//! becomes durable.

mod draw;

use super::net::OUTSIDE;
use super::{Cluster, Happening};
use std::fmt;
use std::time::Duration;

pub(super) use draw::draw;

/// What can go wrong; numbers are sites or members.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A site is cut off from everything outside it.
    Cut(usize),
    /// Two sites are cut off from each other.
    Pair(usize, usize),
    /// What is sent from one site to the other is lost.
    OneWay(usize, usize),
    /// The way between two sites is slow.
    Slow(usize, usize),
    /// A site is cut off and mended, again and again.
    Flap(usize),
    /// A site has no power.
    Power(usize),
    /// The web of a site fails, and everything else there works.
    Web(usize),
    /// A member has no network.
    Nic(usize),
    /// A member does not reach the store, and reaches everything else.
    NoStore(usize),
    /// A member is killed, and started again.
    Kill(usize),
    /// A member is stopped, and continued.
    Stop(usize),
    /// A member's wall clock jumps.
    Jump(usize),
    /// An endpoint of the store is down.
    Down(usize),
    /// An endpoint of the store is stopped.
    Hang(usize),
    /// The store's disks are slow.
    Disk,
    /// The store has no room left.
    Full,
    /// The store's answers get lost.
    Lossy,
    /// The store answers reads as things stood when this began.
    Past,
    /// The store's watches tell late.
    Mute,
    /// The store takes the leader's lease back, wrongly.
    Revoke,
    /// Nothing in a site answers probes from outside, and its members reach the store.
    Probes(usize),
    /// Replicas are further behind than is allowed.
    Behind,
    /// Acts fail, and answers to them are lost.
    Targets,
    /// A site has lost the world outside, and reaches the other sites.
    Blind(usize),
    /// The sentry of a site hears nobody, and nobody hears it.
    Sentry(usize),
    /// The store takes the lease of a site back, wrongly.
    Lease(usize),
    /// Who looks whether playbooks could run finds that they could not.
    Unready,
    /// At the end of this the store is restored from a backup that was made at its begin.
    Restore,
}

impl Fault {
    /// The kinds, by name.
    pub const KINDS: [&'static str; 28] = [
        "cut", "pair", "one-way", "slow", "flap", "power", "web", "nic", "no-store", "kill", "stop", "jump",
        "down", "hang", "disk", "full", "lossy", "past", "mute", "revoke", "behind", "targets", "probes",
        "blind", "sentry", "lease", "unready", "restore",
    ];

    /// So many of them are drawn; the others are only played in scenes.
    pub(super) const DRAWN: usize = 27;

    /// Its place among the kinds.
    pub fn kind(self) -> usize {
        match self {
            Self::Cut(_) => 0,
            Self::Pair(..) => 1,
            Self::OneWay(..) => 2,
            Self::Slow(..) => 3,
            Self::Flap(_) => 4,
            Self::Power(_) => 5,
            Self::Web(_) => 6,
            Self::Nic(_) => 7,
            Self::NoStore(_) => 8,
            Self::Kill(_) => 9,
            Self::Stop(_) => 10,
            Self::Jump(_) => 11,
            Self::Down(_) => 12,
            Self::Hang(_) => 13,
            Self::Disk => 14,
            Self::Full => 15,
            Self::Lossy => 16,
            Self::Past => 17,
            Self::Mute => 18,
            Self::Revoke => 19,
            Self::Behind => 20,
            Self::Targets => 21,
            Self::Probes(_) => 22,
            Self::Blind(_) => 23,
            Self::Sentry(_) => 24,
            Self::Lease(_) => 25,
            Self::Unready => 26,
            Self::Restore => 27,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let site = |place: usize| ["a", "b", "w", "outside"][place.min(OUTSIDE)];
        let kind = Self::KINDS[self.kind()];
        match *self {
            Self::Cut(at)
            | Self::Flap(at)
            | Self::Power(at)
            | Self::Web(at)
            | Self::Down(at)
            | Self::Hang(at)
            | Self::Probes(at)
            | Self::Blind(at)
            | Self::Sentry(at)
            | Self::Lease(at) => {
                write!(f, "{kind} {}", site(at))
            }
            Self::Pair(from, to) | Self::OneWay(from, to) | Self::Slow(from, to) => {
                write!(f, "{kind} {} {}", site(from), site(to))
            }
            Self::Nic(member)
            | Self::NoStore(member)
            | Self::Kill(member)
            | Self::Stop(member)
            | Self::Jump(member) => {
                write!(f, "{kind} m{member}")
            }
            _ => f.write_str(kind),
        }
    }
}

/// Whoever leads when the fault begins.
pub(super) const LEADER: usize = usize::MAX;

/// When a fault begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// So long after the beginning.
    At(Duration),
    /// When so many entries of journals have become durable.
    Entry(u64),
}

/// A fault and its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    /// What.
    pub fault: Fault,
    /// When it begins.
    pub when: When,
    /// How long it lasts.
    pub lasts: Duration,
}

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lasts = self.lasts.as_secs_f64();
        match self.when {
            When::At(at) => write!(f, "at {:7.2} s", at.as_secs_f64())?,
            When::Entry(entry) => write!(f, "at entry {entry:3}")?,
        }
        write!(f, ", for {lasts:6.2} s: {}", self.fault)
    }
}

impl Cluster<'_> {
    /// A fault begins or ends.
    pub(super) fn fault(&mut self, place: usize, begins: bool) {
        if begins == self.broken[place] {
            return;
        }
        self.aim(place);
        let fault = self.faults[place].fault;
        self.broken[place] = begins;
        let word = if begins { "begins" } else { "ends" };
        self.tell(|_| format!("{fault} {word}"));
        self.note_reach();
        if !matches!(fault, Fault::Down(_)) {
            self.judge.told.stirs(begins, self.clock.elapsed());
        }
        if begins {
            self.judge.faulty(fault.kind());
        } else {
            self.judge.mended(fault.kind());
        }
        let count =
            |counter: &mut u8| *counter = if begins { *counter + 1 } else { counter.saturating_sub(1) };
        match fault {
            Fault::Cut(site) => self.isolate(site, begins),
            Fault::Flap(site) => {
                if self.flapping[place] != begins {
                    self.isolate(site, begins);
                    self.flapping[place] = begins;
                }
                self.flap_later(place);
            }
            Fault::Pair(from, to) => {
                self.net.cut(from, to, begins);
                self.net.cut(to, from, begins);
            }
            Fault::OneWay(from, to) => self.net.cut(from, to, begins),
            Fault::Slow(from, to) => self.net.slow(from, to, begins),
            Fault::Power(site) => self.power(site, begins),
            Fault::Web(site) => count(&mut self.webs[site]),
            Fault::Nic(member) => count(&mut self.members[member].cut.nic),
            Fault::NoStore(member) => count(&mut self.members[member].cut.store),
            Fault::Kill(member) => self.process(member, begins),
            Fault::Stop(member) => {
                count(&mut self.members[member].stopped);
                if self.members[member].stopped == 0 {
                    self.resume(member);
                }
            }
            Fault::Jump(member) => {
                self.members[member].skew_ms += if begins { 7_200_000 } else { -10_800_000 };
            }
            Fault::Down(site) => count(&mut self.service.down[site]),
            Fault::Hang(site) => count(&mut self.service.stopped[site]),
            Fault::Disk => count(&mut self.service.slow),
            Fault::Full => count(&mut self.service.full),
            Fault::Lossy => count(&mut self.service.lossy),
            Fault::Past => self.service.past = begins.then(|| Box::new(self.store.clone())),
            Fault::Mute => count(&mut self.service.mute),
            Fault::Revoke => {
                if begins && let Some(lease) = self.store.lease_of(&super::store::Key::Leader) {
                    self.judge.wronged(self.clock.elapsed());
                    self.revoke(lease);
                }
            }
            Fault::Probes(site) => count(&mut self.deaf[site]),
            Fault::Behind => count(&mut self.behind),
            Fault::Targets => count(&mut self.failing),
            Fault::Blind(site) => {
                self.net.cut(site, OUTSIDE, begins);
                self.net.cut(OUTSIDE, site, begins);
            }
            Fault::Sentry(site) => count(&mut self.gates[site].alone),
            Fault::Lease(site) => {
                if begins && let Some(lease) = self.store.lease_of(&super::store::Key::SiteLease(site)) {
                    self.revoke(lease);
                }
            }
            Fault::Unready => count(&mut self.unready),
            Fault::Restore => self.backup(place, begins),
        }
        self.rewired();
        self.note_reach();
    }

    /// A fault of whoever leads becomes one of that member.
    fn aim(&mut self, place: usize) {
        let leads = self.members.iter().position(|member| member.leading.is_some()).unwrap_or(0);
        match &mut self.faults[place].fault {
            Fault::Nic(member) | Fault::NoStore(member) | Fault::Kill(member) | Fault::Stop(member)
                if *member == LEADER =>
            {
                *member = leads;
            }
            _ => {}
        }
    }

    /// Another entry is durable: what was aimed at it begins.
    pub(super) fn aimed(&mut self) {
        self.entries += 1;
        for place in 0..self.faults.len() {
            let Planned { when, lasts, .. } = self.faults[place];
            if when == When::Entry(self.entries) && !self.healed {
                let soon = self.dice.between(Duration::ZERO, Duration::from_millis(12));
                self.clock.after(soon, Happening::Fault(place, true));
                self.clock.after(soon + lasts, Happening::Fault(place, false));
            }
        }
    }

    fn isolate(&mut self, site: usize, cut: bool) {
        for other in (0..=OUTSIDE).filter(|other| *other != site) {
            self.net.cut(site, other, cut);
            self.net.cut(other, site, cut);
        }
    }

    /// A flapping site is mended or cut off, and will be again.
    pub(super) fn flap(&mut self, place: usize) {
        let (Fault::Flap(site), true) = (self.faults[place].fault, self.broken[place]) else { return };
        self.flapping[place] ^= true;
        self.isolate(site, self.flapping[place]);
        self.rewired();
        self.note_reach();
        self.flap_later(place);
    }

    fn flap_later(&mut self, place: usize) {
        let after = self.dice.between(Duration::from_secs(1), Duration::from_secs(12));
        self.clock.after(after, Happening::Flap(place));
    }

    fn process(&mut self, member: usize, ends: bool) {
        let place = &mut self.members[member];
        if ends {
            place.down += 1;
            if place.down == 1 {
                self.kill(member);
            }
        } else {
            place.down = place.down.saturating_sub(1);
            if place.down == 0 {
                self.start(member);
            }
        }
    }

    fn power(&mut self, site: usize, off: bool) {
        if self.net.power(site, off) {
            for member in 0..self.members.len() {
                if self.members[member].site == site {
                    self.process(member, off);
                }
            }
            self.stands(site);
        }
    }

    /// Everything is mended, and nothing breaks any more.
    pub(super) fn heal(&mut self) {
        self.tell(|_| "everything is mended".into());
        self.healed = true;
        for place in 0..self.faults.len() {
            self.fault(place, false);
        }
    }
}
