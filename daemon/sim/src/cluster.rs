//! Whole clusters in virtual time: members, store, sites, targets and people, all of which fail.
//!
//! Each member is the real leadership, observer, controller and engine of the core; what they ask
//! for is performed as the daemon does, over a model of the store and of the world. A seed is drawn
//! into a list of faults; first they happen, then everything is mended, and then what was begun has
//! to come to its end. Meanwhile a judge, which shares no decision with the core, looks at everything
//! that becomes durable and everything that is acted.
//!
//! Not modelled: retention. A store that was restored from a backup is played in scenes, and not drawn.

mod act;
mod coverage;
mod fault;
mod fence;
mod fleets;
mod judge;
mod lead;
mod member;
mod mutant;
mod net;
mod observe;
mod people;
mod restore;
mod sentry;
mod service;
mod setting;
mod shrink;
mod store;
mod term;

pub use coverage::{Coverage, STATES};
pub use fault::{Fault, Planned, When};
pub use judge::Broken;
pub use mutant::Mutant;
pub use shrink::shrink;

use crate::clock::Clock;
use crate::dice::Dice;
use crate::world::World;
use act::Act;
use judge::Judge;
use member::{Member, Wake};
use net::{Net, SITES};
use sentry::Gate;
use service::{Sent, Service, Trouble};
use setting::Case;
use standfast_core::ids::Epoch;
use standfast_core::leadership::{Input, Lease};
use standfast_core::time::Mono;
use std::collections::BTreeMap;
use std::time::Duration;
use store::{Key, Op, Reply, Store, Txn, Value};
use term::{Loading, Write};

/// How long all that was begun may take once everything is mended.
const PATIENCE: Duration = Duration::from_secs(600);
/// How long it has to be quiet until nothing more is expected.
const QUIET: Duration = Duration::from_secs(5);

/// What the seeds have in common.
#[derive(Debug)]
pub struct Town {
    cases: Vec<Case>,
    mutant: Option<Mutant>,
}

/// What a seed came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The fleet that it was about.
    pub fleet: &'static str,
    /// What went wrong that may not.
    pub broken: Option<Broken>,
    /// The faults that it met.
    pub faults: Vec<Planned>,
    /// Virtual time.
    pub lasted: Duration,
    /// What was seen.
    pub coverage: Coverage,
    /// Happenings.
    pub events: u64,
    /// What happened, if it was to be told.
    pub story: Vec<String>,
}

impl Default for Town {
    fn default() -> Self {
        Self { cases: setting::cases(None), mutant: None }
    }
}

impl Town {
    /// A cluster in which something is broken on purpose.
    pub fn with(mutant: Mutant) -> Self {
        Self { cases: setting::cases(Some(mutant)), mutant: Some(mutant) }
    }

    /// What a seed comes to.
    pub fn seed(&self, seed: u64) -> Outcome {
        self.live(seed, None, false)
    }

    /// What a seed comes to with these faults instead of its own, told.
    pub fn replay(&self, seed: u64, faults: Vec<Planned>) -> Outcome {
        self.live(seed, Some(faults), true)
    }

    fn live(&self, seed: u64, faults: Option<Vec<Planned>>, told: bool) -> Outcome {
        Cluster::new(self, seed, faults, told).run()
    }
}

/// What is to happen.
#[derive(Debug)]
enum Happening {
    Fault(usize, bool),
    Flap(usize),
    Heal,
    Elect,
    /// The store's endpoints are started again.
    Restored,
    LeaseDue(Lease),
    Arrive(Box<Sent>),
    Sentry(usize),
    /// The steps of a sentry have ended; whether they stop what writes.
    Ran(usize, u32, bool),
    /// A member of another site is asked for its promise.
    Promise {
        member: usize,
        life: u32,
        other: usize,
        sent: Mono,
    },
    /// Something wakes a member of this life.
    At(usize, u32, Wake),
    /// An act comes to its target.
    Reach(u64),
    Visit,
    Want(usize),
    Ask(Box<people::Asking>),
}

