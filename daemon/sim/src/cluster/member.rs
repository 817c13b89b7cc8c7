//! A member: a process with its own clocks, which wakes up to ticks, answers and probes.

use super::service::Trouble;
use super::store::{Asked, Reply};
use super::term::{Leading, Word, Write};
use super::{Cluster, Happening, Then};
use crate::dice::Dice;
use standfast_core::ids::{Digest, Epoch, MemberId, SiteId};
use standfast_core::leadership::{Input, Leadership, Lease, Revision};
use standfast_core::sentry::State;
use standfast_core::site_lease::keeper::Keeper;
use standfast_core::site_lease::promise::Promises;
use standfast_core::time::{Mono, Now};
use standfast_core::timing::Timing;
use standfast_core::vote::Views;
use std::sync::Arc;
use std::time::Duration;

/// How often the machines are given the time. The daemon does so every 100 ms, and may be late.
pub(super) const TICK: Duration = Duration::from_millis(200);

/// What a member is cut off from by itself, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cut {
    /// From everything.
    pub(super) nic: u8,
    /// From the store alone.
    pub(super) store: u8,
}

/// What wakes a process up.
#[derive(Debug)]
pub(super) enum Wake {
    Tick,
    /// The term's own tick.
    TermTick(u64),
    /// A round of probes of a site begins.
    Round(usize),
    /// It is over; what each probe saw.
    RoundOver(usize, Vec<bool>),
    Publish,
    SiteLease,
    /// Another member, asked then, has promised not to fence this site, or has not.
    Promised(MemberId, Mono, bool),
    /// What is large is moved once, and not each time that the queue is sorted.
    Answered(Box<(Then, Result<Reply, Trouble>)>),
    LeaderGone,
    /// The requests are listed again.
    Asks(u64),
    /// A watch tells a term of a request.
    Watched(u64, u64, Arc<Asked>),
    Word(Word),
    /// There may be another bundle.
    Bundle,
    /// A guarded write is sent again.
    Again(Box<Write>),
    Heard(Box<super::act::Heard>),
}

/// A member.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) name: MemberId,
    /// The bundle that it goes by.
    pub(super) case: usize,
    pub(super) site: usize,
    pub(super) site_id: SiteId,
    /// How often it was started: what was meant for an earlier life is not heard.
    pub(super) life: u32,
    pub(super) down: u8,
    pub(super) stopped: u8,
    pub(super) cut: Cut,
    /// How long its machine had been up when all began.
    boot: Duration,
    /// How much faster its clock is than time, in parts per million.
    drift_ppm: i64,
    /// How far its wall clock is off.
    pub(super) skew_ms: i64,
    pub(super) machine: Leadership,
    pub(super) leading: Option<Leading>,
    pub(super) views: Views,
    pub(super) canaries: usize,
    /// How late its timers fire, and until when that is remembered.
    pub(super) lag: (Duration, Mono),
    ticked: Option<Mono>,
    pub(super) membership: Option<(Lease, Revision)>,
    /// The highest epoch that it has seen, on its disk; whether it does not lead for that.
    pub(super) seen: Epoch,
    pub(super) regressed: bool,
    /// A publication is under way.
    pub(super) publishing: bool,
    pub(super) sequence: u64,
    pub(super) confirmed: Option<Mono>,
    pub(super) reaches: bool,
    /// The lease under which it last renewed its site's.
    pub(super) site_lease: Option<Lease>,
    pub(super) keeper: Keeper,
    pub(super) promises: Promises,
    /// What its site's sentry said last: when, and of itself.
    pub(super) heard: Option<(Mono, Digest, State, Option<String>)>,
    /// What it would have heard while it was stopped.
    backlog: Vec<Wake>,
}

impl Member {
    pub(super) fn new(
        (place, case): (usize, usize),
        site: usize,
        site_id: SiteId,
        timing: Timing,
        dice: &mut Dice,
    ) -> Self {
        Self {
            case,
            name: MemberId::new(format!("m{place}-{site_id}")),
            site,
            site_id,
            life: 0,
            down: 0,
            stopped: 0,
            cut: Cut::default(),
            boot: dice.between(Duration::from_secs(100), Duration::from_secs(1_000_000)),
            drift_ppm: dice.below(6_001) as i64 - 3_000,
            skew_ms: dice.below(4_001) as i64 - 2_000,
            machine: Leadership::new(timing, format!("{place}.0")),
            leading: None,
            views: Views::default(),
            canaries: 0,
            lag: (Duration::ZERO, Mono::default()),
            ticked: None,
            membership: None,
            seen: Epoch(0),
            regressed: false,
            publishing: false,
            sequence: 0,
            confirmed: None,
            reaches: false,
            site_lease: None,
            keeper: Keeper::default(),
            promises: Promises::new(Mono::default()),
            heard: None,
            backlog: Vec::new(),
        }
    }

