//! Performs the effects of a run: asks, inspects, acts, verifies.

use crate::action::{self, Context};
use crate::condition::{Env, evaluate};
use crate::metrics::Metrics;
use crate::site_lease::fence::Fences;
use crate::term::Validity;
use futures::future::join_all;
use standfast_core::action::{Attempt, Failure, FailureKind};
use standfast_core::check::{Answer, Check};
use standfast_core::engine::{Effect, Input};
use standfast_core::ids::{Epoch, Identity, RunId, StepId};
use standfast_core::journal::Evidence;
use standfast_core::plan::{Plan, Verify};
use standfast_core::run::Run;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// For one condition, when nothing shorter is said.
const ASK: Duration = Duration::from_secs(5);
/// For one inspection.
const INSPECT: Duration = Duration::from_secs(10);
/// Between two rounds of a verification.
const AGAIN: Duration = Duration::from_millis(100);

/// What a term lends to its runs.
#[derive(Clone)]
pub struct Runner {
    /// What conditions and actions need.
    pub env: Env,
    /// Where figures go.
    pub metrics: Metrics,
    /// Whether an effect may start.
    pub validity: Validity,
    /// When the children of actions are killed, on the boot clock.
    pub leash: watch::Receiver<Duration>,
    /// Cancelled when what acts must end.
    pub kill: CancellationToken,
    /// What the ends of site leases prove.
    pub fences: Fences,
}

/// The run that an effect is of.
#[derive(Clone, Debug)]
pub struct Job {
    run: RunId,
    plan: Arc<Plan>,
    epoch: Epoch,
    started_by: Identity,
}

impl Job {
    /// For `run` under `epoch`.
    pub fn new(run: &Run, epoch: Epoch) -> Self {
        Self { run: run.id.clone(), plan: run.plan.clone(), epoch, started_by: run.trigger.identity() }
    }
}

impl Runner {
    /// What an effect comes to; none when it may not start, or is not one of these.
    pub async fn perform(&self, job: &Job, effect: Effect) -> Option<Input> {
        let acts = matches!(effect, Effect::Act { .. } | Effect::Verify { .. } | Effect::Undo { .. });
        let _acting = acts.then(|| self.env.acting.begin());
        match effect {
            Effect::Require => Some(Input::Required(self.required(&job.plan).await)),
            Effect::Inspect { step } => {
                let context = self.context(job, step, 0, INSPECT);
                let found = action::inspect(&job.plan.steps[step].action, &context).await;
                Some(Input::Inspected { step, found })
            }
            Effect::Act { step, attempt } => self.act(job, step, attempt).await,
            Effect::Verify { step } => {
                let evidence = match &job.plan.steps[step].verify {
                    Some(verify) => self.verify(verify).await,
                    None => Vec::new(),
                };
                Some(Input::Verified { step, evidence })
            }
            Effect::InspectUndo { step } => {
                let undo = job.plan.steps[step].undo_action()?;
                let found = action::inspect(undo, &self.undoing(job, step, 0, INSPECT)).await;
                Some(Input::UndoInspected { step, found })
            }
            Effect::Undo { step, attempt } => self.undo(job, step, attempt).await,
            Effect::Append { .. } | Effect::Refuse { .. } => None,
        }
    }

    /// What everything that `plan` requires answers, in its order.
    pub async fn required(&self, plan: &Plan) -> Vec<Answer> {
        let checks: Vec<&Check> = plan.require.iter().map(|require| &require.check).collect();
        self.ask(&checks, ASK).await
    }

    fn context(&self, job: &Job, step: usize, attempt: u32, within: Duration) -> Context {
        Context {
            attempt: Attempt {
                run: job.run.clone(),
                step: job.plan.steps[step].id.clone(),
                attempt,
                epoch: job.epoch,
                started_by: job.started_by.clone(),
            },
            env: self.env.clone(),
            deadline: Instant::now() + within,
            mode: job.plan.request.mode,
            leash: Some(self.leash.clone()),
            validity: Some(self.validity.clone()),
            cancel: self.kill.clone(),
            fences: Some(self.fences.clone()),
        }
    }

    async fn act(&self, job: &Job, step: usize, attempt: u32) -> Option<Input> {
        let spec = &job.plan.steps[step];
        let context = self.context(job, step, attempt, spec.timeout.0);
        // The last look before the effect: between the entry and here the term may have run out.
        if !self.validity.holds() {
            return None;
        }
        let result = action::act(&spec.action, &context).await;
        self.metrics.stepped(spec.action.name(), outcome(&result));
        Some(Input::Acted { step, result })
    }

    /// As [`Runner::context`]; targets must not take an undo for a repetition of the step.
    fn undoing(&self, job: &Job, step: usize, attempt: u32, within: Duration) -> Context {
        let mut context = self.context(job, step, attempt, within);
        context.attempt.step = StepId::new(format!("{}:undo", context.attempt.step));
        context
    }

    /// First what must be proven, then the undo.
    async fn undo(&self, job: &Job, step: usize, attempt: u32) -> Option<Input> {
        let spec = &job.plan.steps[step];
        let undo = spec.undo_action()?;
        let context = self.undoing(job, step, attempt, spec.timeout.0);
        if !self.validity.holds() {
            return None;
        }
        if let Some(proof) = &spec.undo_proof
            && let Err(failure) = action::act(proof, &context).await
        {
            let message = format!("not taken back, for want of proof: {}", failure.message);
            let failure = Failure { kind: FailureKind::Refused, message };
            return Some(Input::Undone { step, result: Err(failure) });
        }
        if !self.validity.holds() {
            return None;
        }
        let result = action::act(undo, &context).await;
        self.metrics.stepped(undo.name(), outcome(&result));
        Some(Input::Undone { step, result })
    }

    async fn ask(&self, checks: &[&Check], within: Duration) -> Vec<Answer> {
        join_all(checks.iter().map(|check| evaluate(check, &self.env, within))).await
    }

    /// Asks until all hold in one round, or the time is over.
    async fn verify(&self, verify: &Verify) -> Vec<Evidence> {
        let deadline = Instant::now() + verify.within.0;
        let checks: Vec<&Check> = verify.all.iter().collect();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let answers = self.ask(&checks, ASK.min(left)).await;
            let over = Instant::now() + AGAIN >= deadline;
            if over || answers.iter().all(Answer::holds) || self.kill.is_cancelled() {
                let evidence =
                    |(check, answer): (&&Check, Answer)| Evidence { what: check.to_string(), answer };
                return checks.iter().zip(answers).map(evidence).collect();
            }
            tokio::time::sleep(AGAIN).await;
        }
    }
}

/// The metric's word for how an act ended.
fn outcome(result: &Result<String, Failure>) -> &'static str {
    match result {
        Ok(_) => "done",
        Err(Failure { kind: FailureKind::Unreachable, .. }) => "unreachable",
        Err(Failure { kind: FailureKind::Refused, .. }) => "refused",
        Err(Failure { kind: FailureKind::Failed, .. }) => "failed",
        Err(Failure { kind: FailureKind::Ambiguous, .. }) => "ambiguous",
    }
}
