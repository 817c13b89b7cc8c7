//! From changes of keys to events.

use super::super::runs::{Story, read, short};
use super::super::sites::{Detail, QUIET, refusal};
use super::super::state::{State, all};
use super::super::{Api, bundles, cluster, refuse, wire};
use crate::bundles as kept;
use crate::records::{
    self, BUNDLE, FLAPS, HOLDS, Head, JUDGEMENT, LEADER, LOCKS, Leader, MAINTENANCE, MEMBERS, Member,
    OBSERVATIONS, REFUSALS, RUNS,
};
use crate::store::{KeyValue, Range, Revision, Store, WatchBatch, WatchEvent, pages};
use standfast_core::controller::Refused;
use standfast_core::ids::{MemberId, RunId};
use standfast_core::journal;
use standfast_core::run::State as RunState;
use standfast_core::vote::Observation;
use standfast_proto::v1::event::Subject;
use standfast_proto::v1::{self, EventKind};
use std::collections::{BTreeMap, VecDeque};
use tonic::Status;

/// The newest runs are part of a snapshot, and all that have not ended.
const NEWEST: usize = 200;
/// Prefix of all journals.
const JOURNALS: &str = "journals/";

/// Knows what was said last, and says what is new.
pub(super) struct Teller {
    api: Api,
    state: State,
    sites: BTreeMap<String, v1::Site>,
    /// Runs as they were read, and what was read of them and not told yet.
    stories: BTreeMap<RunId, (Story, VecDeque<v1::JournalEvent>)>,
    revision: Revision,
}

impl Teller {
    /// Reads what there was at `from`, or with 0 what there is now. Returns that as events (none
    /// unless `from` is 0), and the present revision.
    pub(super) async fn begin(api: Api, from: Revision) -> Result<(Self, Vec<v1::Event>, Revision), Status> {
        let now = api.state().await?;
        let revision = now.revision;
        if from > revision {
            let message = format!("revision {from} is not there yet (now {revision}); begin again with 0");
            return Err(refuse::compacted(message));
        }
        let state = match from {
            0 => now,
            from => State::read(api.store(), Some(from)).await?,
        };
        let at = state.revision;
        let mut teller = Self { api, state, sites: BTreeMap::new(), stories: BTreeMap::new(), revision: at };
        let mut events = teller.sites(at);
        if from == 0 {
            events.extend(teller.snapshot().await?);
        }
        Ok((teller, events, revision))
    }

    pub(super) fn store(&self) -> &dyn Store {
        self.api.store()
    }

    /// Up to where everything has been told.
    pub(super) fn revision(&self) -> Revision {
        self.revision
    }

