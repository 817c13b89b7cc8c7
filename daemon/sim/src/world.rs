//! The world that playbooks act upon: databases, names, balancers, sites that are there or not.
//!
//! A [`Targets`] table says what there is, made once of fleet and plans; a [`World`] is how it
//! stands, small enough to be copied for every seed. Every act carries an epoch, and every
//! target remembers the highest that it was given, as real ones do.

mod deed;
mod place;
mod take_back;
mod target;

pub use deed::{Deed, Proof, Question};
pub use place::Places;
pub use take_back::TakeBack;
pub use target::Targets;

use standfast_core::check::Role;
use standfast_core::ids::{Epoch, ResourceId, SiteId};
use std::collections::BTreeMap;

/// How a site stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Site {
    /// Nothing in it answers us.
    pub dark: bool,
    /// Nothing in it runs. A site that is dark and not dead is cut off and lives on.
    pub dead: bool,
    /// Nothing in it takes writes, and that was enforced.
    pub fenced: bool,
}

impl Site {
    /// Gone: it does not answer, and nothing in it runs.
    pub const GONE: Self = Self { dark: true, dead: true, fenced: false };
    /// Behind a cut: it does not answer, and everything in it runs.
    pub const CUT_OFF: Self = Self { dark: true, dead: false, fenced: false };

    fn serves(self) -> bool {
        !self.dead && !self.fenced
    }
}

/// A server behind a balancer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Server {
    ready: bool,
    weight: u8,
}

/// What a question comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It is so.
    Holds,
    /// It is not.
    Fails,
    /// Nobody answers.
    Silent,
}

/// What comes of an act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    /// It is done.
    Done,
    /// The target was not reached.
    Unreached,
    /// The target said no.
    Refused,
    /// The target has heard of a later epoch, and refuses this one.
    Stale,
}

/// A state of the world that must never be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// Two servers of a cluster take writes.
    #[error("{cluster} takes writes in {sites}: two writers")]
    TwoWriters {
        /// Which cluster.
        cluster: ResourceId,
        /// Where.
        sites: String,
    },
    /// A target took an act of an epoch after one of a later epoch.
    #[error("{target} was acted upon under epoch {epoch} after epoch {after}")]
    EpochBack {
        /// Which target.
        target: String,
        /// The epoch of the act.
        epoch: Epoch,
        /// The highest that it had been given.
        after: Epoch,
    },
}

/// How everything stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct World {
    sites: Vec<Site>,
    /// By database: whether it is a primary, dead or alive.
    primaries: Vec<bool>,
    servers: Vec<Server>,
    /// By name: which values it has; none as long as nobody has changed it.
    names: Vec<Option<usize>>,
    /// By call: how often it was made.
    calls: Vec<u32>,
    /// By target: the highest epoch that it was given.
    epochs: Vec<Epoch>,
    /// By database: the how manieth promotion made it a primary; 0 for those of the beginning.
    promoted: Vec<u32>,
    wrong: Option<Wrong>,
}

impl World {
    /// Everything runs; `active` says where each cluster has its primary.
    pub fn new(targets: &Targets, active: &BTreeMap<ResourceId, SiteId>) -> Self {
        Self {
            sites: vec![Site::default(); targets.sites().len()],
            primaries: targets
                .databases()
                .map(|(cluster, site)| active.get(cluster).is_some_and(|active| active == site))
                .collect(),
            servers: vec![Server { ready: true, weight: 100 }; targets.server_count()],
            names: vec![None; targets.name_count()],
            calls: vec![0; targets.call_count()],
            epochs: vec![Epoch(0); targets.count()],
            promoted: vec![0; targets.databases().count()],
            wrong: None,
        }
    }

    /// Lets a site stand like this.
    pub fn set_site(&mut self, site: usize, stands: Site) {
        self.sites[site] = stands;
    }

    /// How a site stands.
    pub fn site(&self, site: usize) -> Site {
        self.sites[site]
    }

    /// The first thing that must never be, and was.
    pub fn wrong(&self) -> Option<&Wrong> {
        self.wrong.as_ref()
    }

    /// The same, and forgets it.
    pub fn take_wrong(&mut self) -> Option<Wrong> {
        self.wrong.take()
    }

    /// Notes if a cluster has two writers.
    pub fn look(&mut self, targets: &Targets) {
        (0..self.primaries.len()).for_each(|database| self.look_for_two_writers(targets, database));
    }

    /// Makes what was a primary in a site a standby of the one that was promoted after it.
    pub fn rebuild(&mut self, targets: &Targets, site: usize) {
        for database in 0..self.primaries.len() {
            let later = |(other, _)| self.primaries[other] && self.promoted[other] > self.promoted[database];
            if targets.site_of(database) == site && targets.rivals(database).any(later) {
                self.primaries[database] = false;
            }
        }
    }

    /// Whether something in this place answers; what stands nowhere in the fleet does.
    pub fn answers(&self, place: Option<usize>) -> bool {
        place.is_none_or(|site| !self.sites[site].dark && !self.sites[site].dead)
    }

