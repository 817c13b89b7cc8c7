//! Performs the effects of leadership, as the daemon does.

use super::member::Wake;
use super::service::Trouble;
use super::store::{Compare, Done, Key, Kv, Op, Reply, Request, Txn, Value};
use super::term::Leading;
use super::{Cluster, Mutant, Then};
use standfast_core::controller::Input as Ctl;
use standfast_core::ids::Epoch;
use standfast_core::leadership::{Beat, Campaign, Effect, Input, Lease, Term, successor};
use standfast_core::time::Mono;
use std::sync::Arc;

/// The conditions of every guarded write of a term.
pub(super) fn guard(term: &Term) -> Txn {
    Txn { when: vec![Compare::Leads(term.key_revision, term.nonce.as_str().into())], ..Txn::default() }
}

impl Cluster<'_> {
    /// Tells the leadership something, and performs what it asks for.
    pub(super) fn give(&mut self, member: usize, input: Input) {
        let now = self.now(member);
        let effects = self.members[member].machine.on(input, now);
        for effect in effects {
            self.lead_effect(member, effect);
        }
    }

    /// The member goes by another bundle.
    pub(super) fn retime(&mut self, member: usize) {
        let (now, timing) = (self.now(member), *self.timing(member));
        for effect in self.members[member].machine.retime(timing, now) {
            self.lead_effect(member, effect);
        }
    }

    /// Whether an effect may start now.
    pub(super) fn may_act(&self, member: usize) -> bool {
        let member_ = &self.members[member];
        let broken = self.breaks(Mutant::NoDemotion) && member_.leading.is_some();
        broken || member_.machine.term(self.now(member)).is_some()
    }

    fn lead_effect(&mut self, member: usize, effect: Effect) {
        match effect {
            Effect::ReadLeader => self.read_leader(member),
            Effect::Grant => {
                let ttl = self.timing(member).ttl.0;
                self.call(member, None, Request::Grant(ttl), Then::Granted);
            }
            Effect::Campaign { lease, nonce } => {
                let sent = self.now(member).mono;
                let read = Request::Read(vec![Key::Epoch..=Key::Epoch]);
                self.call(member, None, read, Then::EpochRead { lease, nonce, sent });
            }
            Effect::Beat(term) => self.beat(member, &term),
            Effect::Revoke(lease) => self.call(member, None, Request::Revoke(lease), Then::Nothing),
            Effect::Lead(term) => self.begin_term(member, term),
            Effect::Stop { why } => {
                if self.breaks(Mutant::NoDemotion) {
                    return;
                }
                self.tell(|cluster| format!("{} leads no more: {why}", cluster.members[member].name));
                self.members[member].leading = None;
            }
            Effect::KillChildren if self.breaks(Mutant::NoDemotion) => {}
            Effect::KillChildren => self.drop_acts(member),
        }
    }

    pub(super) fn read_leader(&mut self, member: usize) {
        self.call(member, None, Request::Read(vec![Key::Leader..=Key::Leader]), Then::LeaderRead);
    }

    fn beat(&mut self, member: usize, term: &Term) {
        let sent = self.now(member).mono;
        let mut txn = guard(term);
        txn.then.push(Op::Put(Key::Beat, Value::Mark));
        txn.snapshot = true;
        let then = Then::Beaten { nonce: term.nonce.clone(), sent };
        let limit = self.timing(member).renew.0;
        self.call(member, Some(limit), Request::Kept(term.lease, Arc::new(txn)), then);
    }

    fn begin_term(&mut self, member: usize, term: Term) {
        let epoch = term.epoch;
        self.judge.leads(member, epoch, self.clock.elapsed());
        self.tell(|cluster| format!("{} leads, epoch {epoch}", cluster.members[member].name));
        let place = &self.members[member];
        let leading = Leading::new(place.name.clone(), place.site_id.clone(), term);
        self.members[member].leading = Some(leading);
        #[cfg(any(test, feature = "mutants"))]
        if let (Some(Mutant::Without(guard)), Some(leading)) =
            (self.mutant, &mut self.members[member].leading)
        {
            leading.controller.without(guard);
        }
        let bundle = self.cases[self.members[member].case].bundle.clone();
        self.control(member, Ctl::Bundle(bundle));
        self.load(member);
        self.wake_after(member, super::term::TICK, Wake::TermTick(epoch.0));
    }

    /// Whether a campaign may begin: read along with the key, as the daemon does.
    pub(super) fn leader_read(&mut self, member: usize, come: Result<Reply, Trouble>) {
        if let Ok(Reply::Found(found)) = come {
            if let Some((_, Kv { value: Value::Leader { epoch, .. }, .. })) = found.first() {
                self.sees(member, *epoch);
            }
            let reaches = self.members[member].reaches;
            self.give(member, Input::LeaderKey { held: !found.is_empty(), reaches });
        }
    }

    /// A member has seen an epoch, and keeps it on its disk.
    fn sees(&mut self, member: usize, epoch: Epoch) {
        let seen = &mut self.members[member].seen;
        *seen = epoch.max(*seen);
        self.judge.sees(member, epoch);
    }

    pub(super) fn epoch_read(
        &mut self,
        member: usize,
        (lease, nonce, sent): (Lease, String, Mono),
        come: Result<Reply, Trouble>,
    ) {
        let Ok(Reply::Found(found)) = come else {
            return self.give(member, Input::Campaigned(Campaign::Lost));
        };
        let (epoch, unchanged) = match found.first() {
            Some((_, kv)) => match kv.value {
                Value::Epoch(epoch) => (epoch, Compare::Modified(Key::Epoch, kv.modified)),
                _ => return self.give(member, Input::Campaigned(Campaign::Lost)),
            },
            None => (0, Compare::Absent(Key::Epoch)),
        };
        let seen = if self.breaks(Mutant::NoWatermark) { Epoch(0) } else { self.members[member].seen };
        let next = successor(Epoch(epoch), seen);
        self.members[member].regressed = next.is_err();
        let Ok(Epoch(epoch)) = next else { return self.give(member, Input::Campaigned(Campaign::Lost)) };
        let leader = Value::Leader { member, nonce: nonce.as_str().into(), epoch: Epoch(epoch) };
        let txn = Txn {
            when: vec![Compare::Absent(Key::Leader), unchanged],
            then: vec![Op::PutLeased(Key::Leader, leader, lease), Op::Put(Key::Epoch, Value::Epoch(epoch))],
            ..Txn::default()
        };
        let then = Then::Campaigned { epoch: Epoch(epoch), sent };
        self.call(member, None, Request::Txn(Arc::new(txn)), then);
    }

    pub(super) fn campaigned(
        &mut self,
        member: usize,
        epoch: Epoch,
        sent: Mono,
        come: Result<Reply, Trouble>,
    ) {
        let campaign = match come {
            Ok(Reply::Done(Done { held: true, revision, .. })) => {
                self.sees(member, epoch);
                Campaign::Won { key_revision: revision, epoch, sent }
            }
            Err(Trouble::Ambiguous) => Campaign::Ambiguous,
            _ => Campaign::Lost,
        };
        self.give(member, Input::Campaigned(campaign));
    }

    pub(super) fn beaten(&mut self, member: usize, nonce: &str, sent: Mono, come: Result<Reply, Trouble>) {
        // A late answer to an earlier term says nothing of this one.
        let ours = self.members[member].leading.as_ref().is_some_and(|leading| leading.term.nonce == nonce);
        if !ours {
            return;
        }
        let (outcome, snapshot) = match come {
            Ok(Reply::NoLease) => (Beat::Lost, None),
            Ok(Reply::Done(done)) if done.held => (Beat::Held, done.snapshot),
            Ok(Reply::Done(_)) => (Beat::Lost, None),
            _ => (Beat::Unanswered, None),
        };
        if let Some(mut snapshot) = snapshot {
            if self.breaks(Mutant::NoVeto) {
                snapshot.members.retain(|_, site| site != self.case.site(0));
            }
            if let Some(leading) = &mut self.members[member].leading {
                leading.confirmed = Some(sent);
            }
            self.control(member, Ctl::Snapshot { snapshot, sent });
        }
        self.give(member, Input::Beaten { sent, outcome });
    }
}