    /// Both its clocks. What its boot clock shows never goes back.
    pub(super) fn now(&self, elapsed: Duration) -> Now {
        let us = elapsed.as_micros() as i64;
        let mono =
            Mono::new(self.boot + Duration::from_micros((us + us * self.drift_ppm / 1_000_000) as u64));
        Now { mono, wall_ms: 1_665_814_740_000 + us / 1_000 + self.skew_ms }
    }

    /// Whether the process runs.
    pub(super) fn runs(&self) -> bool {
        self.down == 0 && self.stopped == 0
    }
}

impl Cluster<'_> {
    pub(super) fn now(&self, member: usize) -> Now {
        self.members[member].now(self.clock.elapsed())
    }

    /// The windows that a member goes by.
    pub(super) fn timing(&self, member: usize) -> &Timing {
        &self.cases[self.members[member].case].bundle.fleet.timing
    }

    pub(super) fn wake_after(&mut self, member: usize, delay: Duration, wake: Wake) {
        let life = self.members[member].life;
        self.clock.after(delay, Happening::At(member, life, wake));
    }

    /// Starts a process: it remembers nothing.
    pub(super) fn start(&mut self, member: usize) {
        let timing = *self.timing(member);
        let began = self.now(member).mono;
        let place = &mut self.members[member];
        place.promises = Promises::new(began);
        place.machine = Leadership::new(timing, format!("{member}.{}", place.life));
        let mut phase = |most: Duration| self.dice.between(Duration::ZERO, most);
        let firsts = [
            (phase(TICK), Wake::Tick),
            (phase(timing.publish.0), Wake::Publish),
            (phase(timing.publish.0), Wake::SiteLease),
            (phase(timing.interval.0), Wake::Round(0)),
            (phase(timing.interval.0), Wake::Round(1)),
            (phase(timing.interval.0), Wake::Round(2)),
            (phase(TICK), Wake::Bundle),
        ];
        for (after, wake) in firsts {
            self.wake_after(member, after, wake);
        }
    }

    /// Ends a process at once.
    pub(super) fn kill(&mut self, member: usize) {
        self.drop_acts(member);
        let place = &mut self.members[member];
        place.life += 1;
        place.leading = None;
        place.views = Views::default();
        place.canaries = 0;
        place.ticked = None;
        place.lag = (Duration::ZERO, Mono::default());
        place.membership = None;
        place.publishing = false;
        place.sequence = 0;
        place.confirmed = None;
        place.reaches = false;
        place.site_lease = None;
        place.keeper = Keeper::default();
        place.heard = None;
        place.backlog.clear();
    }

    /// Lets a stopped process go on: it hears everything at once, in any order.
    pub(super) fn resume(&mut self, member: usize) {
        for wake in std::mem::take(&mut self.members[member].backlog) {
            let soon = self.dice.between(Duration::ZERO, Duration::from_micros(100));
            self.wake_after(member, soon, wake);
        }
    }

    pub(super) fn at(&mut self, member: usize, life: u32, wake: Wake) {
        let place = &mut self.members[member];
        if place.life != life || place.down > 0 {
            return;
        }
        if place.stopped > 0 {
            place.backlog.push(wake);
            return;
        }
        match wake {
            Wake::Tick => self.tick(member),
            Wake::TermTick(epoch) => self.term_tick(member, epoch),
            Wake::Round(site) => self.round(member, site),
            Wake::RoundOver(site, seen) => self.round_over(member, site, &seen),
            Wake::Publish => self.publish(member),
            Wake::SiteLease => self.renew_site(member),
            Wake::Answered(answer) => {
                let (then, come) = *answer;
                self.answered(member, then, come);
            }
            Wake::Promised(from, sent, given) => self.promised(member, from, sent, given),
            Wake::LeaderGone => self.read_leader(member),
            Wake::Asks(epoch) => self.read_asks(member, epoch),
            Wake::Watched(epoch, request, asked) => self.asked(member, epoch, request, &asked),
            Wake::Word(word) => self.give(
                member,
                match word {
                    Word::GuardLost => Input::GuardLost,
                    Word::StepDown(why) => Input::StepDown(why),
                },
            ),
            Wake::Bundle => self.read_bundle(member),
            Wake::Again(write) => self.send(member, *write),
            Wake::Heard(heard) => self.heard(member, *heard),
        }
    }

    fn tick(&mut self, member: usize) {
        let now = self.now(member).mono;
        let place = &mut self.members[member];
        let gap = place.ticked.replace(now).map_or(Duration::ZERO, |before| now.since(before));
        let late = gap.saturating_sub(TICK + Duration::from_millis(5));
        if late > Duration::from_millis(50) || now >= place.lag.1 {
            place.lag = (late, now + Duration::from_secs(1));
        }
        self.give(member, Input::Tick);
        self.wake_after(member, TICK, Wake::Tick);
    }
}