    /// The sites in which a cluster takes writes, as indices.
    pub fn writers<'a>(
        &'a self,
        targets: &'a Targets,
        cluster: &'a ResourceId,
    ) -> impl Iterator<Item = usize> + 'a {
        let servers = targets.servers_of(cluster);
        servers.filter(|&(database, site)| self.primaries[database] && self.sites[site].serves()).map(|s| s.1)
    }

    /// Asks without changing anything.
    pub fn ask(&self, targets: &Targets, question: &Question) -> Seen {
        if !self.answers(targets.place_of_question(question)) {
            return Seen::Silent;
        }
        let holds = match question {
            Question::Writable { database } => {
                self.primaries[*database] && self.sites[targets.site_of(*database)].serves()
            }
            Question::Role { database, is } => self.primaries[*database] == (*is == Role::Primary),
            Question::Name { name, values, .. } => self.names[*name] == Some(*values),
            // Whether it is near enough, and whether it works, is for chance to say.
            Question::Lag { .. } | Question::Reach { .. } => true,
        };
        if holds { Seen::Holds } else { Seen::Fails }
    }

    /// Whether a deed is done already; none when nobody can tell, because nobody answers or
    /// because the deed leaves no trace.
    pub fn is_done(&self, targets: &Targets, deed: &Deed) -> Option<bool> {
        if !self.answers(targets.place_of(deed)) && !matches!(deed, Deed::Fence { .. }) {
            return None;
        }
        match deed {
            Deed::Promote { database } => Some(self.primaries[*database]),
            Deed::Rotate { server, ready } => Some(self.servers[*server].ready == *ready),
            Deed::Weigh { server, others, weight } => {
                let rest = 100 - weight;
                let others = others.iter().all(|other| self.servers[*other].weight == rest);
                Some(others && self.servers[*server].weight == *weight)
            }
            Deed::Name { name, values, .. } => Some(self.names[*name] == Some(*values)),
            Deed::Fence { site, .. } => Some(self.sites[*site].fenced),
            Deed::Call { .. } => None,
            Deed::Wait { questions } => {
                Some(questions.iter().all(|question| self.ask(targets, question) == Seen::Holds))
            }
            Deed::Ask => Some(false),
        }
    }

    /// Does it, under `epoch`, and notes what is wrong afterwards.
    pub fn perform(&mut self, targets: &Targets, deed: &Deed, epoch: Epoch) -> Came {
        if !self.answers(targets.place_of(deed)) && !matches!(deed, Deed::Fence { .. }) {
            return Came::Unreached;
        }
        if let Some(target) = targets.target_of(deed) {
            let highest = &mut self.epochs[target];
            if epoch < *highest {
                if targets.fences(deed) {
                    return Came::Stale;
                }
                let (target, after) = (targets.name_of(deed), *highest);
                self.wrong.get_or_insert(Wrong::EpochBack { target, epoch, after });
            }
            *highest = epoch.max(*highest);
        }
        match deed {
            Deed::Promote { database } => {
                let rival = targets.rivals(*database).any(|(other, site)| {
                    self.primaries[other] && self.sites[site].serves() && self.answers(Some(site))
                });
                if rival && !self.primaries[*database] {
                    return Came::Refused;
                }
                if !std::mem::replace(&mut self.primaries[*database], true) {
                    self.promoted[*database] = self.promoted.iter().max().map_or(1, |last| last + 1);
                }
                self.look_for_two_writers(targets, *database);
            }
            Deed::Rotate { server, ready } => self.servers[*server].ready = *ready,
            Deed::Weigh { server, others, weight } => {
                self.servers[*server].weight = *weight;
                others.iter().for_each(|other| self.servers[*other].weight = 100 - weight);
            }
            Deed::Name { name, values, .. } => self.names[*name] = Some(*values),
            Deed::Fence { site, proofs } => return self.fence(*site, proofs),
            Deed::Call { call } => self.calls[*call] += 1,
            Deed::Wait { .. } | Deed::Ask => {}
        }
        Came::Done
    }

    /// The first proof that can be given. What only looks proves what stands; the rest enforces.
    fn fence(&mut self, site: usize, proofs: &[Proof]) -> Came {
        let Site { dark, .. } = self.sites[site];
        for proof in proofs {
            let proven = match proof {
                // The site's own hosts fence it while it cannot renew: only then is it proven.
                Proof::Lease => dark,
                Proof::Power => {
                    self.sites[site].dead = true;
                    true
                }
                Proof::WritesRefused => self.sites[site].fenced && !dark,
                // Given to the engine, by name; nothing to be seen here.
                Proof::Word => false,
            };
            if proven {
                self.sites[site].fenced = true;
                return Came::Done;
            }
        }
        Came::Refused
    }

    /// Somebody has made sure of it, by hand.
    pub fn fence_by_hand(&mut self, site: usize) {
        self.sites[site].fenced = true;
    }

    fn look_for_two_writers(&mut self, targets: &Targets, database: usize) {
        let cluster = targets.cluster_of(database);
        if self.wrong.is_none() && self.writers(targets, cluster).count() > 1 {
            let names: Vec<&str> =
                self.writers(targets, cluster).map(|site| targets.sites()[site].as_str()).collect();
            let (cluster, sites) = (cluster.clone(), names.join(" and "));
            self.wrong = Some(Wrong::TwoWriters { cluster, sites });
        }
    }
}

#[cfg(test)]
#[path = "world_test.rs"]
mod tests;
