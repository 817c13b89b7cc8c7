//! What stands in the store: keys with revisions, guarded transactions, leases.
//!
//! This is the part of a store that is always right: one history, in one order. How it is reached,
//! and what goes wrong on the way, is for [`super::service`].

use standfast_core::controller::{Ask, Keep, Subject};
use standfast_core::engine::Refusal;
use standfast_core::ids::{Epoch, Identity, MemberId, RunId, SiteId};
use standfast_core::journal::Event;
use standfast_core::leadership::{Lease, Revision};
use standfast_core::plan::Plan;
use standfast_core::readiness::Readiness;
use standfast_core::site_lease::{Fenced, Leases, Roster};
use standfast_core::time::Span;
use standfast_core::verdict::Snapshot;
use standfast_core::vote::Observation;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

/// Where things stand; members and sites by their places.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Leader,
    Epoch,
    Beat,
    Member(usize),
    Seen(usize),
    Head(RunId),
    Entry(RunId, u64),
    Lock(String),
    Holds,
    Kept(Part),
    Readiness,
    Bundle,
    Ask(u64),
    Answer(u64),
    Refused(SiteId),
    SiteLease(usize),
    Roster(usize),
    Fenced(usize),
}

/// What a leader keeps for the one after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Freeze,
    Flaps,
    Maintenance,
    Switches,
    Moves,
}

impl Part {
    pub(super) fn of(keep: &Keep) -> Self {
        match keep {
            Keep::Freeze(_) => Self::Freeze,
            Keep::Flaps { .. } => Self::Flaps,
            Keep::Maintenance(_) => Self::Maintenance,
            Keep::Switches(_) => Self::Switches,
            Keep::Moves(_) => Self::Moves,
        }
    }
}

/// What stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Leader {
        member: usize,
        nonce: Arc<str>,
        epoch: Epoch,
    },
    Epoch(u64),
    Member(MemberId, SiteId),
    Seen(Arc<Observation>),
    Head(Head),
    Entry(Arc<Event>),
    Lock(RunId),
    /// The place of a bundle among all.
    Bundle(usize),
    Holds(Arc<BTreeMap<SiteId, Span>>),
    Kept(Arc<Keep>),
    Readiness(Arc<BTreeMap<SiteId, Readiness>>),
    Ask(Arc<Asked>),
    Answer(Arc<Answered>),
    SiteLease(SiteId),
    Roster(SiteId, Arc<Roster>),
    Fenced(SiteId, Fenced),
    Mark,
}

/// A run in short: enough to settle an unclear write, and to fold its journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) plan: Arc<Plan>,
    pub(super) nonce: Arc<str>,
    pub(super) sequence: u64,
}

/// What a person wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) by: Identity,
    pub(super) ask: Ask,
}

pub(super) type Answered = Result<Option<Subject>, Refusal>;

/// A value and its revisions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kv {
    pub(super) created: Revision,
    pub(super) modified: Revision,
    pub(super) value: Value,
    lease: Option<Lease>,
}

/// A condition of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Compare {
    Absent(Key),
    Modified(Key, Revision),
    /// The leader key was created then, by this campaign.
    Leads(Revision, Arc<str>),
}

/// A change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Put(Key, Value),
    PutLeased(Key, Value, Lease),
    Delete(Key),
}

impl Op {
    pub(super) fn key(&self) -> &Key {
        match self {
            Self::Put(key, _) | Self::PutLeased(key, ..) | Self::Delete(key) => key,
        }
    }
}

/// All or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Txn {
    pub(super) when: Vec<Compare>,
    pub(super) then: Vec<Op>,
    /// What is read when a condition does not hold.
    pub(super) look: Vec<Key>,
    /// Whether members and observations are read when all hold.
    pub(super) snapshot: bool,
    /// Whether it is read of which sites the lease is held.
    pub(super) held: bool,
}

/// What is asked of the store.
#[derive(Clone, Debug)]
pub(super) enum Request {
    Txn(Arc<Txn>),
    /// Keeps a lease, then a transaction.
    Kept(Lease, Arc<Txn>),
    Grant(Duration),
    Revoke(Lease),
    Read(Vec<RangeInclusive<Key>>),
}

impl Request {
    /// Whether it goes through the log. What only reads is answered by an endpoint, which may be
    /// behind.
    pub(super) fn writes(&self) -> bool {
        match self {
            Self::Txn(txn) => !txn.then.is_empty(),
            Self::Kept(..) | Self::Grant(_) | Self::Revoke(_) => true,
            Self::Read(_) => false,
        }
    }
}