/// What a member makes of an answer of the store.
#[derive(Debug)]
enum Then {
    Nothing,
    LeaderRead,
    Granted,
    EpochRead { lease: Lease, nonce: String, sent: Mono },
    Campaigned { epoch: Epoch, sent: Mono },
    Beaten { nonce: String, sent: Mono },
    JoinGranted,
    Joined(Lease),
    Published { sent: Mono },
    SiteGranted { sent: Mono },
    SiteRenewed { sent: Mono },
    Written(Box<Write>),
    Locks(String),
    RunRead(Box<Loading>),
    AsksRead(u64),
    BundleRead,
    Placed(u64),
}

/// One seed.
struct Cluster<'a> {
    /// All bundles; that of the beginning says what there is, which is the same in all.
    cases: &'a [Case],
    case: &'a Case,
    mutant: Option<Mutant>,
    clock: Clock<Happening>,
    dice: Dice,
    safety: Duration,
    net: Net,
    store: Store,
    service: Service,
    members: Vec<Member>,
    world: World,
    gates: [Gate; SITES],
    /// Sites whose web fails, counted.
    webs: [u8; SITES],
    /// Sites that answer no probe from outside, counted.
    deaf: [u8; SITES],
    /// Replicas lag, targets fail: counted.
    behind: u8,
    failing: u8,
    /// Looks find that playbooks could not run: counted.
    unready: u8,
    acts: BTreeMap<u64, Act>,
    numbered: u64,
    judge: Judge,
    people: people::People,
    faults: Vec<Planned>,
    broken: Vec<bool>,
    /// What the store was when a backup of it was begun, by fault.
    backups: BTreeMap<usize, Store>,
    flapping: Vec<bool>,
    healed: bool,
    /// Entries of journals that have become durable.
    entries: u64,
    story: Option<Vec<String>>,
}

impl<'a> Cluster<'a> {
    fn new(town: &'a Town, seed: u64, faults: Option<Vec<Planned>>, told: bool) -> Self {
        let root = Dice::new(seed);
        let mut fate = root.fork_named("fate");
        let following = fleets::FOLLOWING as u64;
        let first = match fate.below(3) {
            0 => fate.below(fleets::MANNERS.len() as u64 - following) + following,
            _ => fate.below(following),
        } as usize;
        let case = &town.cases[first];
        let timing = case.bundle.fleet.timing;
        let mut sites: Vec<usize> = (0..SITES).collect();
        sites.extend((0..fate.below(3)).map(|extra| extra as usize));
        let mut made = root.fork_named("members");
        let members: Vec<Member> = (sites.iter().enumerate())
            .map(|(place, site)| {
                Member::new((place, first), *site, case.site(*site).clone(), timing, &mut made)
            })
            .collect();
        let safety = fate.between(Duration::from_secs(130), Duration::from_secs(230));
        let drawn = fault::draw(&mut root.fork_named("faults"), members.len(), safety);
        let faults = faults.unwrap_or(drawn);
        let count = faults.len();
        let mut store = Store::default();
        store.unguarded = town.mutant == Some(Mutant::NoGuards);
        store.txn(&Txn { then: vec![Op::Put(Key::Bundle, Value::Bundle(first))], ..Txn::default() });
        Self {
            cases: &town.cases,
            case,
            mutant: town.mutant,
            clock: Clock::default(),
            dice: root.fork_named("life"),
            safety,
            net: Net::default(),
            store,
            service: Service::default(),
            members,
            world: case.world.clone(),
            gates: std::array::from_fn(|_| Gate::new(timing.isolate, first)),
            webs: [0; SITES],
            deaf: [0; SITES],
            behind: 0,
            failing: 0,
            unready: 0,
            acts: BTreeMap::new(),
            numbered: 0,
            judge: Judge::new(first),
            people: people::People::draw(&mut root.fork_named("people"), safety),
            faults,
            broken: vec![false; count],
            backups: BTreeMap::new(),
            flapping: vec![false; count],
            healed: false,
            entries: 0,
            story: told.then(Vec::new),
        }
    }

    fn run(mut self) -> Outcome {
        self.rewired();
        for member in 0..self.members.len() {
            self.start(member);
        }
        for site in 0..SITES {
            self.clock.after(sentry::LOOK, Happening::Sentry(site));
        }
        for (place, planned) in self.faults.iter().enumerate() {
            if let When::At(at) = planned.when {
                self.clock.after(at, Happening::Fault(place, true));
                self.clock.after(at + planned.lasts, Happening::Fault(place, false));
            }
        }
        self.clock.after(self.safety, Happening::Heal);
        self.invite();
        let (mut events, mut quiet) = (0, None);
        while self.judge.broken().is_none() {
            let Some(what) = self.clock.advance() else { break };
            events += 1;
            self.happens(what);
            if !self.healed || events % 64 != 0 {
                continue;
            }
            let now = self.clock.elapsed();
            if !self.is_quiet() {
                quiet = None;
                if now > self.safety + PATIENCE {
                    self.judge.not_live(now);
                }
            } else if now >= *quiet.get_or_insert(now) + QUIET {
                break;
            }
        }
        self.outcome(events)
    }

