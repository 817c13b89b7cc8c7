//! `fence.prove`, as far as the simulator has it: a site lease that ended, or a gate that is seen to
//! be closed. A person's word is for the engine.

use super::act::{Heard, What};
use super::member::Wake;
use super::sentry::MARGIN;
use super::store::{Compare, Key, Op, Value};
use super::term::Writing;
use super::{Cluster, Mutant};
use crate::world::Proof;
use standfast_core::action::{Failure, FailureKind};
use standfast_core::engine::Input;
use standfast_core::ids::{Epoch, RunId};
use standfast_core::time::Mono;
use std::time::Duration;

/// Between two looks at the lease.
const AGAIN: Duration = Duration::from_millis(500);

/// A proof that is being looked for.
#[derive(Clone, Debug)]
pub(super) struct Proving {
    pub(super) run: RunId,
    pub(super) epoch: Epoch,
    pub(super) step: usize,
    pub(super) site: usize,
    pub(super) proofs: Vec<Proof>,
    pub(super) until: Mono,
    /// Since when the lease is seen gone, on this leader's clock.
    gone: Option<Mono>,
    /// This write puts the key that makes it final.
    last: bool,
}

impl Proving {
    pub(super) fn new(
        (run, epoch, step): (RunId, Epoch, usize),
        site: usize,
        proofs: Vec<Proof>,
        until: Mono,
    ) -> Self {
        Self { run, epoch, step, site, proofs, until, gone: None, last: false }
    }
}

impl Cluster<'_> {
    /// Looks once; what comes of it decides whether it is looked again.
    pub(super) fn prove(&mut self, member: usize, mut proving: Proving) {
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
        if now >= proving.until || !proving.proofs.contains(&Proof::Lease) {
            let message = "it is not proven to be fenced".into();
            return self.proven(member, &proving, Err(Failure { kind: FailureKind::Failed, message }));
        }
        proving.last = proving.gone.is_some_and(|gone| now.since(gone) >= MARGIN);
        let key = if proving.last { Key::Fenced(proving.site) } else { Key::Beat };
        let then = vec![Op::Put(key, Value::Mark)];
        let when = vec![Compare::Absent(Key::SiteLease(proving.site))];
        self.write(member, then, when, Vec::new(), Writing::Fence(Box::new(proving)));
    }

    /// The store has said whether the lease is gone.
    pub(super) fn fence_written(&mut self, member: usize, mut proving: Proving, gone: bool) {
        if gone && proving.last {
            return self.proven(member, &proving, Ok("its lease has ended".into()));
        }
        let now = self.now(member).mono;
        proving.gone = gone.then(|| proving.gone.unwrap_or(now));
        let (run, epoch) = (proving.run.clone(), proving.epoch);
        let heard = Heard { run, epoch, what: What::Prove(proving) };
        self.wake_after(member, AGAIN, Wake::Heard(Box::new(heard)));
    }

    fn proven(&mut self, member: usize, proving: &Proving, result: Result<String, Failure>) {
        let input = Input::Acted { step: proving.step, result };
        let (run, epoch) = (proving.run.clone(), proving.epoch);
        let heard = Heard { run, epoch, what: What::Input(input) };
        self.wake_after(member, Duration::from_millis(5), Wake::Heard(Box::new(heard)));
    }
}