/// What comes of a transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Done {
    pub(super) held: bool,
    pub(super) revision: Revision,
    pub(super) seen: Vec<Option<Kv>>,
    pub(super) snapshot: Option<Snapshot>,
    pub(super) sites: BTreeSet<SiteId>,
}

/// What the store answers.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    Done(Done),
    NoLease,
    Granted(Lease),
    Revoked,
    Found(Vec<(Key, Kv)>),
}

#[derive(Clone, Debug)]
struct Held {
    ttl: Duration,
    until: Duration,
    keys: BTreeSet<Key>,
}

/// Everything, at one revision.
#[derive(Clone, Debug, Default)]
pub(super) struct Store {
    revision: Revision,
    kvs: BTreeMap<Key, Kv>,
    leases: BTreeMap<Lease, Held>,
    granted: Lease,
    /// A mutant: compares on the leader key hold whatever stands there.
    pub(super) unguarded: bool,
}

impl Store {
    pub(super) fn get(&self, key: &Key) -> Option<&Kv> {
        self.kvs.get(key)
    }

    /// All requests that wait.
    pub(super) fn asks(&self) -> impl Iterator<Item = (u64, Arc<Asked>)> {
        let asks = self.kvs.range(Key::Ask(0)..=Key::Ask(u64::MAX));
        asks.filter_map(|(key, kv)| match (key, &kv.value) {
            (Key::Ask(request), Value::Ask(asked)) => Some((*request, asked.clone())),
            _ => None,
        })
    }

    /// What stands in some ranges.
    pub(super) fn read(&self, ranges: &[RangeInclusive<Key>]) -> Reply {
        let found = ranges.iter().flat_map(|range| self.kvs.range(range.clone()));
        Reply::Found(found.map(|(key, kv)| (key.clone(), kv.clone())).collect())
    }

    fn holds(&self, compare: &Compare) -> bool {
        match compare {
            Compare::Absent(key) => !self.kvs.contains_key(key),
            Compare::Modified(key, revision) => {
                self.unguarded || self.kvs.get(key).is_some_and(|kv| kv.modified == *revision)
            }
            Compare::Leads(revision, nonce) => {
                let ours = |kv: &Kv| {
                    kv.created == *revision
                        && matches!(&kv.value, Value::Leader { nonce: found, .. } if found == nonce)
                };
                self.unguarded || self.kvs.get(&Key::Leader).is_some_and(ours)
            }
        }
    }

    /// Commits a transaction, or reads what it wants to see.
    pub(super) fn txn(&mut self, txn: &Txn) -> Done {
        let held = txn.when.iter().all(|compare| self.holds(compare));
        if !held {
            let seen = txn.look.iter().map(|key| self.kvs.get(key).cloned()).collect();
            return Done { revision: self.revision, seen, ..Done::default() };
        }
        if !txn.then.is_empty() {
            self.revision += 1;
            txn.then.iter().for_each(|op| self.apply(op));
        }
        let snapshot = txn.snapshot.then(|| self.snapshot());
        let sites = if txn.held { self.leases().held } else { BTreeSet::new() };
        Done { held, revision: self.revision, seen: Vec::new(), snapshot, sites }
    }

    fn apply(&mut self, op: &Op) {
        match op {
            Op::Put(key, value) => self.put(key, value.clone(), None),
            Op::PutLeased(key, value, lease) => self.put(key, value.clone(), Some(*lease)),
            Op::Delete(key) => self.delete(key),
        }
    }

    fn put(&mut self, key: &Key, value: Value, lease: Option<Lease>) {
        let before = self.kvs.get(key).map(|kv| (kv.created, kv.lease));
        let created = before.map_or(self.revision, |(created, _)| created);
        if before.is_some_and(|(_, held)| held != lease) {
            self.detach(key);
        }
        if let Some(held) = lease.and_then(|lease| self.leases.get_mut(&lease)) {
            held.keys.insert(key.clone());
        }
        self.kvs.insert(key.clone(), Kv { created, modified: self.revision, value, lease });
    }

    fn delete(&mut self, key: &Key) {
        self.detach(key);
        self.kvs.remove(key);
    }