    /// All but the sites.
    async fn snapshot(&self) -> Result<Vec<v1::Event>, Status> {
        let at = self.revision;
        let range = async |prefix: &'static str| -> Result<Vec<KeyValue>, Status> {
            all(self.store(), prefix, at).await.map_err(refuse::store)
        };
        let mut events = Vec::new();
        if let Some(found) = &self.state.leader {
            events.push(event(at, Some(found.since_ms), Subject::Leader(cluster::leader(found))));
        }
        events.extend(self.state.members.keys().map(|id| self.member(id, at)));
        for kv in range(BUNDLE).await?.iter().filter(|kv| kv.key == BUNDLE) {
            events.extend(self.bundle(kv));
        }
        for kv in range(REFUSALS).await? {
            events.extend(self.refused(&kv));
        }
        let newest = Range::prefix(RUNS).at(at);
        let newest = pages::page(self.store(), newest, &mut NEWEST.clone()).await.map_err(refuse::store)?;
        let last = newest.kvs.last().map(|kv| kv.key.clone());
        let mut heads = newest.kvs;
        for id in self.state.live_runs() {
            let key = records::run(id);
            if last.as_ref().is_some_and(|last| key > *last) {
                heads.extend(self.store().range(Range::key(key).at(at)).await.map_err(refuse::store)?.kvs);
            }
        }
        for kv in heads.iter().rev() {
            let head: Head = records::decode(kv).map_err(refuse::internal)?;
            let shown = Subject::Run(short(&head, kv.mod_revision));
            events.push(event(kv.mod_revision, Some(head.wall_ms), shown));
        }
        Ok(events)
    }

    /// What a batch of changes means.
    pub(super) async fn tell(&mut self, batch: &WatchBatch) -> Result<Vec<v1::Event>, Status> {
        let at = batch.revision;
        self.revision = at;
        self.state.revision = at;
        let mut events = Vec::new();
        let mut sites = false;
        for change in &batch.events {
            let (key, kv) = match change {
                WatchEvent::Put(kv) => (kv.key.as_str(), Some(kv)),
                WatchEvent::Delete { key, .. } => (key.as_str(), None),
            };
            sites |= self.learn(key, kv).map_err(refuse::internal)?;
            match (key, kv) {
                (LEADER, _) => {
                    let since_ms = self.state.leader.as_ref().map(|found| found.since_ms);
                    let found = self.state.leader.as_ref().map(cluster::leader);
                    events.push(event(at, since_ms, Subject::Leader(found.unwrap_or_default())));
                }
                (BUNDLE, Some(kv)) => events.extend(self.bundle(kv)),
                (key, _) if key.starts_with(MEMBERS) => {
                    events.push(self.member(&MemberId::new(&key[MEMBERS.len()..]), at));
                }
                (key, Some(kv)) if key.starts_with(REFUSALS) => events.extend(self.refused(kv)),
                (key, Some(kv)) if key.starts_with(RUNS) => {
                    let head: Head = records::decode(kv).map_err(refuse::internal)?;
                    events.push(event(at, Some(head.wall_ms), Subject::Run(short(&head, at))));
                }
                (key, Some(kv)) if key.starts_with(JOURNALS) => events.extend(self.entry(kv).await?),
                _ => {}
            }
        }
        if sites {
            events.extend(self.sites(at));
        }
        Ok(events)
    }

    /// Takes a change into the state; true when sites may look different after it.
    fn learn(&mut self, key: &str, kv: Option<&KeyValue>) -> Result<bool, records::Unreadable> {
        match key {
            LEADER => self.state.leader = kv.map(records::decode::<Leader>).transpose()?,
            JUDGEMENT => self.state.judgement = kv.map(records::decode).transpose()?,
            HOLDS => self.state.holds = kv.map(records::decode).transpose()?.unwrap_or_default(),
            FLAPS => self.state.flaps = kv.map(records::decode).transpose()?.unwrap_or_default(),
            MAINTENANCE => {
                self.state.maintenance = kv.map(records::decode).transpose()?.unwrap_or_default();
            }
            BUNDLE => {}
            _ => {
                if let Some(lock) = key.strip_prefix(LOCKS) {
                    match kv {
                        Some(kv) => {
                            let run = RunId::new(String::from_utf8_lossy(&kv.value));
                            self.state.locks.insert(lock.to_owned(), run);
                        }
                        None => drop(self.state.locks.remove(lock)),
                    }
                } else if let Some(name) = key.strip_prefix(MEMBERS) {
                    match kv {
                        Some(kv) => {
                            let member: Member = records::decode(kv)?;
                            self.state.members.insert(member.id.clone(), member);
                        }
                        None => drop(self.state.members.remove(name)),
                    }
                } else if let Some(name) = key.strip_prefix(OBSERVATIONS) {
                    match kv {
                        Some(kv) => {
                            let seen: Observation = records::decode(kv)?;
                            self.state.observations.insert(seen.member.clone(), seen);
                        }
                        None => drop(self.state.observations.remove(name)),
                    }
                } else {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// The sites that look different from when they were told last.
    fn sites(&mut self, at: Revision) -> Vec<v1::Event> {
        let Some(bundle) = self.api.deps.bundle.borrow().clone() else { return Vec::new() };
        let wall_ms = self.state.judged().map(|judgement| judgement.wall_ms);
        let view = self.api.view(&bundle, &self.state);
        let shown: Vec<v1::Site> =
            bundle.fleet.sites.keys().map(|site| view.site(site, Detail::Short)).collect();
        let mut events = Vec::new();
        for site in shown {
            let essence = essence(&site);
            if self.sites.insert(site.name.clone(), essence.clone()).as_ref() != Some(&essence) {
                events.push(event(at, wall_ms, Subject::Site(site)));
            }
        }
        events
    }

    fn member(&self, id: &MemberId, at: Revision) -> v1::Event {
        let rules = self.api.deps.bundle.borrow().as_ref().map(|bundle| bundle.rules());
        let traces = self.api.heard.members();
        event(at, None, Subject::Member(self.api.member(id, traces.get(id), &self.state, rules.as_deref())))
    }

    fn bundle(&self, kv: &KeyValue) -> Option<v1::Event> {
        let applied = kept::decode(kv).inspect_err(|error| tracing::error!(%error, "not told")).ok()?;
        let shown = bundles::short(&applied, Some(&applied.digest));
        Some(event(kv.mod_revision, Some(applied.wall_ms), Subject::Bundle(shown)))
    }

    fn refused(&self, kv: &KeyValue) -> Option<v1::Event> {
        let refused: Refused =
            records::decode(kv).inspect_err(|error| tracing::error!(%error, "not told")).ok()?;
        let rules = self.api.deps.bundle.borrow().as_ref().map(|bundle| bundle.rules());
        let subject = Subject::Refusal(refusal(&refused, rules.as_deref()));
        Some(event(kv.mod_revision, Some(refused.wall_ms), subject))
    }

    /// An entry of a journal, told by the fold of those before it.
    async fn entry(&mut self, kv: &KeyValue) -> Result<Option<v1::Event>, Status> {
        let entry: journal::Event = records::decode(kv).map_err(refuse::internal)?;
        let run = kv.key[JOURNALS.len()..].split('/').next().unwrap_or_default();
        let run = RunId::new(run);
        let next = |story: &Story| story.run.sequence + 1 == entry.sequence;
        let known = self.stories.get_mut(&run).and_then(|(story, ahead)| {
            ahead.retain(|told| told.sequence >= entry.sequence);
            let told = ahead.front().is_some_and(|told| told.sequence == entry.sequence);
            let told = if told { ahead.pop_front().map(Ok) } else { None };
            told.or_else(|| next(story).then(|| story.tell(&entry, kv.mod_revision)))
        });
        let told = match known {
            Some(told) => told.map_err(refuse::internal)?,
            None => {
                let head = self.api.head(run.as_str()).await?;
                let (story, told) = read(self.store(), &run, &head.plan).await?;
                // What was read may be ahead of this entry.
                let mut ahead: VecDeque<_> =
                    told.into_iter().filter(|told| told.sequence >= entry.sequence).collect();
                let found = ahead.pop_front();
                self.stories.insert(run.clone(), (story, ahead));
                found
                    .ok_or_else(|| refuse::internal(format!("run {run}: entry {} is gone", entry.sequence)))?
            }
        };
        let over = |(story, ahead): &(Story, VecDeque<_>)| {
            ahead.is_empty() && matches!(story.run.state(), RunState::Ended(_))
        };
        if self.stories.get(&run).is_some_and(over) {
            self.stories.remove(&run);
        }
        Ok(Some(event(kv.mod_revision, Some(entry.wall_ms), Subject::Journal(told))))
    }
}

/// A site without what changes all the time, and without what only this member knows: whoever goes
/// on elsewhere is told the same.
fn essence(site: &v1::Site) -> v1::Site {
    let mut essence = site.clone();
    (essence.verdict_since, essence.confirm_remaining) = (None, None);
    essence.verdict_reason.clear();
    if essence.hold_down_remaining.is_some() {
        essence.hold_down_remaining = wire::duration(std::time::Duration::ZERO);
    }
    if let Some(maintenance) = &mut essence.maintenance {
        maintenance.remaining = None;
    }
    for vote in &mut essence.votes {
        vote.since = None;
    }
    essence.leases.retain(|lease| lease.live);
    for lease in &mut essence.leases {
        lease.since = None;
        if !QUIET.contains(&lease.local_probes.as_str()) {
            lease.local_probes.clear();
        }
    }
    essence
}

fn event(revision: Revision, wall_ms: Option<i64>, subject: Subject) -> v1::Event {
    let kind = match &subject {
        Subject::Site(_) => EventKind::Site,
        Subject::Run(_) => EventKind::Run,
        Subject::Journal(_) => EventKind::Journal,
        Subject::Member(_) => EventKind::Member,
        Subject::Leader(_) => EventKind::Leader,
        Subject::Bundle(_) => EventKind::Bundle,
        Subject::Refusal(_) => EventKind::Refusal,
    };
    let at = wall_ms.map_or_else(wire::now, wire::time);
    v1::Event { revision, at, kind: kind.into(), subject: Some(subject) }
}
