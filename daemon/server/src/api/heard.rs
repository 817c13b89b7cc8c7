//! When this member has heard of whom: the one thing that it knows and the store does not.
//!
//! Records bear no time that another machine could be measured by, so the arrival of each
//! publication is noted on our own clock.

use crate::pulse::Pulse;
use crate::records::{self, JUDGEMENT, MEMBERS, Member, OBSERVATIONS};
use crate::store::{Revision, Store, WatchEvent, range_all};
use crate::{clock, store};
use standfast_core::ids::MemberId;
use standfast_core::time::Span;
use standfast_core::timing::Timing;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Members whose lease was lost longer ago are forgotten.
const REMEMBERED: Duration = Duration::from_secs(3_600);
/// Pause before the store is listed again.
const AGAIN: Duration = Duration::from_secs(1);

/// What was heard of a member.
#[derive(Clone, Debug)]
pub(super) struct Trace {
    /// Its record, as it was last.
    pub(super) record: Member,
    /// Whether it holds its lease.
    pub(super) live: bool,
    /// Since when, as Unix time in milliseconds by our clock.
    pub(super) since_ms: i64,
    /// Since when, on our boot clock.
    since: Duration,
}

#[derive(Debug, Default)]
struct Traces {
    members: BTreeMap<MemberId, Trace>,
    published: BTreeMap<MemberId, Duration>,
    pulse: Pulse,
}

/// What was heard. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard(Arc<Mutex<Traces>>);

/// Listens until `stop`.
pub(super) fn listen(store: Arc<dyn Store>, stop: CancellationToken) -> Heard {
    let heard = Heard::default();
    let listening = heard.clone();
    tokio::spawn(async move {
        let rounds = async {
            loop {
                if let Err(why) = listening.until_broken(&*store).await {
                    tracing::debug!(why, "members are listed again");
                }
                tokio::time::sleep(AGAIN).await;
            }
        };
        stop.run_until_cancelled(rounds).await;
    });
    heard
}

impl Heard {
    /// Every member with a lease, and those that lost theirs not long ago, by name.
    pub(super) fn members(&self) -> BTreeMap<MemberId, Trace> {
        let oldest = clock::boot().saturating_sub(REMEMBERED);
        let mut traces = self.lock();
        traces.members.retain(|_, trace| trace.live || trace.since >= oldest);
        traces.members.clone()
    }

    /// How long ago the last publication of a member arrived.
    pub(super) fn age(&self, member: &MemberId) -> Option<Duration> {
        self.lock().published.get(member).map(|at| clock::boot().saturating_sub(*at))
    }

    /// The newest of leader key and judgement is of `revision`.
    pub(super) fn beat(&self, revision: Revision) {
        self.lock().pulse.saw(revision);
    }

    /// For how long whoever held the leader key leads no more, if they do not.
    pub(super) fn silent(&self, timing: &Timing) -> Option<Span> {
        self.lock().pulse.silent(timing)
    }

    async fn until_broken(&self, store: &dyn Store) -> Result<(), String> {
        let members = range_all(store, MEMBERS).await.map_err(|error| error.to_string())?;
        self.listed(&members);
        let mut members = store.watch(MEMBERS, members.revision + 1).await;
        let published = range_all(store, OBSERVATIONS).await.map_err(|error| error.to_string())?;
        let mut published = store.watch(OBSERVATIONS, published.revision + 1).await;
        let judged = range_all(store, JUDGEMENT).await.map_err(|error| error.to_string())?;
        judged.kvs.iter().for_each(|kv| self.beat(kv.mod_revision));
        let mut judged = store.watch(JUDGEMENT, judged.revision + 1).await;
        loop {
            tokio::select! {
                batch = members.next() => {
                    let batch = batch.map_err(|end| end.to_string())?;
                    batch.events.iter().for_each(|event| self.changed(event));
                }
                batch = judged.next() => self.beat(batch.map_err(|end| end.to_string())?.revision),
                batch = published.next() => {
                    let batch = batch.map_err(|end| end.to_string())?;
                    let names = batch.events.iter().filter_map(|event| event.key().strip_prefix(OBSERVATIONS));
                    let mut traces = self.lock();
                    traces.published.extend(names.map(|name| (MemberId::new(name), clock::boot())));
                }
            }
        }
    }

    /// What is not listed any more went while nobody listened.
    fn listed(&self, reply: &store::RangeReply) {
        let gone: Vec<MemberId> = {
            let traces = self.lock();
            let live = traces.members.iter().filter(|(_, trace)| trace.live).map(|(id, _)| id);
            live.filter(|id| !reply.kvs.iter().any(|kv| kv.key == records::member(id))).cloned().collect()
        };
        for id in gone {
            self.changed(&WatchEvent::Delete { key: records::member(&id), mod_revision: reply.revision });
        }
        for kv in &reply.kvs {
            self.changed(&WatchEvent::Put(kv.clone()));
        }
    }

    fn changed(&self, event: &WatchEvent) {
        let (since, since_ms) = (clock::boot(), clock::wall_ms());
        let mut traces = self.lock();
        match event {
            WatchEvent::Put(kv) => {
                let Ok(record) = records::decode::<Member>(kv) else { return };
                let known = traces.members.get_mut(&record.id);
                match known.filter(|trace| trace.live && trace.record.boot_id == record.boot_id) {
                    Some(trace) => trace.record = record,
                    None => {
                        let trace = Trace { live: true, since_ms, since, record };
                        traces.members.insert(trace.record.id.clone(), trace);
                    }
                }
            }
            WatchEvent::Delete { key, .. } => {
                let name = key.strip_prefix(MEMBERS).unwrap_or_default();
                if let Some(trace) = traces.members.get_mut(name) {
                    (trace.live, trace.since_ms, trace.since) = (false, since_ms, since);
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Traces> {
        self.0.lock().expect("nothing panics while it holds this lock")
    }
}
