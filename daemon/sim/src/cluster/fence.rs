//! `fence.prove`, as the daemon performs it: a site lease that ended, or a source that a person has made
//! read-only. A person's word is for the engine.

use super::act::{Heard, What};
use super::member::Wake;
use super::store::{Compare, Key, Op, Value};
use super::term::Writing;
use super::{Cluster, Mutant};
use crate::world::Proof;
use standfast_core::action::{Failure, FailureKind};
use standfast_core::engine::Input;
use standfast_core::ids::{Epoch, RunId};
use standfast_core::site_lease::{Expiry, Fenced};
use standfast_core::time::Mono;
use std::time::Duration;

/// Between two looks at the lease.
const AGAIN: Duration = Duration::from_millis(200);

/// A proof that is being looked for.
#[derive(Clone, Debug)]
pub(super) struct Proving {
    pub(super) run: RunId,
    pub(super) epoch: Epoch,
    pub(super) step: usize,
    pub(super) site: usize,
    pub(super) proofs: Vec<Proof>,
    /// Whether the site is left because it is lost: one that is left on purpose keeps its lease.
    pub(super) emergency: bool,
    pub(super) until: Mono,
}

impl Cluster<'_> {
    /// Looks once; what comes of it decides whether it is looked again.
    pub(super) fn prove(&mut self, member: usize, proving: Proving) {
        let now = self.now(member).mono;
        if self.breaks(Mutant::FenceWithoutProof) {
            return self.proven(member, &proving, Ok("taken for granted".into()));
        }
        let refused = proving.proofs.contains(&Proof::WritesRefused)
            && self.gates[proving.site].by_hand
            && self.reaches(member, Some(proving.site));
        if refused {
            return self.proven(member, &proving, Ok("it refuses writes".into()));
        }
        let failed = |message: String| Err(Failure { kind: FailureKind::Failed, message });
        if now >= proving.until || !proving.proofs.contains(&Proof::Lease) || !proving.emergency {
            return self.proven(member, &proving, failed("it is not proven to be fenced".into()));
        }
        let site = self.case.site(proving.site).clone();
        let timing = *self.timing(member);
        let free = self.members[member].promises.free_from(&site, &timing);
        let Some(leading) = &self.members[member].leading else { return };
        match leading.controller.expiries().get(&site) {
            Some(Expiry::Fenced(evidence)) => {
                let evidence = evidence.clone();
                self.proven(member, &proving, Ok(evidence));
            }
            Some(Expiry::Unproven(why)) => {
                let why = why.clone();
                self.proven(member, &proving, failed(why));
            }
            Some(Expiry::Proves { from, .. }) if now >= (*from).max(free) => {
                let fenced = Fenced {
                    run: proving.run.clone(),
                    epoch: proving.epoch,
                    wall_ms: self.now(member).wall_ms,
                };
                let then = vec![Op::Put(Key::Fenced(proving.site), Value::Fenced(site, fenced))];
                let when = vec![Compare::Absent(Key::SiteLease(proving.site))];
                self.write(member, then, when, Vec::new(), Writing::Fence(Box::new(proving)));
            }
            Some(Expiry::Held | Expiry::Proves { .. }) | None => {
                let (run, epoch) = (proving.run.clone(), proving.epoch);
                let heard = Heard { run, epoch, what: What::Prove(proving) };
                self.wake_after(member, AGAIN, Wake::Heard(Box::new(heard)));
            }
        }
    }

    /// The store has fenced the site, or its lease is held again.
    pub(super) fn fence_written(&mut self, member: usize, proving: Proving, done: bool) {
        let result = match done {
            true => Ok("its lease has ended, and cannot be renewed any more".into()),
            false => {
                let message = "its lease is held again".into();
                Err(Failure { kind: FailureKind::Failed, message })
            }
        };
        self.proven(member, &proving, result);
    }

    fn proven(&mut self, member: usize, proving: &Proving, result: Result<String, Failure>) {
        let input = Input::Acted { step: proving.step, result };
        let (run, epoch) = (proving.run.clone(), proving.epoch);
        let heard = Heard { run, epoch, what: What::Input(input) };
        self.wake_after(member, Duration::from_millis(5), Wake::Heard(Box::new(heard)));
    }
}
