//! One member's look at a plan: requirements, inspections, verifications, databases, and what
//! else could keep a step from being done. A few at a time, within one deadline, and nothing is
//! changed.

mod databases;
mod http;
mod targets;

use crate::action::{self, Context};
use crate::condition::{Env, evaluate};
use futures::StreamExt as _;
use standfast_core::action::{Attempt, Inspection};
use standfast_core::bundle::Bundle;
use standfast_core::check::{Answer, Check};
use standfast_core::ids::{Epoch, Identity, RunId};
use standfast_core::look::{Server, StepView, Trouble};
use standfast_core::plan::{Plan, Step};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// For one condition.
const ASK: Duration = Duration::from_secs(5);
/// For one step.
const INSPECT: Duration = Duration::from_secs(10);
/// For a step that acts to be over.
const PATIENCE: Duration = Duration::from_secs(3);
/// Targets that are looked at at once.
const AT_ONCE: usize = 8;

/// What was seen.
pub(super) struct Surveyed {
    pub(super) require: Vec<Answer>,
    pub(super) steps: Vec<StepView>,
    pub(super) servers: Vec<Server>,
    pub(super) troubles: Vec<Trouble>,
}

/// Everything that a run of `plan` would touch, as it is seen from `member`.
pub(super) async fn survey(
    bundle: &Bundle,
    plan: &Plan,
    env: &Env,
    member: &str,
    deadline: Instant,
) -> Surveyed {
    let require: Vec<_> = plan.require.iter().map(|require| ask(&require.check, env, deadline)).collect();
    let steps: Vec<_> = plan.steps.iter().map(|step| look(plan, step, env, deadline)).collect();
    let require = futures::stream::iter(require).buffered(AT_ONCE).collect();
    let steps = futures::stream::iter(steps).buffered(AT_ONCE).collect();
    let (require, steps, (servers, of_servers), of_certificates) = tokio::join!(
        require,
        steps,
        databases::survey(bundle, plan, env, AT_ONCE, deadline),
        http::theirs(plan, env, AT_ONCE, deadline),
    );
    let troubles = of_servers.into_iter().chain(of_certificates).chain(http::ours(env, member)).collect();
    Surveyed { require, steps, servers, troubles }
}

/// Why something is not looked at: there is no time left, or a step of a run acts here, which comes
/// first.
async fn late(env: &Env, deadline: Instant) -> Option<&'static str> {
    let patience = deadline.min(Instant::now() + PATIENCE);
    if tokio::time::timeout_at(patience, env.acting.over()).await.is_err() {
        return Some("not looked at: a step of a run acts here now");
    }
    (Instant::now() >= deadline).then_some("not looked at: the others took all the time")
}

async fn ask(check: &Check, env: &Env, deadline: Instant) -> Answer {
    match late(env, deadline).await {
        Some(why) => Answer::Unknown(why.into()),
        None => evaluate(check, env, ASK.min(deadline - Instant::now())).await,
    }
}

async fn look(plan: &Plan, step: &Step, env: &Env, deadline: Instant) -> StepView {
    let found = inspect(plan, step, env, deadline).await;
    let mut verify = Vec::new();
    for check in step.verify.iter().flat_map(|verify| &verify.all) {
        verify.push(ask(check, env, deadline).await);
    }
    let troubles = match late(env, deadline).await {
        Some(_) => Vec::new(),
        None => targets::troubles(step, env, deadline.min(Instant::now() + INSPECT)).await,
    };
    StepView { found, verify, troubles }
}

async fn inspect(plan: &Plan, step: &Step, env: &Env, deadline: Instant) -> Inspection {
    if let Some(why) = late(env, deadline).await {
        return Inspection::Unknown(why.into());
    }
    let nobody = || Identity::new("dry-run");
    let context = Context {
        attempt: Attempt {
            run: RunId::new("dry-run"),
            step: step.id.clone(),
            attempt: 0,
            epoch: Epoch(0),
            started_by: nobody(),
        },
        env: env.clone(),
        deadline: deadline.min(Instant::now() + INSPECT),
        mode: plan.request.mode,
        leash: None,
        validity: None,
        cancel: CancellationToken::new(),
        fences: None,
    };
    action::inspect(&step.action, &context).await
}
