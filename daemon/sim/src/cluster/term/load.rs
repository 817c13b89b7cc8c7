//! What a new leader reads: the runs and hold-downs that earlier terms left, and what people ask.

use super::{Leading, Writing};
use crate::cluster::member::Wake;
use crate::cluster::service::Trouble;
use crate::cluster::store::{Asked, Key, Kv, Reply, Request, Value};
use crate::cluster::{Cluster, Then};
use standfast_core::controller::{Input as Ctl, Keep, Kept};
use standfast_core::ids::{RunId, SiteId};
use standfast_core::leadership::Revision;
use standfast_core::readiness::Readiness;
use standfast_core::run::Run;
use standfast_core::time::Span;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// What a new leader has read so far.
#[derive(Clone, Debug)]
pub(in crate::cluster) struct Loading {
    nonce: String,
    left: Vec<RunId>,
    runs: Vec<Run>,
    holds: BTreeMap<SiteId, Span>,
    kept: Kept,
    known: BTreeMap<SiteId, Readiness>,
}

fn folded(run: &RunId, found: &[(Key, Kv)]) -> Option<(Run, Revision)> {
    let (head, revision) = found.iter().find_map(|(_, kv)| match &kv.value {
        Value::Head(head) => Some((head, kv.modified)),
        _ => None,
    })?;
    let journal = found.iter().filter_map(|(_, kv)| match &kv.value {
        Value::Entry(event) => Some(&**event),
        _ => None,
    });
    Some((Run::fold(run.clone(), head.plan.clone(), journal).ok()?, revision))
}

fn take(kept: &mut Kept, stored: &Keep) {
    match stored.clone() {
        Keep::Freeze(order) => kept.freeze = order,
        Keep::Flaps { flaps, .. } => kept.flaps = flaps,
        Keep::Maintenance(orders) => kept.maintenance = orders,
        Keep::Switches(on) => kept.switches = on,
        Keep::Moves(moves) => kept.moves = moves,
    }
}

impl Cluster<'_> {
    /// Reads what earlier terms left. First the guard, as the daemon does.
    pub(in crate::cluster) fn load(&mut self, member: usize) {
        self.write(member, Vec::new(), Vec::new(), Vec::new(), Writing::Begin);
    }

    pub(super) fn read_locks(&mut self, member: usize) {
        let Some(leading) = &self.members[member].leading else { return };
        let then = Then::Locks(leading.term.nonce.clone());
        let locks = Key::Lock(String::new())..=Key::Readiness;
        self.call(member, None, Request::Read(vec![locks]), then);
    }

    pub(in crate::cluster) fn locks_read(
        &mut self,
        member: usize,
        nonce: &str,
        come: Result<Reply, Trouble>,
    ) {
        if self.term(member, nonce).is_none() {
            return;
        }
        let Ok(Reply::Found(found)) = come else {
            return self.read_locks(member);
        };
        let mut left = BTreeSet::new();
        let mut holds = BTreeMap::new();
        let mut kept = Kept::default();
        let mut known = BTreeMap::new();
        for (_, kv) in found {
            match kv.value {
                Value::Lock(run) => {
                    left.insert(run);
                }
                Value::Holds(stored) => holds = (*stored).clone(),
                Value::Kept(stored) => take(&mut kept, &stored),
                Value::Readiness(stored) => known = (*stored).clone(),
                _ => {}
            }
        }
        let left = left.into_iter().collect();
        self.load_next(member, Loading { nonce: nonce.into(), left, runs: Vec::new(), holds, kept, known });
    }

    fn load_next(&mut self, member: usize, loading: Loading) {
        match loading.left.last() {
            Some(run) => {
                let read = Request::Read(vec![
                    Key::Head(run.clone())..=Key::Head(run.clone()),
                    Key::Entry(run.clone(), 0)..=Key::Entry(run.clone(), u64::MAX),
                ]);
                self.call(member, None, read, Then::RunRead(Box::new(loading)));
            }
            None => {
                let Loading { nonce, runs, holds, kept, known, .. } = loading;
                self.control(member, Ctl::Known(known));
                self.control(member, Ctl::Loaded { runs, holds, kept });
                if let Some(leading) = self.term(member, &nonce) {
                    let epoch = leading.term.epoch.0;
                    self.read_asks(member, epoch);
                }
            }
        }
    }

    pub(in crate::cluster) fn run_read(
        &mut self,
        member: usize,
        mut loading: Loading,
        come: Result<Reply, Trouble>,
    ) {
        let Some(leading) = self.term(member, &loading.nonce) else { return };
        if let Ok(Reply::Found(found)) = come
            && let Some(run) = loading.left.pop()
        {
            match folded(&run, &found) {
                Some((folded, revision)) => {
                    leading.heads.insert(run, revision);
                    loading.runs.push(folded);
                }
                None => self.judge.unreadable(&run),
            }
        }
        self.load_next(member, loading);
    }

    pub(in crate::cluster) fn read_asks(&mut self, member: usize, epoch: u64) {
        let leads = |leading: &Leading| leading.term.epoch.0 == epoch;
        if self.members[member].leading.as_ref().is_some_and(leads) {
            let asks = Request::Read(vec![Key::Ask(0)..=Key::Ask(u64::MAX)]);
            self.call(member, None, asks, Then::AsksRead(epoch));
        }
    }

    pub(in crate::cluster) fn asks_read(&mut self, member: usize, epoch: u64, come: Result<Reply, Trouble>) {
        let Ok(Reply::Found(found)) = come else {
            return self.wake_after(member, Duration::from_millis(100), Wake::Asks(epoch));
        };
        for (key, kv) in found {
            if let (Key::Ask(request), Value::Ask(asked)) = (key, kv.value) {
                self.asked(member, epoch, request, &asked);
            }
        }
        // The watch goes on from the revision of that list, however old it was.
        let since: Vec<(u64, Arc<Asked>)> = self.store.asks().collect();
        for (request, asked) in since {
            self.watched(member, epoch, request, asked);
        }
    }

    /// A request reaches the term, by list or by watch; maybe twice.
    pub(in crate::cluster) fn asked(&mut self, member: usize, epoch: u64, request: u64, asked: &Asked) {
        let Some(leading) = &mut self.members[member].leading else { return };
        if leading.term.epoch.0 == epoch && leading.asked.insert(request) {
            let Asked { by, ask } = asked.clone();
            self.control(member, Ctl::Asked { request: request.to_string(), by, ask });
        }
    }

    /// A watch tells of a request: late when watches are mute. One that has ended is followed by a
    /// list, which is late as well.
    fn watched(&mut self, member: usize, epoch: u64, request: u64, asked: Arc<Asked>) {
        let most = if self.service.mute > 0 { Duration::from_secs(6) } else { Duration::from_millis(30) };
        let late = self.dice.between(Duration::from_millis(2), most);
        self.wake_after(member, late, Wake::Watched(epoch, request, asked));
    }

    /// Something was asked: whoever leads hears of it.
    pub(in crate::cluster) fn hint(&mut self, request: u64, asked: &Arc<Asked>) {
        for member in 0..self.members.len() {
            if let Some(leading) = &self.members[member].leading {
                self.watched(member, leading.term.epoch.0, request, asked.clone());
            }
        }
    }
}