    fn outcome(mut self, events: u64) -> Outcome {
        self.judge.finish(&self.store, self.clock.elapsed());
        let (broken, coverage) = self.judge.into_parts();
        Outcome {
            fleet: self.case.manner.name,
            broken,
            faults: self.faults,
            lasted: self.clock.elapsed(),
            coverage,
            events,
            story: self.story.unwrap_or_default(),
        }
    }

    /// Nothing is left to be done, and somebody leads.
    fn is_quiet(&self) -> bool {
        let leads = self.members.iter().enumerate().any(|(place, member)| {
            member.leading.is_some() && member.machine.term(self.now(place)).is_some()
        });
        let bundle = self.judge.bundle();
        let current = self.members.iter().all(|member| member.case == bundle);
        let open = self.gates.iter().all(|gate| !gate.closed());
        leads && current && open && self.judge.is_quiet() && self.people.are_quiet()
    }

    fn happens(&mut self, what: Happening) {
        match what {
            Happening::Fault(place, begins) => {
                if !(begins && self.healed) {
                    self.fault(place, begins);
                }
            }
            Happening::Flap(place) => self.flap(place),
            Happening::Heal => self.heal(),
            Happening::Elect => self.elect(),
            Happening::Restored => self.restored(),
            Happening::LeaseDue(lease) => self.lease_due(lease),
            Happening::Arrive(sent) => self.arrive(sent),
            Happening::Sentry(site) => self.sentry(site),
            Happening::Ran(site, id, stops) => self.ran(site, id, stops),
            Happening::Promise { member, life, other, sent } => self.promise(member, life, other, sent),
            Happening::At(member, life, wake) => self.at(member, life, wake),
            Happening::Reach(id) => self.reach(id),
            Happening::Visit => self.visit(),
            Happening::Want(place) => self.want(place),
            Happening::Ask(asking) => self.ask_again(*asking),
        }
    }

    fn answered(&mut self, member: usize, then: Then, come: Result<Reply, Trouble>) {
        match then {
            Then::Nothing => {}
            Then::LeaderRead => self.leader_read(member, come),
            Then::Granted => {
                let lease = match come {
                    Ok(Reply::Granted(lease)) => Some(lease),
                    _ => None,
                };
                self.give(member, Input::Granted(lease));
            }
            Then::EpochRead { lease, nonce, sent } => self.epoch_read(member, (lease, nonce, sent), come),
            Then::Campaigned { epoch, sent } => self.campaigned(member, epoch, sent, come),
            Then::Beaten { nonce, sent } => self.beaten(member, &nonce, sent, come),
            Then::JoinGranted => self.join(member, come),
            Then::Joined(lease) => self.joined(member, lease, come),
            Then::Published { sent } => self.published(member, sent, come),
            Then::SiteGranted { sent } => self.site_granted(member, sent, come),
            Then::SiteRenewed { sent } => self.site_renewed(member, sent, come),
            Then::Written(write) => self.written(member, *write, come),
            Then::Locks(nonce) => self.locks_read(member, &nonce, come),
            Then::RunRead(loading) => self.run_read(member, *loading, come),
            Then::AsksRead(epoch) => self.asks_read(member, epoch, come),
            Then::BundleRead => self.bundle_read(member, come),
            Then::Placed(number) => self.placed(number, &come),
        }
    }

    fn breaks(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    /// Tells what happens, if it is to be told.
    fn tell(&mut self, text: impl FnOnce(&Self) -> String) {
        if self.story.is_none() {
            return;
        }
        let line = format!("{:9.3} s  {}", self.clock.elapsed().as_secs_f64(), text(self));
        self.story.as_mut().expect("it is to be told").push(line);
    }
}

#[cfg(test)]
#[path = "cluster_test.rs"]
mod tests;