    fn detach(&mut self, key: &Key) {
        let lease = self.kvs.get(key).and_then(|kv| kv.lease);
        if let Some(held) = lease.and_then(|lease| self.leases.get_mut(&lease)) {
            held.keys.remove(key);
        }
    }

    fn snapshot(&self) -> Snapshot {
        let observations = self.kvs.range(Key::Seen(0)..=Key::Seen(usize::MAX));
        let members = self.kvs.range(Key::Member(0)..=Key::Member(usize::MAX));
        Snapshot {
            observations: observations
                .filter_map(|(_, kv)| match &kv.value {
                    Value::Seen(observation) => Some((**observation).clone()),
                    _ => None,
                })
                .collect(),
            members: members
                .filter_map(|(_, kv)| match &kv.value {
                    Value::Member(member, site) => Some((member.clone(), site.clone())),
                    _ => None,
                })
                .collect(),
            leases: self.leases(),
        }
    }

    /// What stands there of the leases of sites.
    fn leases(&self) -> Leases {
        let mut leases = Leases::default();
        for (_, kv) in self.kvs.range(Key::SiteLease(0)..=Key::Fenced(usize::MAX)) {
            match &kv.value {
                Value::SiteLease(site) => {
                    leases.held.insert(site.clone());
                }
                Value::Roster(site, roster) => {
                    leases.rosters.insert(site.clone(), (**roster).clone());
                }
                Value::Fenced(site, fenced) => {
                    leases.fenced.insert(site.clone(), fenced.clone());
                }
                _ => {}
            }
        }
        leases
    }

    /// Whether every lease that a transaction hangs something on is there.
    pub(super) fn has_leases(&self, txn: &Txn) -> bool {
        txn.then.iter().all(|op| match op {
            Op::PutLeased(.., lease) => self.leases.contains_key(lease),
            _ => true,
        })
    }

    pub(super) fn grant(&mut self, ttl: Duration, now: Duration) -> Lease {
        self.granted += 1;
        self.leases.insert(self.granted, Held { ttl, until: now + ttl, keys: BTreeSet::new() });
        self.granted
    }

    /// Whether the lease is there; it lasts another TTL.
    pub(super) fn keep(&mut self, lease: Lease, now: Duration) -> bool {
        let Some(held) = self.leases.get_mut(&lease) else { return false };
        held.until = now + held.ttl;
        true
    }

    /// Takes a lease back, and what hangs on it; what was deleted.
    pub(super) fn revoke(&mut self, lease: Lease) -> Vec<Key> {
        let Some(held) = self.leases.remove(&lease) else { return Vec::new() };
        self.revision += u64::from(!held.keys.is_empty());
        for key in &held.keys {
            self.kvs.remove(key);
        }
        held.keys.into_iter().collect()
    }

    /// Until when a lease lasts.
    pub(super) fn until(&self, lease: Lease) -> Option<Duration> {
        self.leases.get(&lease).map(|held| held.until)
    }

    /// The lease that a key hangs on.
    pub(super) fn lease_of(&self, key: &Key) -> Option<Lease> {
        self.kvs.get(key).and_then(|kv| kv.lease)
    }

    /// Goes back to an earlier state, but for what never repeats: the leases there, which begin anew
    /// with the next election.
    pub(super) fn go_back(&mut self, backup: Self) -> Vec<(Lease, Duration)> {
        let granted = self.granted;
        *self = Self { granted, ..backup };
        self.leases.iter().map(|(lease, held)| (*lease, held.ttl)).collect()
    }

    /// All runs.
    pub(super) fn heads(&self) -> impl Iterator<Item = (&RunId, &Head)> {
        self.kvs.iter().filter_map(|(key, kv)| match (key, &kv.value) {
            (Key::Head(run), Value::Head(head)) => Some((run, head)),
            _ => None,
        })
    }

    /// The journal of a run.
    pub(super) fn journal<'s>(&'s self, run: &RunId) -> impl Iterator<Item = &'s Event> {
        let range = Key::Entry(run.clone(), 0)..=Key::Entry(run.clone(), u64::MAX);
        self.kvs.range(range).filter_map(|(_, kv)| match &kv.value {
            Value::Entry(event) => Some(&**event),
            _ => None,
        })
    }

    /// After an election every lease begins anew.
    pub(super) fn restart_leases(&mut self, now: Duration) {
        self.leases.values_mut().for_each(|held| held.until = now + held.ttl);
    }
}
